"""A run in its own worker process: start, follow, stop, limits, record. Knows nothing of gradients.

    start(settings, owner) -> Run -> worker process -> one pipe -> run.events -> follow(run)
    controls -> run.tell(command) -> the same pipe -> the race, between two steps

Each run has a thread in the server that reads the worker's pipe, so that a run goes on while nobody asks for it. Runs wait in
one queue for a free place. Nobody watching for `GRACE_SECONDS` ends a run, as do `MAX_MINUTES` and a pause of `PAUSE_MINUTES`.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import secrets
import shutil
import threading
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path

from lora_demo.errors import LabError
from lora_demo.events import Changed, Event, Failed, Finished, Prepared, Queued, Step
from lora_demo.processes import CONTEXT
from lora_demo.records import STATE, Record, bundled
from lora_demo.settings import Settings
from lora_demo.steering import Command

FOLDER = Path(os.environ.get("LORA_LAB_RUNS", Path(__file__).resolve().parents[1] / "runs"))
AT_ONCE = int(os.environ.get("LORA_LAB_RUNS_AT_ONCE", "1"))
MAX_MINUTES = float(os.environ.get("LORA_LAB_MAX_MINUTES", "30"))
KEEP_HOURS = float(os.environ.get("LORA_LAB_KEEP_HOURS", "24"))
PAUSE_MINUTES = float(os.environ.get("LORA_LAB_PAUSE_MINUTES", "5"))
CONTINUE_HOURS = 1.0  # a state to continue from is several times the size of a run's weights
MAX_WAITING = 20
ESTIMATE_SECONDS = 5.0  # between two words about the expected wait
GRACE_SECONDS = 30.0
BEAT_SECONDS = 3.0
EAGER_SECONDS = 0.05  # between two looks for a run's first step
STOP_SECONDS = 1.5  # a worker that has not ended its run by then is terminated

_RUNS: dict[str, Run] = {}
_PLACES = threading.Condition()
_WAITING: list[Run] = []
_RUNNING: set[Run] = set()


class RunError(LabError):
    """There is no such run, no place for one, or it is not this session's to steer."""


class Run:
    """One run: its settings, its record, its events so far, and its worker.

    `id` is a 128-bit secret: who holds it may watch and replay; only `owner`, the session that started it, may stop it.
    """

    def __init__(self, settings: Settings, owner: str, continues: Record | None = None):
        self.id = secrets.token_hex(16)
        self.continues = continues
        self.settings = settings
        self.owner = owner
        self.record = Record(FOLDER / self.id)
        self.events: list[Event] = []
        self.watchers = 0
        self.started = self.unwatched_since = time.monotonic()
        self.worker_pid: int | None = None
        self.paused_since: float | None = None
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stop_asked: float | None = None

    @property
    def over(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Finished | Failed)

    @property
    def paused(self) -> bool:
        return self.paused_since is not None

    def tell(self, command: Command) -> None:
        """Pass a command on to the worker."""
        self._commands.put(command)

    def seconds_left(self) -> float | None:
        """How long the steps still to come will take, at the lanes' own pace so far; None before the first."""
        steps = next((event for event in reversed(self.events) if isinstance(event, Step)), None)
        prepared = next((event for event in self.events if isinstance(event, Prepared)), None)
        if steps is None or prepared is None:
            return None
        a_step = self.settings.seeds * sum(steps.seconds.values()) / steps.step
        return a_step * (prepared.settings["steps"] - steps.step)

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
        place, told = 0, 0.0
        with _PLACES:
            while not self._should_stop():
                if _WAITING[0] is self and len(_RUNNING) < AT_ONCE:
                    _WAITING.remove(self)
                    _RUNNING.add(self)
                    _PLACES.notify_all()
                    return True
                if place != _WAITING.index(self) + 1 or time.monotonic() - told > ESTIMATE_SECONDS:
                    place, told = _WAITING.index(self) + 1, time.monotonic()
                    self._add(Queued(place, _expected_wait(place)))
                _PLACES.wait(timeout=1)
            _WAITING.remove(self)
            _PLACES.notify_all()
        return False

    def _should_stop(self) -> bool:
        """Whether somebody asked for the end, nobody watches, the time is up, or a pause keeps the place for too long."""
        now = time.monotonic()
        unwatched = self.watchers == 0 and now - self.unwatched_since > GRACE_SECONDS
        too_long = self in _RUNNING and now - self.started > MAX_MINUTES * 60
        too_long |= self.paused and now - self.paused_since > PAUSE_MINUTES * 60
        if self._stop_asked is None and (unwatched or too_long):
            self._stop_asked = now
        return self._stop_asked is not None

    def _follow_worker(self) -> None:
        ours, theirs = CONTEXT.Pipe()
        task = (self.settings, self.id, self.record.folder, self.continues, theirs)
        worker = CONTEXT.Process(target=_work, args=task, daemon=True)
        worker.start()
        self.worker_pid = worker.pid
        theirs.close()  # so that the worker's end is the only one, and its death is seen as the end of the pipe
        self.started = time.monotonic()
        told = False
        while not self.over:
            try:
                if ours.poll(0.05):
                    self._take(ours.recv())
                while not self._commands.empty():
                    ours.send(self._commands.get())
                if self._should_stop():
                    if not told:
                        ours.send(Command("stop"))
                        told = True
                    elif time.monotonic() - self._stop_asked > STOP_SECONDS:
                        worker.terminate()
            except (EOFError, OSError):
                worker.join()
                self._add(self._epitaph(worker.exitcode))
        worker.join(STOP_SECONDS)
        worker.kill()
        ours.close()

    def _take(self, event: Event) -> None:
        if isinstance(event, Changed) and event.what in ("paused", "resumed"):
            self.paused_since = time.monotonic() if event.what == "paused" else None
        self.events.append(event)

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


def _expected_wait(place: int) -> float | None:
    """Seconds until the run at this place starts: what the running one has left, and its whole length for each in between."""
    running = next(iter(_RUNNING), None)
    left = running and running.seconds_left()
    if left is None or AT_ONCE > 1:
        return None
    whole = time.monotonic() - running.started + left
    return left + (place - 1) * whole


def _work(settings: Settings, run_id: str, folder: Path, continues: Record | None, connection: Connection) -> None:
    """What a worker process does; the heavy imports it needs were done by the fork server."""
    from lora_demo import worker

    worker.work(settings, run_id, Record(folder), continues, connection, max(1, (os.cpu_count() or 1) // AT_ONCE))


def start(settings: Settings, owner: str, continues: Record | None = None) -> Run:
    """Start a run, or put it in the queue; raises `RunError` where the queue is full.

    With `continues` it goes on where that run ended: `settings.steps` counts from that run's first step.
    """
    forget_old()
    if len(_WAITING) >= MAX_WAITING:
        raise RunError(f"{MAX_WAITING} runs are waiting already; try again in a few minutes.")
    run = Run(settings, owner, continues)
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


def of(owner: str) -> list[Run]:
    """The runs of this session, newest first, while their records are kept."""
    return [run for run in reversed(list(_RUNS.values())) if run.owner == owner]


def latest(owner: str) -> Run | None:
    """The newest run of this session whose LoRA lane can be used: one that has ended, or that is paused. None without one."""
    usable = (run for run in of(owner) if (run.over or run.paused) and "lora" in run.record.lanes)
    return next(usable, None)


async def follow(run: Run, interval: float = 0.1) -> AsyncIterator[list[Event]]:
    """Yield the events so far, then new ones as they come, until the run is over. Who follows a run keeps it alive.

    New ones are told every `interval` seconds, up to the first step at once: the room waits for the first point. Now and then,
    while nothing happens, the list is empty: that a page was closed is noticed only when it is told something.
    """
    run.watchers += 1
    seen, stepped, told = 0, False, time.monotonic()
    try:
        while True:
            over = run.over  # read before the copy, so that the last events are not missed
            new = run.events[seen:]
            seen += len(new)
            if new or time.monotonic() - told > BEAT_SECONDS:
                told = time.monotonic()
                yield new
            if over:
                return
            stepped = stepped or any(isinstance(event, Step) for event in new)
            await asyncio.sleep(interval if stepped else min(interval, EAGER_SECONDS))
    finally:
        run.watchers -= 1
        run.unwatched_since = time.monotonic()


def forget(run_id: str) -> None:
    """Drop what is known of a run that is over and whose record was deleted."""
    _RUNS.pop(run_id, None)


def forget_old() -> None:
    """Delete run folders older than `KEEP_HOURS`, and what is known of their runs; states to continue from even sooner."""
    if not FOLDER.is_dir():
        return
    for state in FOLDER.glob(f"*/{STATE}"):
        if time.time() - state.stat().st_mtime > CONTINUE_HOURS * 3600:
            state.unlink(missing_ok=True)
    for folder in FOLDER.iterdir():
        run = _RUNS.get(folder.name)
        if (run is None or run.over) and time.time() - folder.stat().st_mtime > KEEP_HOURS * 3600:
            _RUNS.pop(folder.name, None)
            shutil.rmtree(folder, ignore_errors=True)
