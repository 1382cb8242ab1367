"""Charts of what a changed network still gets right: its changes cut to rank k, and its old task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from lora_demo.figures.line_names import name_ends
from lora_demo.figures.palette import FROZEN, LANE_COLOURS, LANE_LINES, LANE_NAMES, MUTED, framed

if TYPE_CHECKING:  # the page is up before torch is imported
    from lora_demo.xray.evaluation import Score

INTERVAL = 1.96  # standard errors: 95 % of a normal distribution


def truncation(
    scores: Sequence[Score],
    ranks: Sequence[int] = (),
    swept: Mapping[int, float] | None = None,
    height: int = 340,
) -> go.Figure:
    """Accuracy over the rank k that every change was cut to, k = 0 included; bars are 95 % intervals.

    `ranks`: the k still to come, for which the axis keeps a place. `swept`: what LoRA reached when trained at these ranks.
    """
    figure = go.Figure()
    curves = {lane: sorted((s for s in scores if s.lane == lane), key=lambda s: s.k) for lane in ("full", "lora")}
    curves = {lane: curve for lane, curve in curves.items() if curve}
    for lane, curve in curves.items():
        figure.add_scatter(
            x=[_place(score.k) for score in curve], y=[score.accuracy for score in curve], mode="lines+markers", name=lane,
            line=LANE_LINES[lane], marker={"size": 8}, cliponaxis=False, customdata=[score.k for score in curve],
            error_y={"array": [INTERVAL * score.standard_error for score in curve], "thickness": 1, "width": 0},
            hovertemplate=f"{LANE_NAMES[lane]} at rank %{{customdata}}: %{{y:.1%}}<extra></extra>",
        )  # fmt: skip
    if swept:
        ring = {"symbol": "circle-open", "size": 12, "color": LANE_COLOURS["lora"], "line": {"width": 3}}
        figure.add_scatter(
            x=[_place(k) for k in swept], y=list(swept.values()), mode="markers", marker=ring, customdata=list(swept),
            hovertemplate="LoRA trained at rank %{customdata}: %{y:.1%}<extra></extra>",
        )  # fmt: skip
    images = scores[0].images if scores else 0
    framed(figure, f"Right when cut to rank k{f' ({images:,} test images)' if images else ''}", height)
    figure.update_layout(margin={"r": 96})
    shown = sorted({score.k for score in scores} | set(ranks) | set(swept or ())) or [0, 1]
    every = [score.accuracy for score in scores]
    ends = {lane: (_place(curve[-1].k), curve[-1].accuracy) for lane, curve in curves.items()}
    name_ends(figure, ends, _place(shown[-1]), max(every, default=1) - min(every, default=0))
    figure.update_xaxes(
        title_text="k", tickvals=[_place(k) for k in shown], ticktext=[f"{k}" for k in shown], showgrid=False,
        range=[-0.25, _place(shown[-1]) + 0.1],
    )  # fmt: skip
    return figure.update_yaxes(tickformat=".0%")


def forgetting(scores: Sequence[Score], height: int = 240) -> go.Figure:
    """Accuracy on the backbone's own task before training, "frozen", and after it, a bar a lane with what it lost."""
    before = next((score.accuracy for score in scores if score.lane == "frozen"), None)
    figure = go.Figure()
    names = [{"frozen": "before"}.get(score.lane) or LANE_NAMES[score.lane] for score in scores]
    figure.add_bar(
        y=names, x=[score.accuracy for score in scores], orientation="h", width=0.62, cliponaxis=False,
        marker={"color": [LANE_COLOURS.get(score.lane, FROZEN) for score in scores]},
        error_x={"array": [INTERVAL * score.standard_error for score in scores], "thickness": 1.5, "width": 0, "color": MUTED},
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    for name, score in zip(names, scores, strict=True):
        text = f"<b>{100 * score.accuracy:.1f} %</b>"
        if score.lane != "frozen" and before is not None:
            text += f" ({100 * (score.accuracy - before):+.1f})".replace("-", "−")
        figure.add_annotation(
            x=score.accuracy + INTERVAL * score.standard_error, y=name, text=text, showarrow=False, xanchor="left", xshift=8,
            font={"size": 15, "color": LANE_COLOURS.get(score.lane, MUTED)},
        )  # fmt: skip
    images = scores[0].images if scores else 0
    framed(figure, f"Its old task{f' ({images:,} images)' if images else ''}", height).update_layout(margin={"r": 110})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(tickformat=".0%", rangemode="tozero")


def _place(k: int) -> float:
    """Where k stands on an axis that is logarithmic but has a zero: log2(k + 1)."""
    return float(np.log2(k + 1))
