import json

import pytest

from lora_demo.events import Changed, Evaluated, Finished, Measured, Prepared, Spectra, Step
from lora_demo.figures import answers, ledger, race
from lora_demo.story import Story

LANES = ("head", "lora", "full")
CLASSES = ["a", "b"]


def told(steps: int = 2) -> Story:
    sizes = {lane: {"trainable_parameters": 10, "total_parameters": 20} for lane in LANES}
    settings = {"steps": 4, "batch_size": 8}
    story = Story.of([Prepared(settings, sizes, {"train": 9, "test": 100}, CLASSES, "cpu", "float32", [0, 1])])
    for step in range(1, steps + 1):
        story.add(Step(step, {lane: 1.0 / step for lane in LANES}, {lane: step * 0.5 for lane in LANES}))
    answers = {lane: [[0, 0.9], [0, 0.6]] for lane in LANES}
    story.add(Evaluated(steps, {lane: {"accuracy": 0.7, "loss": 1.0} for lane in LANES}, answers))
    return story


def test_the_view_has_every_lanes_numbers_and_can_travel():
    view = json.loads(json.dumps(race.view(told())))
    assert list(view["lanes"]) == ["full", "lora", "head"]
    assert view["lanes"]["lora"]["loss"] == "1 0.5 1.0\n2 1.0 0.5\n"  # step, seconds, value
    assert view["lanes"]["lora"]["accuracy"] == "2 1.0 0.7\n"
    assert view["lanes"]["lora"]["held_out"] == "2 1.0 1.0\n"
    assert (view["steps"], view["batch"], view["over"]) == (4, 8, False)


def test_a_view_that_has_left_does_not_change_while_the_story_goes_on():
    story = told()
    view = race.view(story)
    story.add(Step(3, dict.fromkeys(LANES, 0.1), dict.fromkeys(LANES, 2.0)))
    assert view["lanes"]["lora"]["loss"].count("\n") == 2


def test_what_shaped_the_run_is_marked_and_a_pause_is_not():
    story = told()
    for what in ("paused", "rates", "resumed"):
        story.add(Changed(2, what))
    assert race.view(story)["marks"] == [{"step": 2, "text": "new rates"}]


def test_earlier_runs_come_along_by_name():
    view = race.view(told(), {"r 8": told(1)})
    assert view["earlier"]["r 8"]["lanes"]["full"]["loss"] == "1 0.5 1.0\n"


def test_the_frames_say_how_every_lane_looks():
    frames = json.loads(json.dumps(race.frames()))
    assert {lane: look["line"]["color"] for lane, look in frames["lanes"].items()} == {
        "full": "#0072B2", "lora": "#D55E00", "head": "#009E73",
    }  # fmt: skip
    assert frames["loss"]["xaxis"]["showspikes"]


def test_a_spectrum_is_a_line_for_each_singular_value():
    story = told()
    for step in (1, 2):
        story.add(Spectra(step, {"lora": {"layers.0.q_proj": [2.0 * step, 1.0]}}))
    figure, rows = race.spectrum(story, "lora", "layers.0.q_proj")
    assert len(figure["data"]) == 2
    assert rows == "1 2.0 1.0\n2 4.0 1.0\n"
    assert race.layers(story, "lora") == ["layers.0.q_proj"]
    assert race.spectrum(story, "full", "layers.0.q_proj")[1] == ""
    assert race.layers(story, "full") == []


def test_a_story_without_points_can_be_drawn():
    assert race.view(Story())["lanes"] == {}
    assert ledger.ledger(Story()) == []
    assert "first look" in ledger.answers(Story(), [])[0]


def test_the_ledger_fills_in():
    story = told()
    empty = "".join(ledger.ledger(story)).count("—")
    story.add(
        Measured(
            1,
            {
                lane: {"gradient_bytes": 40, "optimizer_bytes": 80, "saved_activation_bytes": 1000, "flops": 3e9}
                for lane in LANES
            },
        )
    )
    half = "".join(ledger.ledger(story))
    assert 0 < half.count("—") < empty
    assert "3.00 GFLOP" in half
    lane = {
        "accuracy": 0.731,
        "checkpoint_bytes": 2000,
        "seconds": 3.21,
        "step_seconds": 0.5,
        "trainable_parameters": 10,
    }
    story.add(Finished(4, False, dict.fromkeys(LANES, lane)))
    full = "".join(ledger.ledger(story))
    assert "73.1 %" in full
    assert "—" not in full


@pytest.mark.parametrize(
    ("lora", "full", "said"),
    [(1.0, 1.2, "1.20× as fast, of 1.50× at most"), (1.0, 0.5, "0.50× as fast, of 1.50× at most")],
)
def test_the_speed_stands_beside_its_limit_which_is_the_ratio_of_counted_flops(lora, full, said):
    story = told()
    seconds = {"lora": lora, "full": full, "head": 0.1}
    flops = {"lora": 2e9, "full": 3e9, "head": 1e9}
    story.add(
        Finished(
            4, False, {n: {"trainable_parameters": 1, "step_seconds": seconds[n], "flops": flops[n]} for n in LANES}
        )
    )
    assert said in "".join(ledger.ledger(story))


def test_the_pictures_say_what_is_right_and_what_was_said_before():
    table = "".join(ledger.answers(told(), CLASSES))
    assert table.count("<td class='right'>a") == 3
    assert table.count("<td class='wrong'>a") == 3
    assert "●" in table
    assert "○" in table


def test_class_names_of_a_persons_own_data_are_escaped():
    assert "<script>" not in "".join(ledger.answers(told(), ["<script>", "b"]))


def test_bars_show_the_same_classes_for_every_lane():
    shown = answers.bars({"lora": {"cat": 0.7, "dog": 0.3}, "head": {"dog": 0.6, "cat": 0.4}}, "lora")
    assert [bar["y"] for bar in shown["data"]] == [["cat", "dog"]] * 2
    assert shown["data"][1]["x"] == [0.4, 0.6]
