"""A run as curves, as a ledger and as pictures.

The curves are drawn in the browser (assets/front/race.js): axis, smoothing, log scale and scrubbing then ask nobody, and a live
update carries new points alone. What they look like is said here: `frames` once, and `view` with the numbers of a story.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_LINES, LANE_NAMES, MUTED, framed
from lora_demo.story import Curve, Story

ORDER = ("full", "lora", "head")  # from the most trained to the least
HEIGHT = 300
MARKED = {
    "rates": "new rates",
    "continued": "continued",
    "early stop": "early stop",
    "broke": "broke",
    "time is up": "time is up",
}


def frames() -> dict[str, Any]:
    """What stays the same while a run is drawn: the two charts without data, and each lane's name, colour and line."""
    return {
        "loss": _layout(_frame("Training loss; dots: on held-out images")),
        "accuracy": _layout(_frame("Right on held-out images").update_yaxes(tickformat=".0%")),
        "lanes": {lane: {"name": LANE_NAMES[lane], "line": LANE_LINES[lane]} for lane in ORDER},
        "axes": {"steps": "steps", "images": "images seen", "seconds": "seconds of its own training"},
    }


def view(story: Story, earlier: Mapping[str, Story] | None = None) -> dict[str, Any]:
    """The numbers of a run, and of `earlier` ones by name, as race.js draws them."""
    return {
        "steps": story.steps,
        "batch": story.settings.get("batch_size", 1),
        "lanes": _curves(story),
        "marks": [
            {"step": change.step, "text": MARKED[change.what]} for change in story.changes if change.what in MARKED
        ],
        "over": story.over,
        "earlier": {
            name: {"batch": old.settings.get("batch_size", 1), "lanes": _curves(old)}
            for name, old in (earlier or {}).items()
        },
    }


def _curves(story: Story) -> dict[str, dict[str, str]]:
    kinds = {"loss": story.losses, "held_out": story.held_out_losses, "accuracy": story.accuracies}
    return {
        lane: {kind: _points(curves[lane]) for kind, curves in kinds.items() if lane in curves}
        for lane in ORDER
        if lane in story.losses
    }


def _points(curve: Curve) -> str:
    """A line of text a point, "step seconds value" and, of several seeds, "low high".

    Of a text that grew Gradio sends what is new; and the page copies its values often, piece by piece.
    """
    columns = (curve.steps, curve.seconds, curve.values, curve.low, curve.high)
    points = zip(*(column for column in columns if column), strict=True)
    return "".join(" ".join(map(str, point)) + "\n" for point in points)


def _frame(title: str) -> go.Figure:
    figure = framed(go.Figure(), title, HEIGHT).update_layout(hovermode="x unified", margin={"r": 92})
    return figure.update_xaxes(
        title={"font": {"size": 15}}, showspikes=True, spikethickness=1, spikecolor=MUTED, spikedash="dot"
    )


def _layout(figure: go.Figure) -> dict:
    return json.loads(figure.to_json(engine="json"))["layout"]


def spectrum(story: Story, lane: str, layer: str) -> tuple[dict[str, Any], str]:
    """The largest singular values of one layer's change over the steps: a figure with a line each, and its rows.

    A row is a line of text, "step s1 s2 ...", so that a live update carries new ones alone.
    """
    told = [event for event in story.spectra if layer in event.lanes.get(lane, {})]
    what = "s·BA" if lane == "lora" else "W − W0"
    figure = framed(go.Figure(), f"Singular values of {what} in one layer as it learns", HEIGHT)
    figure.update_layout(hovermode="x", margin={"r": 40}).update_xaxes(title={"text": "steps", "font": {"size": 15}})
    if story.steps:
        figure.update_xaxes(range=[0, story.steps])
    count = max((len(event.lanes[lane][layer]) for event in told), default=0)
    data = [
        {"type": "scatter", "mode": "lines", "line": {"color": LANE_COLOURS[lane], "width": 3 if i == 0 else 2},
         "opacity": round(1 - 0.75 * i / max(1, count), 2), "hovertemplate": f"σ{_subscript(i + 1)} %{{y:.3g}}<extra></extra>"}
        for i in range(count)
    ]  # fmt: skip
    rows = (" ".join(map(str, (event.step, *event.lanes[lane][layer]))) + "\n" for event in told)
    return {"data": data, "layout": _layout(figure)}, "".join(rows)


def _subscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def layers(story: Story, lane: str) -> list[str]:
    """Names of the layers whose spectrum `lane` has told."""
    return list(next((event.lanes[lane] for event in reversed(story.spectra) if event.lanes.get(lane)), {}))
