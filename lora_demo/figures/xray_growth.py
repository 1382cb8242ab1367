"""Chart of a layer's change at one step of the run: the largest singular values then, on the axes of the whole run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lora_demo.events import Spectra
from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, framed

LANES = ("lora", "full")
SMALLEST = 1e-4  # of the largest singular value of the run: where the axis ends


def growth(told: Sequence[Spectra], layer: str, label: str, step: int, height: int = 340) -> go.Figure:
    """The singular values of both lanes' changes of `layer` as last told by `step`; dotted, as they were at the end.

    The axes span the run, so that nothing moves but the lines. `label` is the layer as a person reads it.
    """
    moments = {
        lane: [(one.step, one.lanes[lane][layer]) for one in told if layer in one.lanes.get(lane, {})] for lane in LANES
    }
    moments = {lane: found for lane, found in moments.items() if found}
    every = np.array([value for found in moments.values() for _, values in found for value in values] or [1.0])
    top = every.max() or 1.0
    low = max(SMALLEST * top, every[every > 0].min(initial=top))
    figure, longest = go.Figure(), 1
    for lane, found in moments.items():
        end = found[-1][1]
        then = next((values for at, values in reversed(found) if at <= step), [])
        longest = max(longest, len(end))
        _line(figure, lane, end, low, line=LANE_LINES[lane] | {"dash": "dot", "width": 1.5}, mode="lines")
        _line(figure, lane, then, low, line=LANE_LINES[lane], mode="lines+markers", marker={"size": 8})
        if seen := [(i, value) for i, value in enumerate(then, start=1) if value >= low]:
            figure.add_annotation(
                x=seen[-1][0], y=np.log10(seen[-1][1]), text=f"<b>{LANE_NAMES[lane]}</b>", showarrow=False, xanchor="left",
                xshift=10, font={"color": LANE_COLOURS[lane], "size": 15},
            )  # fmt: skip
    framed(figure, f"Singular values after step {step}: {label}", height).update_layout(margin={"r": 60})
    figure.update_xaxes(tickformat="d", dtick=1, showgrid=False, range=[0.7, longest + 0.3])
    limits = [np.log10(low) - 0.1, np.log10(top) + 0.1]
    return figure.update_yaxes(type="log", exponentformat="power", dtick=1, range=limits)


def _line(figure: go.Figure, lane: str, values: Sequence[float], low: float, **look) -> None:
    figure.add_scatter(
        x=list(range(1, len(values) + 1)), y=[value if value >= low else None for value in values], name=lane,
        hovertemplate=f"{LANE_NAMES[lane]}: σ<sub>%{{x}}</sub> = %{{y:.3g}}<extra></extra>", **look,
    )  # fmt: skip
