"""Gradient descent takes the gradient's steps and ends where Eckart and Young say."""

import numpy as np
import pytest
import torch

from lora_demo.matrices import Descent, MatrixError, example, from_array, generate, parse


def test_a_step_is_the_gradient_step_of_autograd():
    matrix = generate(6, 5, 4, noise=0.1, seed=1)
    descent = Descent(matrix, 2, rate=0.2)
    b, a = (torch.tensor(x.copy(), requires_grad=True) for x in (descent.b, descent.a))
    loss = ((torch.tensor(matrix.values.copy()) - b @ a) ** 2).sum()
    loss.backward()
    descent.step()
    rate = 0.2 / np.linalg.norm(matrix.values, 2)
    np.testing.assert_allclose(descent.b, (b - rate * b.grad).detach(), rtol=1e-9)
    np.testing.assert_allclose(descent.a, (a - rate * a.grad).detach(), rtol=1e-9)
    assert descent.losses[0] == pytest.approx(loss.item())


@pytest.mark.parametrize(
    ("matrix", "rank"), [(example("words").build(), 1), (example("words").build(), 2), (example("noise").build(), 3)]
)
def test_the_default_rate_comes_down_to_the_eckart_young_floor(matrix, rank):
    descent = Descent(matrix, rank)
    descent.step(400)
    spectrum = np.linalg.svd(matrix.values, compute_uv=False)
    assert descent.floor == pytest.approx((spectrum[rank:] ** 2).sum())
    assert descent.losses[-1] == pytest.approx(descent.floor, rel=1e-4, abs=1e-9)
    np.testing.assert_allclose(descent.singular_values[-1], spectrum[:rank], rtol=1e-2)
    assert min(descent.losses) >= descent.floor * (1 - 1e-9)


def test_the_largest_direction_is_learnt_first():
    descent = Descent(from_array(np.diag([4.0, 2.0, 1.0])), 3)
    descent.step(300)
    learnt = np.array(descent.singular_values) > 0.9 * descent.targets
    first = learnt.argmax(axis=0)
    assert first[0] < first[1] < first[2]


def test_the_recorded_spectrum_is_that_of_the_product():
    descent = Descent(example("noise").build(), 4)
    descent.step(20)
    expected = np.linalg.svd(descent.b @ descent.a, compute_uv=False)[:4]
    np.testing.assert_allclose(descent.singular_values[-1], expected, rtol=1e-9)
    assert len(descent.losses) == len(descent.singular_values) == descent.steps + 1 == 21


def test_steps_in_one_go_or_one_by_one_are_the_same():
    together, apart = (Descent(example("words").build(), 2, seed=5) for _ in range(2))
    together.step(10)
    for _ in range(10):
        apart.step()
    assert together.losses == apart.losses


def test_too_high_a_rate_is_named_and_stopped():
    descent = Descent(example("words").build(), 2, rate=2)
    descent.step(1000)
    assert descent.diverged
    assert descent.steps < 100
    assert np.isfinite(descent.losses).all()
    assert "the rate 2 is too high; try 0.25" in descent.message()


def test_a_rate_that_only_swings_is_named_too():
    descent = Descent(example("words").build(), 2, rate=0.6)
    descent.step(200)
    assert descent.losses[-1] > 2 * descent.floor + 1
    assert "overshoots" in descent.message()


@pytest.mark.parametrize("text", ["0 0\n0 0", "5", "1e130 0\n0 1e129", "1e-300"])
def test_extreme_matrices_neither_crash_nor_diverge(text):
    descent = Descent(parse(text), 1)
    descent.step(50)
    assert not descent.diverged


@pytest.mark.parametrize(
    ("rank", "rate", "seed"), [(0, 0.2, 0), (4, 0.2, 0), (1, 0, 0), (1, float("nan"), 0), (1, 11, 0), (1, 0.2, -1)]
)
def test_impossible_settings_are_refused(rank, rate, seed):
    with pytest.raises(MatrixError):
        Descent(example("sum").build(), rank, rate, seed)
