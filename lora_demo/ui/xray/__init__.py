"""X-ray: what training changed in the weights, layer by layer, and what rank was enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape

import gradio as gr

from lora_demo import jobs
from lora_demo.figures import xray as figures
from lora_demo.ui.chart import chart, figure_value
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.xray import cut, layer
from lora_demo.ui.xray.looked_at import LOOKED_AT, record_of
from lora_demo.ui.xray.words import explained
from lora_demo.xray import findings

FIRST, EVERY = 1, 12  # layers until the first picture, and between two later ones


@dataclass(frozen=True)
class XRaySection:
    """What the Rank tab needs to take a layer's change over: the run, the chosen layer and lane, and the button."""

    run_id: gr.Textbox
    layer: gr.Dropdown
    open_lora: gr.Button
    open_full: gr.Button


def build(run_id: gr.Textbox) -> XRaySection:
    """Lay out the section; nothing is computed before it comes into view."""
    heading = section(
        "X-ray: what did training change?",
        "Is the change low-rank, as LoRA supposes? Did LoRA find full fine-tuning’s directions? Where does it sit?",
    )
    with gr.Row(elem_classes="chips"):
        again = gr.Button("Look into this run", size="sm", elem_id="xray-look")
    headline = gr.HTML('<div class="note">The weights are looked at when you come here.</div>', elem_id="xray-headline")
    with gr.Row():
        with gr.Column(min_width=320):
            sizes = chart(label="Size of the change of each matrix, by layer and kind", elem_id="xray-sizes")
            explained("sizes")
        with gr.Column(min_width=320):
            ranks = chart(label="Directions that hold 90 percent of each change, over depth", elem_id="xray-ranks")
            explained("ranks")
    chosen, refresh = layer.build(run_id)
    with gr.Row(elem_classes="chips"):
        open_lora = gr.Button("Open LoRA’s change in Rank & SVD", size="sm", elem_id="open-lora")
        open_full = gr.Button("Open full’s change in Rank & SVD", size="sm", elem_id="open-full")
    cut.build(run_id)

    shown = [headline, sizes, ranks, chosen]
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    for event in (heading.expand, again.click):
        refresh(event(spoken(_look), [run_id, chosen], shown, **streaming).success)
    for picture in (sizes, ranks):
        refresh(picture.select(_clicked, chosen, chosen, queue=False, **_quiet()).then)
    return XRaySection(run_id, chosen, open_lora, open_full)


def _quiet() -> dict:
    return {"show_progress": "hidden", "api_visibility": "private"}


async def _look(run_id: str, name: str | None) -> AsyncIterator[tuple]:
    """Headline, sizes, ranks and the choice of layers, growing while a worker goes through the network."""
    from lora_demo.xray.report import XRay

    record = record_of(run_id)
    layers = []
    async for found in jobs.results("lora_demo.xray.report", "examine", record):
        layers.append(found)
        if len(layers) == FIRST or len(layers) % EVERY == 0:
            yield _pictures(XRay(record.name, tuple(layers)), name, complete=False)
    whole = XRay(record.name, tuple(layers))
    LOOKED_AT.keep(record, whole)
    yield _pictures(whole, name, complete=True)


def _pictures(found, name: str | None, complete: bool) -> tuple:
    names = [(one.layer.label, one.layer.name) for one in found.layers]
    values = [value for _, value in names]
    pieces = "".join(
        f'<span class="{lane}">{escape(t)}</span>' if lane else escape(t) for t, lane in findings.headline(found)
    )
    facts = [*findings.facts(found), f"run <b>{escape(found.run[:12])}</b>"]
    if not complete:
        facts = ["looking at the other layers …"]
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    return (
        f'<div class="headline">{pieces}</div><div class="facts">{told}</div>',
        figure_value(figures.sizes(found)),
        figure_value(figures.ranks(found)),
        gr.Dropdown(choices=names, value=name if name in values else (values[0] if values else None)),
    )


def _clicked(current: str | None, event: gr.EventData) -> str | None:
    """The layer whose cell or point was clicked."""
    clicked = event._data.get("chosen") if event._data else None
    return clicked if isinstance(clicked, str) else current
