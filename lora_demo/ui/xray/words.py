"""What to look at in a view, its formula, its source and what chance would show: folded away under the picture."""

from __future__ import annotations

import gradio as gr

from lora_demo.xray.explanations import EXPLANATIONS


def explained(view: str) -> gr.HTML:
    """The words of one view."""
    return gr.HTML(words(view))


def words(view: str) -> str:
    """The words of one view as HTML: the question and two sentences, the rest on a click."""
    one = EXPLANATIONS[view]
    return (
        f'<div class="view"><b>{one.title}</b> {one.words}<details><summary>Formula, source, chance</summary>'
        f"<p>{one.formula}</p><p>By chance: {one.by_chance}</p><p>{one.source}</p></details></div>"
    )
