import numpy as np
import pytest
import torch

from lora_demo.xray.spectra import svd
from lora_demo.xray.subspaces import amplification, compare, overlap, random_overlap


def orthonormal(count, d, seed=0):
    return torch.linalg.qr(torch.randn(d, count, generator=torch.Generator().manual_seed(seed)))[0].T


def test_a_subspace_lies_in_itself_and_shares_nothing_with_its_complement():
    rows = orthonormal(8, 20)
    assert np.allclose(overlap(rows[:4], rows[:4]), 1, atol=1e-6)
    assert np.allclose(overlap(rows[:4], rows[4:]), 0, atol=1e-6)


def test_phi_of_planes_at_a_known_angle_is_the_cosine_squared():
    axes, angle = torch.eye(6), 0.7
    turned = np.cos(angle) * axes[:2] + np.sin(angle) * axes[2:4]
    phi = overlap(axes[:2], turned.float())
    assert np.allclose(phi, np.cos(angle) ** 2)


def test_phi_is_the_papers_equation_for_every_i_and_j():
    first, second = orthonormal(5, 12), orthonormal(7, 12, 1)
    phi = overlap(first, second)
    assert phi.shape == (5, 7)
    for i in range(1, 6):
        for j in range(1, 8):
            product = first[:i].numpy() @ second[:j].numpy().T
            assert phi[i - 1, j - 1] == pytest.approx(np.linalg.norm(product) ** 2 / min(i, j), rel=1e-5)


def test_random_subspaces_share_what_the_baseline_says():
    d = 24
    measured = np.mean([overlap(orthonormal(3, d, 2 * s), orthonormal(8, d, 2 * s + 1)) for s in range(300)], axis=0)
    assert np.allclose(measured, random_overlap(3, 8, d), atol=0.03)
    assert random_overlap(8, 64, 192)[7, 63] == pytest.approx(1 / 3)


def test_a_zero_change_has_no_directions_to_compare():
    assert compare("lora", svd(torch.zeros(6, 5)), "full", svd(torch.ones(6, 5))) is None
    assert amplification(svd(torch.zeros(6, 5)), torch.ones(6, 5), 2) is None


def test_a_change_along_a_singular_direction_of_the_weight_is_amplified_by_their_ratio():
    U, V = orthonormal(4, 10).T, orthonormal(4, 8, 1).T
    W0 = U @ torch.diag(torch.tensor([8.0, 4.0, 2.0, 1.0])) @ V.T
    change = 6 * U[:, 2:3] @ V[:, 2:3].T
    found = amplification(svd(change), W0, 8)
    assert found.rank == 1  # it has no more directions, whatever is asked for
    assert found.factor == pytest.approx(6 / 2, rel=1e-5)


def test_random_directions_are_amplified_as_the_baseline_says():
    W0 = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    factors = []
    for seed in range(200):
        found = amplification(svd(orthonormal(4, 60, seed).T @ orthonormal(4, 40, seed + 1000)), W0, 4)
        factors.append(1 / found.factor**2)
    assert np.mean(factors) ** -0.5 == pytest.approx(found.random, rel=0.05)
