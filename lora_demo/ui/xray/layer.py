"""One layer: its spectra, how much its changes share, how they grew, its intruders."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from lora_demo.figures import xray as figures
from lora_demo.figures.xray_growth import growth
from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.xray.looked_at import LOOKED_AT, other_of, record_of, spectra_of
from lora_demo.ui.xray.words import explained, words
from lora_demo.xray import findings

PAIR_NAMES = {"lora": "LoRA", "full": "full", "frozen": "W₀"}
LANES = [("LoRA", "lora"), ("full", "full")]
VIEW_OF = {"full": "overlap_full", "frozen": "overlap_frozen"}  # of the pair's second; another run's or seed's else
SWITCH = {"container": False, "show_label": False, "elem_classes": "switch"}


def build(run_id: gr.Textbox, other: gr.Dropdown) -> tuple[gr.Dropdown, Callable]:
    """Lay out the layer's views. Returns the choice of layer, and a function that redraws them after an event."""
    with gr.Row(elem_classes="chips"):
        chosen = gr.Dropdown([], label="Layer (or click a cell above)", elem_id="xray-layer", scale=0, min_width=280)
    facts = gr.HTML(elem_id="xray-facts")
    with gr.Row():
        with gr.Column(min_width=320):
            spectra = chart(
                label="Singular values of both changes and of the frozen weight", height=320, elem_id="xray-spectra"
            )
            explained("spectra")
            explained("amplification")
        with gr.Column(min_width=320):
            pair = gr.Radio([], label="Directions compared", elem_id="xray-pair", **SWITCH)
            overlap = chart(label="Shared directions, measured and by chance", height=340, elem_id="xray-overlap")
            about_overlap = gr.HTML(words("overlap_full"))
    with gr.Row():
        with gr.Column(min_width=320):
            step = gr.Slider(0, 1, 1, step=1, label="Step of the run", elem_id="xray-step", buttons=[])
            grown = chart(label="Largest singular values at this step", height=340, elem_id="xray-growth")
            explained("growth")
        with gr.Column(min_width=320):
            lane = gr.Radio(LANES, value="lora", label="Lane", elem_id="xray-lane", **SWITCH)
            intruders = chart(
                label="How alike strong directions are before and after", height=340, elem_id="xray-intruders"
            )
            explained("intruders")

    outputs = [facts, spectra, pair, overlap, about_overlap, lane, intruders, step, grown]
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}

    def refresh(event) -> None:
        event(spoken(_views), [run_id, other, chosen, pair, lane], outputs, **streaming)

    for event in (chosen.input, pair.input, lane.input):
        refresh(event)
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    step.input(spoken(_scrubbed), [run_id, chosen, step], grown, trigger_mode="always_last", **quick)
    return chosen, refresh


def _views(run_id: str, other: str | None, name: str | None, pair: str | None, lane: str) -> tuple:
    if not name:
        return (gr.skip(),) * 9
    record = record_of(run_id)
    found = LOOKED_AT.layer(record, other_of(other), name)
    pairs = {f"{one.first}|{one.second}": one for one in found.overlaps}
    pair = pair if pair in pairs else next(iter(pairs), None)
    choices = [(f"{_name(one.first)} and {_name(one.second)}", key) for key, one in pairs.items()]
    lane = lane if lane in found.changes else next(iter(found.changes))
    facts = "".join(f"<span>{fact}</span>" for fact in findings.layer_facts(found))
    steps = [told.step for told in spectra_of(record)] or [0]
    return (
        f'<div class="facts">{facts}</div>',
        figure_text(figures.spectra(found)),
        gr.Radio(choices=choices, value=pair),
        figure_text(figures.overlap(pairs[pair]) if pair else None),
        words(VIEW_OF.get(pairs[pair].second, "overlap_seeds")) if pair else gr.skip(),
        lane,
        figure_text(figures.intruders(found.changes[lane].intruders, lane)),
        gr.Slider(minimum=steps[0], maximum=steps[-1], value=steps[-1]),
        _grown(run_id, name, steps[-1]),
    )


def _scrubbed(run_id: str, name: str | None, step: float) -> str | None:
    return _grown(run_id, name, int(step)) if name else gr.skip()


def _grown(run_id: str, name: str, step: int) -> str:
    from lora_demo.xray.changes import Layer

    return figure_text(growth(spectra_of(record_of(run_id)), name, Layer.named(name).label, step))


def _name(side: str) -> str:
    """ "lora, seed 1" -> "seed 1"; "lora, run 3f2a91..." -> "run 3f2a91"."""
    return PAIR_NAMES.get(side, side.removeprefix("lora, ")[:13])
