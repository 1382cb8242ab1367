"""The LoRA layer tab: one file a section, in the order in which they stand on the page."""

from lora_demo.ui.layer import injection, live, notebook, promises, shape, source


def build() -> injection.Choice:
    """Lay the tab out inside the open `gr.Tab`; returns what can be carried into the Train tab."""
    shape.build()
    live.build()
    choice = injection.build()
    promises.build()
    notebook.build()
    source.build()
    return choice
