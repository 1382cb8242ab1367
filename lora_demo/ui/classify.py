"""The Classify tab: a person's photo, through the adapter this session has just trained."""

from __future__ import annotations

import base64
import io
from html import escape

import gradio as gr

from lora_demo import images, runs
from lora_demo.examples import FOLDER as EXAMPLES
from lora_demo.figures import answers
from lora_demo.records import Record
from lora_demo.ui.chart import chart, figure_value
from lora_demo.ui.edge import spoken
from lora_demo.ui.photo_input import PhotoInput
from lora_demo.ui.session import owner_of, usable_record

LEAD = "Your photo, through the adapter you have just trained."
FIRST_IMAGE = "ship"
UNSURE = 0.2  # a margin below this is called a close call
WEBCAM_NOTE = "Camera and clipboard need https or localhost; that is the browser's rule."


def build(tab: gr.Tab, demo: gr.Blocks, owner: gr.Textbox) -> None:
    """Lay out the tab; it answers for an example image when it is opened."""
    example_paths = {path.stem: str(path) for path in sorted(EXAMPLES.glob("*.png"))}
    with gr.Row():
        with gr.Column(scale=1, elem_classes="controls"):
            gr.HTML(f'<div class="lead">{LEAD}</div>')
            photo = PhotoInput(
                example_paths[FIRST_IMAGE], sources=["upload", "webcam", "clipboard"], type="filepath", height=220,
                label="Image", show_label=False, elem_id="photo",
            )  # fmt: skip
            with gr.Row(elem_classes="chips"):
                chips = {name: gr.Button(name, size="sm") for name in example_paths}
            scale = gr.Slider(
                0,
                2,
                1,
                step=0.05,
                label="Adapter strength",
                info="0 is the frozen backbone, 1 as trained",
                elem_id="scale",
            )
            run = gr.Radio(_choices(None), value="", label="Adapter", elem_id="adapter")
            gr.HTML(f'<div class="note">{WEBCAM_NOTE}</div>')
        with gr.Column(scale=3, elem_classes="pictures"):
            headline = gr.HTML(elem_id="answer")
            with gr.Row():
                with gr.Column(scale=1, min_width=260):
                    seen = gr.HTML(elem_id="seen")
                with gr.Column(scale=2, min_width=320):
                    bars = chart(
                        label="Probability of the most likely classes in each lane", height=420, elem_id="bars"
                    )

    inputs, pictures = [photo, scale, run, owner], [headline, seen, bars]
    light = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    answer = spoken(_answer)
    for name, button in chips.items():
        button.click(lambda name=name: example_paths[name], None, photo, **light)
    photo.change(answer, inputs, pictures, **light)
    scale.change(answer, inputs, pictures, trigger_mode="always_last", **light)
    run.input(answer, inputs, pictures, **light)
    # Opening the tab looks for a newer adapter of this session, and answers with it.
    demo.load(answer, inputs, pictures, **light)
    tab.select(_refresh, [run, owner], run, **light).then(answer, inputs, pictures, **light)


def warm_up() -> None:
    """Import what an answer needs and load the bundled run, so that the first person need not wait for it."""
    from lora_demo import classify

    for lane in runs.record("reference").lanes:
        classify.load(runs.record("reference"), lane)


def _choices(record: Record | None) -> list[tuple[str, str]]:
    mine = [(f"this session's, r {record.settings.rank}", "")] if record else []
    return [*mine, ("recorded reference", "reference")] if mine else [("recorded reference", "")]


def _refresh(run: str, owner: str, request: gr.Request) -> gr.Radio:
    latest = runs.latest(owner_of(owner, request))
    return gr.Radio(choices=_choices(latest and latest.record), value=run if latest else "")


def _answer(path: str | None, scale: float, run: str, owner: str, request: gr.Request) -> tuple:
    if not path:
        return gr.skip(), gr.skip(), gr.skip()  # the image was taken away: the last answer stays until there is another

    from lora_demo import classify  # here: it brings torch and transformers, which the first page does not need

    record = runs.record(run) if run else usable_record(owner_of(owner, request))
    image = images.open_image(path)
    found = classify.compare(record, image, scale)
    small = classify.resized(classify.load(record).backbone, image)
    return _headline(found["lora"], record, scale), _seen(small), figure_value(answers.bars(found, "lora"))


def _headline(probabilities: dict[str, float], record: Record, scale: float) -> str:
    (label, most), (second, next_most) = list(probabilities.items())[:2]
    sure = f"{'an' if label[0] in 'aeiou' else 'a'} {escape(label)}"
    if most - next_most < UNSURE:
        sentence = f'A close call for <span class="lora">LoRA</span>: {sure}, or {escape(second)}?'
    else:
        sentence = f'{sure[0].upper()}{sure[1:]}, says <span class="lora">LoRA</span>, {100 * most:.0f} % sure'
    settings = record.settings
    finished = next((event for event in record.events() if event.kind == "finished"), None)
    accuracy = finished.lanes["lora"]["accuracy"] if finished and "lora" in finished.lanes else None
    whose = "recorded reference" if record.name in runs.bundled() else "this session's run"
    facts = [
        f"margin <b>{100 * (most - next_most):.0f}</b> points over {escape(second)}",
        f"adapter <b>r {settings.rank}</b> {escape(settings.targets.replace('_', ', '))}, {whose}",
        f"<b>{100 * accuracy:.1f} %</b> right on test images"
        if accuracy is not None
        else "stopped before it was tested",
        f"strength <b>{scale:g}</b>",
        f"it knows only {len(probabilities)} classes and must choose one",
    ]
    return f'<div class="headline">{sentence}</div><div class="facts">{"".join(f"<span>{fact}</span>" for fact in facts)}</div>'


def _seen(image) -> str:
    data = io.BytesIO()
    image.save(data, "PNG")
    encoded = base64.b64encode(data.getvalue()).decode()
    return (
        f'<figure class="seen"><img alt="the image as the network sees it" src="data:image/png;base64,{encoded}">'
        f"<figcaption>as the network sees it, {image.width} × {image.height} pixels</figcaption></figure>"
    )
