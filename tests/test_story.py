import math

import pytest

from lora_demo.events import Changed, Evaluated, Failed, Finished, Prepared, Queued, Step
from lora_demo.story import MAX_POINTS, Story


def prepared(test_images: int = 400, **settings) -> Prepared:
    asked = {"steps": 10, **settings}
    return Prepared(asked, {}, {"train": 10, "test": test_images}, ["a", "b"], "cpu", "float32")


def sentence(story: Story) -> str:
    return "".join(text for text, _ in story.headline())


def lane(accuracy, parameters, **figures):
    return {"accuracy": accuracy, "trainable_parameters": parameters, **figures}


def verdict(lora: dict, full: dict, test_images: int = 400) -> str:
    return sentence(Story.of([prepared(test_images), Finished(10, False, {"lora": lora, "full": full})]))


def test_the_verdict_is_made_from_the_numbers():
    lora = lane(0.65, 14, step_seconds=0.1, checkpoint_bytes=100)
    full = lane(0.75, 1000, step_seconds=0.12, checkpoint_bytes=7_000)
    assert verdict(lora, full) == (
        "LoRA reached 87 % of full fine-tuning’s accuracy training 1.4 % of its parameters; "
        "it was 1.2× faster per step and its file is 70× smaller"
    )


def test_a_slower_step_is_called_slower():
    lora, full = (lane(0.7, 14, step_seconds=s, checkpoint_bytes=9) for s in (0.3, 0.2))
    assert "it was 1.5× slower per step" in verdict(lora, full)


def test_within_noise_is_said_where_chance_explains_the_difference():
    """Two proportions of 0.7 from 400 images each: chance explains 1.96 sqrt(2 * 0.7 * 0.3 / 400) = 6.4 points."""
    assert "accuracy, within noise, training" in verdict(lane(0.67, 1), lane(0.73, 100))
    assert "within noise" not in verdict(lane(0.66, 1), lane(0.74, 100))
    assert "within noise" not in verdict(lane(0.67, 1), lane(0.73, 100), test_images=10_000)


def test_a_lane_that_raced_alone_is_named():
    story = Story.of([prepared(), Finished(10, False, {"head": lane(0.713, 14)})])
    assert sentence(story) == "The head alone is right on 71.3 % of the test images"


def test_a_stopped_run_says_how_far_it_came():
    story = Story.of([prepared(), Step(1, {"lora": 1.0}, {"lora": 0.1}), Finished(1, True, {})])
    assert sentence(story) == "Stopped after 1 of 10 steps"


def test_waiting_and_failing_are_said():
    assert sentence(Story.of([Queued(1)])) == "Waiting for the run before this one"
    assert sentence(Story.of([Queued(3, 41.6)])) == "Waiting for 3 runs before this one, about 42 s"
    assert sentence(Story.of([Failed("It broke.")])) == "It broke."


def test_a_pause_is_said_until_the_run_goes_on_or_is_over():
    story = Story.of([prepared(), Step(1, {"lora": 1.0}, {"lora": 0.1}), Changed(1, "paused")])
    assert story.paused
    assert sentence(story) == "Paused at step 1 of 10"
    story.add(Changed(1, "rates", rates={"lora": 0.1}))
    assert story.paused
    story.add(Changed(1, "resumed"))
    assert sentence(story) == "Training: step 1 of 10"
    story.add(Changed(1, "paused"))
    story.add(Finished(1, True, {}))
    assert not story.paused


def test_the_noise_is_the_binomial_standard_error():
    story = Story.of([prepared(), Finished(10, False, {"lora": lane(0.5, 1)})])
    assert math.isclose(story.noise(), 100 * math.sqrt(0.25 / 400))


@pytest.mark.parametrize("steps", [10, 999, 1000, 1001, 5_000, 9_999])
def test_curves_stay_short_and_grow_only_at_their_end(steps):
    story = Story.of([prepared(steps=steps, evaluate_every=1)])
    before: dict[str, list] = {}
    for step in range(1, steps + 1):
        story.add(Step(step, {"lora": 1 / step}, {"lora": float(step)}))
        story.add(Evaluated(step, {"lora": {"accuracy": 0.5, "loss": 1 / step}}))
        if step % 97 == 0 or step == steps:
            curves = (story.losses["lora"], story.held_out_losses["lora"], story.accuracies["lora"])
            for name, curve in zip(("loss", "held out", "accuracy"), curves, strict=True):
                points = list(zip(curve.steps, curve.seconds, curve.values, strict=True))
                assert points[: len(before.get(name, []))] == before.get(name, [])
                before[name] = points
    assert all(
        steps / 2 - 1 <= len(points) or MAX_POINTS / 2 <= len(points) <= MAX_POINTS for points in before.values()
    )
    assert all(len(points) <= MAX_POINTS for points in before.values())


def test_a_point_is_the_mean_over_its_steps():
    story = Story.of([prepared(steps=2 * MAX_POINTS)])
    for step, loss in enumerate((4.0, 2.0, 1.0, 3.0, 9.0), 1):
        story.add(Step(step, {"lora": loss}, {"lora": float(step)}))
    curve = story.losses["lora"]
    assert (curve.steps, curve.values) == ([2, 4], [3.0, 2.0])


def test_the_seeds_range_holds_their_mean_however_many_steps_share_a_point():
    story = Story.of([prepared(steps=2 * MAX_POINTS)])
    for step, (low, high) in enumerate(((3.0, 5.0), (1.0, 2.0)), 1):
        story.add(Step(step, {"lora": (low + high) / 2}, {"lora": 1.0}, {"lora": [low, high]}))
    curve = story.losses["lora"]
    assert (curve.low, curve.values, curve.high) == ([2.0], [2.75], [3.5])


def test_a_loss_that_is_no_number_is_left_out():
    story = Story.of([prepared(), Step(1, {"full": 1.0}, {"full": 0.1}), Step(2, {"full": None}, {"full": 0.2})])
    assert story.losses["full"].values == [1.0]
    story.add(Evaluated(2, {"full": {"accuracy": 0.1, "loss": None}}))
    assert "full" not in story.held_out_losses


def test_accuracy_is_drawn_over_the_lanes_own_seconds():
    told = [Step(1, {"lora": 1.0}, {"lora": 2.5}), Evaluated(1, {"lora": {"accuracy": 0.5, "loss": 1}})]
    assert Story.of(told).accuracies["lora"].seconds == [2.5]
