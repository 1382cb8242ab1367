"""Pictures of what the notebook gets wrong, beside what is right."""

import numpy as np
import plotly.graph_objects as go

from lora_demo.figures.matrix import Tile, equation
from lora_demo.figures.palette import FROZEN, FULL, LORA, MUTED, framed
from lora_demo.layer_lab.corrections import Draw, WrongInjection
from lora_demo.layer_lab.frozen_head import STEPS, Progress
from lora_demo.layer_lab.rates import NOTEBOOK_RATE, RATES, Sweep


def outputs(found: WrongInjection) -> str:
    """A query projection's output before and after an injection, on the right one's scale; NaN is drawn as 0."""
    limit = float(np.abs(found.base_output).max())
    after = np.clip(np.nan_to_num(found.output, nan=0.0), -limit, limit)
    name = "after injection (pale: no number)" if np.isnan(found.output).any() else "after injection"
    tiles = [Tile(found.base_output, "before: W₀x + b"), Tile(after, name, "→")]
    return equation(tiles, width=780, height=180, limit=limit)


def head_losses(runs: dict[str, Progress]) -> go.Figure:
    """Loss of each step with the head trained and with it frozen, each line named at its end."""
    names, dashes = {"trained": "head trained", "frozen": "head frozen"}, {"trained": "solid", "frozen": "dot"}
    figure = go.Figure()
    for kind, progress in runs.items():
        steps = np.arange(1, len(progress.losses) + 1)
        line = {"color": LORA, "width": 4, "dash": dashes[kind]}
        figure.add_scatter(x=steps, y=np.array(progress.losses), mode="lines", line=line, name=names[kind])
        if progress.losses:
            named = {"text": f"<b>{names[kind]}</b>", "showarrow": False, "xanchor": "left", "xshift": 10}
            figure.add_annotation(x=steps[-1], y=progress.losses[-1], font_color=LORA, **named)
    framed(figure, "Loss of LoRA on query and value", 260)
    figure.update_xaxes(title_text="steps of 32 images", range=[0, STEPS * 1.2])
    return figure.update_yaxes(range=[0, 2.7])


def draws(kaiming: Draw, gaussian: Draw) -> go.Figure:
    """How the numbers of A spread under each rule, on one axis."""
    figure = go.Figure()
    edges = np.linspace(-0.45, 0.45, 91)
    for name, draw, colour, dash in (("uniform", kaiming, LORA, "solid"), ("Gaussian", gaussian, FROZEN, "dot")):
        density, _ = np.histogram(draw.values, edges, density=True)
        line = {"color": colour, "width": 3, "shape": "hvh", "dash": dash}
        figure.add_scatter(x=(edges[1:] + edges[:-1]) / 2, y=density, mode="lines", line=line, name=name)
    figure.add_annotation(x=0.08, y=6, text="<b>uniform</b>", showarrow=False, xanchor="left", font_color=LORA)
    figure.add_annotation(x=0.2, y=2, text="<b>Gaussian</b>", showarrow=False, xanchor="left", font_color=MUTED)
    framed(figure, "Numbers in A, r = 8, k = 192", 230)
    figure.update_yaxes(showticklabels=False)
    return figure.update_xaxes(title_text="value")


def rates(sweep: Sweep) -> go.Figure:
    """What is left of the loss at each learning rate; the notebook's rate as a line."""
    figure = go.Figure()
    for name, losses, colour, width, side in (("full", sweep.full, FULL, 2.5, -20), ("LoRA", sweep.lora, LORA, 4, 20)):
        best = int(np.argmin(losses))
        figure.add_scatter(
            x=np.array(RATES),
            y=np.array(losses),
            mode="lines+markers",
            line={"color": colour, "width": width},
            marker={"size": [15 if i == best else 7 for i in range(len(RATES))]},
            name=name,
        )
        named = {"text": f"<b>{name}</b>", "showarrow": False, "yshift": side, "font_color": colour}
        figure.add_annotation(x=np.log10(RATES[best]), y=np.log10(losses[best]), **named)
    figure.add_vline(x=NOTEBOOK_RATE, line={"color": FROZEN, "dash": "dot", "width": 2})
    framed(figure, "Loss left after 80 steps, as a share of the first", 300)
    figure.update_xaxes(
        type="log", title_text="learning rate (the large dot is the best)", exponentformat="power", dtick=1
    )
    return figure.update_yaxes(type="log", exponentformat="power", dtick=1, range=[-5, 0.3])
