"""A chart that follows a slider: like `ui.chart`, with its figure as JSON text.

Gradio copies the value of every output, property by property, each time it notes that an event begins or ends. For the two
charts beside the k slider that took 70 ms a move as a dictionary, and nothing as a string.
"""

import json

import gradio as gr

JS_ON_LOAD = """
(async () => {
  while (!window.drawChart) await new Promise(resolve => setTimeout(resolve, 20));
  const holder = element.querySelector('.chart');
  const draw = () => window.drawChart(holder, JSON.parse(props.value));
  draw();
  // After the next frame: the matrices that changed with it are on screen by then, and need not wait for Plotly's 40 ms.
  watch('value', () => requestAnimationFrame(() => setTimeout(draw)));
})();
"""


def figure_text(figure: dict) -> str:
    """`figure`, plain JSON, as what a `moving_chart` takes."""
    return json.dumps(figure, separators=(",", ":"))


def moving_chart(figure: dict, *, label: str, height: int = 300, **props) -> gr.HTML:
    """A Plotly chart in a `gr.HTML`; update it with `figure_text(figure)`. `label` is what a screen reader says."""
    return gr.HTML(
        value=figure_text(figure),
        html_template=f'<div class="chart" role="img" aria-label="{label}" style="min-height:{height}px"></div>',
        js_on_load=JS_ON_LOAD,
        **props,
    )
