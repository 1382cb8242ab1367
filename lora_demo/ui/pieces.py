"""HTML that is told piece by piece.

The value is a list of pieces that the browser joins. Of a list Gradio sends the pieces that changed; of one text it would send
all of it at every update.
"""

from __future__ import annotations

import gradio as gr


def pieces(**props) -> gr.HTML:
    """A `gr.HTML` that takes a list of pieces of HTML."""
    return gr.HTML([], html_template="${(value || []).join('')}", **props)
