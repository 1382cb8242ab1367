import json

import pytest

from lora_demo import events

EXAMPLES = [
    events.Queued(2),
    events.Prepared({"rank": 8}, {"lora": {"trainable_parameters": 1}}, {"train": 4}, ["a", "b"], "cpu", "float32"),
    events.Step(1, {"lora": 0.5}, {"lora": 0.1}),
    events.Evaluated(1, {"lora": {"accuracy": 0.5, "loss": 1.0}}),
    events.Finished(1, True, {"lora": {"accuracy": None}}, "abc"),
    events.Failed("What went wrong.", "abc"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_an_event_survives_the_wire_and_the_disk(event):
    assert events.from_dict(json.loads(json.dumps(events.to_dict(event)))) == event


def test_every_kind_of_event_is_tried_here():
    assert {event.kind for event in EXAMPLES} == events.KINDS.keys()
