"""What the sections of the Classify tab share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

QUEUED = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Bench:
    """`question` are the inputs that `answer.asked` takes, without the request; `shown` changes with photo and adapter."""

    question: list[gr.components.Component]
    adapter: gr.Dropdown
    owner: gr.Textbox
    shown: gr.Textbox


def once_seen(
    heading: gr.HTML, again: Callable, handler: Callable, inputs: list, outputs: list
) -> gr.events.Dependency:
    """Call `handler` when the section comes into view, and from then on at every event `again`; returns that event."""
    wanted = gr.Textbox("", visible="hidden")
    heading.expand(None, None, wanted, js="() => String(Date.now())")
    again(None, wanted, wanted, js="before => before && String(Date.now())")
    return wanted.change(handler, inputs, outputs, trigger_mode="always_last", **QUEUED)
