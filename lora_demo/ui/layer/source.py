"""The layer's source, read from the module that runs."""

import inspect

import gradio as gr

from lora_demo.ui.section import section


def build() -> None:
    """The class as it stands in lora_demo/lora.py."""
    heading = section("The layer, as it runs", "From lora_demo/lora.py, read when this page was opened.")
    code = gr.Markdown(elem_classes="source", container=False, buttons=["copy"])
    heading.expand(read, None, [code], show_progress="hidden", api_visibility="private")


def read() -> str:
    """`LoRALinear` and the gradient it is trained by, as Markdown."""
    from lora_demo import lora

    source = inspect.getsource(lora.LoRALinear)
    return f"```python\n{source}```"
