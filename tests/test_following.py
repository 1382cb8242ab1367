"""What a live update of the Train tab weighs: only what is new, whatever the length of the run."""

import json

import pytest
from gradio import utils

from lora_demo.events import Evaluated, Measured, Prepared, Spectra, Step
from lora_demo.records import Record
from lora_demo.story import Story
from lora_demo.ui.train import following

LANES = ("head", "lora", "full")
LAYERS = [f"vit.layers.{i}.attention.q_proj" for i in range(12)]


def told(steps: int, done: int) -> Story:
    sizes = {lane: {"trainable_parameters": 10, "total_parameters": 20} for lane in LANES}
    settings = {"steps": steps, "batch_size": 32, "rank": 8, "targets": "query_value", "evaluate_every": 20}
    story = Story.of([Prepared(settings, sizes, {"train": 9, "test": 100}, ["a", "b"], "cpu", "float32", [0, 1] * 4)])
    story.add(Measured(1, {lane: {"flops": 3e9} for lane in LANES}))
    for step in range(1, done + 1):
        go_on(story, step)
    return story


def go_on(story: Story, step: int) -> None:
    story.add(Step(step, {lane: 1.23456 / step for lane in LANES}, {lane: step * 0.12345 for lane in LANES}))
    story.add(Spectra(step, {"lora": {layer: [step / k for k in range(1, 9)] for layer in LAYERS}}))
    if step % 20 == 0:
        answers = {lane: [[0, 0.9], [0, 0.6]] * 4 for lane in LANES}
        story.add(Evaluated(step, {lane: {"accuracy": 0.71234, "loss": 1.01234} for lane in LANES}, answers))


def shown(story: Story, tmp_path) -> list:
    """Copies of what the page is told, but for the button."""
    left = f"about <b>{story.steps - story.step} s</b> left"
    told = following._pictures("run", Record(tmp_path), story, {}, left)[:-1]
    return json.loads(json.dumps(told))


def weight(before, after) -> int:
    """Bytes of the differences that Gradio sends."""
    return len(json.dumps(utils.diff(before, after), separators=(",", ":")))


@pytest.mark.parametrize("steps", [100, 5000])
def test_an_update_of_the_losses_is_under_a_kilobyte_at_any_length(steps, tmp_path):
    story = told(steps, steps - 9)  # between two looks
    before = shown(story, tmp_path)
    go_on(story, steps - 8)
    after = shown(story, tmp_path)
    assert 0 < sum(map(weight, before, after)) < 1000


def test_an_update_of_the_spectrum_is_under_five_kilobytes(tmp_path):
    story = told(100, 90)
    before = json.loads(json.dumps(following._spectrum(story, "lora", LAYERS[0])[1]))
    for step in (91, 92, 93):  # a second
        go_on(story, step)
    assert 0 < weight(before, following._spectrum(story, "lora", LAYERS[0])[1]) < 5000


def test_the_images_are_sent_once(tmp_path):
    story = told(100, 20)
    before = shown(story, tmp_path)
    for step in range(21, 41):
        go_on(story, step)
    after = shown(story, tmp_path)
    assert before[3] == after[3]
    assert before[4] != after[4]
