"""A run as curves and as a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, framed
from lora_demo.story import Story
from lora_demo.units import bytes_text

PLOT_HEIGHT, NAME_HEIGHT = 210, 18  # pixels: the drawing area of a chart, and a name beside it
AXES = {"steps": "steps", "seconds": "seconds of its own training"}


def loss(story: Story, over: str = "steps") -> go.Figure:
    """Training loss of each lane, smoothed, over steps or the lane's own seconds; each step's own loss stays faintly visible."""
    figure = _frame("Training loss, smoothed", over, story)
    for lane, curve in story.losses.items():
        x = list(getattr(curve, over))
        faint = {"color": LANE_COLOURS[lane], "width": 1}
        figure.add_scatter(x=x, y=list(curve.values), mode="lines", line=faint, opacity=0.25, hoverinfo="skip")
        _add_line(figure, lane, x, smoothed(curve.values))
    return _named(figure, [trace for trace in figure.data if trace.name])


def accuracy(story: Story, over: str = "steps") -> go.Figure:
    """Share of validation images each lane gets right, looked at now and then."""
    figure = _frame("Right on held-out images", over, story).update_yaxes(tickformat=".0%")
    for lane, curve in story.accuracies.items():
        _add_line(figure, lane, list(getattr(curve, over)), list(curve.values), mode="lines+markers")
    return _named(figure, figure.data)


def smoothed(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential moving average, each value divided by the weight it has seen so far, so that the start is not pulled to 0."""
    mean, seen, result = 0.0, 0.0, []
    for value in values:
        mean, seen = weight * mean + (1 - weight) * value, weight * seen + (1 - weight)
        result.append(round(mean / seen, 4))
    return result


def _frame(title: str, over: str, story: Story) -> go.Figure:
    figure = framed(go.Figure(), title).update_layout(hovermode="x unified", margin={"r": 92})
    figure.update_xaxes(title={"text": AXES[over], "font": {"size": 15}})
    if over == "steps" and story.steps:
        figure.update_xaxes(range=[0, story.steps])
    return figure


def _add_line(figure: go.Figure, lane: str, x: list[float], y: list[float], mode: str = "lines") -> None:
    hover = f"{LANE_NAMES[lane]}: %{{y}}<extra></extra>"
    figure.add_scatter(
        x=x, y=y, mode=mode, name=lane, line=LANE_LINES[lane], marker={"size": 7}, hovertemplate=hover, cliponaxis=False
    )


def _named(figure: go.Figure, lines: Sequence[go.Scatter]) -> go.Figure:
    """Write each lane's name at its line's end, so that nobody has to match a legend; names that would touch are moved apart."""
    lines = sorted((line for line in lines if line.y), key=lambda line: line.y[-1])
    every = [value for trace in figure.data for value in trace.y or ()]
    span = (max(every) - min(every) or 1) if every else 1
    heights = [PLOT_HEIGHT * line.y[-1] / span for line in lines]
    apart = list(heights)
    for i in range(1, len(apart)):
        apart[i] = max(apart[i], apart[i - 1] + NAME_HEIGHT)
    drift = (sum(apart) - sum(heights)) / max(1, len(apart))
    for line, height, place in zip(lines, heights, apart, strict=True):
        figure.add_annotation(
            x=line.x[-1], y=line.y[-1], text=f"<b>{LANE_NAMES[line.name]}</b>", xanchor="left", xshift=9,
            yshift=round(place - drift - height), font={"color": LANE_COLOURS[line.name], "size": 15}, showarrow=False,
        )  # fmt: skip
    return figure


COLUMNS = (
    ("accuracy", "test accuracy", lambda v: "—" if v is None else f"{100 * v:.1f} %"),
    ("loss", "test loss", lambda v: "—" if v is None else f"{v:.3f}"),
    ("trainable_parameters", "trained parameters", "{:,}".format),
    ("optimizer_bytes", "optimizer", bytes_text),
    ("checkpoint_bytes", "file to keep", bytes_text),
    ("seconds", "training", "{:.1f} s".format),
    ("images_per_second", "speed", lambda v: "—" if v is None else f"{v:.0f} images/s"),
)


def ledger(story: Story) -> str:
    """What was measured, a row a lane, as an HTML table; before the end what is known of each lane already."""
    lanes = story.finished.lanes if story.finished else {}
    names = lanes or (story.prepared.lanes if story.prepared else {})
    head = "".join(f"<th scope='col'>{title}</th>" for _, title, _ in COLUMNS)
    rows = []
    for lane in sorted(names, key=["full", "lora", "head"].index):
        known = {**names[lane], "seconds": story.seconds.get(lane), **lanes.get(lane, {})}
        cells = "".join(
            f"<td>{escape(show(known[key])) if known.get(key) is not None else '—'}</td>" for key, _, show in COLUMNS
        )
        rows.append(f"<tr><th scope='row' class='lane {lane}'>{LANE_NAMES[lane]}</th>{cells}</tr>")
    table = f"<thead><tr><th>lane</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<div class='scroll'><table class='ledger'>{table}</table></div>"
