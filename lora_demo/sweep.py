"""A sweep: the same run at a row of ranks, alphas, rates, targets or variants, one cell after the other, the same budget each.

    cells(kind, settings) -> run(kind, settings, owner) -> results as cells end -> smallest_enough, figures, CSV
    python -m lora_demo.sweep --over rank --config settings.yaml --out sweep.jsonl

Every cell is a run like any other: it waits in the queue and trains in a worker. What has ended is kept in a folder of the
session's own, so that a sweep that was stopped, or a server that was started again, does not repeat a cell.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib
import json
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_demo import runs
from lora_demo.errors import LabError
from lora_demo.events import Failed, Finished, Prepared
from lora_demo.records import Record
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
            file.write(_line(result))
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


def as_good(results: list[Result], lane: str) -> list[Result]:
    """The lane's swept cells whose 95 % interval meets that of its best one, in the order of the sweep."""
    able = [one for one in results if one.lane == lane and one.value is not None and one.accuracies]
    if not able:
        return []
    best = max(able, key=lambda one: one.accuracy)
    least = best.accuracy - INTERVAL * best.standard_error
    return [one for one in able if one.accuracy + INTERVAL * one.standard_error >= least]


def smallest_enough(results: list[Result]) -> Result | None:
    """The LoRA cell with the fewest trained parameters among those as good as the best."""
    return min(as_good(results, "lora"), key=lambda one: one.parameters, default=None)


def verdict(kind: str, results: list[Result]) -> str:
    """One sentence made from the cells; empty without one of LoRA's."""
    good, full = as_good(results, "lora"), as_good(results, "full")
    if not good:
        return ""
    if kind == "rank":
        return f"Rank {smallest_enough(results).value} was enough: its interval meets the best one’s"
    if kind != "rate":
        names = ", ".join(named(one.value) for one in good)
        return f"As good as the best, within 95 % intervals: {KINDS[kind]} {names}"
    text = f"LoRA does as well as at its best from {good[0].value:g} to {good[-1].value:g}"
    if not full:
        return text
    lora_best, full_best = (max(of, key=lambda one: one.accuracy).value for of in (good, full))
    text += f", full from {full[0].value:g} to {full[-1].value:g}"
    return f"{text}; its best rate is {lora_best / full_best:.2g} times full’s"


def named(value: Any) -> str:
    """A swept value in words; empty for the lanes that have none."""
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


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


def trained_at_ranks(record: Record, owner: str) -> dict[int, float]:
    """What LoRA reached on the test images when trained at each rank, all else as in the run of `record`.

    From this session's sweep, else from the one recorded with a bundled run; empty where there is neither.
    """
    found = results("rank", record.settings, owner) or recorded(record)
    return {one.value: one.accuracy for one in found if one.lane == "lora" and one.accuracies}


def recorded(record: Record) -> list[Result]:
    """The rank sweep that comes with a bundled run; empty where none does."""
    return _read(record.folder / FILE)


def _file(kind: str, settings: Settings, owner: str) -> Path:
    """A folder among the runs', so that it is deleted by age with them; its name is known to who started the sweep alone.

    Named after its cells, not after the form: a rank sweep is the same one whatever rank the form says.
    """
    swept = [cell.settings.as_dict() for cell in cells(kind, settings) if cell.value is not None]
    asked = json.dumps([owner, kind, swept], sort_keys=True)
    return runs.FOLDER / hashlib.sha256(asked.encode()).hexdigest()[:32] / FILE


def _line(result: Result) -> str:
    return json.dumps(dataclasses.asdict(result)) + "\n"


def _read(path: Path) -> list[Result]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [Result(**json.loads(line)) for line in lines]


async def _print_all(kind: str, settings: Settings, out: Path) -> None:
    """Run a sweep to its end, say what each cell reached, and leave them in `out`."""
    found = []
    async for results, _ in run(kind, settings, "command line"):
        for one in results[len(found) :]:
            reached = "broke" if one.accuracy is None else f"{one.accuracy:.1%}"
            print(one.lane, named(one.value), reached, flush=True)
        found = results
    out.write_text("".join(map(_line, found)))


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--over", choices=KINDS, default="rank")
    parser.add_argument("--config", type=Path, help="YAML file of settings; defaults where left out")
    parser.add_argument("--out", required=True, type=Path, help="JSON-lines file for the results")
    asked = parser.parse_args()
    try:
        asyncio.run(_print_all(asked.over, Settings.from_file(asked.config), asked.out))
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
