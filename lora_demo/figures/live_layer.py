"""The small layer that learns: its forward pass and its gradients as matrices, its loss as a line."""

import numpy as np
import plotly.graph_objects as go

from lora_demo.figures.matrix import Tile, equation, number
from lora_demo.figures.palette import LORA, framed
from lora_demo.layer_lab.live import Moment, Pass

LIMIT = 2.5  # where the colour scale ends, the same for all matrices and all steps
CELL, GAP = 44, 46  # the cell a number of two decimals fills at 14 px


def down_and_up(moment: Moment, seen: Pass) -> str:
    """A x, then B A x: each input, a column, through r numbers and back to d."""
    return _row(
        _tile(moment.A, "A"),
        _tile(seen.x, "x", "·"),
        _tile(seen.Ax, "Ax", "="),
        _tile(moment.B, "B", " "),
        _tile(seen.BAx, "BAx", "· Ax ="),
    )


def sum_and_goal(seen: Pass, scaling: float) -> str:
    """h = W0 x + s B A x, and what h should become."""
    return _row(
        _tile(seen.h, "h"),
        _tile(seen.W0x, "W₀x", "="),
        _tile(seen.BAx, "BAx", f"+ {scaling:g} ·"),
        _tile(seen.goal, "goal for h", "→"),
    )


def gradients(seen: Pass) -> str:
    """What the loss asks of B and of A."""
    return _row(_tile(seen.grad_B, "∂L/∂B"), _tile(seen.grad_A, "∂L/∂A", " "))


def loss_curve(losses: tuple[float, ...]) -> go.Figure:
    """The loss after each step, on a logarithmic axis; the last one marked and named."""
    last = len(losses) - 1
    figure = go.Figure()
    figure.add_scatter(x=np.arange(last + 1), y=np.array(losses), mode="lines", line={"color": LORA, "width": 4})
    figure.add_scatter(
        x=[last],
        y=[losses[-1]],
        mode="markers+text",
        marker={"color": LORA, "size": 10},
        text=[f"{losses[-1]:.3g}"],
        textposition="top right",
        textfont={"size": 15, "color": LORA},
        cliponaxis=False,
    )
    framed(figure, "Loss: mean square of goal − h", 235)
    figure.update_xaxes(title_text="steps", range=[-0.5, max(20, last * 1.15)])
    return figure.update_yaxes(type="log", exponentformat="power", range=[-6.3, 1], dtick=2)


def _tile(values: np.ndarray, name: str, before: str = "") -> Tile:
    texts = [[number(round(float(value), 2)) for value in row] for row in values]
    return Tile(values, name, before, texts)


def _row(*tiles: Tile) -> str:
    rows = max(tile.values.shape[0] for tile in tiles)
    columns = sum(tile.values.shape[1] for tile in tiles)
    return equation(tiles, width=columns * CELL + GAP * len(tiles), height=rows * CELL, limit=LIMIT)
