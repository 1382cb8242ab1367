"""The small layer that learns step by step, against the equations worked out in NumPy."""

import numpy as np
import pytest

from lora_demo.layer_lab import live


def after(steps: int, start: str = "lora", rate: float = 0.2) -> live.Moment:
    moment = live.begin(start)
    for _ in range(steps):
        moment = live.take_step(moment, rate)
    return moment


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_forward_pass_and_gradients_are_the_papers_equations(steps):
    moment = after(steps)
    seen = live.look(moment)
    np.testing.assert_allclose(seen.Ax, moment.A @ seen.x, atol=1e-6)
    np.testing.assert_allclose(seen.BAx, moment.B @ moment.A @ seen.x, atol=1e-6)
    np.testing.assert_allclose(seen.h, seen.W0x + live.SCALING * seen.BAx, atol=1e-5)
    grad_h = 2 * (seen.h - seen.goal) / seen.h.size
    np.testing.assert_allclose(seen.grad_B, live.SCALING * grad_h @ seen.Ax.T, atol=1e-5)
    np.testing.assert_allclose(seen.grad_A, live.SCALING * moment.B.T @ grad_h @ seen.x.T, atol=1e-5)
    assert seen.loss == pytest.approx(np.square(seen.h - seen.goal).mean(), rel=1e-5)


def test_b_moves_first_and_a_only_once_b_is_no_longer_zero():
    first, second = after(1), after(2)
    assert (first.moved_A, first.moved_B > 0) == (0, True)
    assert second.moved_A > 0
    assert second.moved_B > 0


def test_with_a_zero_a_moves_first():
    first = after(1, "swapped")
    assert (first.moved_A > 0, first.moved_B) == (True, 0)


def test_with_both_zero_nothing_ever_moves():
    moment = after(5, "zero")
    assert (moment.moved_A, moment.moved_B) == (0, 0)
    assert len(set(moment.losses)) == 1


def test_a_step_is_plain_gradient_descent():
    before = after(3)
    seen, moved = live.look(before), live.take_step(before, 0.1)
    np.testing.assert_allclose(moved.A, before.A - 0.1 * seen.grad_A, atol=1e-6)
    np.testing.assert_allclose(moved.B, before.B - 0.1 * seen.grad_B, atol=1e-6)


def test_the_goal_is_reached_and_then_nothing_more_happens():
    done = after(200)
    assert done.finished
    assert not done.diverged
    assert done.losses[-1] < live.DONE
    assert live.take_step(done, 0.2) is done


def test_too_high_a_rate_is_noticed_while_the_numbers_are_still_finite():
    moment = after(50, rate=1.0)
    assert moment.diverged
    assert np.isfinite(moment.B).all()
    assert np.isfinite(moment.losses).all()
