"""The matrix that a session looks at: where its one analysis lies, and the components that every section shares."""

import functools
from dataclasses import dataclass

import gradio as gr
import numpy as np

from lora_demo.matrices import Analysis, analyze, example
from lora_demo.ui.rank.shelf import Shelf

START = "sum"  # the example that everybody starts on
START_KEY = "start"
# In numbers: 40 matrices of 512 x 512. One takes up to 40 MB, most of it the exact numbers.
SHELF: Shelf[Analysis] = Shelf(places=2, room=10_000_000, size=lambda analysis: analysis.matrix.values.size)

LOWEST_POWER = -17  # of ten, where the tolerance slider begins


@dataclass(frozen=True)
class Bench:
    """The components that sections read: the key of the shown analysis, the two sliders; and the answer's outputs.

    `shown` is a hidden text box, for a `gr.State` that a light event sets fires no `change`.
    """

    shown: gr.Textbox
    k: gr.Slider
    tolerance: gr.Slider
    outputs: list[gr.components.Component]


@functools.cache
def start() -> Analysis:
    """The analysis of the first example; it belongs to everybody and is never put away."""
    return analyze(example(START).build())


def analysis_of(key: str, request: gr.Request) -> Analysis:
    """The analysis that the session shows; raises LabError where it was put away."""
    return start() if key == START_KEY else SHELF.get(request.session_hash, key)


def default_power(analysis: Analysis) -> float:
    """The tolerance rule on the slider: log10(max(m, n) · eps), in tenths."""
    return round(float(np.log10(max(analysis.shape) * np.finfo(float).eps)), 1)


def at_tolerance(analysis: Analysis, power: float) -> Analysis:
    """The analysis with the slider's tolerance, 10^power · σ₁; at the rule's place, with the rule itself."""
    if round(power, 1) == default_power(analysis):
        return analysis.with_tolerance(None)
    return analysis.with_tolerance(10.0**power * analysis.spectral_norm)


def start_rank(analysis: Analysis) -> int:
    """Where the k slider starts: at the rank above the noise, or at half the rank, so that something is left."""
    return analysis.denoised.rank or (analysis.numerical_rank + 1) // 2
