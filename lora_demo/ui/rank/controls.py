"""The left column: examples, the matrix as text, grid, file or draw, and the two sliders."""

from dataclasses import dataclass

import gradio as gr

from lora_demo.matrices import SUFFIXES, to_text
from lora_demo.ui.rank.bench import LOWEST_POWER, START, default_power, start, start_rank
from lora_demo.ui.rank.examples import EXAMPLES, LABELS, example

LEAD = "How many independent directions does a matrix have, and what is kept when some are dropped?"
KINDS = ["Text", "Grid", "File", "Random"]  # ways to give a matrix


@dataclass(frozen=True)
class Controls:
    """The components of the column; `chips` holds each example's button and key, `panels` one component a kind,
    `settings` the generator's: rows, columns, rank, noise, seed."""

    chips: list[tuple[gr.Button, str]]
    kind: gr.Radio
    panels: list[gr.blocks.Block]
    settings: list[gr.components.Component]
    draw: gr.Button
    wrong: gr.HTML
    note: gr.HTML
    k: gr.Slider
    tolerance: gr.Slider


def build() -> Controls:
    """Lay the column out, on the first example."""
    analysis = start()
    gr.HTML(f'<div class="lead">{LEAD}</div>')
    with gr.Row(elem_classes="chips"):
        chips = [
            (gr.Button(LABELS.get(e.key, e.title), size="sm", elem_id=f"example-{e.key}"), e.key) for e in EXAMPLES
        ]
    kind = gr.Radio(KINDS, value="Text", label="Matrix as", show_label=False, container=False, elem_id="matrix-kind")
    text = gr.Textbox(
        to_text(analysis.matrix),
        lines=4,
        max_lines=4,
        label="Matrix",
        show_label=False,
        elem_id="matrix-text",
        placeholder="paste from a sheet, NumPy, torch, LaTeX ...",
    )
    grid = gr.Dataframe(
        [list(row) for row in analysis.matrix.entries],
        type="array",
        datatype="str",
        interactive=True,
        visible=False,
        label="Matrix, cell by cell",
        show_label=False,
        max_height=220,
        elem_id="matrix-grid",
        buttons=[],
    )
    file = gr.File(label="Matrix file", file_types=list(SUFFIXES), type="filepath", height=150, visible=False)
    with gr.Column(visible=False, elem_classes="random") as random:
        with gr.Row():
            m, n, rank = (
                gr.Number(value, label=label, precision=0, minimum=0, min_width=60)
                for label, value in (("rows", 40), ("columns", 30), ("rank", 3))
            )
            seed = gr.Number(3, label="seed", precision=0, minimum=0, min_width=60)
        noise = gr.Slider(0, 3, 0.5, step=0.05, label="noise on every number", buttons=[])
        draw = gr.Button("Make it", size="sm")
    wrong = gr.HTML(elem_classes="under-box", elem_id="matrix-wrong")
    note = gr.HTML(example(START).lesson, elem_classes="under-box", elem_id="matrix-note")
    k = gr.Slider(
        0, min(analysis.shape), start_rank(analysis), step=1, label="k, directions kept", elem_id="k", buttons=[]
    )
    tolerance = gr.Slider(
        LOWEST_POWER,
        0,
        default_power(analysis),
        step=0.1,
        label="tolerance, power of ten of σ₁",
        elem_id="tolerance",
        buttons=[],
    )
    return Controls(chips, kind, [text, grid, file, random], [m, n, rank, noise, seed], draw, wrong, note, k, tolerance)
