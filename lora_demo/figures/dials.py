"""An image's probabilities over one slider, drawn small: the leading class in LoRA's colour, two others, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 290, 142
LEFT, RIGHT, TOP, BOTTOM = 38, 74, 10, 22  # pixels around the plot
NAME_HEIGHT = 16


def curve(
    places: Sequence[float], probabilities: Sequence[Sequence[float]], classes: Sequence[str], at: float, what: str
) -> str:
    """An SVG of [places, classes] probabilities, the first class leading; `at` is the slider's place, `what` its name."""
    x, y = _scales(places)
    lines, ends = [], []
    for i, name in reversed(list(enumerate(classes))):
        points = " ".join(f"{x(place):.1f},{y(row[i]):.1f}" for place, row in zip(places, probabilities, strict=True))
        lines.append(f'<polyline class="c{i}" points="{points}"><title>{escape(name)}</title></polyline>')
        ends.append((y(probabilities[-1][i]), i, name))
    names = _names(ends)
    mark = f'<line class="at" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    first = [row[0] for row in probabilities]
    told = f"{classes[0]}: {100 * first[0]:.0f} % at {places[0]:g}, {100 * first[-1]:.0f} % at {places[-1]:g}"
    return _svg(f"Probability over {what}; {told}", _axes(x, y, places) + mark + "".join(lines) + names)


def switches(blocks: Sequence[int], switched: Sequence[float], now: float, name: str, on: Sequence[int]) -> str:
    """An SVG of the leading class's probability with each block alone switched over, as a distance from what it is `now`."""
    x, y = _scales(blocks)
    base = f'<line class="at" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(now):.1f}" y2="{y(now):.1f}"/>'
    stems = "".join(
        f'<g class="{"stem" if block in on else "stem off"}">'
        f'<line x1="{x(block):.1f}" x2="{x(block):.1f}" y1="{y(now):.1f}" y2="{y(value):.1f}"/>'
        f'<circle cx="{x(block):.1f}" cy="{y(value):.1f}" r="4"/>'
        f"<title>block {block + 1} {'off' if block in on else 'on'}: {100 * value:.1f} %</title></g>"
        for block, value in zip(blocks, switched, strict=True)
    )
    ticks = "".join(f'<text class="tick" x="{x(b):.1f}" y="{HEIGHT - 5}">{b + 1}</text>' for b in blocks)
    told = ", ".join(f"block {b + 1} {100 * v:.0f} %" for b, v in zip(blocks, switched, strict=True))
    said = f"Probability of {name} with one block switched over: {told}; now {100 * now:.0f} %"
    return _svg(said, _grid(y) + ticks + base + stems + _names([(y(now), 0, name)]))


def _scales(places: Sequence[float]):
    low, high = places[0], places[-1]
    span = (high - low) or 1

    def x(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place - low) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value)

    return x, y


def _grid(y) -> str:
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value)}" y2="{y(value)}"/>'
        f'<text class="level" x="{LEFT - 5}" y="{y(value) + 5}">{100 * value:.0f} %</text>'
        for value in (0, 0.5, 1)
    )


def _axes(x, y, places: Sequence[float]) -> str:
    shown = {places[0], places[len(places) // 2], places[-1]}
    ticks = "".join(f'<text class="tick" x="{x(p):.1f}" y="{HEIGHT - 5}">{p:g}</text>' for p in sorted(shown))
    return _grid(y) + ticks


def _names(ends: list[tuple[float, int, str]]) -> str:
    """Names at the lines' ends, moved apart where they would touch and kept inside the picture."""
    texts, free = [], float(HEIGHT - BOTTOM + 6)
    for height, i, name in sorted(ends, reverse=True):
        place = min(height + 5, free)
        free = place - NAME_HEIGHT
        texts.append((place, i, name))
    lift = min(0.0, free + NAME_HEIGHT - TOP)  # the topmost would leave the picture: all move down
    return "".join(
        f'<text class="name c{i}" x="{WIDTH - RIGHT + 7}" y="{place - lift:.1f}">{escape(_short(name))}</text>'
        for place, i, name in texts
    )


def _short(name: str) -> str:
    return name if len(name) <= 11 else name[:10] + "…"


def _svg(said: str, inside: str) -> str:
    return f'<svg class="dial" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said, quote=True)}">{inside}</svg>'
