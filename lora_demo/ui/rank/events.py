"""Two kinds of events: light ones beside the queue, and queued ones, whose errors Gradio shows as a toast."""

import functools
import html
from collections.abc import Callable

import gradio as gr

from lora_demo.errors import LabError

LIGHT = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
QUEUED = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}


def unchanged(count: int) -> list:
    """So many outputs that keep what they show."""
    return [gr.skip()] * count


def said_in_place(outputs: int) -> Callable[[Callable], Callable]:
    """Like `edge.spoken`, for light events: there an error has no toast, and half a matrix is no mistake yet.

    The sentence goes to the first of so many outputs; the others keep what they show.
    """

    def decorate(handler: Callable) -> Callable:
        @functools.wraps(handler)
        def wrapped(*args):
            try:
                return handler(*args)
            except LabError as error:
                sentence = html.escape(str(error))
                return [f'<span class="wrong">{sentence[:1].upper()}{sentence[1:]}</span>', *unchanged(outputs - 1)]

        return wrapped

    return decorate
