"""LoRA in a real ViT: which lines of its module tree change, and what that costs."""

import html
from dataclasses import dataclass

import gradio as gr

from lora_demo.settings import TARGETS
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.tabs import opens
from lora_demo.units import share_text

RANKS = [1, 2, 4, 8, 16, 32]


@dataclass(frozen=True)
class Choice:
    """What can be carried into the Train tab: the button that asks for it, and the two choices made here."""

    train: gr.Button
    targets: gr.Radio
    rank: gr.Radio


def build() -> Choice:
    """Controls left; headline, both trees and the costs right."""
    heading = section(
        "Put it into a real ViT", "Some linear layers are replaced by LoRA layers around the same weights."
    )
    with gr.Row():
        with gr.Column(scale=1, elem_classes="controls"):
            targets = gr.Radio(
                [(label, key) for key, label in TARGETS.items()], value="query_value", label="Adapted layers"
            )
            rank = gr.Radio(RANKS, value=8, label="Rank r")
            backbone = gr.Textbox(
                "bundled",
                label="Backbone",
                info="bundled, a local folder, or a hub id of a transformers ViT",
                max_lines=1,
                elem_id="layer-backbone",
            )
            train = gr.Button("Train these layers", elem_id="train-these")
        with gr.Column(scale=3, elem_classes="pictures"):
            said = gr.HTML('<div class="note">Loading the backbone …</div>', min_height=66)
            trees, costs = gr.HTML(), gr.HTML()
    gr.on(
        [heading.expand, targets.input, rank.input, backbone.submit],
        inject,
        [backbone, targets, rank],
        [said, trees, costs],
        show_progress="hidden",
        api_visibility="private",
        concurrency_limit=2,
    )
    train.click(None, js=opens("train"))
    return Choice(train, targets, rank)


@spoken
def inject(backbone: str, targets: str, rank: int) -> tuple[str, str, str]:
    """Put LoRA into a copy of the backbone and show what changed."""
    from lora_demo.figures import injection as figures
    from lora_demo.layer_lab.injection import inspect_injection

    injection = inspect_injection(backbone.strip(), targets, rank)
    return describe(injection), figures.trees(injection), figures.costs(injection)


def describe(injection) -> str:
    """Headline and facts."""
    cost = injection.cost
    trained, frozen = cost.trained_parameters, cost.frozen_parameters
    change = injection.output_change
    return (
        f'<div class="headline"><span class="lora">{cost.adapted_layers} layers changed: {trained:,} parameters learn</span>, '
        f"{share_text(trained, frozen + trained)} of all</div>"
        f'<div class="facts"><span>frozen <b>{frozen:,}</b></span><span>A and B <b>{cost.adapter_parameters:,}</b></span>'
        f"<span>new head <b>{trained - cost.adapter_parameters:,}</b></span>"
        f"<span>output moved by <b>{change:.2g}</b>{'' if change else ', not one bit'}</span>"
        f"<span>backbone <b>{html.escape(injection.backbone)}</b></span></div>"
    )
