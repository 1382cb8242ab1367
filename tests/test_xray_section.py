"""The handlers behind the X-ray's section, without a page."""

import json
from types import SimpleNamespace

import gradio as gr
import pytest

from lora_demo import runs
from lora_demo.errors import LabError
from lora_demo.records import Record, bundled
from lora_demo.settings import Settings
from lora_demo.ui import xray as section
from lora_demo.ui.xray import bridge, layer, looked_at
from lora_demo.xray import report

REQUEST = SimpleNamespace(session_hash="a session")
QUERY = "vit.layers.0.attention.q_proj"


@pytest.fixture
def reference() -> Record:
    return bundled()["reference"]


def all_of(run_async, generator) -> list:
    async def take():
        return [item async for item in generator]

    return run_async(take())


def test_a_layer_that_was_looked_at_is_not_computed_again(reference, monkeypatch):
    kept = looked_at.LookedAt()
    made = []
    monkeypatch.setattr(report, "examine_layer", lambda *asked: made.append(asked))
    found = SimpleNamespace(layer=lambda name: f"the kept {name}")
    kept.keep(reference, None, found)
    assert kept.layer(reference, None, QUERY) == f"the kept {QUERY}"
    assert not made
    kept.layer(reference, reference, QUERY)  # compared with another run: other overlaps
    assert made == [(reference, QUERY, reference)]


def test_only_the_last_few_are_kept(reference):
    kept = looked_at.LookedAt()
    for number in range(looked_at.PLACES + 3):
        kept.keep(reference, Record(reference.folder.parent / f"other {number}"), SimpleNamespace())
    assert len(kept._kept) == looked_at.PLACES


@pytest.mark.parametrize(
    ("live", "sentence", "looks_again"),
    [(SimpleNamespace(over=False), "when the run is over", True), (None, "stopped too early", False)],
)
def test_a_run_without_weights_is_waited_for_while_it_goes_on(
    run_async, tmp_path, monkeypatch, live, sentence, looks_again
):
    record = Record(tmp_path / "run")
    record.create(Settings())
    monkeypatch.setattr(runs, "record", lambda name: record)
    monkeypatch.setattr(runs, "live", lambda name: live)
    [(headline, sizes, ranks, _, _, _, timer)] = all_of(run_async, section._look("run", "", "", None, REQUEST))
    assert sentence in headline
    assert (sizes, ranks) == (None, None)  # what another run drew is gone
    assert timer.active == looks_again


def test_other_runs_of_the_session_on_the_same_backbone_can_be_compared(reference, tmp_path, monkeypatch):
    fits, elsewhere, empty = (Record(tmp_path / name) for name in ("fits", "elsewhere", "empty"))
    for record, backbone in ((fits, "bundled"), (elsewhere, str(tmp_path)), (empty, "bundled")):
        record.create(Settings(backbone=backbone, steps=40))
    for record in (fits, elsewhere):
        (record.folder / "adapter").mkdir()
    found = {record.name: record for record in (fits, elsewhere, empty, reference)}
    monkeypatch.setattr(runs, "of", lambda owner: [SimpleNamespace(id=name, over=True) for name in found])
    monkeypatch.setattr(runs, "record", found.__getitem__)
    assert list(section._apart(reference, "me").values()) == ["fits"]
    assert "40 steps" in next(iter(section._apart(reference, "me")))


def test_a_layers_views_are_drawn_and_the_slider_spans_the_recorded_steps():
    views = layer._views("", None, QUERY, None, "lora")
    assert len(views) == 9
    facts, spectra, pair, *_, slider, grown = views
    assert "query, layer 0" in facts
    assert "query, layer 0" in json.loads(spectra)["layout"]["title"]["text"]
    assert next(key for _, key in pair.choices) == "lora|full"
    assert (slider.minimum, slider.maximum) == (3, 300)
    early, late = (json.loads(drawn)["data"][1]["y"] for drawn in (layer._scrubbed("", QUERY, 3), grown))
    assert max(early) < max(late)


def test_a_layer_that_lora_did_not_touch_has_full_alone():
    *_, lane, intruders, _, _ = layer._views("", None, "vit.layers.0.mlp.fc1", "lora|full", "lora")
    assert lane == "full"
    assert json.loads(intruders)["layout"]["title"]["text"].startswith("full:")


def test_a_change_is_opened_on_the_bench_with_what_it_takes_to_ask_the_network():
    *outputs, carried, back = bridge._opens("lora")("", QUERY, REQUEST)
    assert "Rank 8 of 192" in "".join(text for text in outputs if isinstance(text, str))
    assert json.loads(carried)["layer"] == QUERY
    assert json.loads(carried)["key"] == outputs[2]
    assert back.visible


@pytest.mark.parametrize(
    ("name", "words"), [(None, "Look into the run first"), ("vit.layers.0.mlp.fc1", "did not change fc1")]
)
def test_what_cannot_be_opened_gets_a_sentence(name, words):
    with pytest.raises(LabError, match=words):
        bridge._opens("lora")("", name, REQUEST)


def test_another_matrix_on_the_bench_ends_what_is_said_of_the_network():
    carried = json.dumps({"key": "1"})
    assert bridge._still_there(carried, "1")[0] == gr.skip()
    text, said, back = bridge._still_there(carried, "2")
    assert text == ""
    assert not said.visible
    assert not back.visible
