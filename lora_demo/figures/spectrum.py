"""Charts of a spectrum: the singular values, what each rank keeps and costs, gradient descent on its way down to them.

They come as plain JSON, for they are drawn anew at every move of a slider: a `go.Figure` takes 30 ms to build and check, more
than all the rest of such a move (tests/benchmarks/rank_slider.py). Tests pass them through `go.Figure`, which checks them.
"""

import copy
import functools

import numpy as np
import plotly.graph_objects as go

from lora_demo.figures.palette import FROZEN, INK, LORA, MUTED, framed

GAP, LIFT = 0.1, 0.07  # of the axis: between two labels, and of a label above its mark, clear of the curve
MOST_BARS = 48  # more singular values are drawn as a line
DIRECTION_DASHES = ("solid", "dash", "dot", "dashdot")


def spectrum(singular_values: np.ndarray, tolerance: float, k: int, height: int = 260) -> dict:
    """Singular values on a log axis, the k kept ones in colour, with the tolerance as a line and a mark behind the k-th.

    A value of zero has no place on a log axis: it is written 0 at the bottom.
    """
    values = np.asarray(singular_values, dtype=float)
    positive = values[values > 0]
    if not positive.size:
        nothing = _label("every singular value is 0", x=0.4, y=0.5, xref="paper", yref="paper")
        return _figure(
            "Singular values", height, annotations=[nothing], xaxis={"visible": False}, yaxis={"visible": False}
        )
    ends = [positive.min(), positive.max()] + ([tolerance] if tolerance > 0 else [])
    bottom, top = float(np.log10(min(ends))) - 0.8, float(np.log10(max(ends))) + 0.5
    data = [_values("kept", values, slice(0, k), LORA), _values("dropped", values, slice(k, None), FROZEN)]
    mark = _label(f"<b>k = {k}</b>", x=k + 0.5, y=1, yref="paper", yanchor="bottom", font={"color": INK})
    mark["xanchor"] = "left" if k < 0.7 * len(values) else "right"
    annotations, shapes = [mark], [_upright(k + 0.5, INK, 1.5)]
    annotations += [
        _label("0", x=int(i) + 1, y=bottom, yanchor="bottom") for i in np.flatnonzero(values == 0)[:MOST_BARS]
    ]
    if tolerance > 0:
        shapes.append(_level(tolerance))
        annotations.append(
            _label("tolerance", x=1, xref="paper", xanchor="left", xshift=4, y=float(np.log10(tolerance)))
        )
    xaxis = {"range": [0.4, len(values) + 0.9], "showgrid": False, "tickformat": "d"}
    decades = max(1, int(np.ceil((top - bottom) / 5)))
    return _figure(
        "Singular values",
        height,
        data=data,
        shapes=shapes,
        annotations=annotations,
        xaxis=xaxis | ({"dtick": 1} if len(values) <= 12 else {}),
        yaxis={"type": "log", "exponentformat": "power", "dtick": decades, "range": [bottom, top]},
        margin={"l": 52, "r": 78, "t": 52, "b": 46},
    )


def eckart_young(frobenius: np.ndarray, spectral: np.ndarray, stored: np.ndarray, k: int, height: int = 300) -> dict:
    """What rank k loses and costs, for every k: errors as shares of the norm, numbers stored as a share of m n.

    Each argument holds one share for each k = 0 ... min(m, n) (1 is the whole); the mark is at `k`.
    """
    top, ranks = 1.15, len(frobenius)
    lines = (
        ("Frobenius error", frobenius, {"color": LORA, "width": 4}),
        ("spectral error", spectral, {"color": INK, "width": 2, "dash": "dash"}),
        ("numbers stored", stored, {"color": FROZEN, "width": 2.5, "dash": "dot"}),
    )
    places = _apart([float(share[k]) + LIFT for _, share, _ in lines], GAP, top)
    left = k > 0.55 * (ranks - 1)
    side = {"xanchor": "right", "xshift": -9} if left else {"xanchor": "left", "xshift": 9}
    data, annotations = [], []
    for (name, share, line), place in zip(lines, places, strict=True):
        hover = f"k = %{{x}}: {name} %{{y:.2%}}<extra></extra>"
        data.append(_curve(np.arange(ranks), share, line, hover) | {"name": name})
        here = float(share[k])
        said = f"{here:.1%}" if here == 0 or here >= 5e-4 else "<0.1%"
        colour = MUTED if line["color"] == FROZEN else line["color"]
        annotations.append(_label(f"<b>{name} {said}</b>", x=k, y=place, font={"color": colour}, **side))
    marker = {"size": 9, "color": [line["color"] for _, _, line in lines]}
    marks = {"type": "scatter", "mode": "markers", "x": [k] * 3, "y": [float(share[k]) for _, share, _ in lines]}
    data.append(marks | {"marker": marker, "hoverinfo": "skip"})
    shapes = [_upright(k, INK, 1)]
    if stored[-1] > 1:  # above this line two factors hold more numbers than the matrix
        shapes.append(_level(1, dash="solid", width=1))
    return _figure(
        "What rank k loses, and what it stores",
        height,
        data=data,
        shapes=shapes,
        annotations=annotations,
        xaxis={"range": [-0.02 * ranks, 1.02 * (ranks - 1)], "title": {"text": "k"}, "tickformat": "d"},
        yaxis={"range": [-0.04, top], "tickformat": ".0%"},
    )


def descent_loss(steps: np.ndarray, loss: np.ndarray, promised: float, height: int = 300) -> dict:
    """‖A − BA‖² over the steps on a log axis, and the tail of the spectrum, which no rank-k matrix can go below."""
    curve = _curve(steps, loss, {"color": LORA, "width": 4}, "step %{x}: %{y:.4g}<extra></extra>")
    shapes, annotations = [], []
    if promised > 0:
        shapes.append(_level(promised))
        text = f"the SVD's error, {promised:.3g}"
        annotations.append(
            _label(text, x=1, xref="paper", xanchor="right", y=float(np.log10(promised)), yanchor="bottom")
        )
    yaxis = {"type": "log", "exponentformat": "power"}
    if loss.min() > 0 and loss.max() > 10 * loss.min():
        yaxis["dtick"] = max(1, int(np.log10(loss.max() / loss.min()) / 5))
    title = "Squared error of gradient descent"
    return _figure(title, height, data=[curve], shapes=shapes, annotations=annotations, xaxis=STEPS, yaxis=yaxis)


def descent_directions(steps: np.ndarray, values: np.ndarray, targets: np.ndarray, height: int = 300) -> dict:
    """Singular values of the product over the steps (`values` [steps, k]), each on its way to its target in A's spectrum."""
    data = []
    for i in range(len(targets)):
        line = {"color": LORA, "width": 3, "dash": DIRECTION_DASHES[i % len(DIRECTION_DASHES)]}
        data.append(_curve(steps, values[:, i], line, f"step %{{x}}: direction {i + 1} at %{{y:.4g}}<extra></extra>"))
    annotations = [
        _label(f"σ<sub>{i + 1}</sub>", x=1, xref="paper", xanchor="right", y=float(target), yanchor="bottom")
        for i, target in enumerate(targets[:4])
    ]
    title = "Its singular directions, learned one after another"
    shapes = [_level(float(target), width=1.5) for target in targets]
    yaxis = {"rangemode": "tozero"}
    return _figure(title, height, data=data, shapes=shapes, annotations=annotations, xaxis=STEPS, yaxis=yaxis)


STEPS = {"title": {"text": "step"}, "rangemode": "tozero"}


@functools.cache
def _frame(title: str, height: int) -> dict:
    return framed(go.Figure(go.Scatter()), title, height).to_plotly_json()["layout"]


def _figure(title: str, height: int, data: list[dict] | None = None, *, xaxis: dict, yaxis: dict, **layout) -> dict:
    """Traces in the frame that all charts share, with what is special about this one laid over it."""
    frame = copy.deepcopy(_frame(title, height))
    still = {"automargin": False}  # the margins are known: measuring them costs Plotly a second layout
    axes = {"xaxis": frame["xaxis"] | still | xaxis, "yaxis": frame["yaxis"] | still | yaxis}
    return {"data": data or [], "layout": frame | axes | layout}


def _values(name: str, values: np.ndarray, part: slice, colour: str) -> dict:
    shown = np.arange(len(values))[part]
    shown = shown[values[shown] > 0]
    trace = {"name": name, "x": (shown + 1).tolist(), "y": values[shown].tolist()}
    trace["hovertemplate"] = "σ<sub>%{x}</sub> = %{y:.4g}<extra></extra>"
    if len(values) <= MOST_BARS:
        return trace | {"type": "bar", "width": 0.55, "marker": {"color": colour}}
    return trace | {
        "type": "scatter",
        "mode": "lines",
        "line": {"color": colour, "width": 4 if name == "kept" else 2.5},
    }


def _curve(x: np.ndarray, y: np.ndarray, line: dict, hover: str) -> dict:
    return {"type": "scatter", "mode": "lines", "x": x.tolist(), "y": y.tolist(), "line": line, "hovertemplate": hover}


def _label(text: str, **place) -> dict:
    return {"text": text, "showarrow": False} | place


def _upright(x: float, colour: str, width: float) -> dict:
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": colour, "width": width},
    }


def _level(y: float, dash: str = "dot", width: float = 2) -> dict:
    line = {"color": MUTED, "dash": dash, "width": width}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": y, "y1": y, "line": line}


def _apart(values: list[float], gap: float, top: float) -> list[float]:
    """`values` moved up or down as little as keeps labels `gap` apart and below `top`, their order kept."""
    order = np.argsort(values)
    placed = np.clip(np.asarray(values, dtype=float), 0, top)[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed[-1] = min(placed[-1], top)
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()
