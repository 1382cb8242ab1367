"""The three advantages that are quoted everywhere, each measured here and now."""

from collections.abc import Iterator

import gradio as gr

from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section

BATCHES = ["1", "8", "32"]


def build() -> None:
    """One button; three promises beside what was measured."""
    heading = section(
        "Three promises, measured here", "What is said of LoRA, and what this machine says of the bundled ViT."
    )
    with gr.Row(elem_classes="controls-first"):
        with gr.Column(scale=1, elem_classes="controls"):
            batch = gr.Radio(BATCHES, value="32", label="Images at a time", elem_id="promise-batch")
            measure_button = gr.Button("Measure here and now", variant="primary")
            gr.HTML(
                '<div class="note">Rank 8 on query and value. Times are medians, taken in turns; a busy machine shows.</div>'
            )
        with gr.Column(scale=3, elem_classes="pictures"), gr.Row(elem_classes="promises"):
            shown = []
            for _ in range(3):
                with gr.Column(min_width=240):
                    shown.append(gr.HTML())
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    heading.expand(unmeasured, None, shown, **quiet)
    measure_button.click(measure, [batch], shown, concurrency_id="measure", concurrency_limit=1, **quiet)


def unmeasured() -> tuple[str, str, str]:
    """The three promises with dashes for figures."""
    from lora_demo.figures import promises as figures

    return figures.switch(None), figures.memory(None, 1), figures.latency(None)


@spoken
def measure(batch: str) -> Iterator[list]:
    """Measure one promise after the other, and show each as soon as it is there."""
    from lora_demo.figures import promises as figures
    from lora_demo.layer_lab import promises
    from lora_demo.settings import Settings

    settings = Settings.parse({"batch_size": int(batch), "lanes": ["lora", "full"]})
    waiting = "Measuring …"
    yield [figures.switch(None, waiting), figures.memory(None, 1, waiting), figures.latency(None, waiting)]
    yield [figures.switch(promises.measure_switch(settings)), gr.skip(), gr.skip()]
    yield [gr.skip(), figures.memory(promises.measure_memory(settings), settings.batch_size), gr.skip()]
    yield [gr.skip(), gr.skip(), figures.latency(promises.measure_latency(settings))]
