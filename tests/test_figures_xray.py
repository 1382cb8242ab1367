import json

import numpy as np
import pytest

from lora_demo.events import Spectra
from lora_demo.figures import xray as figures
from lora_demo.figures import xray_accuracy
from lora_demo.figures.xray_growth import growth
from lora_demo.xray.changes import Layer
from lora_demo.xray.evaluation import Score
from lora_demo.xray.intruders import Intruders
from lora_demo.xray.report import ChangeXRay, LayerXRay, XRay
from lora_demo.xray.subspaces import Overlap, random_overlap


def change(values, rank_90=2, size=0.1):
    intruders = Intruders(np.array([[0.9, 0.1], [0.2, 0.3]]), 0.5, 0.21)
    return ChangeXRay(np.array(values), len(values), rank_90, None, size, None, intruders)


@pytest.fixture
def found():
    """Two layers of two kinds; LoRA changed the query alone."""
    phi = np.array([[0.5, 0.6, 0.7], [0.4, 0.5, 0.6]])
    both = {"lora": change([1.0, 0.5], 2, 0.2), "full": change([0.3, 0.2, 0.1, 0.0], 3, 0.05)}
    query = LayerXRay(
        Layer("vit.layers.0.attention.q_proj", 0, "query"), (4, 4), np.array([4.0, 3, 2, 1]), both,
        (Overlap("lora", "full", phi, random_overlap(2, 3, 4)),),
    )  # fmt: skip
    fc1 = LayerXRay(Layer("vit.layers.1.mlp.fc1", 1, "fc1"), (8, 4), np.ones(4), {"full": change([0.4, 0.2], 1)}, ())
    return XRay("run", (query, fc1))


def texts(figure) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def test_spectra_show_every_lane_and_the_frozen_weight_by_name(found):
    figure = figures.spectra(found.layers[0])
    named = {trace.name: trace for trace in figure.data if trace.name}
    assert named.keys() == {"frozen", "lora", "full"}
    assert list(named["lora"].y) == [1.0, 0.5]
    assert list(named["full"].y) == [0.3, 0.2, 0.1]  # zero has no place on a log axis
    for text in ("frozen W₀", "LoRA", "full", "LoRA</b><br>90 % in 2", "full</b><br>90 % in 3"):
        assert text in texts(figure)


def test_the_overlap_is_a_triangle_beside_chance_on_one_scale(found):
    figure = figures.overlap(found.layers[0].overlaps[0])
    measured, random = (np.array(trace.z, dtype=float) for trace in figure.data)
    assert np.isnan(measured[1, 0])
    assert measured[1, 1] == 0.5
    assert random[1, 2] == 3 / 4
    assert {trace.coloraxis for trace in figure.data} == {"coloraxis"}
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)


def test_what_another_seed_found_is_called_by_its_seed():
    found = Overlap("lora", "lora, seed 1", np.ones((1, 1)), random_overlap(1, 1, 4))
    assert figures.overlap(found).layout.title.text == "Shared: i of LoRA's change, j of LoRA's change, seed 1"


def test_growth_shows_the_moment_before_the_end_on_axes_that_stay():
    name = "vit.layers.0.attention.q_proj"
    told = [
        Spectra(2, {"lora": {name: [0.1, 0.0]}}),  # LoRA alone is told more often
        Spectra(4, {"lora": {name: [0.5, 0.2]}, "full": {name: [0.01, 0.004, 0.002]}}),
    ]
    early, late = (growth(told, name, "query, layer 0", step) for step in (3, 4))
    end, then, full_end, full_then = early.data
    assert list(end.y) == [0.5, 0.2]
    assert list(then.y) == [0.1, None]  # zero has no place on a log axis
    assert list(full_end.y) == [0.01, 0.004, 0.002]
    assert list(full_then.y) == []  # not told of yet
    assert list(late.data[1].y) == [0.5, 0.2]
    assert early.layout.yaxis.range == late.layout.yaxis.range
    assert texts(early) == "<b>LoRA</b>"


def test_growth_can_be_drawn_of_a_run_that_told_nothing():
    json.loads(growth([], "vit.layers.0.attention.q_proj", "query, layer 0", 0).to_json(engine="json"))


def test_intruders_are_called_by_name_at_their_row(found):
    figure = figures.intruders(found.layers[0].changes["lora"].intruders, "lora")
    assert "LoRA: 1 of 2 is an intruder" in figure.layout.title.text
    assert [note.text for note in figure.layout.annotations] == ["0.90", "<b>0.30 intruder</b>"]


def test_a_cell_of_the_sizes_says_which_layer_it_is_and_how_far_it_moved(found):
    figure = figures.sizes(found)
    lora, full = figure.data
    assert list(full.y) == ["query", "fc1"]
    assert full.customdata[1][1] == "vit.layers.1.mlp.fc1"
    assert full.text[1][1] == "10"
    assert lora.text[0][0] == "20"
    assert lora.text[1][1] == ""
    assert lora.zmax == full.zmax


def test_ranks_over_depth_have_a_point_a_matrix_and_names_that_do_not_touch(found):
    figure = figures.ranks(found)
    points = {trace.customdata: trace for trace in figure.data if trace.customdata is not None}
    assert ("vit.layers.0.attention.q_proj", "vit.layers.1.mlp.fc1") in points
    assert "<b>LoRA</b>" in texts(figure)
    assert "<b>full</b>" in texts(figure)


def test_the_truncation_has_a_place_for_zero_and_for_what_is_still_to_come():
    scores = [Score("full", k, a, 500) for k, a in ((0, 0.7), (1, 0.75), (3, 0.76))] + [Score("lora", 0, 0.71, 500)]
    figure = xray_accuracy.truncation(scores, ranks=[7], swept={1: 0.74})
    full, lora, swept = figure.data
    assert list(full.x) == [0, 1, 2]
    assert list(lora.y) == [0.71]
    assert list(swept.y) == [0.74]
    assert list(figure.layout.xaxis.ticktext) == ["0", "1", "3", "7"]
    assert full.error_y.array[0] == pytest.approx(1.96 * (0.7 * 0.3 / 500) ** 0.5)


def test_names_of_lanes_that_end_together_do_not_touch():
    scores = [Score(lane, 8, 0.75, 500) for lane in ("full", "lora")]
    notes = xray_accuracy.truncation(scores).layout.annotations
    assert abs(notes[0].yshift - notes[1].yshift) >= 18


def test_forgetting_says_what_each_lane_lost():
    scores = [Score("frozen", None, 0.467, 1000), Score("lora", None, 0.458, 1000), Score("full", None, 0.446, 1000)]
    figure = xray_accuracy.forgetting(scores)
    assert list(figure.data[0].y) == ["before", "LoRA", "full"]
    assert "<b>46.7 %</b>" in texts(figure)
    assert "45.8 %</b> (−0.9)" in texts(figure)
    assert "44.6 %</b> (−2.1)" in texts(figure)


def test_every_chart_can_be_drawn_before_anything_is_known():
    for figure in (
        figures.sizes(XRay("run", ())),
        figures.ranks(XRay("run", ())),
        xray_accuracy.truncation([]),
        xray_accuracy.forgetting([]),
    ):
        json.loads(figure.to_json(engine="json"))
