"""A run that is gone on with, beside one that was never interrupted."""

import pytest
import torch

from lora_demo.events import Changed, Evaluated, Finished, Spectra, Step
from lora_demo.records import Record, RecordError
from lora_demo.settings import Settings
from lora_demo.steering import Command
from lora_demo.training import Race


def recorded(values: dict, record: Record, **options) -> list:
    """The events of a race that keeps a record, as a worker does."""
    settings = Settings.parse(values)
    record.create(settings)
    race, events = Race(settings, **options), []
    for event in race.run():
        if isinstance(event, Finished):
            record.save_state(race)
        record.append(event)
        events.append(event)
    return events


def losses(events: list) -> list[tuple]:
    return [(event.step, event.losses, event.each) for event in events if isinstance(event, Step)]


@pytest.mark.parametrize(
    "values",
    [{}, {"seeds": 2}, {"variant": "dora", "dropout": 0.3}, {"variant": "pissa"}, {"optimizer": "sgd"}],
    ids=lambda values: ", ".join(map(str, values.values())) or "defaults",
)
def test_a_continued_run_is_bit_for_bit_one_that_was_never_interrupted(tiny_settings, run_race, tmp_path, values):
    values = {**tiny_settings, "schedule": "constant", "steps": 5, **values}
    first = Record(tmp_path / "first")
    recorded(values, first)
    continued, told = run_race({**values, "steps": 9}, past=first.past())
    whole, expected = run_race({**values, "steps": 9})
    assert losses(told) == losses(expected)
    for ours, theirs in zip(continued.replicas, whole.replicas, strict=True):
        for name, lane in theirs.items():
            for key, parameter in lane.trained.items():
                assert torch.equal(ours[name].trained[key], parameter), key
    for name, lane in expected[-1].lanes.items():
        same = {"accuracy", "loss", "flops", "optimizer_bytes", "saved_activation_bytes"}
        assert {k: told[-1].lanes[name][k] for k in same} == {k: lane[k] for k in same}


def test_its_story_begins_with_what_was_told(tiny_settings, run_race, tmp_path):
    record = Record(tmp_path / "first")
    before = recorded(tiny_settings, record)
    _, told = run_race({**tiny_settings, "steps": 6}, past=record.past())
    assert told[1 : len(before) - 1] == before[1:-1]  # but for its beginning and its end
    assert told[len(before) - 1] == Changed(4, "continued")
    assert [event.step for event in told if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    assert [event.kind for event in told].count("measured") == 1
    seconds = [event.seconds["full"] for event in told if isinstance(event, Step)]
    assert seconds == sorted(seconds)  # its clocks go on too
    assert {type(event) for event in told} >= {Evaluated, Spectra}


def test_pauses_are_not_lived_through_again(tiny_settings, run_race, tmp_path):
    commands = [Command("pause"), None, Command("go")]
    record = Record(tmp_path / "first")
    before = recorded(tiny_settings, record, hear=lambda wait: commands.pop(0) if commands else None)
    assert [event.what for event in before if isinstance(event, Changed)] == ["paused", "resumed"]
    assert not [event for event in record.past().events if isinstance(event, Changed)]


def test_what_was_not_run_to_its_end_cannot_be_continued(tiny_settings, tmp_path):
    record = Record(tmp_path / "none")
    record.create(Settings.parse(tiny_settings))
    assert not record.can_continue
    with pytest.raises(RecordError, match="cannot be continued"):
        record.past()
