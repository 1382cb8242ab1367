"""A chart that is patched in place.

`gr.Plot` builds its chart anew at every update: 25 kB, 40 to 60 ms, and zoom and legend choices are lost. This one keeps its
chart and calls `Plotly.react`. It draws with the plotly.js that ships in the plotly package, so nothing is fetched, and swaps the
palette's tones when the theme is dark.

The figure travels as JSON text: Gradio copies the value of every output of the page, property by property, whenever any event
begins, goes on or ends. As dictionaries the figures took 70 ms a move of a slider, and half a second of the first one of a run;
as text they take nothing.
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
    window.drawChart(holder, window.chartFigure(props.value));
    if (!holder.on) holder.heard = false;  // cleared: who listened is gone too
    if (!holder.on || holder.heard) return;
    holder.heard = true;
    holder.on('plotly_click', (event) => trigger('select', { chosen: event.points[0]?.customdata ?? null }));
  };
  draw();
  // After the next frame: what else changed with it is on screen by then, and need not wait for Plotly's 40 ms.
  watch('value', () => requestAnimationFrame(() => setTimeout(draw)));
})();
"""


def figure_text(figure: go.Figure | dict | None) -> str:
    """`figure`, or its plain JSON, as a `chart` takes it; without one the chart is cleared."""
    if isinstance(figure, go.Figure):
        return figure.to_json(engine="json")
    return json.dumps(figure, separators=(",", ":")) if figure else ""


def growing_figure(figure: dict, rows: str) -> list[str]:
    """A figure whose lines grow, as a `chart` takes it: a row is a line of text, "x y y ...", with a y for each of its lines.

    Of a text that grew Gradio sends what is new.
    """
    return [figure_text(figure), rows]


def chart(figure: go.Figure | dict | None = None, *, label: str, height: int = 300, **props) -> gr.HTML:
    """A Plotly chart in a `gr.HTML`; update it with `figure_text(figure)`.

    A click on a point fires `select`, with the point's customdata as the event's `chosen`. `label` is what a screen reader says;
    `height` (pixels) is reserved before the first drawing, so that nothing moves.
    """
    return gr.HTML(
        value=figure_text(figure),
        html_template=f'<div class="chart" role="img" aria-label="{label}" style="min-height:{height}px"></div>',
        js_on_load=JS_ON_LOAD,
        **props,
    )
