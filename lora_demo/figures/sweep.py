"""A sweep as a chart: accuracy over what was trained, or over the rate, with the lanes that have nothing to sweep as lines."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import plotly.graph_objects as go

from lora_demo.figures.line_names import name_ends
from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, framed
from lora_demo.sweep import INTERVAL, KINDS, Result

NUMBERS = {
    "rank": "parameters trained, r beside each point",
    "rate": "learning rate",
    "alpha": "alpha",
}  # logarithmic axes
MARGIN = 0.08  # of the axes, around what is drawn


def sweep(kind: str, results: Sequence[Result], height: int = 340) -> go.Figure:
    """Test accuracy of every cell with its 95 % interval; several seeds are small points beside the mean."""
    figure = framed(go.Figure(), f"Right on test images, over the {KINDS[kind]}", height)
    figure.update_layout(margin={"r": 96})
    done = [one for one in results if one.accuracies]
    cells = {lane: [one for one in done if one.lane == lane and one.value is not None] for lane in ("full", "lora")}
    places = _places(kind, [one for of in cells.values() for one in of])
    right = max(places.values(), default=1) + MARGIN * (len(places) if kind not in NUMBERS else _span(places) or 1)
    ends = {}
    for lane, swept in cells.items():
        if swept:
            swept.sort(key=lambda one: places[_x(kind, one)])
            _line(figure, kind, lane, swept)
            ends[lane] = (right, swept[-1].accuracy)
    for one in (one for one in done if one.value is None):
        figure.add_hline(y=one.accuracy, line={**LANE_LINES[one.lane], "width": 2})
        ends[one.lane] = (right, one.accuracy)
    low = min((min(one.accuracy - INTERVAL * one.standard_error, *one.accuracies) for one in done), default=0)
    high = max((max(one.accuracy + INTERVAL * one.standard_error, *one.accuracies) for one in done), default=1)
    name_ends(figure, ends, 1, high - low)
    _x_axis(figure, kind, places, right)
    return figure.update_yaxes(tickformat=".0%", range=[low - MARGIN * (high - low), high + MARGIN * (high - low)])


def _line(figure: go.Figure, kind: str, lane: str, cells: list[Result]) -> None:
    x = [_x(kind, one) for one in cells]
    figure.add_scatter(
        x=x, y=[one.accuracy for one in cells], mode="lines+markers+text", name=lane, line=LANE_LINES[lane],
        text=[f" {one.value}" if kind == "rank" else "" for one in cells], textposition="top right",
        textfont={"size": 15, "color": LANE_COLOURS[lane]}, cliponaxis=False,
        customdata=[f"{LANE_NAMES[lane]}, {KINDS[kind]} {one.value}" for one in cells],
        error_y={"array": [INTERVAL * one.standard_error for one in cells], "thickness": 1, "width": 4},
        hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    seeds = [
        (at, accuracy) for at, one in zip(x, cells, strict=True) for accuracy in one.accuracies if one.accuracies[1:]
    ]
    if seeds:
        figure.add_scatter(
            x=[at for at, _ in seeds], y=[accuracy for _, accuracy in seeds], mode="markers", hoverinfo="skip", opacity=0.5,
            marker={"size": 6, "color": LANE_COLOURS[lane]},
        )  # fmt: skip


def _x(kind: str, one: Result) -> float | str:
    """Where a cell stands on the axis."""
    if kind == "rank":
        return one.parameters
    return one.value if kind in NUMBERS else str(one.value).replace("_", " ")


def _places(kind: str, cells: Sequence[Result]) -> dict[float | str, float]:
    """Plotly's own coordinate of every x: its logarithm, or its number among the names."""
    found = list(dict.fromkeys(_x(kind, one) for one in cells))
    return {x: log10(x) for x in sorted(found)} if kind in NUMBERS else {x: i for i, x in enumerate(found)}


def _span(places: dict[float | str, float]) -> float:
    return max(places.values(), default=0) - min(places.values(), default=0)


def _x_axis(figure: go.Figure, kind: str, places: dict[float | str, float], right: float) -> None:
    figure.update_xaxes(title_text=NUMBERS.get(kind, ""), showgrid=False, type="log" if kind in NUMBERS else "category")
    if not places:
        figure.update_xaxes(visible=False, range=[0, right])
        return
    left = min(places.values()) - (right - max(places.values()))
    figure.update_xaxes(range=[left, right])
    if kind in NUMBERS:
        figure.update_xaxes(tickvals=list(places), ticktext=[_number(x) for x in places])


def _number(x: float) -> str:
    """ "6.5k", "0.001", "3·10" with a raised "−5"."""
    if x >= 1000:
        return f"{x / 1000:.3g}k"
    if x >= 1e-4:
        return f"{x:g}"
    digit, exponent = f"{x:.0e}".split("e-")
    return f"{'' if digit == '1' else f'{digit}·'}10<sup>−{int(exponent)}</sup>"
