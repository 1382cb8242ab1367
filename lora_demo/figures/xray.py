"""Charts of what training changed: one layer's spectra, overlaps and intruders; sizes and ranks over the whole network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lora_demo.figures.line_names import name_ends
from lora_demo.figures.palette import FROZEN, INK, LANE_COLOURS, LANE_LINES, LANE_NAMES, MUTED, framed

if TYPE_CHECKING:  # the page is up before torch is imported
    from lora_demo.xray.intruders import Intruders
    from lora_demo.xray.report import LayerXRay, XRay
    from lora_demo.xray.subspaces import Overlap

LIKENESS = "Viridis"  # from 0 to 1: neither a lane's colour nor a matrix's, and ordered by lightness
SMALLEST = 1e-6  # of the largest singular value: what lies below is rounding, and would stretch the axis
TITLE_ABOVE_NAMES = {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 11}}  # where a usual title stands
COLUMN_NAMES = {"full": "full's change", "lora": "LoRA's change", "frozen": "the frozen weight"}


def spectra(layer: LayerXRay, height: int = 320) -> go.Figure:
    """Singular values of each lane's change on one logarithmic axis, the frozen weight's behind them for scale.

    A ring marks the last of those that hold 90 % of a change's energy; their number stands at the line's end.
    """
    figure = go.Figure()
    every = {"frozen": layer.frozen} | {lane: change.singular_values for lane, change in layer.changes.items()}
    top = max(values[0] for values in every.values())
    lines = {"frozen": {"color": FROZEN, "width": 2}, **LANE_LINES}
    for name, values in every.items():
        values = values[values > SMALLEST * top]
        if not len(values):
            continue
        x, colour = np.arange(1, len(values) + 1), MUTED if name == "frozen" else LANE_COLOURS[name]
        figure.add_scatter(
            x=x, y=values, mode="lines", name=name, line=lines[name],
            hovertemplate=f"{COLUMN_NAMES[name]}: σ<sub>%{{x}}</sub> = %{{y:.3g}}<extra></extra>",
        )  # fmt: skip
        text = "<b>frozen W₀</b>"
        if name != "frozen":
            k = layer.changes[name].rank_90
            text = f"<b>{LANE_NAMES[name]}</b><br>90 % in {k}"
            ring = {"symbol": "circle-open", "size": 13, "color": colour, "line": {"width": 3}}
            figure.add_scatter(x=[k], y=[every[name][k - 1]], mode="markers", marker=ring, hoverinfo="skip")
        # From the line's end up: what is left below is the other line's.
        place = {"xanchor": "left", "xshift": 8, "align": "left", "yanchor": "bottom", "yshift": -11}
        _label(figure, np.log10(x[-1]), np.log10(values[-1]), text, colour, **place)
    framed(figure, f"Singular values: {layer.layer.label}", height).update_layout(margin={"r": 104})
    ticks = [k for k in (1, 4, 16, 64, 256, 1024) if k <= len(layer.frozen)]
    figure.update_xaxes(type="log", tickvals=ticks, showgrid=False, range=[-0.35, np.log10(len(layer.frozen)) + 0.02])
    return figure.update_yaxes(type="log", exponentformat="power", dtick=1)


def overlap(found: Overlap, height: int = 340) -> go.Figure:
    """phi(i, j) as a triangle, j at least i, beside the same triangle for random subspaces, on one scale from 0 to 1."""
    p, q = found.phi.shape
    figure = make_subplots(1, 2, horizontal_spacing=0.09, shared_yaxes=True)
    below = np.arange(q)[None] < np.arange(p)[:, None]
    j, i = list(range(1, q + 1)), list(range(1, p + 1))
    for column, values in enumerate((found.phi, found.random), start=1):
        figure.add_heatmap(
            z=np.where(below, np.nan, values).round(3).tolist(), x=j, y=i,
            coloraxis="coloraxis", row=1, col=column, hoverongaps=False,
            hovertemplate="i = %{y}, j = %{x}: %{z:.3f}<extra></extra>",
        )  # fmt: skip
    first, second = (_whose(name) for name in (found.first, found.second))
    framed(figure, f"Shared: i of {first}, j of {second}", height)
    colours = {
        "colorscale": LIKENESS,
        "cmin": 0,
        "cmax": 1,
        "colorbar": {"title": "φ", "thickness": 12, "tickvals": [0, 0.5, 1]},
    }
    figure.update_layout(coloraxis=colours, margin={"t": 76, "r": 30}, title=TITLE_ABOVE_NAMES)
    for place, text in ((0, "<b>measured</b>"), (0.55, "<b>random subspaces</b>")):
        _label(figure, place, 1, text, INK, xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=4)
    figure.update_xaxes(title_text="j", tickformat="d", showgrid=False)
    figure.update_yaxes(autorange="reversed", tickformat="d", showgrid=False)
    return figure.update_yaxes(title_text="i", row=1, col=1)


def intruders(found: Intruders, lane: str, height: int = 340) -> go.Figure:
    """How alike each strong direction of the tuned weight is to every direction of W0; the best match at the row's end."""
    k, q = found.similarity.shape
    figure = go.Figure()
    figure.add_heatmap(
        z=found.similarity.astype(float).round(3).tolist(),
        x=list(range(1, q + 1)), y=list(range(1, k + 1)), zmin=0, zmax=1, colorscale=LIKENESS,
        showscale=False, hovertemplate="tuned %{y}, W₀'s %{x}: |cos| = %{z:.2f}<extra></extra>",
    )  # fmt: skip
    for row, largest in enumerate(found.largest, start=1):
        intruder = largest < found.epsilon
        text = f"<b>{largest:.2f} intruder</b>" if intruder else f"{largest:.2f}"
        _label(figure, 1, row, text, INK if intruder else MUTED, xref="paper", xanchor="left", xshift=6)
    count = f"{found.count} of {k} {'is an intruder' if found.count == 1 else 'are intruders'}"
    framed(figure, f"{LANE_NAMES[lane]}: {count}; a random direction reaches {found.random:.2f}", height)
    figure.update_layout(margin={"r": 112})
    figure.update_xaxes(
        title_text="directions of W₀, strongest first", tickformat="d", showgrid=False, range=[0.5, q + 0.5]
    )
    return figure.update_yaxes(
        title_text="of the tuned weight", autorange="reversed", dtick=1, tickformat="d", showgrid=False
    )


def sizes(found: XRay, height: int = 300) -> go.Figure:
    """||dW|| / ||W0|| by matrix kind and depth, a heatmap a lane on one scale; a cell's customdata is its layer's name."""
    lanes = found.lanes
    figure = make_subplots(1, max(1, len(lanes)), horizontal_spacing=0.05, shared_yaxes=True)
    names = {(layer.layer.kind, layer.layer.depth): layer.layer.name for layer in found.layers}
    largest = max((change.size for layer in found.layers for change in layer.changes.values()), default=1) or 1
    for column, lane in enumerate(lanes, start=1):
        values, kinds = found.sizes(lane), found.kinds
        depths = list(range(values.shape[1]))
        figure.add_heatmap(
            z=values, x=depths, y=kinds, customdata=[[names.get((kind, d)) for d in depths] for kind in kinds],
            text=[["" if np.isnan(v) else f"{100 * v:.1f}" if v < 0.0995 else f"{100 * v:.0f}" for v in row] for row in values],
            texttemplate="%{text}", textfont={"size": 14, "color": INK}, xgap=2, ygap=2, hoverongaps=False,
            zmin=0, zmax=1.6 * largest, showscale=False,  # so that the darkest cell still carries ink
            colorscale=[[0, "rgba(128,128,128,.08)"], [1, LANE_COLOURS[lane]]],
            hovertemplate=f"%{{customdata}}<br>{LANE_NAMES[lane]} moved it by %{{z:.1%}} of W₀<extra></extra>",
            row=1, col=column,
        )  # fmt: skip
        _label(
            figure, 0, 1, f"<b>{LANE_NAMES[lane]}</b>", LANE_COLOURS[lane], xanchor="left", yanchor="bottom", yshift=3,
            xref=f"x{column if column > 1 else ''} domain", yref="y domain",
        )  # fmt: skip
    framed(figure, "Size of the change, percent of W₀'s", height).update_layout(
        margin={"t": 72}, title=TITLE_ABOVE_NAMES
    )
    figure.update_xaxes(title_text="layer", dtick=1, showgrid=False)
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def ranks(found: XRay, height: int = 300) -> go.Figure:
    """The rank that holds 90 % of each layer's change over depth: a point a matrix, a line through each lane's medians."""
    figure, ends, highest = go.Figure(), {}, 0
    for lane in found.lanes:
        layers = [layer for layer in found.layers if lane in layer.changes]
        at = np.array([layer.layer.depth for layer in layers])
        held = np.array([layer.changes[lane].rank_90 for layer in layers])
        figure.add_scatter(
            x=at, y=held, mode="markers", opacity=0.5, marker={"size": 9, "color": LANE_COLOURS[lane]},
            customdata=[layer.layer.name for layer in layers], text=[layer.layer.label for layer in layers],
            hovertemplate=f"{LANE_NAMES[lane]}, %{{text}}: 90 % in %{{y}}<extra></extra>",
        )  # fmt: skip
        depths = np.unique(at)
        medians = [float(np.median(held[at == depth])) for depth in depths]
        figure.add_scatter(x=depths, y=medians, mode="lines", name=lane, line=LANE_LINES[lane], hoverinfo="skip")
        ends[lane], highest = (float(depths[-1]), medians[-1]), max(highest, int(held.max()))
    name_ends(figure, ends, len(depths) if ends else 1, highest)
    framed(figure, "Directions that hold 90 % of the change", height).update_layout(margin={"r": 84})
    figure.update_xaxes(title_text="layer", dtick=1, showgrid=False, range=[-0.3, (max(depths) if ends else 0) + 0.3])
    return figure.update_yaxes(rangemode="tozero")


def _whose(side: str) -> str:
    """A side of an overlap: "lora, seed 1" is "LoRA's change, seed 1"; of a run's name the start is enough."""
    lane, _, apart = side.partition(", ")
    return f"{COLUMN_NAMES[lane]}, {apart[:13]}" if apart else COLUMN_NAMES[lane]


def _label(figure: go.Figure, x: float, y: float, text: str, colour: str, **place) -> None:
    figure.add_annotation(x=x, y=y, text=text, showarrow=False, font={"color": colour, "size": 15}, **place)
