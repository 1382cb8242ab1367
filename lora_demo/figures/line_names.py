"""Names at the ends of lines, so that nobody has to match a legend."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from lora_demo.figures.palette import LANE_COLOURS, LANE_NAMES

NAME_HEIGHT, NAME_WIDTH = 18, 0.15  # pixels; share of the axis
PLOT_HEIGHT = 210  # pixels of a usual chart's drawing area


def name_ends(figure: go.Figure, ends: Mapping[str, tuple[float, float]], width: float, height: float) -> None:
    """Write each lane's name at its line's end (x, y); names that would touch are moved apart.

    `width` and `height` are what the axes span.
    """
    placed: list[tuple[float, float]] = []  # x, and pixels up from zero
    for lane, (x, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        at = PLOT_HEIGHT * y / (height or 1)
        lowest = [pixels + NAME_HEIGHT for other, pixels in placed if abs(x - other) < NAME_WIDTH * width]
        place = max([at, *lowest])
        placed.append((x, place))
        figure.add_annotation(
            x=x, y=y, text=f"<b>{LANE_NAMES[lane]}</b>", xanchor="left", xshift=11, yshift=round(place - at),
            font={"color": LANE_COLOURS[lane], "size": 15}, showarrow=False,
        )  # fmt: skip
