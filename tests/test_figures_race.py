import json

import numpy as np
import pytest

from lora_demo.events import Evaluated, Finished, Prepared, Step
from lora_demo.figures import answers, race
from lora_demo.story import Story

LANES = ("head", "lora", "full")


def told(accuracies=(0.71, 0.72, 0.73)) -> Story:
    sizes = {lane: {"trainable_parameters": 10, "total_parameters": 20} for lane in LANES}
    story = Story.of([Prepared({"steps": 4}, sizes, {"train": 9, "test": 100}, ["a", "b"], "cpu", "float32")])
    for step in (1, 2):
        story.add(Step(step, {lane: 1.0 / step for lane in LANES}, {lane: step * 0.5 for lane in LANES}))
    story.add(Evaluated(2, {lane: {"accuracy": a, "loss": 1.0} for lane, a in zip(LANES, accuracies, strict=True)}))
    return story


def test_every_lane_is_drawn_and_named_at_its_end():
    for figure in (race.loss(told()), race.accuracy(told(), "seconds")):
        assert {note.text for note in figure.layout.annotations} == {"<b>head only</b>", "<b>LoRA</b>", "<b>full</b>"}


def test_names_of_lines_that_end_together_do_not_touch():
    figure = race.accuracy(told((0.72, 0.72, 0.72)))
    shifts = sorted(note.yshift for note in figure.layout.annotations)
    assert min(np.diff(shifts)) >= race.NAME_HEIGHT - 1
    assert abs(sum(shifts)) <= 3  # around where the lines are


def test_the_smoothed_curve_of_a_constant_is_the_constant():
    assert race.smoothed([2.0] * 30) == pytest.approx([2.0] * 30)
    assert race.smoothed([]) == []


def test_a_story_without_points_can_be_drawn():
    for figure in (race.loss(Story()), race.accuracy(Story())):
        json.loads(figure.to_json())
    assert "<table" in race.ledger(Story())


def test_the_ledger_says_what_was_measured_and_nothing_else():
    story = told()
    assert "—" in race.ledger(story)
    lane = {"accuracy": 0.731, "loss": 0.5, "optimizer_bytes": 1000, "checkpoint_bytes": 2000, "seconds": 3.21}
    story.add(
        Finished(4, False, {name: {**lane, "trainable_parameters": 10, "images_per_second": 99.6} for name in LANES})
    )
    table = race.ledger(story)
    assert "73.1 %" in table
    assert "100 images/s" in table
    assert "—" not in table


def test_bars_show_the_same_classes_for_every_lane():
    shown = answers.bars({"lora": {"cat": 0.7, "dog": 0.3}, "head": {"dog": 0.6, "cat": 0.4}}, "lora")
    assert [list(bar.y) for bar in shown.data] == [["cat", "dog"]] * 2
    assert list(shown.data[1].x) == [0.4, 0.6]
