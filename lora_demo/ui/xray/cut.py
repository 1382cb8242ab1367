"""What rank was enough, and what was forgotten: the network asked again, in a worker, point by point."""

from __future__ import annotations

from collections.abc import AsyncIterator

import gradio as gr

from lora_demo import jobs, sweep
from lora_demo.figures import xray_accuracy as figures
from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.session import owner_of
from lora_demo.ui.xray.looked_at import record_of
from lora_demo.ui.xray.words import explained


def build(run_id: gr.Textbox, owner: gr.Textbox) -> None:
    """Lay out both; each starts on its button and is cleared when another run is chosen."""
    with gr.Row():
        with gr.Column(min_width=320):
            explained("truncation")
            with gr.Row(elem_classes="chips"):
                cut = gr.Button("Cut the changes to rank k", size="sm", elem_id="cut")
                stop_cut = gr.Button("Stop", size="sm", elem_id="cut-stop")
            curve = chart(label="Accuracy with every change cut to rank k", height=0, elem_id="truncation")
        with gr.Column(min_width=320):
            explained("forgetting")
            with gr.Row(elem_classes="chips"):
                ask = gr.Button("Put the old head back", size="sm", elem_id="forget")
                stop_asking = gr.Button("Stop", size="sm", elem_id="forget-stop")
            bars = chart(label="Accuracy on the old task, before and after", height=0, elem_id="forgetting")
    private = {"show_progress": "hidden", "api_visibility": "private"}
    for start, stop, measure, picture in ((cut, stop_cut, _cut, curve), (ask, stop_asking, _forgotten, bars)):
        growing = start.click(spoken(measure), [run_id, owner], picture, concurrency_limit=None, **private)
        stop.click(None, None, None, cancels=[growing], api_visibility="private")
        run_id.change(lambda: None, None, picture, cancels=[growing], queue=False, **private)


async def _cut(run_id: str, owner: str, request: gr.Request) -> AsyncIterator[str]:
    from lora_demo.xray.truncation import SMALL_RANKS

    record, scores = record_of(run_id), []
    swept = sweep.trained_at_ranks(record, owner_of(owner, request))
    yield figure_text(figures.truncation(scores, SMALL_RANKS, swept))
    async for score in jobs.results("lora_demo.xray.truncation", "curve", record):
        scores.append(score)
        yield figure_text(figures.truncation(scores, SMALL_RANKS, swept))


async def _forgotten(run_id: str, _: str) -> AsyncIterator[str]:
    record, scores = record_of(run_id), []
    yield figure_text(figures.forgetting(scores))
    async for score in jobs.results("lora_demo.xray.forgetting", "forgetting", record):
        scores.append(score)
        yield figure_text(figures.forgetting(scores))
