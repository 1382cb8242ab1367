"""Steering a run: only the session that started it may, and only while there is something to steer."""

from __future__ import annotations

from lora_demo import runs
from lora_demo.events import Changed, Step
from lora_demo.runs import Run, RunError
from lora_demo.settings import Settings
from lora_demo.steering import Command

RATES = ("learning_rate_head", "learning_rate_lora", "learning_rate_full")


def stop(run_id: str, owner: str) -> None:
    """Stop a run that `owner` started; raises `RunError` where it is somebody else's, or none of this server's."""
    _own(run_id, owner, "stop").stop()


def pause(run_id: str, owner: str) -> None:
    """Let a run wait after its present step; its weights are kept where Classify finds them. Raises `RunError` as `stop` does."""
    _going_on(run_id, owner, "pause").tell(Command("pause"))


def go(run_id: str, owner: str) -> None:
    """Let a paused run go on."""
    _going_on(run_id, owner, "resume").tell(Command("go"))


def step(run_id: str, owner: str) -> None:
    """Let a paused run make one step."""
    _going_on(run_id, owner, "step").tell(Command("step"))


def set_rates(run_id: str, owner: str, rates: dict[str, float | None]) -> None:
    """Let a run go on at other rates, given by names in `RATES`; raises `SettingsError` where they cannot be used."""
    run = _going_on(run_id, owner, "change")
    checked = Settings.parse({**run.settings.as_dict(), **rates})
    foreign = [name for name in rates if name not in RATES]
    if foreign:
        raise RunError(f"Of a run that goes on only the rates can be changed, not {foreign[0]!r}.")
    run.tell(Command("rates", {name: getattr(checked, name) for name in rates}))


def go_on(run_id: str, owner: str, steps: int) -> Run:
    """Continue a run that has ended with `steps` more, as a new run whose record begins with the old one's events."""
    old = _own(run_id, owner, "continue")
    if not old.over or not old.record.can_continue:
        raise RunError("Only a run that has come to its end, within the last hour, can be continued.")
    if old.settings.schedule == "rising":
        raise RunError("A run whose rate rises to break its lanes cannot be continued.")
    if steps < 1:
        raise RunError(f"A run is continued by at least 1 step, not {steps}.")
    done = max(event.step for event in old.events if isinstance(event, Step))
    rates = [event.rates for event in old.events if isinstance(event, Changed) and event.what == "rates"]
    changed = {f"learning_rate_{lane}": rate for lane, rate in (rates[-1] if rates else {}).items()}
    settings = {**old.settings.as_dict(), **changed, "steps": done + steps, "seconds": None}
    return runs.start(Settings.parse(settings), owner, old.record)


def _own(run_id: str, owner: str, verb: str) -> Run:
    run = runs.live(run_id)
    if run is None or run.owner != owner:
        raise RunError(f"Only the browser session that started a run can {verb} it.")
    return run


def _going_on(run_id: str, owner: str, verb: str) -> Run:
    run = _own(run_id, owner, verb)
    if run.over:
        raise RunError(f"This run is over: there is nothing to {verb}.")
    return run
