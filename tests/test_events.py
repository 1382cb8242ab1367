import json

import pytest

from lora_demo import events

EXAMPLES = [
    events.Queued(2, 12.5),
    events.Prepared(
        {"rank": 8}, {"lora": {"trainable_parameters": 1}}, {"train": 4}, ["a", "b"], "cpu", "float32", [0, 1, 1]
    ),
    events.Step(1, {"lora": 0.5, "full": None}, {"lora": 0.1, "full": 0.2}, {"lora": [0.4, 0.6], "full": [None, 2.0]}),
    events.Measured(1, {"lora": {"gradient_bytes": 8, "flops": 100}}),
    events.Evaluated(1, {"lora": {"accuracy": 0.5, "loss": 1.0, "predicted_classes": 2}}, {"lora": [[1, 0.75]]}),
    events.Spectra(1, {"lora": {"vit.layers.0.attention.q_proj": [0.5, 0.25]}}),
    events.Changed(1, "rates", rates={"lora": 0.001}),
    events.Changed(2, "early stop", lane="full"),
    events.Finished(1, True, {"lora": {"accuracy": None}}, "abc"),
    events.Failed("What went wrong.", "abc"),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_an_event_survives_the_wire_and_the_disk(event):
    assert events.from_dict(json.loads(json.dumps(events.to_dict(event)))) == event


def test_every_kind_of_event_is_tried_here():
    assert {event.kind for event in EXAMPLES} == events.KINDS.keys()


def test_what_older_records_leave_out_takes_its_default():
    told = {"kind": "step", "step": 3, "losses": {"lora": 0.5}, "seconds": {"lora": 0.1}}
    assert events.from_dict(told) == events.Step(3, {"lora": 0.5}, {"lora": 0.1})
    assert events.from_dict({"kind": "queued", "place": 1}).seconds is None


def test_a_step_is_told_in_under_a_kilobyte_and_spectra_in_under_five():
    lanes = ("head", "lora", "full")
    loss, seconds = dict.fromkeys(lanes, 1.2345678901234567), dict.fromkeys(lanes, 1234.5678901234567)
    step = events.Step(10_000, loss, seconds, dict.fromkeys(lanes, [1.2345678901234567] * 5))
    assert len(json.dumps(events.to_dict(step))) < 1000
    layers = [f"vit.layers.{i}.attention.{name}" for i in range(6) for name in ("q_proj", "v_proj")]
    spectra = events.Spectra(10_000, {"lora": dict.fromkeys(layers, [0.000123] * 12)})
    assert len(json.dumps(events.to_dict(spectra))) < 5000


def test_the_weights_that_were_kept_are_those_of_the_first_seed():
    assert events.kept_accuracy({"accuracy": 0.72, "accuracies": [0.71, 0.73]}) == 0.71
    assert events.kept_accuracy({"accuracy": 0.72}) == 0.72
    assert events.kept_accuracy({}) is None
