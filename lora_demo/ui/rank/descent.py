"""Gradient against SVD: B and A trained on the shown matrix, live, towards the error that Eckart and Young promise."""

import gradio as gr
import numpy as np

from lora_demo.figures.spectrum import descent_directions, descent_loss
from lora_demo.matrices.descent import DEFAULT_RATE, Descent
from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.rank.bench import Bench, analysis_of, start, start_rank
from lora_demo.ui.rank.events import LIGHT, said_in_place
from lora_demo.ui.rank.shelf import Shelf
from lora_demo.ui.section import section

SHELF: Shelf[Descent] = Shelf(places=1, room=10_000_000, size=lambda descent: descent.b.size + descent.a.size)
STEPS_A_TICK, TICK = 4, 0.15  # seconds between two drawings while it plays
MOST_STEPS = 5_000
STEPS_SHOWN = 100  # of a matrix that nobody has pressed Play on yet: where the curves lead is worth seeing
LARGEST_AT_ONCE = 64  # rows or columns up to which these are taken
MOST_POINTS = 400  # of a curve on the wire
UNSET = ""  # key of a descent that has not begun: it starts on the shown matrix
WORDS = (
    "Two factors B and A of rank r start almost at zero and follow the gradient of ‖A − BA‖². The loss comes down to the "
    "tail of the spectrum, the squared σ's beyond r, and never below: the SVD was the best answer all along. On the way "
    "the singular directions are learned one after another, the largest first."
)


def build(bench: Bench) -> None:
    """The section: rank, rate, step, play, reset; two charts."""
    section("Gradient descent against the SVD", WORDS)
    first = Descent(start().matrix, start_rank(start()), DEFAULT_RATE)
    first.step(STEPS_SHOWN)
    with gr.Row(elem_classes="controls-row"):
        rank = gr.Slider(
            1, min(start().shape), start_rank(start()), step=1, label="r, rank of B and A", min_width=180, buttons=[]
        )
        rate = gr.Slider(0.02, 0.6, DEFAULT_RATE, step=0.01, label="learning rate, in 1/σ₁", min_width=180, buttons=[])
        step = gr.Button("Step", min_width=90, scale=0)
        play = gr.Button("Play", min_width=90, scale=0)
        reset = gr.Button("Reset", min_width=90, scale=0)
    told = gr.HTML(_told(first), elem_id="descent-told")
    with gr.Row():
        loss = chart(_loss(first), label="Squared error over the steps and the SVD's error", min_width=320)
        directions = chart(_directions(first), label="Singular values of BA over the steps", min_width=320)
    clock = gr.Timer(TICK, active=False)
    key = gr.State(UNSET)
    shown = [told, key, loss, directions]
    settings = [bench.shown, key, rank, rate]
    step.click(stepped, settings, shown, **LIGHT)
    clock.tick(ticked, settings, [*shown, clock, play], **LIGHT)
    play.click(played, play, [clock, play], **LIGHT)
    gr.on([reset.click, rank.release, rate.release], restarted, [bench.shown, rank, rate], shown, **LIGHT)
    bench.shown.change(refitted, [bench.shown, rate], [*shown, clock, play, rank], **LIGHT)


def _told(descent: Descent) -> str:
    return f'<div class="facts" aria-live="polite"><span>{descent.message()}</span></div>'


def _thinned(descent: Descent) -> np.ndarray:
    """The steps that are drawn: all while they are few, then evenly spread, the last one always."""
    return np.unique(np.linspace(0, descent.steps, min(descent.steps + 1, MOST_POINTS)).astype(int))


def _loss(descent: Descent) -> dict:
    steps = _thinned(descent)
    return descent_loss(steps, np.array(descent.losses)[steps], descent.floor)


def _directions(descent: Descent) -> dict:
    steps = _thinned(descent)
    return descent_directions(steps, np.array(descent.singular_values)[steps], descent.targets)


def _drawn(key: str, descent: Descent) -> list:
    return [_told(descent), key, figure_text(_loss(descent)), figure_text(_directions(descent))]


def _current(shown: str, key: str, rank: float, rate: float, request: gr.Request) -> tuple[str, Descent]:
    if key != UNSET:
        return key, SHELF.get(request.session_hash, key)
    return _begun(shown, rank, rate, request)


def _begun(shown: str, rank: float, rate: float, request: gr.Request) -> tuple[str, Descent]:
    descent = Descent(analysis_of(shown, request).matrix, int(rank), float(rate))
    return SHELF.put(request.session_hash, descent), descent


@said_in_place(4)
def stepped(shown: str, key: str, rank: float, rate: float, request: gr.Request) -> list:
    key, descent = _current(shown, key, rank, rate, request)
    descent.step()
    return _drawn(key, descent)


@said_in_place(6)
def ticked(shown: str, key: str, rank: float, rate: float, request: gr.Request) -> list:
    """Some steps while it plays; at the end the clock stops, and before it a pause is never undone."""
    key, descent = _current(shown, key, rank, rate, request)
    descent.step(STEPS_A_TICK)
    over = descent.diverged or descent.steps >= MOST_STEPS
    return [*_drawn(key, descent), *((gr.Timer(active=False), "Play") if over else (gr.skip(), gr.skip()))]


def played(label: str) -> list:
    """Play or pause."""
    return [gr.Timer(active=label == "Play"), "Pause" if label == "Play" else "Play"]


@said_in_place(4)
def restarted(shown: str, rank: float, rate: float, request: gr.Request) -> list:
    key, descent = _begun(shown, rank, rate, request)
    return _drawn(key, descent)


@said_in_place(7)
def refitted(shown: str, rate: float, request: gr.Request) -> list:
    """Another matrix: what descent makes of it, at half its rank; the clock stands still."""
    analysis = analysis_of(shown, request)
    rank = max(1, start_rank(analysis))
    key, descent = _begun(shown, rank, rate, request)
    descent.step(STEPS_SHOWN if max(analysis.shape) <= LARGEST_AT_ONCE else 0)
    q = min(analysis.shape)
    slider = gr.Slider(maximum=max(2, q), value=rank, interactive=q > 1)  # a slider needs two places
    return [*_drawn(key, descent), gr.Timer(active=False), "Play", slider]
