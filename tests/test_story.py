import math

from lora_demo.events import Evaluated, Failed, Finished, Prepared, Queued, Step
from lora_demo.story import MAX_POINTS, Story

PREPARED = Prepared({"steps": 10}, {}, {"train": 10, "test": 400}, ["a", "b"], "cpu", "float32")


def sentence(story: Story) -> str:
    return "".join(text for text, _ in story.headline())


def lane(accuracy, parameters):
    return {"accuracy": accuracy, "trainable_parameters": parameters}


def test_the_verdict_is_made_from_the_numbers():
    story = Story.of([PREPARED, Finished(10, False, {"lora": lane(0.72, 14), "full": lane(0.75, 1000)})])
    assert sentence(story) == "LoRA reached 96 % of full fine-tuning’s accuracy training 1.4 % of its parameters"


def test_a_lane_that_raced_alone_is_named():
    story = Story.of([PREPARED, Finished(10, False, {"head": lane(0.713, 14)})])
    assert sentence(story) == "The head alone is right on 71.3 % of the test images"


def test_a_stopped_run_says_how_far_it_came():
    story = Story.of([PREPARED, Step(1, {"lora": 1.0}, {"lora": 0.1}), Finished(1, True, {})])
    assert sentence(story) == "Stopped after 1 of 10 steps"


def test_waiting_and_failing_are_said():
    assert "Waiting" in sentence(Story.of([Queued(1)]))
    assert sentence(Story.of([Failed("It broke.")])) == "It broke."


def test_the_noise_is_the_binomial_standard_error():
    story = Story.of([PREPARED, Finished(10, False, {"lora": lane(0.5, 1)})])
    assert math.isclose(story.noise(), 100 * math.sqrt(0.25 / 400))


def test_a_curve_stays_short_however_long_the_run():
    steps = 5 * MAX_POINTS
    story = Story.of(Step(i, {"lora": 1 / i}, {"lora": float(i)}) for i in range(1, steps + 1))
    curve = story.losses["lora"]
    assert MAX_POINTS / 2 <= len(curve.values) <= MAX_POINTS
    assert curve.steps[0] == 1
    assert curve.steps[-1] > steps - 2 * curve.stride
    gaps = {b - a for a, b in zip(curve.steps, curve.steps[1:], strict=False)}
    assert gaps == {curve.stride}


def test_accuracy_is_drawn_over_the_lanes_own_seconds():
    told = [Step(1, {"lora": 1.0}, {"lora": 2.5}), Evaluated(1, {"lora": {"accuracy": 0.5, "loss": 1}})]
    assert Story.of(told).accuracies["lora"].seconds == [2.5]
