"""A run as curves and as a ledger."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, framed
from lora_demo.story import Curve, Story
from lora_demo.units import bytes_text

AXES = {"steps": "steps", "seconds": "seconds of its own training"}


def loss(story: Story, over: str = "steps") -> go.Figure:
    """Training loss of each lane over steps or over the lane's own seconds."""
    return _curves(story.losses, "Training loss", over, story)


def accuracy(story: Story, over: str = "steps") -> go.Figure:
    """Share of validation images each lane gets right, looked at now and then."""
    figure = _curves(story.accuracies, "Right on held-out images", over, story, markers=True)
    return figure.update_yaxes(tickformat=".0%")


def _curves(curves: dict[str, Curve], title: str, over: str, story: Story, markers: bool = False) -> go.Figure:
    """Lanes as lines; each is named at its end, so that nobody has to match a legend."""
    figure = go.Figure()
    ends = []
    for lane, curve in curves.items():
        x = list(getattr(curve, over))
        figure.add_scatter(
            x=x,
            y=list(curve.values),
            mode="lines+markers" if markers else "lines",
            name=LANE_NAMES[lane],
            line=LANE_LINES[lane],
            marker={"size": 7},
            hovertemplate=f"{LANE_NAMES[lane]}: %{{y}}<extra></extra>",
        )
        if x:
            ends.append((x[-1], curve.values[-1], lane))
    framed(figure, title).update_layout(hovermode="x unified", margin={"r": 92})
    figure.update_xaxes(title={"text": AXES[over], "font": {"size": 15}})
    if over == "steps" and story.steps:
        figure.update_xaxes(range=[0, story.steps])
    for (x, y, lane), shift in zip(ends, _apart([y for _, y, _ in ends]), strict=True):
        figure.add_annotation(
            x=x, y=y, text=f"<b>{LANE_NAMES[lane]}</b>", font={"color": LANE_COLOURS[lane], "size": 15},
            showarrow=False, xanchor="left", xshift=8, yshift=shift,
        )  # fmt: skip
    return figure


def _apart(values: list[float], gap: int = 17) -> list[int]:
    """Vertical shifts in pixels that keep the names of lines which end close together from lying on each other."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    middle = (len(values) - 1) / 2
    shifts = [0] * len(values)
    if values and max(values) - min(values) < 0.25 * max(map(abs, values)):
        for place, i in enumerate(order):
            shifts[i] = round((place - middle) * gap)
    return shifts


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
