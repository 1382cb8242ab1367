"""A chart that is patched in place.

`gr.Plot` builds its chart anew at every update: 25 kB, 40 to 60 ms, and zoom and legend choices are lost. This one keeps its
chart and calls `Plotly.react`; Gradio sends only what changed in the figure. It draws with the plotly.js that ships in the
plotly package, so nothing is fetched, and swaps the palette's tones when the theme is dark.
"""

import json

import gradio as gr
import plotly.graph_objects as go

HEAD = "".join(f'<script src="front/{name}.js" defer></script>' for name in ("plotly.min", "chart", "race"))
JS_ON_LOAD = """
(async () => {
  while (!window.drawChart) await new Promise(resolve => setTimeout(resolve, 20));
  const holder = element.querySelector('.chart');
  const draw = () => {
    window.drawChart(holder, props.value);
    if (!holder.on) holder.heard = false;  // cleared: who listened is gone too
    if (!holder.on || holder.heard) return;
    holder.heard = true;
    holder.on('plotly_click', (event) => trigger('select', { chosen: event.points[0]?.customdata ?? null }));
  };
  draw();
  watch('value', draw);
})();
"""


def figure_value(figure: go.Figure | None) -> dict | None:
    """`figure` as the plain JSON a `chart` takes, lists instead of typed arrays, so that updates travel as small differences."""
    return None if figure is None else json.loads(figure.to_json(engine="json"))


def chart(figure: go.Figure | None = None, *, label: str, height: int = 300, **props) -> gr.HTML:
    """A Plotly chart in a `gr.HTML`; update it with `figure_value(figure)`.

    A click on a point fires `select`, with the point's customdata as the event's `chosen`. `label` is what a screen reader says;
    `height` (pixels) is reserved before the first drawing, so that nothing moves.
    """
    return gr.HTML(
        value=figure_value(figure),
        html_template=f'<div class="chart" role="img" aria-label="{label}" style="min-height:{height}px"></div>',
        js_on_load=JS_ON_LOAD,
        **props,
    )
