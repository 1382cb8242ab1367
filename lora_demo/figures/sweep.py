"""A sweep as a chart: accuracy over what was trained, or over the rate, with the lanes that have nothing to sweep as lines."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, framed
from lora_demo.sweep import INTERVAL, KINDS, Result

PLACED = {"rank": "parameters trained, r beside each point", "rate": "learning rate", "alpha": "alpha"}


def sweep(kind: str, results: Sequence[Result], height: int = 340) -> go.Figure:
    """Test accuracy of every cell with its 95 % interval; several seeds are small points beside the mean."""
    figure = go.Figure()
    for lane in ("full", "lora"):
        cells = sorted(
            (one for one in results if one.lane == lane and one.value is not None and one.accuracies), key=_order(kind)
        )
        if not cells:
            continue
        x = [_place(kind, one) for one in cells]
        names = [f"{LANE_NAMES[lane]}, {KINDS[kind]} {one.value}" for one in cells]
        figure.add_scatter(
            x=x, y=[one.accuracy for one in cells], mode="lines+markers+text", name=lane, line=LANE_LINES[lane],
            text=[f" {one.value}" if kind == "rank" else "" for one in cells], textposition="top right",
            textfont={"size": 15, "color": LANE_COLOURS[lane]}, customdata=names,
            error_y={"array": [INTERVAL * one.standard_error for one in cells], "thickness": 1, "width": 4},
            hovertemplate="%{customdata}: %{y:.1%}<extra></extra>", cliponaxis=False,
        )  # fmt: skip
        for at, one in zip(x, cells, strict=True):
            if len(one.accuracies) > 1:
                figure.add_scatter(
                    x=[at] * len(one.accuracies), y=one.accuracies, mode="markers", hoverinfo="skip", opacity=0.5,
                    marker={"size": 6, "color": LANE_COLOURS[lane]},
                )  # fmt: skip
        if kind == "rate":
            figure.add_annotation(
                x=_log10(x[-1]), y=cells[-1].accuracy, text=f"<b>{LANE_NAMES[lane]}</b>", showarrow=False, xanchor="left",
                xshift=10, font={"size": 15, "color": LANE_COLOURS[lane]},
            )  # fmt: skip
    for one in results:
        if one.value is None and one.accuracies:
            figure.add_hline(
                y=one.accuracy, line={**LANE_LINES[one.lane], "width": 2}, annotation_text=f"<b>{LANE_NAMES[one.lane]}</b>",
                annotation_position="top right", annotation_font={"size": 15, "color": LANE_COLOURS[one.lane]},
            )  # fmt: skip
    framed(figure, f"Right on test images, over the {KINDS[kind]}", height).update_layout(margin={"r": 96})
    figure.update_xaxes(title_text=PLACED.get(kind, ""), type="log" if kind in PLACED else "category")
    return figure.update_yaxes(tickformat=".0%")


def _order(kind: str):
    return (lambda one: _place(kind, one)) if kind in PLACED else (lambda one: 0)


def _place(kind: str, one: Result):
    return one.parameters if kind == "rank" else str(one.value).replace("_", " ") if kind not in PLACED else one.value


def _log10(value: float) -> float:
    from math import log10

    return log10(value)
