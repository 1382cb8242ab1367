import copy

import pytest
import torch

from lora_demo import lora
from lora_demo.events import Evaluated, Finished, Prepared, Step


def losses(events: list) -> list[dict]:
    return [event.losses for event in events if isinstance(event, Step)]


def test_a_run_tells_its_story_in_order(tiny_settings, run_race):
    _, events = run_race(tiny_settings)
    kinds = [event.kind for event in events]
    step, look = ["step", "spectra"], ["step", "spectra", "evaluated"]
    assert kinds == ["prepared", *step, "step", "measured", "spectra", "evaluated", *step, *look, "finished"]
    finished = events[-1]
    assert (finished.step, finished.stopped) == (4, False)
    for lane in ("head", "lora", "full"):
        assert 0 <= finished.lanes[lane]["accuracy"] <= 1
        assert finished.lanes[lane]["images_per_second"] > 0


def test_the_race_is_reproducible_from_its_seed(tiny_settings, run_race):
    first, second, other = (run_race({**tiny_settings, "seed": seed})[1] for seed in (3, 3, 4))
    assert losses(first) == losses(second)
    assert losses(first) != losses(other)
    accuracies = [[event.lanes for event in events if isinstance(event, Evaluated)] for events in (first, second)]
    assert accuracies[0] == accuracies[1]


def test_every_lane_starts_from_the_same_point_on_the_same_batch(tiny_settings, run_race):
    _, events = run_race(tiny_settings)
    first = losses(events)[0]
    assert first["head"] == first["lora"] == first["full"]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_lane_trains_the_same_alone_as_in_company(tiny_settings, run_race, dropout):
    values = {**tiny_settings, "dropout": dropout}
    together = [of["lora"] for of in losses(run_race(values)[1])]
    alone = [of["lora"] for of in losses(run_race({**values, "lanes": ["lora"]})[1])]
    assert together == alone


def test_seeds_raced_side_by_side_are_the_races_of_each_seed(tiny_settings, run_race):
    values = {**tiny_settings, "seed": 5, "dropout": 0.1}
    together, told = run_race({**values, "seeds": 3})
    singles = [run_race({**values, "seed": seed}) for seed in (5, 6, 7)]
    for lane in ("head", "lora", "full"):
        each = [[of[lane] for of in losses(events)] for _, events in singles]
        steps = [event for event in told if isinstance(event, Step)]
        assert [event.each[lane] for event in steps] == [list(of) for of in zip(*each, strict=True)]
        assert [e.losses[lane] for e in steps] == pytest.approx([sum(of) / 3 for of in zip(*each, strict=True)])
        accuracies = [events[-1].lanes[lane]["accuracy"] for _, events in singles]
        assert told[-1].lanes[lane]["accuracies"] == accuracies
        assert told[-1].lanes[lane]["accuracy"] == pytest.approx(sum(accuracies) / 3)
        looked = [[e.lanes[lane]["accuracy"] for e in events if isinstance(e, Evaluated)] for _, events in singles]
        looks = [event.lanes[lane]["accuracies"] for event in told if isinstance(event, Evaluated)]
        assert looks == [list(of) for of in zip(*looked, strict=True)]
        for replica, (race, _) in zip(together.replicas, singles, strict=True):
            for name, parameter in race.lanes[lane].trained.items():
                assert torch.equal(replica[lane].trained[name], parameter), name


def test_what_is_kept_of_the_head_lanes_features_gives_the_answers_of_the_plain_path(tiny_settings, run_race):
    race, events = run_race(
        {**tiny_settings, "seeds": 2}
    )  # two looks at validation images: the second from what was kept
    for kind in ("validation", "test"):
        split = race.looks.splits[kind]
        for lanes, figures in zip(race.replicas, race.looks.at(kind, race.replicas, lambda: False), strict=True):
            model = lanes["head"].model.eval()
            with torch.inference_mode():
                plain = model(pixel_values=race.backbone.pixels(split.images)).logits
            torch.testing.assert_close(figures["head"]["answers"], plain.softmax(-1))
            assert figures["head"]["accuracy"] == (plain.argmax(-1) == split.labels).float().mean().item()
    looks = [event.lanes["head"]["loss"] for event in events if isinstance(event, Evaluated)]
    assert looks[0] != looks[1]  # the head goes on learning


def test_a_look_tells_what_each_lane_says_of_the_pictures(tiny_settings, run_race):
    race, events = run_race(tiny_settings)
    look = [event for event in events if isinstance(event, Evaluated)][-1]
    prepared = next(event for event in events if isinstance(event, Prepared))
    shown = race.looks.splits["validation"][race.looks.pictures]
    assert prepared.pictures == shown.labels.tolist()
    for lane, competitor in race.lanes.items():
        with torch.inference_mode():
            answers = competitor.model(pixel_values=race.backbone.pixels(shown.images)).logits.softmax(-1)
        assert [label for label, _ in look.pictures[lane]] == answers.argmax(-1).tolist()
        assert [p for _, p in look.pictures[lane]] == pytest.approx(answers.amax(-1).tolist(), abs=6e-4)
        assert look.lanes[lane]["predicted_classes"] in (1, 2)


@pytest.mark.parametrize(("lane", "expected"), [("head", 32 * 2 + 2), ("lora", 2 * 2 * (2 * 2 * 32) + 66)])
def test_only_what_a_lane_may_train_gets_gradients_and_changes(tiny_settings, run_race, lane, expected):
    race, events = run_race({**tiny_settings, "lanes": [lane]})
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


def test_full_fine_tuning_changes_every_matrix(tiny_settings, run_race):
    race, _ = run_race({**tiny_settings, "lanes": ["full"]})
    start = race.backbone.model.state_dict()
    now = {
        n: p for n, p in race.lanes["full"].model.named_parameters() if p.dim() > 1 and not n.startswith("classifier.")
    }
    assert len(now) >= 12
    assert not [name for name in now if torch.equal(now[name], start[name])]


def test_merging_changes_the_answers_only_by_rounding(tiny_settings, run_race):
    race, _ = run_race({**tiny_settings, "lanes": ["lora"], "learning_rate_lora": 0.05})
    model = race.lanes["lora"].model.eval()
    pixels = race.backbone.pixels(race.data.test.images)
    with torch.inference_mode():
        apart = model(pixel_values=pixels).logits
        merged = copy.deepcopy(model)
        lora.merge(merged)
        assert torch.allclose(merged(pixel_values=pixels).logits, apart, atol=1e-5)


def test_it_learns_what_can_be_learnt(tiny_settings, run_race):
    _, events = run_race({**tiny_settings, "steps": 40, "learning_rate_full": 1e-3, "evaluate_every": 40})
    assert all(lane["accuracy"] > 0.9 for lane in events[-1].lanes.values())


def test_a_rank_that_does_not_fit_is_refused(tiny_settings, run_race):
    with pytest.raises(lora.LoRAError, match="Rank 64"):
        run_race({**tiny_settings, "rank": 64})


def test_a_frozen_head_stays_as_drawn(tiny_settings, run_race):
    race, _ = run_race({**tiny_settings, "lanes": ["lora"], "freeze_head": True})
    head = race.backbone.new_head(race.data.classes, torch.Generator().manual_seed(0))
    assert torch.equal(race.lanes["lora"].model.classifier.weight, head.weight)


@pytest.mark.parametrize("variant", ["rslora", "dora", "pissa", "lora_plus", "lora_fa"])
def test_every_variant_races(tiny_settings, run_race, variant):
    _, events = run_race({**tiny_settings, "lanes": ["lora"], "variant": variant})
    assert isinstance(events[-1], Finished)
    assert not events[-1].stopped
