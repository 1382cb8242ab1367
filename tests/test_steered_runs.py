"""A run in its worker that is paused, stepped, given other rates and continued from the server."""

import time

import pytest
import torch

from lora_demo import classify, controls, runs
from lora_demo.events import Changed, Finished, Step
from lora_demo.records import STATE
from lora_demo.settings import Settings, SettingsError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """Nobody watches these runs, and on a loaded machine they take longer than that is put up with."""
    monkeypatch.setattr(runs, "GRACE_SECONDS", 120.0)


FOREVER = {"steps": 10_000, "evaluate_every": 10_000}


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def steps(run: runs.Run) -> int:
    return max((event.step for event in list(run.events) if isinstance(event, Step)), default=0)


def changed(run: runs.Run, what: str) -> list[Changed]:
    return [event for event in list(run.events) if isinstance(event, Changed) and event.what == what]


def ended(values: dict) -> runs.Run:
    run = runs.start(Settings.parse(values), "me")
    wait_for(lambda: run.over)
    return run


@pytest.fixture
def going_on(tiny_settings):
    """A run that trains until the test is over."""
    run = runs.start(Settings.parse({**tiny_settings, **FOREVER, "learning_rate_lora": 0.05}), "me")
    wait_for(lambda: steps(run) > 2)
    yield run
    run.stop()
    wait_for(lambda: run.over)


def test_a_paused_run_answers_with_the_weights_of_this_moment(going_on):
    controls.pause(going_on.id, "me")
    wait_for(lambda: going_on.paused)
    at = steps(going_on)
    assert runs.latest("me") is going_on
    assert going_on.record.lanes == ["head", "lora", "full"]
    pixels = torch.rand(1, 3, 32, 32)
    for lane in going_on.record.lanes:
        logits = classify.load(going_on.record, lane).logits(pixels)
        assert logits.shape == (1, 2)
        assert logits.isfinite().all()
    time.sleep(0.3)
    assert steps(going_on) == at  # it waits


def test_a_paused_run_makes_one_step_and_goes_on_when_told(going_on):
    controls.pause(going_on.id, "me")
    wait_for(lambda: going_on.paused)
    at = steps(going_on)
    controls.step(going_on.id, "me")
    wait_for(lambda: len(changed(going_on, "paused")) == 2)
    assert steps(going_on) == at + 1
    controls.go(going_on.id, "me")
    wait_for(lambda: steps(going_on) > at + 5)
    assert not going_on.paused
    assert len(changed(going_on, "resumed")) == 1


def test_rates_change_while_it_trains(going_on):
    controls.set_rates(going_on.id, "me", {"learning_rate_full": 0.003, "learning_rate_lora": None})
    wait_for(lambda: changed(going_on, "rates"))
    assert changed(going_on, "rates")[0].rates == {"head": 1e-2, "lora": 2e-3, "full": 0.003}


def test_rates_that_cannot_be_used_are_refused_by_a_sentence(going_on):
    for rates in ({"learning_rate_full": -1}, {"learning_rate_full": "fast"}, {"learning_rate_head": None}):
        with pytest.raises(SettingsError, match=r"'learning_rate_\w+' must be a number from 1e-07 to 10"):
            controls.set_rates(going_on.id, "me", rates)
    with pytest.raises(SettingsError, match="no setting 'learning_rate'"):
        controls.set_rates(going_on.id, "me", {"learning_rate": 1e-3})
    with pytest.raises(runs.RunError, match="only the rates can be changed, not 'steps'"):
        controls.set_rates(going_on.id, "me", {"steps": 5})
    assert not changed(going_on, "rates")


def test_only_its_own_session_may_steer_a_run(going_on):
    for steer in (controls.pause, controls.go, controls.step):
        with pytest.raises(runs.RunError, match="Only the browser session that started a run"):
            steer(going_on.id, "somebody else")
    with pytest.raises(runs.RunError, match="Only the browser session"):
        controls.set_rates(going_on.id, "somebody else", {"learning_rate_full": 0.1})


def test_a_pause_that_keeps_the_place_for_too_long_ends_the_run(going_on, monkeypatch):
    monkeypatch.setattr(runs, "PAUSE_MINUTES", 0.5 / 60)
    controls.pause(going_on.id, "me")
    wait_for(lambda: going_on.over)
    assert going_on.events[-1].stopped


def test_a_run_that_is_over_cannot_be_steered(tiny_settings):
    run = ended({**tiny_settings, "steps": 1})
    for steer in (controls.pause, controls.go, controls.step):
        with pytest.raises(runs.RunError, match="This run is over"):
            steer(run.id, "me")


def test_a_run_goes_on_for_more_steps_at_the_rates_it_ended_with(tiny_settings):
    run = runs.start(Settings.parse({**tiny_settings, "steps": 60, "evaluate_every": 60}), "me")
    controls.set_rates(run.id, "me", {"learning_rate_full": 0.003})
    wait_for(lambda: run.over)
    more = controls.go_on(run.id, "me", 3)
    assert more.id != run.id
    assert (more.settings.steps, more.settings.learning_rate_full) == (63, 0.003)
    wait_for(lambda: more.over)
    assert isinstance(more.events[-1], Finished)
    assert [event.step for event in more.events if isinstance(event, Step)] == list(range(1, 64))
    before = [event for event in run.events if isinstance(event, Step)]
    assert [event for event in more.events if isinstance(event, Step)][:60] == before
    assert changed(more, "continued") == [Changed(60, "continued")]
    assert list(more.record.events()) == more.events
    assert more.record.can_continue


def test_only_an_own_run_that_came_to_its_end_is_continued(going_on):
    with pytest.raises(runs.RunError, match="has come to its end"):
        controls.go_on(going_on.id, "me", 3)
    with pytest.raises(runs.RunError, match="Only the browser session that started a run can continue it"):
        controls.go_on(going_on.id, "somebody else", 3)
    going_on.stop()
    wait_for(lambda: going_on.over)
    with pytest.raises(runs.RunError, match="has come to its end"):
        controls.go_on(going_on.id, "me", 3)


def test_after_an_hour_a_run_can_no_longer_be_continued(tiny_settings, monkeypatch):
    run = ended({**tiny_settings, "steps": 1})
    assert run.record.can_continue
    monkeypatch.setattr(runs, "CONTINUE_HOURS", 0)
    runs.forget_old()
    assert not (run.record.folder / STATE).exists()
    assert "lora" in run.record.lanes
    with pytest.raises(runs.RunError, match="within the last hour"):
        controls.go_on(run.id, "me", 3)


def test_after_another_step_the_answers_are_those_of_the_new_weights(going_on):
    pixels, answers = torch.rand(1, 3, 32, 32), []
    for pauses in (1, 2):
        (controls.pause if pauses == 1 else controls.step)(going_on.id, "me")
        wait_for(lambda pauses=pauses: len(changed(going_on, "paused")) == pauses)
        answers.append([classify.load(going_on.record, lane).logits(pixels) for lane in going_on.record.lanes])
    for before, after in zip(*answers, strict=True):
        assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("values", "more", "words"), [({}, 0, "at least 1 step"), ({"schedule": "rising"}, 5, "cannot be continued")]
)
def test_what_cannot_be_continued_is_said(tiny_settings, values, more, words):
    run = ended({**tiny_settings, "steps": 1, **values})
    with pytest.raises(runs.RunError, match=words):
        controls.go_on(run.id, "me", more)
