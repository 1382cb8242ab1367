"""The corrections to the notebook: each figure that the page shows, against its reference."""

import numpy as np
import pytest

from lora_demo.events import Failed
from lora_demo.layer_lab import corrections, frozen_head, rates
from lora_demo.runs import RunError
from lora_demo.settings import Settings


def test_rank_k_takes_k_rank_one_terms_and_leaves_out_the_tail_of_the_spectrum():
    found = corrections.rank_one_sum(6)
    assert found.ranks == [1, 2, 3, 4, 5, 6]
    values = np.linalg.svd(np.random.default_rng(0).normal(size=(6, 6)), compute_uv=False)
    tails = [np.sqrt(np.square(values[k:]).sum()) / np.linalg.norm(values) for k in range(1, 7)]
    np.testing.assert_allclose(found.errors, tails, atol=1e-12)


def test_injected_with_its_weight_and_bias_the_model_is_the_one_it_was():
    found = corrections.inject_as("copied")
    np.testing.assert_array_equal(found.output, found.base_output)
    assert found.accuracy == found.base_accuracy
    assert found.images == 200
    assert found.base_accuracy == pytest.approx(0.482, abs=0.08)  # assets/backbone/README.md, on 10,000 images


def test_without_its_bias_the_layer_says_something_else():
    found = corrections.inject_as("no_bias")
    assert np.abs(found.output - found.base_output).max() > 0.1
    assert found.accuracy != found.base_accuracy


def test_a_weight_that_was_never_set_breaks_the_model():
    found = corrections.inject_as("uninitialised")
    assert found.accuracy < 0.1 < found.base_accuracy


@pytest.mark.parametrize(("init", "widest"), [("kaiming", 192**-0.5), ("gaussian", np.inf)])
def test_a_is_drawn_as_the_page_says(init, widest):
    draw = corrections.draw_A(init, rank=8, inputs=192)
    assert draw.values.std() == pytest.approx(draw.expected_std, rel=0.06)
    assert np.abs(draw.values).max() <= widest


def test_adding_in_place_gives_the_same_result_and_changes_what_others_kept():
    found = corrections.add_in_place()
    assert found.result_difference == 0
    assert found.kept_changed_out_of_place == 0
    assert found.kept_changed_in_place > 1


def test_loras_best_rate_is_about_ten_times_fulls_and_the_notebooks_is_neither():
    sweep = rates.sweep()
    assert 3 <= sweep.best("lora") / sweep.best("full") <= 30
    assert rates.NOTEBOOK_RATE not in (sweep.best("lora"), sweep.best("full"))
    assert sweep.lora[0] > 0.9


def test_the_frozen_head_run_differs_in_nothing_but_the_head(tiny_settings, run_async):
    settings = Settings.parse({**tiny_settings, "lanes": ["lora"], "steps": 6, "evaluate_every": 6})

    async def told():
        return [both async for both in frozen_head.compare(settings)]

    both = run_async(told())[-1]
    trained, frozen = both["trained"], both["frozen"]
    assert len(trained.losses) == len(frozen.losses) == 6
    assert trained.losses[0] == frozen.losses[0]
    assert trained.losses[-1] < frozen.losses[-1]
    assert None not in (trained.accuracy, frozen.accuracy)


def test_a_run_that_fails_is_told_in_its_own_sentence():
    with pytest.raises(RunError, match="memory ran out"):
        frozen_head.Progress().hear(Failed("memory ran out"))
