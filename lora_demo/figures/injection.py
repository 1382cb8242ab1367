"""What LoRA changes in a real model: two module trees side by side, and what each choice of layers costs."""

import html

from lora_demo.layer_lab.injection import Cost, Injection
from lora_demo.layer_lab.tree import Line
from lora_demo.settings import TARGETS
from lora_demo.units import bytes_text, share_text

INDENT = 15  # pixels a level


def trees(injection: Injection) -> str:
    """The module tree before and after, line beside line; what became a LoRA layer and what is new is marked."""
    rows = []
    for before, after in zip(injection.before, injection.after, strict=True):
        adapted = before.kind != after.kind
        lane = "lora" if adapted else "head" if after.trained else ""
        rows.append(f"<tr>{_cells(before, '', before.frozen + before.trained)}{_cells(after, lane, after.frozen)}</tr>")
    heads = '<th colspan="2">before</th><th colspan="2">after: <span class="lane lora">● LoRA</span>, '
    heads += '<span class="lane head">● new head</span>, the rest frozen</th>'
    return (
        f'<div class="scroll"><table class="tree" aria-label="Module tree before and after injection">'
        f"<tr>{heads}</tr>{''.join(rows)}</table></div>"
    )


def _cells(line: Line, lane: str, resting: int) -> str:
    name = f"<b>{html.escape(line.name)}</b> " if line.name else ""
    times = f"{line.repeats} × " if line.repeats > 1 else ""
    text = f"{name}{times}{html.escape(line.kind)} {html.escape(line.shape)}"
    figures = [f"{resting:,}"] if resting else []
    if lane:
        text = f'<span class="lane {lane}"><span class="mark">●</span>{text}</span>'
        figures.append(f'<span class="lane {lane}">+{line.trained:,}</span>')
    left = INDENT * line.depth
    return f'<td style="padding-left:{left}px!important">{text}</td><td>{" ".join(figures)}</td>'


def costs(injection: Injection) -> str:
    """One row a choice, the chosen one in bold: what trains, what rests, and the bytes training keeps for it."""
    titles = ("", "layers", "trainable", "of full", "frozen", "gradients", "Adam keeps", "SGD + momentum")
    whole = injection.costs[-1].trained_parameters
    rows = "".join(_cost(cost, whole, cost.choice == injection.targets) for cost in injection.costs)
    head = "".join(f"<th>{title}</th>" for title in titles)
    return (
        f'<div class="scroll"><table class="ledger"><tr>{head}</tr>{rows}</table></div>'
        '<div class="note">Bytes in fp32, the new head included. Plain SGD keeps nothing between steps.</div>'
    )


def _cost(cost: Cost, whole: int, chosen: bool) -> str:
    lane = {"head": "head", "full": "full"}.get(cost.choice, "lora")
    name = {"head": "head only", "full": "full"}.get(cost.choice) or f"LoRA, {TARGETS[cost.choice]}"
    trained = cost.trained_parameters
    cells = (
        str(cost.adapted_layers or "–"),
        f"{trained:,}",
        share_text(trained, whole),
        f"{cost.frozen_parameters:,}",
        bytes_text(cost.gradient_bytes),
        bytes_text(cost.adam_bytes),
        bytes_text(cost.momentum_bytes),
    )
    row = f'<th scope="row" class="lane {lane} choice">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{"chosen" if chosen else ""}">{row}</tr>'
