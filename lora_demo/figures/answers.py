"""How sure each lane is of each class, as bars."""

from __future__ import annotations

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_NAMES, framed

CLASSES_SHOWN = 4


def bars(answers: dict[str, dict[str, float]], leading: str) -> go.Figure:
    """The most likely classes of lane `leading`, with every lane's probability of each; a bar carries its number."""
    classes = list(answers[leading])[:CLASSES_SHOWN]
    figure = go.Figure()
    lanes = [lane for lane in ("full", "lora", "head") if lane in answers]
    for lane in lanes:
        values = [answers[lane][name] for name in classes]
        figure.add_bar(
            y=classes, x=values, orientation="h", name=LANE_NAMES[lane], marker={"color": LANE_COLOURS[lane]},
            text=[f"{100 * value:.0f} % {LANE_NAMES[lane]}" for value in values], textposition="outside", constraintext="none",
            textfont={"size": 14, "color": LANE_COLOURS[lane]}, cliponaxis=False,
            hovertemplate=f"{LANE_NAMES[lane]}, %{{y}}: %{{x:.1%}}<extra></extra>",
        )  # fmt: skip
    framed(figure, "How sure each lane is", 420).update_layout(barmode="group", bargap=0.24)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(range=[0, 1.3], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
