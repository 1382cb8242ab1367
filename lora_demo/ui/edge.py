"""The edge between the domain and the page: a domain error becomes the sentence a person reads."""

import functools
import html
import inspect
from collections.abc import Callable

import gradio as gr

from lora_demo.errors import LabError


def spoken(handler: Callable) -> Callable:
    """Let `handler` raise `LabError`: the page shows its sentence and keeps what it shows; coroutines and generators alike."""
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def wrapped(*args, **kwargs):
            try:
                async for value in handler(*args, **kwargs):
                    yield value
            except LabError as error:
                raise _shown(error) from None

    elif inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def wrapped(*args, **kwargs):
            try:
                return await handler(*args, **kwargs)
            except LabError as error:
                raise _shown(error) from None

    elif inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def wrapped(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except LabError as error:
                raise _shown(error) from None

    else:

        @functools.wraps(handler)
        def wrapped(*args, **kwargs):
            try:
                return handler(*args, **kwargs)
            except LabError as error:
                raise _shown(error) from None

    return wrapped


def _shown(error: LabError) -> gr.Error:
    sentence = html.escape(str(error), quote=False)  # Gradio shows it as HTML, and it may quote what a person sent
    return gr.Error(sentence[:1].upper() + sentence[1:], title="That did not work", print_exception=False)
