"""Long searches that can be stopped: every result is a line of a JSON-lines file, and what is there is not measured again."""

import json
from collections.abc import Callable
from pathlib import Path


def resumed(out: Path | None, key: dict, measure: Callable[[], dict]) -> dict:
    """The figures for `key` from `out` where it has them, else measured now and appended there."""
    if out and out.exists():
        for line in out.read_text().splitlines():
            kept = json.loads(line)
            if kept["key"] == key:
                return kept["figures"]
    figures = measure()
    if out:
        with out.open("a") as file:
            file.write(json.dumps({"key": key, "figures": figures}) + "\n")
    return figures


def mean_and_range(values: list[float], digits: int) -> str:
    """ "72.1 (71.3–72.3)", or the value alone where there is one."""
    mean = f"{sum(values) / len(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f}–{max(values):.{digits}f})"
