"""A sweep: the same run at a row of ranks, alphas, rates, targets or variants, one cell after the other, the same budget each.

    cells(kind, settings) -> run(kind, settings, owner) -> results as cells end -> smallest_enough, figures, CSV

Every cell is a run like any other: it waits in the queue and trains in a worker. What has ended is kept in a folder of the
session's own, so that a sweep that was stopped, or a server that was started again, does not repeat a cell.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_demo import runs
from lora_demo.events import Failed, Finished, Prepared
from lora_demo.settings import TARGETS, VARIANTS, Settings, SettingsError

FILE = "sweep.jsonl"
RANKS = (1, 2, 4, 8, 16, 32, 64)
ALPHAS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
RATES = {"lora": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), "full": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)}
KINDS = {"rank": "rank", "alpha": "alpha", "rate": "learning rate", "targets": "adapted layers", "variant": "variant"}
INTERVAL = 1.96  # standard errors: 95 % of a normal distribution


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: `lane` trains alone at `value` of what is swept; the reference lanes have none."""

    lane: str
    value: Any
    settings: Settings


@dataclass(frozen=True)
class Result:
    """What a cell reached on the test images: its seeds' accuracies, none where it broke, and how many parameters it trained."""

    lane: str
    value: Any
    parameters: int
    accuracies: list[float]
    images: int

    @property
    def accuracy(self) -> float | None:
        """Mean over the seeds, None where the cell broke."""
        return sum(self.accuracies) / len(self.accuracies) if self.accuracies else None

    @property
    def standard_error(self) -> float:
        """Of that mean, from the number of test images (binomial): the seeds answer for the same images, so they add nothing."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.images)


def cells(kind: str, settings: Settings) -> list[Cell]:
    """The cells of a sweep over `kind`, a key of `KINDS`: all but what is swept as in `settings`, so alpha is fixed across ranks.

    Raises `SettingsError` for another kind.
    """
    if kind not in KINDS:
        raise SettingsError(f"There is no sweep over {kind!r}; there are {', '.join(KINDS)}.")
    swept = [Cell(lane, None, _alone(settings, lane)) for lane in ("head", "full")] if kind != "rate" else []
    values = {"rank": RANKS, "alpha": ALPHAS, "targets": tuple(TARGETS), "variant": tuple(VARIANTS)}
    if kind == "rate":
        for lane, rates in RATES.items():
            swept += [Cell(lane, rate, _alone(settings, lane, **{f"learning_rate_{lane}": rate})) for rate in rates]
        return swept
    return swept + [Cell("lora", value, _alone(settings, "lora", **{kind: value})) for value in values[kind]]


def _alone(settings: Settings, lane: str, **swept: Any) -> Settings:
    """`settings` for one lane, tested at its end and not looked at before."""
    return dataclasses.replace(
        settings, lanes=(lane,), evaluate_every=settings.steps, patience=0, seconds=None, **swept
    )


async def run(kind: str, settings: Settings, owner: str) -> AsyncIterator[tuple[list[Result], Cell | None]]:
    """Run what is not there yet, one cell after the other; yield the results so far and the cell in work (None at the end).

    Who stops iterating stops the cell in work. A cell that cannot start at all ends the sweep with its `LabError`; one whose
    loss breaks is a result without accuracies.
    """
    kept = _file(kind, settings, owner)
    found = _read(kept)
    for cell in cells(kind, settings):
        if any((one.lane, one.value) == (cell.lane, cell.value) for one in found):
            continue
        yield list(found), cell
        started = runs.start(cell.settings, owner)
        try:
            async for _ in runs.follow(started):
                yield list(found), cell
        finally:
            started.stop()
        result = _result(cell, started)
        if result is None:
            return
        found.append(result)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with kept.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(result)) + "\n")
    yield found, None


def _result(cell: Cell, ended: runs.Run) -> Result | None:
    """What the cell's run measured; None where it was stopped."""
    last = ended.events[-1]
    prepared = next((event for event in ended.events if isinstance(event, Prepared)), None)
    if isinstance(last, Failed):
        if prepared is None:
            raise runs.RunError(last.message)
        return Result(
            cell.lane, cell.value, prepared.lanes[cell.lane]["trainable_parameters"], [], prepared.images["test"]
        )
    if not isinstance(last, Finished) or last.stopped or prepared is None:
        return None
    figures = last.lanes[cell.lane]
    accuracies = figures.get("accuracies", [figures["accuracy"]])
    return Result(cell.lane, cell.value, figures["trainable_parameters"], accuracies, prepared.images["test"])


def smallest_enough(results: list[Result]) -> Result | None:
    """The LoRA cell with the fewest trained parameters whose 95 % interval meets that of the best LoRA cell."""
    able = [one for one in results if one.lane == "lora" and one.accuracies]
    if not able:
        return None
    best = max(able, key=lambda one: one.accuracy)
    enough = [
        one
        for one in able
        if one.accuracy + INTERVAL * one.standard_error >= best.accuracy - INTERVAL * best.standard_error
    ]
    return min(enough, key=lambda one: one.parameters)


def csv_text(kind: str, results: list[Result]) -> str:
    """One row a cell and seed."""
    rows = [f"lane,{kind},parameters_trained,seed,test_accuracy,test_images"]
    for one in results:
        value = "" if one.value is None else one.value
        rows += [
            f"{one.lane},{value},{one.parameters},{seed},{a},{one.images}" for seed, a in enumerate(one.accuracies)
        ]
        if not one.accuracies:
            rows.append(f"{one.lane},{value},{one.parameters},,broke,{one.images}")
    return "\n".join(rows) + "\n"


def results(kind: str, settings: Settings, owner: str) -> list[Result]:
    """What this session's sweep has so far."""
    return _read(_file(kind, settings, owner))


def _file(kind: str, settings: Settings, owner: str) -> Path:
    """A folder among the runs', so that it is deleted by age with them; its name is known to who started the sweep alone."""
    asked = json.dumps([owner, kind, settings.as_dict()], sort_keys=True)
    return runs.FOLDER / hashlib.sha256(asked.encode()).hexdigest()[:32] / FILE


def _read(path: Path) -> list[Result]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [Result(**json.loads(line)) for line in lines]
