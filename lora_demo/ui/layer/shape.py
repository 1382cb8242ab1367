"""The first screen: sizes, the layer drawn to scale, and what each symbol means."""

import gradio as gr

from lora_demo.figures.layer import layer_picture
from lora_demo.layer_lab.sizes import PRESETS, LayerSize, adam_bytes
from lora_demo.ui.edge import spoken
from lora_demo.ui.layer.symbols import IDEA, LATEX, symbol_table
from lora_demo.units import bytes_text, share_text, significant

LARGEST_SIDE, LARGEST_RANK = 1024, 64
FIRST = next(iter(PRESETS.values()))


def build() -> None:
    """Controls left, the answer right: headline, facts, picture, idea and symbols."""
    with gr.Row(elem_classes="layer-first"):
        with gr.Column(scale=1, elem_classes="controls"):
            gr.HTML('<div class="lead">A frozen weight, and beside it two thin matrices that learn.</div>')
            with gr.Row(elem_classes="chips"):
                chips = {name: gr.Button(name, size="sm") for name in PRESETS}
            d = gr.Slider(8, LARGEST_SIDE, FIRST.d, step=8, label="d, outputs")
            k = gr.Slider(8, LARGEST_SIDE, FIRST.k, step=8, label="k, inputs")
            r = gr.Slider(1, LARGEST_RANK, FIRST.r, step=1, label="r, rank")
            alpha = gr.Slider(1, LARGEST_RANK, FIRST.alpha, step=1, label="α")
        with gr.Column(scale=3, elem_classes="pictures"):
            answer = gr.HTML(describe(FIRST))
            picture = gr.HTML(layer_picture(FIRST))
            with gr.Row(elem_classes="idea"):
                with gr.Column(scale=9, min_width=300):
                    gr.Markdown(IDEA, latex_delimiters=LATEX)
                with gr.Column(scale=10, min_width=300):
                    gr.Markdown(symbol_table(), latex_delimiters=LATEX, sanitize_html=False)

    controls, shown = [d, k, r, alpha], [answer, picture]
    quiet = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    gr.on([control.input for control in controls], draw, controls, shown, **quiet)
    for name, chip in chips.items():
        chip.click(lambda size=PRESETS[name]: choose(size), None, controls + shown, **quiet)


@spoken
def draw(d: int, k: int, r: int, alpha: float) -> tuple[str, str]:
    """The headline, facts and picture of one size."""
    size = LayerSize(d, k, r, alpha)
    return describe(size), layer_picture(size)


def choose(size: LayerSize) -> list:
    """A preset's values for the sliders, whose range grows where it must, and what they show."""
    side = {"maximum": max(LARGEST_SIDE, size.d, size.k)}
    sliders = [gr.update(value=size.d, **side), gr.update(value=size.k, **side), size.r, size.alpha]
    return [*sliders, describe(size), layer_picture(size)]


def describe(size: LayerSize) -> str:
    """Headline and facts."""
    trained, frozen = size.trained_parameters, size.frozen_parameters
    if size.r > min(size.d, size.k):
        remark = f"no change of this layer has a rank above <b>{min(size.d, size.k)}</b>: a smaller r can do all of it"
    elif trained >= frozen:
        remark = f"nothing is saved from r = <b>{significant(size.break_even_rank, 2)}</b> on"
    else:
        remark = "BA starts at <b>0</b>: the layer is unchanged, bit for bit"
    return (
        f'<div class="headline"><span class="lora">{trained:,} parameters learn</span>, {frozen:,} stay as they are: '
        f"{share_text(trained, frozen)}</div>"
        f'<div class="facts"><span>Adam keeps <b>{bytes_text(adam_bytes(trained))}</b> instead of '
        f"<b>{bytes_text(adam_bytes(frozen))}</b></span><span>α/r <b>{size.scaling:.3g}</b></span>"
        f"<span>{remark}</span></div>"
    )
