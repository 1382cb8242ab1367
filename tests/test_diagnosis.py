import pytest

from lora_demo import diagnosis
from lora_demo.events import Changed, Evaluated, Prepared, Step
from lora_demo.settings import Settings, rising
from lora_demo.story import Story


def told(
    losses: list[float | None], lane: str = "lora", steps: int | None = None, classes: int = 10, **settings
) -> Story:
    """The story of a run of one lane with these training losses."""
    asked = Settings.parse({"steps": steps or len(losses), **settings}).as_dict()
    names = [str(i) for i in range(classes)]
    story = Story.of([Prepared(asked, {}, {"train": 10, "test": 100}, names, "cpu", "float32")])
    for step, loss in enumerate(losses, 1):
        story.add(Step(step, {lane: loss}, {lane: 0.1 * step}))
    return story


def falling(count: int) -> list[float]:
    return [2.3 * 0.97**i for i in range(count)]


def test_a_run_that_learns_has_no_problems():
    assert diagnosis.problems(told(falling(100))) == []


@pytest.mark.parametrize(
    ("lane", "name", "setting"),
    [
        ("head", "The head alone", "Rate of the head"),
        ("lora", "LoRA", "Rate of LoRA"),
        ("full", "Full fine-tuning", "Rate of full"),
    ],
)
def test_a_loss_that_rises_is_named_with_its_lane_and_the_setting_to_change(lane, name, setting):
    story = told([2.3 + 0.01 * i for i in range(100)], lane)
    expected = f"{name}’s training loss rises: its rate is too high; set '{setting}' to a tenth."
    assert diagnosis.problems(story) == [expected]


def test_a_flat_loss_is_a_rate_too_low_to_matter():
    story = told([2.3 - 0.0001 * i for i in range(100)])
    (sentence,) = diagnosis.problems(story)
    assert "hardly moves: its rate is too low to matter; set 'Rate of LoRA' to ten times" in sentence


def test_one_class_for_every_image_is_said():
    story = told(falling(40))
    look = {"accuracy": 0.1, "loss": 2.3, "predicted_classes": 1}
    story.add(Evaluated(40, {"lora": look}))
    assert diagnosis.problems(story) == [
        "LoRA gives every image the same class: its rate is too high; set 'Rate of LoRA' to a tenth."
    ]
    story.add(Evaluated(40, {"lora": {**look, "predicted_classes": 2}}))
    assert diagnosis.problems(story) == []


def test_where_there_is_one_class_to_predict_nobody_is_blamed():
    story = told(falling(40), classes=1)
    story.add(Evaluated(40, {"lora": {"accuracy": 1.0, "loss": 0.1, "predicted_classes": 1}}))
    assert diagnosis.problems(story) == []


@pytest.mark.parametrize(("done", "steps"), [(19, 19), (40, 200)])
def test_it_is_too_early_to_say_before_a_trend_is_one(done, steps):
    assert diagnosis.problems(told([2.3] * done, steps=steps)) == []


def test_where_the_rate_rises_the_breaking_point_is_read_from_the_loss():
    best, broken, steps = 50, 80, 100
    losses = [2.3 - 0.03 * min(i, best) + 5 * max(0, i - broken) for i in range(steps)]
    (sentence,) = diagnosis.problems(told(losses, "full", schedule="rising", learning_rate_full=1e-4))
    # Smoothing over five points, the lowest is where all five lie on the floor, and the loss is 1.5 times it soon after 80.
    assert f"learnt best at a rate near {1e-4 * rising(best + 4, steps):.1g}" in sentence
    rates = [f"{1e-4 * rising(step, steps):.1g}" for step in range(broken, broken + 4)]
    assert any(sentence.endswith(f"broke near {rate}.") for rate in rates)
    assert sentence.startswith("Full fine-tuning learnt best")


def test_a_lane_that_a_rising_rate_does_not_break_is_not_blamed():
    assert diagnosis.problems(told(falling(100), schedule="rising")) == []


@pytest.mark.parametrize("losses", [[], [2.3], [None] * 30])
def test_a_rising_run_without_points_yet_has_nothing_to_say(losses):
    assert diagnosis.problems(told(losses, steps=5_000, schedule="rising")) == []


def test_why_a_lane_or_a_run_stopped_is_said():
    story = told(falling(40), patience=3)
    story.add(Changed(20, "paused"))
    story.add(Changed(30, "early stop", lane="full"))
    story.add(Changed(35, "broke", lane="lora"))
    story.add(Changed(1_040, "time is up"))
    assert diagnosis.stops(story) == [
        "Full fine-tuning stopped at step 30: its held-out loss had not become better for 3 looks.",
        "LoRA broke at step 35: its loss was no longer a number.",
        "The time was up at step 1,040.",
    ]


def test_a_race_whose_rate_rises_says_where_it_broke(tiny_settings, run_race):
    wild = {"lanes": ["full"], "schedule": "rising", "optimizer": "sgd", "learning_rate_full": 10}
    _, events = run_race({**tiny_settings, **wild, "learning_rate_head": 1e-3, "steps": 30})
    story = Story.of(events)
    broke = next(event.step for event in events if isinstance(event, Changed))
    assert diagnosis.stops(story) == [f"Full fine-tuning broke at step {broke}: its loss was no longer a number."]
    for sentence in diagnosis.problems(story):
        assert "nan" not in sentence
