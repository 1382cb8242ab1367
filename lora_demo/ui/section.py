"""A heading inside a tab that says when it comes into view, so that what stands under it costs nothing before."""

import html

import gradio as gr

JS_ON_LOAD = """
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  trigger('expand');
}, { rootMargin: '500px' }).observe(element);
"""


def section(title: str, sentence: str) -> gr.HTML:
    """A heading and one sentence under it; its `expand` event fires once, when a person is about to see it."""
    return gr.HTML(
        f'<h2 class="section">{html.escape(title)}</h2><div class="lead">{html.escape(sentence)}</div>',
        js_on_load=JS_ON_LOAD,
    )
