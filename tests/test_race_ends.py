"""How a race ends before its last step: stopped, early, broken, out of time."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from lora_demo import lane as lanes
from lora_demo import training
from lora_demo.events import Changed, Evaluated, Finished, Prepared, Step, to_dict
from lora_demo.settings import Settings
from lora_demo.steering import Command


def changes(events: list) -> list[tuple]:
    return [(event.what, event.lane) for event in events if isinstance(event, Changed)]


def test_a_run_told_to_stop_ends_with_what_it_has(tiny_settings, run_race):
    asked = 0

    def hear(wait: bool) -> Command | None:
        nonlocal asked
        asked += 1
        return Command("stop") if asked > 12 else None

    _, events = run_race({**tiny_settings, "steps": 1000}, hear=hear)
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped
    assert 0 < events[-1].step < 1000
    assert events[-1].lanes["lora"]["accuracy"] is None
    assert events[-1].lanes["lora"]["checkpoint_bytes"] > 0


def test_a_loss_that_is_no_number_is_named_with_its_lane_and_rate(tiny_settings, run_race, monkeypatch):
    step = lanes.Lane._step
    broken = lambda lane, *batch: float("nan") if lane.name == "full" else step(lane, *batch)  # noqa: E731
    monkeypatch.setattr(lanes.Lane, "_step", broken)
    with pytest.raises(training.TrainingError, match=r"full lane .* step 1: its learning rate, 0.5, is too high"):
        run_race({**tiny_settings, "learning_rate_full": 0.5})


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_rate_that_rises_breaks_a_lane_but_not_the_run(tiny_settings, run_race, seeds):
    wild = {"schedule": "rising", "optimizer": "sgd", "learning_rate_full": 10, "learning_rate_head": 1e-3}
    _, events = run_race({**tiny_settings, **wild, "steps": 30, "learning_rate_lora": 1e-5, "seeds": seeds})
    assert changes(events) == [("broke", "full")]
    steps = [event for event in events if isinstance(event, Step)]
    broke = next(event.step for event in events if isinstance(event, Changed))
    assert [event.step for event in steps if "full" in event.losses] == list(range(1, broke + 1))
    assert steps[broke - 1].losses["full"] is None
    assert all(event.losses[lane] is not None for event in steps for lane in ("head", "lora"))
    assert (events[-1].step, events[-1].stopped) == (30, False)
    for event in events:  # None, not NaN, which is no JSON
        json.dumps(to_dict(event), allow_nan=False)


def test_early_stop_stops_a_lane_and_gives_back_its_best_weights(tiny_settings, monkeypatch):
    values = {
        **tiny_settings,
        "steps": 40,
        "schedule": "constant",
        "evaluate_every": 1,
        "patience": 3,
        "learning_rate_full": 1.0,
    }
    race, events, kept = training.Race(Settings.parse({**values, "lanes": ["lora", "full"]})), [], []
    for event in race.run():
        events.append(event)
        if isinstance(event, Evaluated):
            weights = {name: weight.detach().clone() for name, weight in race.lanes["full"].trained.items()}
            kept.append((event.lanes["full"]["loss"], weights))
    assert ("early stop", "full") in changes(events)
    stopped = next(event.step for event in events if isinstance(event, Changed) and event.lane == "full")
    assert stopped < 40
    assert max(event.step for event in events if isinstance(event, Step) and "full" in event.losses) == stopped
    losses = [loss for loss, _ in kept[:stopped]]
    best = losses.index(min(losses))
    assert best == stopped - 1 - 3  # three looks in a row were no better
    for name, weight in race.lanes["full"].trained.items():
        assert torch.equal(weight, kept[best][1][name]), name
    assert events[-1].lanes["full"]["validation"]["loss"] == losses[best]
    assert not events[-1].stopped


class Clock:
    """A clock that only the lanes' work moves: a second for a step, a hundredth for an image looked at."""

    def __init__(self, monkeypatch):
        self.now, self.step_seconds = 0.0, 1.0
        clock = SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)
        monkeypatch.setattr(training, "time", clock)
        monkeypatch.setattr(lanes, "time", clock)
        for name in ("_step", "logits", "features"):
            monkeypatch.setattr(lanes.Lane, name, self.moved_by(getattr(lanes.Lane, name), looks=name != "_step"))

    def moved_by(self, work, looks: bool):
        def timed(lane, pixels, *rest):
            if not lane.model.training or not looks:
                self.now += 0.01 * len(pixels) if looks else self.step_seconds
            return work(lane, pixels, *rest)

        return timed


def race_against(clock: Clock, values: dict, slower: float = 1.0) -> list:
    events = []
    for event in training.Race(dataclasses.replace(Settings.parse(values), seconds=200.0)).run():
        events.append(event)
        if isinstance(event, Prepared):
            clock.step_seconds *= slower
    return events


def test_a_time_budget_sets_the_steps_and_the_run_ends_in_time(tiny_settings, monkeypatch):
    clock = Clock(monkeypatch)
    events = race_against(clock, {**tiny_settings, "steps": 7})
    planned = next(event for event in events if isinstance(event, Prepared)).settings["steps"]
    assert events[-1].step == planned > 7
    assert not events[-1].stopped
    assert changes(events) == []
    assert 150 < clock.now <= 200


def test_a_machine_that_becomes_slower_ends_a_race_in_time_all_the_same(tiny_settings, monkeypatch):
    clock = Clock(monkeypatch)
    events = race_against(clock, tiny_settings, slower=3)
    planned = next(event for event in events if isinstance(event, Prepared)).settings["steps"]
    assert changes(events) == [("time is up", "")]
    assert 0 < events[-1].step < planned
    assert events[-1].lanes["full"]["accuracy"] is not None  # there was time for the test
    assert clock.now < 200 + 3 * 3 + 1  # a step of the three lanes and a look are not broken off


def test_the_probe_leaves_no_trace_in_the_race(tiny_settings, run_race, monkeypatch):
    events = race_against(Clock(monkeypatch), tiny_settings)
    planned = next(event for event in events if isinstance(event, Prepared)).settings["steps"]
    _, plain = run_race({**tiny_settings, "steps": planned})
    assert [e.losses for e in events if isinstance(e, Step)] == [e.losses for e in plain if isinstance(e, Step)]
