"""What rank was enough, and what was forgotten: the network asked again, in a worker, point by point."""

from __future__ import annotations

from collections.abc import AsyncIterator

import gradio as gr

from lora_demo import jobs
from lora_demo.figures import xray_accuracy as figures
from lora_demo.ui.chart import chart, figure_value
from lora_demo.ui.edge import spoken
from lora_demo.ui.xray.looked_at import record_of
from lora_demo.ui.xray.words import explained


def build(run_id: gr.Textbox) -> None:
    """Lay out both; each starts on its button."""
    with gr.Row():
        with gr.Column(min_width=320):
            with gr.Row(elem_classes="chips"):
                cut = gr.Button("Cut the changes to rank k", size="sm", elem_id="cut")
                stop = gr.Button("Stop", size="sm", elem_id="cut-stop")
            curve = chart(label="Accuracy with every change cut to rank k", elem_id="truncation")
            explained("truncation")
        with gr.Column(min_width=320):
            with gr.Row(elem_classes="chips"):
                ask = gr.Button("Put the old head back", size="sm", elem_id="forget")
            bars = chart(
                label="Accuracy on the old task, before and after",
                height=240,
                elem_id="forgetting",
            )
            explained("forgetting")
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    growing = cut.click(spoken(_cut), run_id, curve, **streaming)
    stop.click(None, None, None, cancels=[growing], api_visibility="private")
    ask.click(spoken(_forgotten), run_id, bars, **streaming)


async def _cut(run_id: str) -> AsyncIterator[dict]:
    scores = []
    async for score in jobs.results("lora_demo.xray.truncation", "curve", record_of(run_id)):
        scores.append(score)
        yield figure_value(figures.truncation(scores))


async def _forgotten(run_id: str) -> AsyncIterator[dict]:
    scores = []
    async for score in jobs.results("lora_demo.xray.forgetting", "forgetting", record_of(run_id)):
        scores.append(score)
        yield figure_value(figures.forgetting(scores))
