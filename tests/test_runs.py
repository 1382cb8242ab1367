import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lora_demo import adapters, controls, runs
from lora_demo.events import Failed, Finished, Queued, Step
from lora_demo.records import Record
from lora_demo.settings import Settings

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """Nobody watches these runs, and on a loaded machine they take longer than that is put up with."""
    monkeypatch.setattr(runs, "GRACE_SECONDS", 120.0)


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
    controls.stop(run.id, "me")
    wait_for(lambda: run.over)
    assert time.monotonic() - asked < 2.5  # two seconds, and the time a loaded machine takes to say so
    assert isinstance(run.events[-1], Finished)
    assert run.events[-1].stopped
    assert "lora" in run.record.lanes


def test_only_its_own_session_may_stop_a_run(tiny_settings):
    run = start({**tiny_settings, **FOREVER})
    with pytest.raises(runs.RunError, match="Only the browser session that started a run"):
        controls.stop(run.id, "somebody else")
    assert not run.over
    controls.stop(run.id, "me")
    wait_for(lambda: run.over)


def test_who_waits_is_told_for_about_how_long(tiny_settings, monkeypatch):
    monkeypatch.setattr(runs, "ESTIMATE_SECONDS", 0.1)
    first = start({**tiny_settings, **FOREVER})
    wait_for(lambda: training(first))
    second, third = (start({**tiny_settings, "steps": 1}) for _ in range(2))
    wait_for(lambda: all(run.events and run.events[-1].seconds for run in (second, third)))
    waits = [run.events[-1].seconds for run in (second, third)]
    assert 0 < waits[0] < waits[1]
    for run in (third, second, first):
        controls.stop(run.id, "me")
    wait_for(lambda: first.over and second.over and third.over)


def test_a_run_waits_its_turn_and_says_its_place(tiny_settings):
    first, second, third = (start({**tiny_settings, **FOREVER}) for _ in range(3))
    wait_for(lambda: third.events and second.events)
    assert isinstance(second.events[-1], Queued)
    assert third.events[-1].place == second.events[-1].place + 1
    controls.stop(second.id, "me")
    wait_for(lambda: second.over)
    assert second.events[-1].stopped
    wait_for(lambda: third.events[-1].place == 1)
    controls.stop(first.id, "me")
    wait_for(lambda: training(third))
    controls.stop(third.id, "me")
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


SERVER = """
import sys, time
from lora_demo import controls, runs
from lora_demo.settings import Settings
if __name__ == "__main__":
    run = runs.start(Settings.parse({"backbone": sys.argv[1], "data": sys.argv[2], "steps": 10_000}), "me")
    while not any(event.kind == "step" for event in list(run.events)):
        time.sleep(0.05)
    controls.pause(run.id, "me")
    while not run.paused:
        time.sleep(0.05)
    print(run.worker_pid, flush=True)  # of a worker that waits to be told something
    time.sleep(600)
"""


def test_a_worker_whose_server_is_gone_ends_too(tiny_settings, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, script, tiny_settings["backbone"], tiny_settings["data"]]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    worker = Path("/proc") / server.stdout.readline().strip()
    assert worker.is_dir()
    server.kill()
    server.wait()
    wait_for(lambda: not worker.exists(), 10)


def own_bytes() -> int:
    """Memory of this process, its fork server and the workers, pages that they share counted once.

    Without files' pages: how many of those fall to a process changes with what else the machine runs. Without the browser and the
    app of other tests, which are children of this process too.
    """
    me = psutil.Process()
    servers = [child for child in me.children() if "multiprocessing.forkserver" in " ".join(child.cmdline())]
    workers = [worker for server in servers for worker in server.children(recursive=True)]
    rollups = [Path(f"/proc/{process.pid}/smaps_rollup").read_text() for process in (me, *servers, *workers)]
    return sum(
        1024 * int(kilobytes) for kilobytes in re.findall(r"^Pss_(?:Anon|Shmem): +(\d+)", "".join(rollups), re.M)
    )


def test_after_a_run_memory_is_back_to_within_50_megabytes(tiny_settings):
    def finished(values: dict) -> runs.Run:
        run = start(values)
        wait_for(lambda: run.over)
        wait_for(lambda: not Path(f"/proc/{run.worker_pid}").exists())
        return run

    finished(tiny_settings)  # the fork server stays
    before = own_bytes()
    run = start({**tiny_settings, **FOREVER})
    wait_for(lambda: training(run))
    during = own_bytes()
    controls.stop(run.id, "me")
    wait_for(lambda: run.over and not Path(f"/proc/{run.worker_pid}").exists())
    finished({**tiny_settings, "backbone": "bundled", "lanes": ["full"], "steps": 2})
    after = own_bytes()
    assert during - before > 20e6  # what a worker takes can be seen here
    assert after - before < 50e6


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
