"""One small layer, step by step: B moves first, and the page says why."""

import gradio as gr
import numpy as np

from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.layer.symbols import LATEX
from lora_demo.ui.section import section

STARTS = {"B = 0 (LoRA)": "lora", "A = 0": "swapped", "both 0": "zero"}
RATES = ["0.05", "0.1", "0.2", "1"]
PLAY, PAUSE = "Play", "Pause"
SECONDS_A_STEP = 0.4
WHY = r"""
$$\frac{\partial L}{\partial B} = \frac{\alpha}{r}\,\frac{\partial L}{\partial h}\,(Ax)^\top$$
$$\frac{\partial L}{\partial A} = \frac{\alpha}{r}\,B^\top\frac{\partial L}{\partial h}\,x^\top$$

Each gradient has the other matrix in it. While $B$ is 0, $A$ has none.
"""


def build() -> None:
    """Controls left; forward pass, gradients and loss right. Nothing is computed before the section comes into view."""
    heading = section(
        "Watch a small layer learn", "A real layer, 4 numbers in and 5 out, r = 2, on three inputs at once."
    )
    moment = gr.State()
    timer = gr.Timer(SECONDS_A_STEP, active=False)
    with gr.Row(elem_classes="controls-first"):
        with gr.Column(scale=1, elem_classes="controls"):
            start = gr.Radio(list(STARTS.items()), value="lora", label="At the start")
            rate = gr.Radio(RATES, value="0.2", label="Learning rate")
            step = gr.Button("Take one step", variant="primary")
            with gr.Row(elem_classes="run"):
                play = gr.Button(PLAY)
                reset = gr.Button("Reset")
            gr.Markdown(WHY, latex_delimiters=LATEX)
        with gr.Column(scale=3, elem_classes="pictures"):
            said = gr.HTML('<div class="note">Preparing the layer …</div>')
            down_and_up, total = gr.HTML(), gr.HTML()
            with gr.Row():
                with gr.Column(scale=4, min_width=320):
                    gradients = gr.HTML()
                with gr.Column(scale=5, min_width=320):
                    loss = chart(label="Loss of the small layer after each step", height=235)

    shown = [moment, said, down_and_up, total, gradients, loss]
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    still = [timer, play]
    heading.expand(begin, [start], shown, **quiet)
    for restart in (start.input, reset.click):  # first the timer, so that no step lands on the fresh layer
        restart(stand_still, None, still, queue=False, **quiet).then(begin, [start], shown, **quiet)
    step.click(advance, [moment, rate], shown, queue=False, **quiet)
    timer.tick(play_on, [moment, rate], shown + still, queue=False, **quiet)
    play.click(toggle, [play], still, queue=False, **quiet)


def begin(start: str) -> list:
    """The layer before its first step."""
    from lora_demo.layer_lab import live

    return show(live.begin(start))


@spoken
def advance(moment, rate: str) -> list:
    """One step further."""
    from lora_demo.layer_lab import live

    return show(live.take_step(moment, float(rate)))


def play_on(moment, rate: str) -> list:
    """One step further while playing; stops where nothing more happens."""
    shown = advance(moment, rate)
    return shown + (stand_still() if shown[0].finished else [gr.skip(), gr.skip()])


def stand_still() -> list:
    """Nothing plays."""
    return [gr.Timer(active=False), PLAY]


def toggle(label: str) -> list:
    """Play what stands still, pause what plays."""
    on = label == PLAY
    return [gr.Timer(active=on), PAUSE if on else PLAY]


def show(moment) -> list:
    """Everything the section shows of one moment."""
    from lora_demo.figures import live_layer
    from lora_demo.layer_lab import live

    seen = live.look(moment)
    return [
        moment,
        describe(moment, seen),
        live_layer.down_and_up(moment, seen),
        live_layer.sum_and_goal(seen, live.SCALING),
        live_layer.gradients(seen),
        figure_text(live_layer.loss_curve(moment.losses)),
    ]


def describe(moment, seen) -> str:
    """What has just happened, as a headline, and the figures behind it."""
    pull_B, pull_A = np.linalg.norm(seen.grad_B), np.linalg.norm(seen.grad_A)
    first, last = moment.losses[0], moment.losses[-1]
    if moment.diverged:
        headline = f"Step {moment.step}: the rate is too high, and the loss runs away"
    elif moment.finished:
        headline = f"Step {moment.step}: h has reached its goal, and W₀ is as it was"
    elif not pull_A and not pull_B:
        headline = "With A and B both 0, each gradient is 0: nothing will ever move"
    elif moment.step:
        headline = (
            f'Step {moment.step}: <span class="lora">B moved by {moment.moved_B:.2g}, A by {moment.moved_A:.2g}</span>'
        )
    else:
        movers = "B can move, A cannot" if pull_B else "A can move, B cannot"
        headline = f'Step 0: h = W₀x exactly. <span class="lora">{movers}</span>'
    return (
        f'<div class="headline">{headline}</div><div class="facts"><span>loss <b>{last:.3g}</b>, at the start '
        f"<b>{first:.3g}</b></span><span>size of ∂L/∂B <b>{pull_B:.2g}</b></span>"
        f"<span>of ∂L/∂A <b>{pull_A:.2g}</b></span><span>W₀ has no gradient</span></div>"
    )
