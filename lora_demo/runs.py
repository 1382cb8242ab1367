"""A run in its own worker process: start, follow, stop, limits, record. Knows nothing of gradients.

    start(settings, owner) -> Run -> worker process -> one pipe -> run.events -> follow(run)

Each run has a thread in the server that reads the worker's pipe, so that a run goes on while nobody asks for it. Runs wait in
one queue for a free place. Nobody watching for `GRACE_SECONDS` ends a run, as does `MAX_MINUTES`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

from lora_demo.errors import LabError
from lora_demo.events import Event, Failed, Finished, Queued, Step
from lora_demo.records import Record, bundled
from lora_demo.settings import Settings

FOLDER = Path(os.environ.get("LORA_LAB_RUNS", Path(__file__).resolve().parents[1] / "runs"))
AT_ONCE = int(os.environ.get("LORA_LAB_RUNS_AT_ONCE", "1"))
MAX_MINUTES = float(os.environ.get("LORA_LAB_MAX_MINUTES", "30"))
KEEP_HOURS = float(os.environ.get("LORA_LAB_KEEP_HOURS", "24"))
MAX_WAITING = 20
GRACE_SECONDS = 30.0
STOP_SECONDS = 1.5  # a worker that has not ended its run by then is terminated

# A fork server with the heavy imports done: a worker starts in milliseconds instead of seconds.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["lora_demo.training"])
_RUNS: dict[str, Run] = {}
_PLACES = threading.Condition()
_WAITING: list[Run] = []
_RUNNING: set[Run] = set()


class RunError(LabError):
    """There is no such run, or it is not this session's to steer."""


class Run:
    """One run: its settings, its record, its events so far, and its worker.

    `id` is a 128-bit secret: who holds it may watch and replay; only `owner`, the session that started it, may stop it.
    """

    def __init__(self, settings: Settings, owner: str):
        self.id = secrets.token_hex(16)
        self.settings = settings
        self.owner = owner
        self.record = Record(FOLDER / self.id)
        self.events: list[Event] = []
        self.watchers = 0
        self.started = self.unwatched_since = time.monotonic()
        self.worker_pid: int | None = None
        self._stop_asked: float | None = None

    @property
    def over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Finished | Failed)

    @property
    def lanes(self) -> dict[str, dict]:
        """What the run measured, by lane; empty while it goes on."""
        return getattr(self.events[-1], "lanes", {}) if self.over else {}

    def stop(self) -> None:
        """Ask the run to end; it does within two seconds, with what it has."""
        if self._stop_asked is None:
            self._stop_asked = time.monotonic()
        with _PLACES:
            _PLACES.notify_all()

    def _add(self, event: Event) -> None:
        """Record an event the server itself has to tell; the worker records its own."""
        self.record.append(event)
        self.events.append(event)

    def _drive(self) -> None:
        """The run's thread: wait for a place, then pass on what the worker sends until the run is over."""
        if not self._wait_for_place():
            self._add(Finished(0, True, {}, self.id))
            return
        try:
            self._follow_worker()
        finally:
            with _PLACES:
                _RUNNING.discard(self)
                _PLACES.notify_all()

    def _wait_for_place(self) -> bool:
        """True once it is this run's turn, False where it was stopped first."""
        place = 0
        with _PLACES:
            while not self._should_stop():
                if _WAITING[0] is self and len(_RUNNING) < AT_ONCE:
                    _WAITING.remove(self)
                    _RUNNING.add(self)
                    _PLACES.notify_all()
                    return True
                if place != _WAITING.index(self) + 1:
                    place = _WAITING.index(self) + 1
                    self._add(Queued(place))
                _PLACES.wait(timeout=1)
            _WAITING.remove(self)
            _PLACES.notify_all()
        return False

    def _should_stop(self) -> bool:
        """Whether somebody asked for the end, nobody watches, or the time is up."""
        now = time.monotonic()
        unwatched = self.watchers == 0 and now - self.unwatched_since > GRACE_SECONDS
        if self._stop_asked is None and (unwatched or now - self.started > MAX_MINUTES * 60):
            self._stop_asked = now
        return self._stop_asked is not None

    def _follow_worker(self) -> None:
        ours, theirs = _CONTEXT.Pipe()
        worker = _CONTEXT.Process(target=_work, args=(self.settings, self.id, self.record.folder, theirs), daemon=True)
        worker.start()
        self.worker_pid = worker.pid
        theirs.close()  # so that the worker's end is the only one, and its death is seen as the end of the pipe
        self.started = time.monotonic()
        told = False
        while not self.over:
            try:
                if ours.poll(0.1):
                    self.events.append(ours.recv())
                if self._should_stop():
                    if not told:
                        ours.send("stop")
                        told = True
                    elif time.monotonic() - self._stop_asked > STOP_SECONDS:
                        worker.terminate()
            except (EOFError, OSError):
                worker.join()
                self._add(self._epitaph(worker.exitcode))
        worker.join(STOP_SECONDS)
        worker.kill()
        ours.close()

    def _epitaph(self, exitcode: int | None) -> Event:
        """The last event of a run whose worker can no longer say it."""
        steps = max((event.step for event in self.events if isinstance(event, Step)), default=0)
        if self._stop_asked is not None:
            return Finished(steps, True, {}, self.id)
        return Failed(
            f"The worker process ended without a word after step {steps} (exit code {exitcode}), as it does when memory runs "
            "out or somebody ends it; what it had sent is kept. A smaller batch or backbone needs less memory.",
            self.id,
        )


def _work(settings: Settings, run_id: str, folder: Path, connection: Connection) -> None:
    """The worker process: run the race, record its events and send them."""
    import dataclasses

    import torch

    from lora_demo.training import Race

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // AT_ONCE))
    record = Record(folder)
    race = Race(settings, should_stop=connection.poll)  # any word from the server, or its death, means stop
    try:
        for event in race.run():
            if isinstance(event, Finished):
                record.save_lanes(race)
                event = dataclasses.replace(event, run_id=run_id)
            record.append(event)
            connection.send(event)
    except LabError as error:
        event = Failed(str(error), run_id)
        record.append(event)
        connection.send(event)


def warm_up() -> None:
    """Start the fork server and let it import what a worker needs, so that the first run need not wait for it."""
    process = _CONTEXT.Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """What the first worker does."""


def start(settings: Settings, owner: str) -> Run:
    """Start a run, or put it in the queue; raises `RunError` where the queue is full."""
    forget_old()
    if len(_WAITING) >= MAX_WAITING:
        raise RunError(f"{MAX_WAITING} runs are waiting already; try again in a few minutes.")
    run = Run(settings, owner)
    run.record.create(settings)
    _RUNS[run.id] = run
    with _PLACES:
        _WAITING.append(run)
    threading.Thread(target=run._drive, name=f"run {run.id[:8]}", daemon=True).start()
    return run


def live(run_id: str) -> Run | None:
    """The run with this id that this server has started, going on or over; None for any other."""
    return _RUNS.get(run_id)


def record(name: str) -> Record:
    """The record of the run with this id, or of the bundled run of this name, from this server's time or before."""
    known = bundled()
    if not exists(name):
        names = ", ".join(known) or "none"
        raise RunError(f"There is no run {name!r}: give a run's id, or the name of a bundled one ({names}).")
    return known.get(name, Record(FOLDER / name))


def exists(name: str) -> bool:
    """Whether there is a record of this name: a run's id or a bundled run's name."""
    return name in bundled() or bool(re.fullmatch(r"[0-9a-f]{32}", name) and (FOLDER / name).is_dir())


def stop(run_id: str, owner: str) -> None:
    """Stop a run that `owner` started; raises `RunError` where it is somebody else's, or none of this server's."""
    run = live(run_id)
    if run is None or run.owner != owner:
        raise RunError("Only the browser session that started a run can stop it.")
    run.stop()


def latest(owner: str) -> Run | None:
    """The newest run of this session whose LoRA lane can be used, or None."""
    usable = [run for run in _RUNS.values() if run.owner == owner and run.over and "lora" in run.record.lanes]
    return usable[-1] if usable else None


async def follow(run: Run, interval: float = 0.1) -> AsyncIterator[list[Event]]:
    """Yield the events so far, then new ones as they come, until the run is over. Who follows a run keeps it alive."""
    run.watchers += 1
    seen = 0
    try:
        while True:
            over = run.over  # read before the copy, so that the last events are not missed
            new = run.events[seen:]
            seen += len(new)
            if new:
                yield new
            if over:
                return
            await asyncio.sleep(interval)
    finally:
        run.watchers -= 1
        run.unwatched_since = time.monotonic()


def forget_old() -> None:
    """Delete run folders older than `KEEP_HOURS`, and what is known of their runs."""
    if not FOLDER.is_dir():
        return
    for folder in FOLDER.iterdir():
        run = _RUNS.get(folder.name)
        if (run is None or run.over) and time.time() - folder.stat().st_mtime > KEEP_HOURS * 3600:
            _RUNS.pop(folder.name, None)
            shutil.rmtree(folder, ignore_errors=True)
