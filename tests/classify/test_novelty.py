import numpy as np
import torch

from lora_demo.classify import novelty


def clouds(count: int = 200, seed: int = 0):
    """Three classes of features around three directions of eight."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    return 5 * torch.eye(8)[labels] + 0.5 * torch.randn(count, 8, generator=generator), labels


def test_the_cosine_is_numpys_with_the_nearest_mean():
    features, labels = clouds()
    held_out, _ = clouds(100, seed=1)
    known = novelty.familiar(features, labels, held_out)
    x, y = features.numpy().astype(np.float64), held_out.numpy().astype(np.float64)
    means = np.stack([x[labels.numpy() == k].mean(0) for k in range(3)])
    expected = (y @ means.T / np.linalg.norm(y, axis=1)[:, None] / np.linalg.norm(means, axis=1)).max(1)
    assert np.allclose(known.cosines(held_out).numpy(), expected, atol=1e-5)
    assert np.allclose(known.held_out.numpy(), np.sort(expected), atol=1e-5)


def test_one_held_out_image_in_twenty_is_called_unlike():
    features, labels = clouds()
    held_out, _ = clouds(1_000, seed=1)
    known = novelty.familiar(features, labels, held_out)
    assert known.is_unlike(held_out).float().mean() == 0.05


def test_other_directions_are_unlike_and_a_longer_feature_is_not():
    features, labels = clouds()
    known = novelty.familiar(features, labels, clouds(100, seed=1)[0])
    foreign = 5 * torch.eye(8)[[5, 6, 7]]
    assert known.is_unlike(foreign).all()
    assert known.share_farther(known.cosines(foreign).max().item()) == 0
    assert not known.is_unlike(100 * torch.eye(8)[[0, 1, 2]]).any()
