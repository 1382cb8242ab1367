"""Guess the rank: a round of small matrices, with the reason after each answer."""

import random

import gradio as gr

from lora_demo.figures.matrix import Tile, equation
from lora_demo.matrices.quiz import ROUNDS, Question, quiz
from lora_demo.ui.rank.events import LIGHT
from lora_demo.ui.section import section

FIRST_GAME = 0
LARGEST_GUESS = 4


def build() -> None:
    """The section: a matrix, its possible ranks as buttons, the reason, the next one."""
    section("Guess the rank", "Small matrices, one after another; the reason comes with the answer.")
    seed, place, right = gr.State(FIRST_GAME), gr.State(0), gr.State(0)
    first = quiz(FIRST_GAME)[0]
    picture = gr.HTML(_picture(first), elem_id="quiz-picture")
    with gr.Row(elem_classes="chips"):
        guesses = [
            gr.Button(str(guess), size="sm", visible=guess in first.choices, elem_id=f"guess-{guess}")
            for guess in range(LARGEST_GUESS + 1)
        ]
    verdict = gr.HTML(_score(0, 0), elem_id="quiz-verdict")
    following = gr.Button("Next matrix", size="sm", interactive=False, scale=0)
    for guess, button in enumerate(guesses):
        button.click(guessed, [gr.State(guess), seed, place, right], [verdict, right, following, *guesses], **LIGHT)
    following.click(
        moved_on, [seed, place, right], [seed, place, right, picture, verdict, following, *guesses], **LIGHT
    )


def _picture(question: Question) -> str:
    m, n = question.matrix.shape
    return equation([Tile(question.matrix.values, f"{m} × {n}: what is its rank?")], width=420, height=190)


def _score(place: int, right: int) -> str:
    return f'<p class="note" aria-live="polite">Matrix {place + 1} of {ROUNDS}. {right} right so far.</p>'


def guessed(guess: int, seed: int, place: int, right: int) -> list:
    question = quiz(seed)[place]
    is_right, sentence = question.check(guess)
    right += is_right
    last = place == ROUNDS - 1
    ending = f" {right} of {ROUNDS} right." if last else ""
    said = f'<p class="note" aria-live="polite"><b>{sentence}</b>{ending}</p>'
    label = "Another round" if last else "Next matrix"
    return [said, right, gr.Button(label, interactive=True), *[gr.Button(interactive=False)] * (LARGEST_GUESS + 1)]


def moved_on(seed: int, place: int, right: int) -> list:
    if place == ROUNDS - 1:
        seed, place, right = random.randrange(1_000_000), -1, 0
    place += 1
    question = quiz(seed)[place]
    buttons = [gr.Button(interactive=True, visible=guess in question.choices) for guess in range(LARGEST_GUESS + 1)]
    return [
        seed,
        place,
        right,
        _picture(question),
        _score(place, right),
        gr.Button("Next matrix", interactive=False),
        *buttons,
    ]
