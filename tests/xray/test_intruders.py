import numpy as np
import pytest
import torch

from lora_demo.xray.intruders import intruders, random_similarity
from lora_demo.xray.spectra import svd


@pytest.fixture
def W0():
    """A tall weight whose singular values are well apart, so that its directions are well defined."""
    torch.manual_seed(0)
    U, V = torch.linalg.qr(torch.randn(60, 30))[0], torch.linalg.qr(torch.randn(30, 30))[0]
    return U @ torch.diag(torch.linspace(3, 0.3, 30)) @ V.T


def test_an_untouched_weight_has_no_intruders(W0):
    found = intruders(W0, svd(W0).U)
    assert found.count == 0
    assert np.allclose(found.largest, 1, atol=1e-4)


@pytest.mark.parametrize("planted", [1, 3])
def test_a_strong_planted_direction_outside_the_weight_is_the_only_intruder(W0, planted):
    own = svd(W0)
    outside = torch.linalg.qr(torch.cat([own.U, torch.randn(60, planted)], dim=1))[0][:, 30:]
    change = 20 * outside @ own.Vh[20 : 20 + planted]  # answers to inputs that W0 hardly answers to
    found = intruders(W0 + change, own.U)
    assert list(found.which) == list(range(planted))  # the strongest directions of what was tuned


def test_a_planted_direction_of_the_weights_own_is_none(W0):
    own = svd(W0)
    change = 20 * own.U[:, 20:21] @ own.Vh[20:21]
    assert intruders(W0 + change, own.U).count == 0


def test_a_random_direction_reaches_what_is_said_of_it():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((192, 192)))[0]
    random = rng.standard_normal((192, 2000))
    best = np.abs(axes.T @ (random / np.linalg.norm(random, axis=0))).max(axis=0)
    assert random_similarity(192, 192) == pytest.approx(np.median(best), abs=0.005)
