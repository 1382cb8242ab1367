"""One layer: its spectra, how much its changes share, its intruders."""

from __future__ import annotations

import gradio as gr

from lora_demo.figures import xray as figures
from lora_demo.ui.chart import chart, figure_value
from lora_demo.ui.edge import spoken
from lora_demo.ui.xray.looked_at import LOOKED_AT, record_of
from lora_demo.ui.xray.words import explained, words
from lora_demo.xray import findings

PAIR_NAMES = {"lora": "LoRA", "full": "full", "frozen": "W₀"}
LANES = [("LoRA", "lora"), ("full", "full")]
VIEW_OF = {"full": "overlap_full", "frozen": "overlap_frozen"}  # of the pair's second; another run's or seed's else


def build(run_id: gr.Textbox):
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
            pair = gr.Radio(
                [],
                label="Directions compared",
                container=False,
                show_label=False,
                elem_classes="switch",
                elem_id="xray-pair",
            )
            overlap = chart(label="Shared directions, measured and by chance", height=340, elem_id="xray-overlap")
            about_overlap = gr.HTML(words("overlap_full"))
    lane = gr.Radio(LANES, value="lora", label="Lane", container=False, show_label=False, elem_classes="switch")
    intruders = chart(label="How alike strong directions are before and after", height=340, elem_id="xray-intruders")
    explained("intruders")

    outputs = [facts, spectra, pair, overlap, about_overlap, lane, intruders]
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}

    def refresh(event) -> None:
        event(spoken(_views), [run_id, chosen, pair, lane], outputs, **streaming)

    for event in (chosen.input, pair.input, lane.input):
        refresh(event)
    return chosen, refresh


def _views(run_id: str, name: str | None, pair: str | None, lane: str) -> tuple:
    if not name:
        return (gr.skip(),) * 7
    found = LOOKED_AT.layer(record_of(run_id), name)
    pairs = {f"{one.first}|{one.second}": one for one in found.overlaps}
    pair = pair if pair in pairs else next(iter(pairs), None)
    choices = [(f"{_name(one.first)} and {_name(one.second)}", key) for key, one in pairs.items()]
    lane = lane if lane in found.changes else next(iter(found.changes))
    facts = "".join(f"<span>{fact}</span>" for fact in findings.layer_facts(found))
    return (
        f'<div class="facts">{facts}</div>',
        figure_value(figures.spectra(found)),
        gr.Radio(choices=choices, value=pair),
        figure_value(figures.overlap(pairs[pair])) if pair else gr.skip(),
        words(VIEW_OF.get(pairs[pair].second, "overlap_seeds")) if pair else gr.skip(),
        lane,
        figure_value(figures.intruders(found.changes[lane].intruders, lane)),
    )


def _name(side: str) -> str:
    """ "lora, seed 1" -> "seed 1"."""
    return PAIR_NAMES.get(side, side.removeprefix("lora, "))
