"""Numbers as a person reads them: three figures and a unit."""

from __future__ import annotations

import math


def significant(value: float, figures: int = 3) -> str:
    """`value` to `figures` significant figures, without an exponent where that can be avoided: 24.6, 295, 0.065."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{figures - 1}e}".partition("e")[2])  # of the rounded value: 0.9996 is 1.00
    decimals = figures - 1 - exponent
    if decimals > 8:
        return f"{value:.{figures - 1}e}"
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def bytes_text(count: float) -> str:
    """A number of bytes in decimal units: 24576 -> "24.6 kB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} B" if unit == "B" else f"{significant(count)} {unit}"
        count /= 1000
    return f"{significant(count)} TB"


def share_text(part: float, whole: float) -> str:
    """`part` of `whole` in percent, two figures where it is small: "8.3 %", "0.065 %", "104 %"."""
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 else f"{significant(percent, 2)} %"


def seconds_text(seconds: float) -> str:
    """A duration in the unit that fits: 0.000038 -> "38.0 µs", 0.0036 -> "3.60 ms"."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{significant(seconds / size)} {unit}"
    return f"{significant(seconds * 1e9)} ns" if seconds else "0 s"


def duration_text(seconds: float) -> str:
    """A wait as a person counts it: 41.6 -> "42 s", 200 -> "3 min"."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
