"""A race that is steered: paused, stepped, given other rates, stopped."""

from collections import deque

import pytest
import torch
from torch.nn import functional as F

from lora_demo import backbones, datasets
from lora_demo.events import Changed, Finished, Step
from lora_demo.settings import Settings
from lora_demo.steering import Command, Steering
from lora_demo.training import Race

PAUSE, GO, STEP, STOP = (Command(do) for do in ("pause", "go", "step", "stop"))


class Listener:
    """Says what is in `queue` (None: nothing yet); each time the race waits, the next of `answers` is put there first."""

    def __init__(self, *answers: list[Command | None]):
        self.queue, self.answers = deque(), deque(answers)

    def __call__(self, wait: bool) -> Command | None:
        if wait and not self.queue:
            self.queue.extend(
                self.answers.popleft()
            )  # where nobody answers, the race would wait for ever: an error here
        return self.queue.popleft() if self.queue else None


def steered(values: dict, listener: Listener, say: dict[int, list[Command]]) -> list:
    """The events of a race to which `say` is said after the given steps."""
    events = []
    for event in Race(Settings.parse(values), listener).run():
        events.append(event)
        if isinstance(event, Step):
            listener.queue.extend(say.get(event.step, ()))
    assert not listener.answers
    return events


def line(events: list) -> list:
    """Steps by number, and what was changed."""
    return [e.step if isinstance(e, Step) else e.what for e in events if isinstance(e, Step | Changed)]


def losses(events: list) -> list[dict]:
    return [event.losses for event in events if isinstance(event, Step)]


def test_a_paused_race_waits_and_makes_one_step_when_told(tiny_settings, run_race):
    events = steered(tiny_settings, Listener([STEP], [GO]), {1: [PAUSE]})
    assert line(events) == [1, "paused", 2, "paused", "resumed", 3, 4]
    assert losses(events) == losses(run_race(tiny_settings)[1])  # and nothing is lost by it


def test_every_step_asked_for_is_made(tiny_settings):
    events = steered(
        tiny_settings, Listener([STEP, STEP, Command("rates", {"learning_rate_full": 1e-3})], [GO]), {1: [PAUSE]}
    )
    assert line(events) == [1, "paused", "rates", 2, 3, "paused", "resumed", 4]


def test_a_race_told_to_go_on_during_a_single_step_says_that_it_does(tiny_settings):
    events = steered(tiny_settings, Listener([STEP, None, None, GO]), {1: [PAUSE]})
    assert line(events) == [1, "paused", 2, "resumed", 3, 4]


def test_a_paused_race_can_be_stopped(tiny_settings):
    events = steered(tiny_settings, Listener([STOP]), {2: [PAUSE]})
    assert line(events) == [1, 2, "paused"]
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped


def test_a_step_is_no_step_more_unless_the_race_is_paused(tiny_settings):
    events = steered(tiny_settings, Listener([GO]), {1: [STEP, PAUSE]})
    assert line(events) == [1, "paused", "resumed", 2, 3, 4]


def test_the_time_a_race_is_paused_does_not_count(tiny_settings, monkeypatch):
    race = Race(Settings.parse({**tiny_settings, "seconds": 60}), Listener([GO]))
    before, now = race._deadline, iter((100.0, 130.0))
    monkeypatch.setattr("lora_demo.training.time.monotonic", lambda: next(now))
    race.steering.paused = True
    assert [event.what for event in race._obey(0)] == ["paused", "resumed"]
    assert race._deadline == before + 30


@pytest.mark.timeout(30)
def test_after_stop_nothing_more_is_heard():
    steering = Steering(lambda wait: STOP)  # as a pipe whose other end is gone goes on saying
    assert steering.stopped()
    assert steering.stopped()


def test_at_other_rates_a_race_goes_on_as_one_optimizer_does(tiny_settings):
    """The reference: transformers' own model, torch's AdamW, whose rate is set in place so that its moments stay."""
    values = {**tiny_settings, "lanes": ["full"], "schedule": "constant", "steps": 6, "learning_rate_full": 1e-3}
    rates = Command("rates", {"learning_rate_full": 5e-3, "learning_rate_head": 1e-4})
    events = steered(values, Listener(), {3: [rates]})
    changed = next(event for event in events if isinstance(event, Changed))
    assert (changed.step, changed.rates) == (3, {"head": 1e-4, "full": 5e-3})

    backbone, data = backbones.load(values["backbone"]), datasets.load(values["data"])
    model = backbone.model
    model.classifier = backbone.new_head(data.classes, torch.Generator().manual_seed(0))
    rest = [p for name, p in model.named_parameters() if not name.startswith("classifier.")]
    groups = [{"params": model.classifier.parameters(), "lr": 1e-2}, {"params": rest, "lr": 1e-3}]
    optimizer, generator = torch.optim.AdamW(groups), torch.Generator().manual_seed(0)
    order, expected = datasets.order(len(data.train), 8, generator), []
    for step in range(6):
        if step == 3:
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 1e-4, 5e-3
        batch = data.train[next(order)]
        pixels = backbone.pixels(datasets.flipped(batch.images, datasets.mirrored(8, generator)))
        loss = F.cross_entropy(model(pixel_values=pixels).logits, batch.labels)
        expected.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [of["full"] for of in losses(events)] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("lane", ["head", "lora", "full"])
def test_rates_that_stay_the_same_change_nothing(tiny_settings, run_race, lane, optimizer):
    values = {**tiny_settings, "lanes": [lane], "optimizer": optimizer}
    rate = f"learning_rate_{lane}"
    same = Command("rates", {rate: getattr(Settings.parse(values), rate)})
    assert losses(steered(values, Listener(), {2: [same]})) == losses(run_race(values)[1])


def test_rates_set_while_paused_are_told_at_once(tiny_settings):
    rates = Command("rates", {"learning_rate_lora": 0.01})
    events = steered(tiny_settings, Listener([rates], [GO]), {1: [PAUSE]})
    assert line(events) == [1, "paused", "rates", "resumed", 2, 3, 4]


def test_the_last_word_on_a_rate_counts(tiny_settings):
    events = steered(tiny_settings, Listener(), {1: [Command("rates", {"learning_rate_lora": r}) for r in (0.5, 0.01)]})
    assert next(event.rates["lora"] for event in events if isinstance(event, Changed)) == 0.01
