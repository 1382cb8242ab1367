"""Where it looks: attention followed back to the image, frozen backbone against the adapted one."""

from __future__ import annotations

from html import escape

import gradio as gr

from lora_demo.figures.attention import spotlight
from lora_demo.figures.matrix import data_url
from lora_demo.ui.classify import answer
from lora_demo.ui.classify.bench import QUEUED, Bench, once_seen
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section

WORDS = (
    "Attention rollout follows the class token’s attention through all layers back to the patches. Weighted by a class’s "
    "gradients it shows what speaks for that class. Bright is much, on one scale for both pictures."
)
ROLLOUT = "rollout"
BOTH = {"base": "the frozen backbone under this run’s head", "adapted": "with the adapter, as trained"}


def build(bench: Bench) -> None:
    """The section: a choice of class, and the photo lit where the base and the adapted network look."""
    heading = section("Where it looks", WORDS)
    with gr.Row(elem_classes="chips"):
        label = gr.Dropdown(
            [("every class: plain rollout", ROLLOUT)], value=ROLLOUT, label="What speaks for", elem_id="attention-class",
            container=False, scale=0, min_width=260,
        )  # fmt: skip
    pictures = gr.HTML(elem_id="attention")
    once_seen(heading, bench.shown.change, spoken(_drawn), [*bench.question, label], [label, pictures])
    label.input(spoken(_drawn), [*bench.question, label], [label, pictures], **QUEUED)


def _drawn(path, adapter, scale, rank, blocks, owner, label: str, request: gr.Request) -> tuple:
    from lora_demo import classify
    from lora_demo.classify import attention

    question = answer.asked(path, adapter, scale, rank, blocks, owner, request)
    classifier = classify.load(question.record)
    label = label if label in classifier.classes else ROLLOUT
    number = None if label == ROLLOUT else classifier.classes.index(label)
    found = {
        name: shares.numpy()
        for name, shares in attention.base_and_adapted(classifier, question.photo.pixels, number).items()
    }
    low, high = min(shares.min() for shares in found.values()), max(shares.max() for shares in found.values())
    image = question.photo.image
    figures = [_figure(data_url(image), "the image", "")]
    for name, shares in found.items():
        told = f"a patch gets {100 * shares.min():.1f} to {100 * shares.max():.1f} %; even: {100 / shares.size:.1f} %"
        if not shares.any():
            told = f"nothing in the image speaks for {label}"
        figures.append(_figure(data_url(spotlight(image, shares, low, high)), BOTH[name], told))
    choices = [("every class: plain rollout", ROLLOUT), *((name, name) for name in classifier.classes)]
    return gr.Dropdown(choices=choices, value=label), f'<div class="looks">{"".join(figures)}</div>'


def _figure(picture: str, words: str, told: str) -> str:
    words, told = escape(words), escape(told)
    return f'<figure><img src="{picture}" alt="{words}: {told}"><figcaption>{words}<br>{told}</figcaption></figure>'
