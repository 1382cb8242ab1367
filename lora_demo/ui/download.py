"""A button that makes a file and hands it over at once.

Gradio's own DownloadButton hands over the file it already has, and a click's result only at the next click: so a plain button
makes the file, a hidden DownloadButton takes it, and is clicked when it has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from lora_demo.ui.edge import spoken


def download(label: str, make: Callable[..., str], inputs: list, elem_id: str, **props: Any) -> gr.Button:
    """A button labelled `label`; `make` gets the values of `inputs` and returns the path of the file."""
    button = gr.Button(label, elem_id=elem_id, **props)
    holder = gr.DownloadButton(visible="hidden", elem_id=f"{elem_id}-file")
    made = button.click(
        spoken(make), inputs, holder, concurrency_limit=None, show_progress="hidden", api_visibility="private"
    )
    made.success(None, None, None, js=f"() => setTimeout(() => document.querySelector('#{elem_id}-file').click(), 100)")
    return button
