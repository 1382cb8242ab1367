"""An image input that hands over the file as it came."""

import gradio as gr


class PhotoInput(gr.Image):
    """`gr.Image` whose handler gets the uploaded file's path, unread.

    Gradio opens an upload before the handler runs, so a broken file would end in a bare "Error". Opened by the domain, it ends
    in a sentence.
    """

    is_template = True  # draw it as a gr.Image

    def preprocess(self, payload) -> str | None:
        return payload.path if payload else None
