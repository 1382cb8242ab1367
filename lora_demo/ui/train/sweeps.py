"""The sweep: how much rank, which rate? The form's run once a cell, live as cells end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import escape

import gradio as gr

from lora_demo import runs, sweep
from lora_demo.figures import sweep as figures
from lora_demo.figures.palette import LANE_NAMES
from lora_demo.settings import Settings
from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.download import download
from lora_demo.ui.edge import spoken
from lora_demo.ui.outbox import new_file
from lora_demo.ui.section import section
from lora_demo.ui.session import owner_of
from lora_demo.ui.train import form
from lora_demo.ui.train.following import REFERENCE

LIMIT = (
    "Every cell is the form’s run for one lane alone, with the same steps; alpha stays as ranks change. Cells that are done are "
    "kept: Start goes on where a sweep was stopped."
)


def build(owner: gr.Textbox, form_values: list) -> None:
    """Lay out the section."""
    section("Sweep: how much rank, which rate?", LIMIT)
    with gr.Row(elem_classes="chips"):
        kind = gr.Radio(
            [(name, key) for key, name in sweep.KINDS.items()], value="rank", label="Over", container=False,
            show_label=False, elem_classes="switch", elem_id="sweep-kind",
        )  # fmt: skip
        start = gr.Button("Start the sweep", size="sm", elem_id="sweep-start")
        stop = gr.Button("Stop", size="sm", elem_id="sweep-stop")
        download("Sweep as CSV", _csv, [kind, owner, *form_values], "sweep-csv", size="sm")
    kept = sweep.recorded(runs.record(REFERENCE))
    said = gr.HTML(_recorded(kept), elem_id="sweep-said")
    drawn = chart(
        figures.sweep("rank", kept) if kept else None,
        label="Test accuracy of every cell of the sweep", height=340, elem_id="sweep-chart",
    )  # fmt: skip
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    growing = start.click(spoken(_sweep), [kind, owner, *form_values], [said, drawn], **streaming)
    stop.click(
        lambda: gr.skip(), None, said, cancels=[growing], queue=False, show_progress="hidden", api_visibility="private"
    )


async def _sweep(kind: str, owner: str, request: gr.Request, *values) -> AsyncIterator[tuple]:
    settings, drawn = Settings.parse(form.asked(values)), None
    total = len(sweep.cells(kind, settings))
    async for found, cell in sweep.run(kind, settings, owner_of(owner, request)):
        new = drawn != len(found)
        drawn = len(found)
        yield _said(kind, found, cell, total), figure_text(figures.sweep(kind, found)) if new else gr.skip()


def _recorded(kept: list[sweep.Result]) -> str:
    """What is said of the sweep that comes with the recorded run; nothing where none does."""
    if not kept:
        return ""
    steps, seeds = runs.record(REFERENCE).settings.steps, len(kept[0].accuracies)
    facts = (f"recorded, {steps} steps a cell, seeds: {seeds}", "Start makes your own from the form")
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    return f'<div class="headline">{escape(sweep.verdict("rank", kept))}</div><div class="facts">{told}</div>'


def _said(kind: str, found: list[sweep.Result], cell: sweep.Cell | None, total: int) -> str:
    text = f"{len(found)} of {total} cells are done"
    if cell is not None:
        text += f"; {_name(kind, cell)} is in work"
    elif verdict := sweep.verdict(kind, found):
        text = verdict
    broke = [_name(kind, one) for one in found if not one.accuracies]
    facts = f'<div class="facts"><span>broke: {escape(", ".join(broke))}</span></div>' if broke else ""
    return f'<div class="headline">{escape(text)}</div>{facts}'


def _name(kind: str, one: sweep.Cell | sweep.Result) -> str:
    """ "LoRA at rank 4", or the lane alone where nothing is swept in it."""
    at = "" if one.value is None else f" at {sweep.KINDS[kind]} {sweep.named(one.value)}"
    return LANE_NAMES[one.lane] + at


def _csv(kind: str, owner: str, request: gr.Request, *values) -> str:
    settings = Settings.parse(form.asked(values))
    path = new_file(f"lora-lab-sweep-{kind}.csv")
    path.write_text(sweep.csv_text(kind, sweep.results(kind, settings, owner_of(owner, request))))
    return str(path)
