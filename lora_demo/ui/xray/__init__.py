"""X-ray: what training changed in the weights, layer by layer, and what rank was enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from lora_demo import jobs, runs
from lora_demo.figures import xray as figures
from lora_demo.records import Record
from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.session import owner_of
from lora_demo.ui.xray import cut, layer
from lora_demo.ui.xray.looked_at import LOOKED_AT, REFERENCE, other_of
from lora_demo.ui.xray.words import explained
from lora_demo.xray import findings

if TYPE_CHECKING:  # the page is up before torch is imported
    from lora_demo.xray.report import XRay

FIRST, EVERY = 1, 12  # layers until the first picture, and between two later ones
PATIENCE = 2.0  # seconds between two looks whether a run has kept its weights by now
TOO_EARLY = "This run kept no weights: it was stopped too early."
NOTHING_YET = '<div class="note">The weights are looked at when you come here.</div>'


@dataclass(frozen=True)
class XRaySection:
    """What the Rank tab needs to take a layer's change over: the run, the chosen layer and lane, and the button."""

    run_id: gr.Textbox
    layer: gr.Dropdown
    open_lora: gr.Button
    open_full: gr.Button


def build(run_id: gr.Textbox, owner: gr.Textbox) -> XRaySection:
    """Lay out the section; nothing is computed before it comes into view, and of a run that goes on not before its end."""
    heading = section(
        "X-ray: what did training change?",
        "Is the change low-rank, as LoRA supposes? Did LoRA find full fine-tuning’s directions? Where does it sit?",
    )
    due = gr.Textbox("", visible="hidden")  # the run to look into; none before the section comes into view
    waiting = gr.Timer(PATIENCE, active=False)
    with gr.Row(elem_classes="chips"):
        again = gr.Button("Look into this run", size="sm", elem_id="xray-look")
        other = gr.Dropdown(
            [], label="Compare LoRA’s directions with", visible=False, elem_id="xray-other", scale=0, min_width=280
        )
    headline = gr.HTML(NOTHING_YET, elem_id="xray-headline")
    with gr.Column() as views:
        with gr.Row():
            with gr.Column(min_width=320):
                sizes = chart(label="Size of the change of each matrix, by layer and kind", elem_id="xray-sizes")
                explained("sizes")
            with gr.Column(min_width=320):
                ranks = chart(label="Directions that hold 90 percent of each change, over depth", elem_id="xray-ranks")
                explained("ranks")
        chosen, refresh = layer.build(run_id, other)
        with gr.Row(elem_classes="chips"):
            open_lora = gr.Button("Open LoRA’s change in Rank & SVD", size="sm", elem_id="open-lora")
            open_full = gr.Button("Open full’s change in Rank & SVD", size="sm", elem_id="open-full")
        cut.build(run_id, owner)

    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    heading.expand(lambda run_id: run_id or REFERENCE, run_id, due, **quick)
    run_id.change(lambda due, run_id: due and (run_id or REFERENCE), [due, run_id], due, **quick)
    looked = gr.on(
        [due.change, again.click, other.input, waiting.tick],
        spoken(_look), [run_id, other, owner, chosen], [headline, sizes, ranks, chosen, other, views, waiting],
        trigger_mode="always_last", **streaming,
    )  # fmt: skip
    refresh(looked.success)
    for picture in (sizes, ranks):
        refresh(picture.select(_clicked, chosen, chosen, **quick).then)
    return XRaySection(run_id, chosen, open_lora, open_full)


async def _look(
    run_id: str, other: str | None, owner: str, name: str | None, request: gr.Request
) -> AsyncIterator[tuple]:
    """Headline, sizes, ranks and the choice of layers, growing while a worker goes through the network."""
    record = runs.record(run_id or REFERENCE)
    live = runs.live(record.name)
    if not record.lanes:
        going_on = live is not None and not live.over
        yield _waiting(going_on)
        return
    from lora_demo.xray.report import XRay

    apart = _apart(record, owner_of(owner, request))
    other = other if other in apart.values() else ""
    compared = other_of(other)
    layers = []
    async for found in jobs.results("lora_demo.xray.report", "examine", record, compared):
        layers.append(found)
        if len(layers) == FIRST or len(layers) % EVERY == 0:
            yield (*_pictures(XRay(record.name, tuple(layers)), name, complete=False), *(gr.skip(),) * 3)
    whole = XRay(record.name, tuple(layers))
    LOOKED_AT.keep(record, compared, whole)
    choices = [("no other run", ""), *apart.items()]
    yield (
        *_pictures(whole, name, complete=True),
        gr.Dropdown(choices=choices, value=other, visible=bool(apart)),
        gr.Column(visible=True),
        gr.Timer(active=False),
    )


def _waiting(going_on: bool) -> tuple:
    """What is seen of a run without weights: a sentence, and another look while it goes on."""
    said = "The weights are looked at when the run is over or paused." if going_on else TOO_EARLY
    note = f'<div class="note">{said}</div>'
    none = gr.Dropdown(choices=[], value=None)
    return note, None, None, none, gr.skip(), gr.Column(visible=False), gr.Timer(active=going_on)


def _apart(record: Record, owner: str) -> dict[str, str]:
    """The session's other runs and the bundled ones whose LoRA can be compared with this one's, their names by a title."""
    names = [run.id for run in runs.of(owner) if run.over] + list(runs.bundled())
    others = [runs.record(name) for name in names if name != record.name]
    fitting = [one for one in others if "lora" in one.lanes and one.settings.backbone == record.settings.backbone]
    return {_title(one): one.name for one in fitting}


def _title(record: Record) -> str:
    """ "r 8, query value, 100 steps (3f2a91)"."""
    settings = record.settings
    return f"r {settings.rank}, {settings.targets.replace('_', ' ')}, {settings.steps} steps ({record.name[:9]})"


def _pictures(found: XRay, name: str | None, complete: bool) -> tuple:
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
        figure_text(figures.sizes(found)),
        figure_text(figures.ranks(found)),
        gr.Dropdown(choices=names, value=name if name in values else (values[0] if values else None)),
    )


def _clicked(current: str | None, event: gr.EventData) -> str | None:
    """The layer whose cell or point was clicked."""
    clicked = event._data.get("chosen") if event._data else None
    return clicked if isinstance(clicked, str) else current
