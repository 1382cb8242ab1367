import copy

import pytest
import torch

from lora_demo import lora, training
from lora_demo.events import Evaluated, Finished, Prepared, Step
from lora_demo.settings import Settings


def run(values: dict, **options) -> tuple[training.Race, list]:
    race = training.Race(Settings.parse(values), **options)
    return race, list(race.run())


def test_a_run_tells_its_story_in_order(tiny_settings):
    _, events = run(tiny_settings)
    kinds = [event.kind for event in events]
    assert kinds == ["prepared", "step", "step", "evaluated", "step", "step", "evaluated", "finished"]
    finished = events[-1]
    assert (finished.step, finished.stopped) == (4, False)
    for lane in ("head", "lora", "full"):
        assert 0 <= finished.lanes[lane]["accuracy"] <= 1
        assert finished.lanes[lane]["images_per_second"] > 0


def test_the_race_is_reproducible_from_its_seed(tiny_settings):
    first, second, other = (run({**tiny_settings, "seed": seed})[1] for seed in (3, 3, 4))
    losses = [[event.losses for event in events if isinstance(event, Step)] for events in (first, second, other)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    accuracies = [[event.lanes for event in events if isinstance(event, Evaluated)] for events in (first, second)]
    assert accuracies[0] == accuracies[1]


def test_every_lane_starts_from_the_same_point_on_the_same_batch(tiny_settings):
    _, events = run(tiny_settings)
    losses = next(event.losses for event in events if isinstance(event, Step))
    assert losses["head"] == losses["lora"] == losses["full"]


def test_a_lane_trains_the_same_alone_as_in_company(tiny_settings):
    together = [e.losses["lora"] for e in run(tiny_settings)[1] if isinstance(e, Step)]
    alone = [e.losses["lora"] for e in run({**tiny_settings, "lanes": ["lora"]})[1] if isinstance(e, Step)]
    assert together == alone


@pytest.mark.parametrize(("lane", "expected"), [("head", 32 * 2 + 2), ("lora", 2 * 2 * (2 * 2 * 32) + 66)])
def test_only_what_a_lane_may_train_gets_gradients_and_changes(tiny_settings, lane, expected):
    race, events = run({**tiny_settings, "lanes": [lane]})
    prepared = next(event for event in events if isinstance(event, Prepared))
    assert prepared.lanes[lane]["trainable_parameters"] == expected
    start = race.backbone.model.state_dict()
    layers = lora.adapted_layers(race.lanes[lane].model)
    for name, parameter in race.lanes[lane].model.named_parameters():
        if name in start and not name.startswith("classifier."):
            assert not parameter.requires_grad
            assert torch.equal(parameter, start[name]), name
    assert len(layers) == (4 if lane == "lora" else 0)
    assert all(layer.lora_B.abs().max() > 0 for layer in layers.values())


def test_full_fine_tuning_changes_every_matrix(tiny_settings):
    race, _ = run({**tiny_settings, "lanes": ["full"]})
    start = race.backbone.model.state_dict()
    now = {
        n: p for n, p in race.lanes["full"].model.named_parameters() if p.dim() > 1 and not n.startswith("classifier.")
    }
    assert len(now) >= 12
    assert not [name for name in now if torch.equal(now[name], start[name])]


def test_merging_changes_the_answers_only_by_rounding(tiny_settings):
    race, _ = run({**tiny_settings, "lanes": ["lora"], "learning_rate_lora": 0.05})
    model = race.lanes["lora"].model.eval()
    pixels = race.backbone.pixels(race.data.test.images)
    with torch.inference_mode():
        apart = model(pixel_values=pixels).logits
        merged = copy.deepcopy(model)
        lora.merge(merged)
        assert torch.allclose(merged(pixel_values=pixels).logits, apart, atol=1e-5)


def test_it_learns_what_can_be_learnt(tiny_settings):
    _, events = run({**tiny_settings, "steps": 40, "learning_rate_full": 1e-3, "evaluate_every": 40})
    assert all(lane["accuracy"] > 0.9 for lane in events[-1].lanes.values())


def test_a_run_told_to_stop_ends_with_what_it_has(tiny_settings):
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 9

    _, events = run({**tiny_settings, "steps": 1000}, should_stop=should_stop)
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped
    assert 0 < events[-1].step < 1000
    assert events[-1].lanes["lora"]["accuracy"] is None
    assert events[-1].lanes["lora"]["checkpoint_bytes"] > 0


def test_a_loss_that_is_no_number_is_named_with_its_lane_and_rate(tiny_settings, monkeypatch):
    def explode(lane, pixels, labels):
        lane.step_seconds.append(0.1)
        return float("nan") if lane.name == "full" else 1.0

    monkeypatch.setattr(training.Lane, "train_step", explode)
    with pytest.raises(training.TrainingError, match=r"full lane .* step 1: its learning rate, 0.5, is too high"):
        run({**tiny_settings, "learning_rate_full": 0.5})


def test_a_rank_that_does_not_fit_is_refused(tiny_settings):
    with pytest.raises(lora.LoRAError, match="Rank 64"):
        run({**tiny_settings, "rank": 64})


def test_a_frozen_head_stays_as_drawn(tiny_settings):
    race, _ = run({**tiny_settings, "lanes": ["lora"], "freeze_head": True})
    head = race.backbone.new_head(race.data.classes, torch.Generator().manual_seed(0))
    assert torch.equal(race.lanes["lora"].model.classifier.weight, head.weight)


def test_bytes_are_counted_as_stored(tiny_settings):
    _, events = run(tiny_settings)
    full = events[-1].lanes["full"]
    assert full["optimizer_bytes"] == 2 * 4 * full["trainable_parameters"]  # Adam's two moments in fp32
    assert full["gradient_bytes"] == 4 * full["trainable_parameters"]
    assert 0 < full["checkpoint_bytes"] - 4 * full["total_parameters"] < 10_000  # and the file's header
    assert events[-1].lanes["head"]["saved_activation_bytes"] < events[-1].lanes["lora"]["saved_activation_bytes"]


@pytest.mark.parametrize("variant", ["rslora", "dora", "pissa", "lora_plus", "lora_fa"])
def test_every_variant_races(tiny_settings, variant):
    _, events = run({**tiny_settings, "lanes": ["lora"], "variant": variant})
    assert isinstance(events[-1], Finished)
    assert not events[-1].stopped
