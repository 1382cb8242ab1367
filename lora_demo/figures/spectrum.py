"""Charts of a spectrum: the singular values, what each rank keeps and costs, and gradient descent on its way down to them."""

import numpy as np
import plotly.graph_objects as go

from lora_demo.figures.palette import FROZEN, INK, LORA, MUTED, framed

GAP, LIFT = 0.1, 0.07  # of the axis: between two labels, and of a label above its mark, clear of the curve
MOST_BARS = 48  # more singular values are drawn as a line
DIRECTION_DASHES = ("solid", "dash", "dot", "dashdot")


def spectrum(singular_values: np.ndarray, tolerance: float, k: int, height: int = 260) -> go.Figure:
    """Singular values on a log axis, the k kept ones in colour, with the tolerance as a line and a mark behind the k-th.

    A value of zero has no place on a log axis: it is written 0 at the bottom.
    """
    values = np.asarray(singular_values, dtype=float)
    index = np.arange(1, len(values) + 1)
    positive = values[values > 0]
    figure = go.Figure()
    if not positive.size:
        figure.add_annotation(
            text="every singular value is 0", showarrow=False, xref="paper", yref="paper", x=0.4, y=0.5
        )
        figure.update_xaxes(visible=False).update_yaxes(visible=False)
        return framed(figure, "Singular values", height)
    bottom = np.log10(min(positive.min(), tolerance if tolerance > 0 else positive.min())) - 0.8
    top = np.log10(max(positive.max(), tolerance)) + 0.5
    hover = "σ<sub>%{x}</sub> = %{y:.4g}<extra></extra>"
    for name, kept, colour in (("kept", index <= k, LORA), ("dropped", index > k, FROZEN)):
        shown = kept & (values > 0)
        if len(values) <= MOST_BARS:
            figure.add_bar(
                x=index[shown], y=values[shown], name=name, marker_color=colour, width=0.55, hovertemplate=hover
            )
        else:
            line = {"color": colour, "width": 4 if name == "kept" else 2.5}
            figure.add_scatter(x=index[shown], y=values[shown], name=name, mode="lines", line=line, hovertemplate=hover)
    for place in index[values == 0][:MOST_BARS]:
        figure.add_annotation(x=place, y=bottom, text="0", yanchor="bottom", showarrow=False)
    if tolerance > 0:
        figure.add_hline(y=tolerance, line={"dash": "dot", "color": MUTED, "width": 2})
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="left",
            xshift=4,
            y=np.log10(tolerance),
            yanchor="middle",
            text="tolerance",
            showarrow=False,
        )
    figure.add_vline(x=k + 0.5, line={"color": INK, "width": 1.5})
    side = "left" if k < 0.7 * len(values) else "right"
    figure.add_annotation(
        x=k + 0.5,
        y=1,
        yref="paper",
        yanchor="bottom",
        xanchor=side,
        text=f"<b>k = {k}</b>",
        showarrow=False,
        font_color=INK,
    )
    framed(figure, "Singular values", height)
    figure.update_layout(bargap=0.3, title_y=0.98, margin_t=52, margin_r=78)
    figure.update_xaxes(range=[0.4, len(values) + 0.9], showgrid=False, tickformat="d")
    if len(values) <= 12:
        figure.update_xaxes(dtick=1)
    decades = max(1, int(np.ceil((top - bottom) / 5)))
    return figure.update_yaxes(type="log", exponentformat="power", dtick=decades, range=[bottom, top])


def eckart_young(
    frobenius: np.ndarray, spectral: np.ndarray, stored: np.ndarray, k: int, height: int = 300
) -> go.Figure:
    """What rank k loses and costs, for every k: errors as shares of the norm, numbers stored as a share of m n.

    Each argument holds one share for each k = 0 ... min(m, n) (1 is the whole); the mark is at `k`.
    """
    ranks = np.arange(len(frobenius))
    lines = (
        ("Frobenius error", frobenius, {"color": LORA, "width": 4}),
        ("spectral error", spectral, {"color": INK, "width": 2, "dash": "dash"}),
        ("numbers stored", stored, {"color": FROZEN, "width": 2.5, "dash": "dot"}),
    )
    top = 1.15
    figure = go.Figure()
    for name, share, line in lines:
        hover = f"k = %{{x}}: {name} %{{y:.2%}}<extra></extra>"
        figure.add_scatter(x=ranks, y=share, mode="lines", name=name, line=line, hovertemplate=hover)
    figure.add_vline(x=k, line={"color": INK, "width": 1})
    left = k > 0.55 * (len(ranks) - 1)
    for (name, share, line), y in zip(lines, _apart([share[k] + LIFT for _, share, _ in lines], GAP, top), strict=True):
        colour = MUTED if line["color"] == FROZEN else line["color"]
        figure.add_scatter(
            x=[k], y=[share[k]], mode="markers", marker={"color": line["color"], "size": 9}, hoverinfo="skip"
        )
        figure.add_annotation(
            x=k,
            y=y,
            text=f"<b>{name} {share[k]:.3g}</b>" if share[k] < 1e-4 else f"<b>{name} {share[k]:.1%}</b>",
            xanchor="right" if left else "left",
            xshift=-9 if left else 9,
            yanchor="middle",
            showarrow=False,
            font_color=colour,
        )
    pays = np.flatnonzero(stored > 1)
    if pays.size and pays[0] > 0:
        figure.add_hline(y=1, line={"color": FROZEN, "width": 1})
    framed(figure, "What rank k loses, and what it stores", height)
    figure.update_xaxes(range=[-0.02 * len(ranks), 1.02 * (len(ranks) - 1)], title_text="k", tickformat="d")
    return figure.update_yaxes(range=[-0.04, top], tickformat=".0%")


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


def descent_loss(steps: np.ndarray, loss: np.ndarray, promised: float, height: int = 300) -> go.Figure:
    """‖A − BA‖² over the steps on a log axis, and the tail of the spectrum, which no rank-k matrix can go below."""
    figure = go.Figure()
    figure.add_scatter(
        x=steps,
        y=loss,
        mode="lines",
        line={"color": LORA, "width": 4},
        hovertemplate="step %{x}: %{y:.4g}<extra></extra>",
    )
    if promised > 0:
        figure.add_hline(y=promised, line={"dash": "dot", "color": MUTED, "width": 2})
        text = f"the SVD's error, {promised:.3g}"
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=np.log10(promised), yanchor="bottom", text=text, showarrow=False
        )
    framed(figure, "Squared error of gradient descent", height)
    figure.update_xaxes(title_text="step", rangemode="tozero")
    return figure.update_yaxes(type="log", exponentformat="power", nticks=6)


def descent_directions(steps: np.ndarray, values: np.ndarray, targets: np.ndarray, height: int = 300) -> go.Figure:
    """Singular values of the product over the steps (`values` [steps, k]), each on its way to its target in A's spectrum."""
    figure = go.Figure()
    for i, target in enumerate(targets):
        figure.add_hline(y=float(target), line={"dash": "dot", "color": MUTED, "width": 1.5})
        line = {"color": LORA, "width": 3, "dash": DIRECTION_DASHES[i % len(DIRECTION_DASHES)]}
        hover = f"step %{{x}}: direction {i + 1} at %{{y:.4g}}<extra></extra>"
        figure.add_scatter(x=steps, y=values[:, i], mode="lines", line=line, hovertemplate=hover)
    for i, target in enumerate(targets[:4]):
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="right",
            y=float(target),
            yanchor="bottom",
            text=f"σ<sub>{i + 1}</sub>",
            showarrow=False,
        )
    framed(figure, "Its singular directions, learned one after another", height)
    figure.update_xaxes(title_text="step", rangemode="tozero")
    return figure.update_yaxes(rangemode="tozero")
