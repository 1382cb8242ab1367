"""How sure each lane is of each class, as bars."""

from __future__ import annotations

import functools
import json
from typing import Any

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_NAMES, framed

CLASSES_SHOWN = 4
HEIGHT = 264  # pixels


def bars(answers: dict[str, dict[str, float]], leading: str, title: str = "How sure each lane is") -> dict[str, Any]:
    """The most likely classes of lane `leading`, with every lane's probability of each; a bar carries its number.

    A figure as plain JSON: to build and check it by `go.Figure` takes 40 ms, which a slider's move does not have.
    """
    classes = list(answers[leading])[:CLASSES_SHOWN]
    layout = _layout()
    layout["title"]["text"] = title
    return {
        "data": [_bars(lane, classes, answers[lane]) for lane in ("full", "lora", "head") if lane in answers],
        "layout": layout,
    }


def _bars(lane: str, classes: list[str], probabilities: dict[str, float]) -> dict[str, Any]:
    name, colour, values = LANE_NAMES[lane], LANE_COLOURS[lane], [probabilities[one] for one in classes]
    return {
        "type": "bar", "orientation": "h", "y": classes, "x": values, "name": name, "marker": {"color": colour},
        "text": [f"{100 * value:.0f} % {name}" for value in values], "textposition": "outside", "constraintext": "none",
        "textfont": {"size": 14, "color": colour}, "cliponaxis": False,
        "hovertemplate": f"{name}, %{{y}}: %{{x:.1%}}<extra></extra>",
    }  # fmt: skip


def _layout() -> dict[str, Any]:
    return json.loads(_layout_text())


@functools.cache
def _layout_text() -> str:
    figure = framed(go.Figure(), "", HEIGHT).update_layout(barmode="group", bargap=0.2, margin={"t": 34, "b": 28})
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(range=[0, 1.3], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return json.dumps(json.loads(figure.to_json(engine="json"))["layout"])
