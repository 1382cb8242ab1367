import os
import signal
import time

import pytest

from lora_demo import adapters, runs
from lora_demo.events import Failed, Finished, Queued, Step
from lora_demo.records import Record
from lora_demo.settings import Settings

pytestmark = pytest.mark.timeout(120)
FOREVER = {"steps": 10_000, "evaluate_every": 10_000}


def start(values: dict, owner: str = "me") -> runs.Run:
    return runs.start(Settings.parse(values), owner)


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def training(run: runs.Run) -> bool:
    return any(isinstance(event, Step) for event in list(run.events))


def test_a_run_leaves_a_record_every_view_can_read(tiny_settings, run_async):
    async def watch(run):
        return [event async for new in runs.follow(run) for event in new]

    run = start(tiny_settings)
    seen = run_async(watch(run))
    assert seen[-1].kind == "finished"
    assert seen[-1].run_id == run.id
    record = runs.record(run.id)
    assert list(record.events()) == seen
    assert record.settings == run.settings
    assert record.lanes == ["head", "lora", "full"]
    assert adapters.load(record.folder / "adapter").classes == ["dark", "bright"]
    assert runs.latest("me") is run
    assert runs.latest("somebody else") is None


def test_stop_acts_within_two_seconds_and_keeps_what_there_is(tiny_settings):
    run = start({**tiny_settings, **FOREVER})
    wait_for(lambda: training(run))
    asked = time.monotonic()
    runs.stop(run.id, "me")
    wait_for(lambda: run.over)
    assert time.monotonic() - asked < 2.5  # two seconds, and the time a loaded machine takes to say so
    assert isinstance(run.events[-1], Finished)
    assert run.events[-1].stopped
    assert "lora" in run.record.lanes


def test_only_its_own_session_may_stop_a_run(tiny_settings):
    run = start({**tiny_settings, **FOREVER})
    with pytest.raises(runs.RunError, match="Only the browser session that started a run"):
        runs.stop(run.id, "somebody else")
    assert not run.over
    runs.stop(run.id, "me")
    wait_for(lambda: run.over)


def test_a_run_waits_its_turn_and_says_its_place(tiny_settings):
    first, second, third = (start({**tiny_settings, **FOREVER}) for _ in range(3))
    wait_for(lambda: third.events and second.events)
    assert isinstance(second.events[-1], Queued)
    assert third.events[-1].place == second.events[-1].place + 1
    runs.stop(second.id, "me")
    wait_for(lambda: second.over)
    assert second.events[-1].stopped
    wait_for(lambda: third.events[-1].place == 1)
    runs.stop(first.id, "me")
    wait_for(lambda: training(third))
    runs.stop(third.id, "me")
    wait_for(lambda: third.over)


def test_a_killed_worker_is_reported_and_the_events_so_far_are_kept(tiny_settings):
    run = start({**tiny_settings, **FOREVER})
    wait_for(lambda: training(run))
    os.kill(run.worker_pid, signal.SIGKILL)
    wait_for(lambda: run.over)
    assert isinstance(run.events[-1], Failed)
    assert "exit code -9" in run.events[-1].message
    kinds = [event.kind for event in Record(run.record.folder).events()]
    assert {"prepared", "step"} <= set(kinds)
    assert kinds[-1] == "failed"


def test_a_run_that_cannot_start_says_why(tiny_settings):
    run = start({**tiny_settings, "backbone": "nobody/nothing"})
    wait_for(lambda: run.over)
    assert "nobody/nothing" in run.events[-1].message


def test_a_run_nobody_watches_is_ended(tiny_settings, monkeypatch):
    monkeypatch.setattr(runs, "GRACE_SECONDS", 0.5)
    run = start({**tiny_settings, **FOREVER})
    wait_for(lambda: run.over)
    assert run.events[-1].stopped


def test_a_full_queue_is_said(tiny_settings, monkeypatch):
    monkeypatch.setattr(runs, "MAX_WAITING", 0)
    with pytest.raises(runs.RunError, match="waiting already"):
        start(tiny_settings)


@pytest.mark.parametrize("name", ["../../etc", "0" * 32, "", "reference/../.."])
def test_a_name_that_is_no_run_is_refused(name):
    assert not runs.exists(name)
    with pytest.raises(runs.RunError, match="There is no run"):
        runs.record(name)


def test_old_runs_are_deleted(tiny_settings, monkeypatch):
    run = start({**tiny_settings, "steps": 1})
    wait_for(lambda: run.over)
    monkeypatch.setattr(runs, "KEEP_HOURS", 0)
    runs.forget_old()
    assert not run.record.folder.exists()
    assert runs.live(run.id) is None
