"""Rank & SVD: a matrix's rank, why it is what it is, and what a low-rank approximation keeps.

`build` makes the tab and returns its `Bench`. Another tab hands a matrix over by an event whose handler returns
`taken(values, name, request)` and whose outputs are `bench.outputs`:

    def hand_over(layer: str, request: gr.Request) -> list:
        return rank.taken(change_of(layer), f"The change of {layer}", request)

    button.click(spoken(hand_over), layer, bench.outputs)
"""

import gradio as gr

from lora_demo.matrices import to_text
from lora_demo.ui.chart import chart
from lora_demo.ui.rank import answer, approximation, controls, descent, entry, link, photo, quiz, reasons
from lora_demo.ui.rank.bench import SHELF, START_KEY, Bench, start, start_rank
from lora_demo.ui.rank.entry import taken
from lora_demo.ui.rank.events import LIGHT, QUEUED

__all__ = ["Bench", "build", "taken"]


def build() -> Bench:
    """Lay the tab out and connect it."""
    analysis = start()
    k = start_rank(analysis)
    shown = gr.Textbox(START_KEY, visible="hidden", elem_id="rank-shown")
    linked = gr.Textbox(link.linked(analysis.matrix), visible="hidden", elem_id="rank-link")
    boxed = gr.State(entry.digest(to_text(analysis.matrix)))
    with gr.Row(elem_classes="rank-first"):
        with gr.Column(scale=1, elem_classes=["controls", "rank-controls"]):
            left = controls.build()
        with gr.Column(scale=3, elem_classes=["pictures", "rank-pictures"]):
            headline = gr.HTML(answer.headline(analysis), elem_id="rank-headline")
            factors = gr.HTML(answer.factors(analysis), elem_id="rank-factors")
            with gr.Row(elem_classes="rank-moved"):
                with gr.Column(scale=2, min_width=300):
                    spectrum = chart(
                        approximation.spectrum_chart(analysis, k),
                        label="Singular values with tolerance and k marked",
                        height=260,
                    )
                    curve = chart(
                        approximation.curve_chart(analysis, k),
                        label="Error and storage for every rank k",
                        height=300,
                    )
                with gr.Column(scale=3, min_width=320):
                    kept = gr.HTML(approximation.pictures(analysis, k), elem_id="rank-kept")
    text, grid, file, _ = left.panels
    outputs = [left.wrong, left.note, shown, boxed, text, linked, left.k, left.tolerance]
    outputs += [headline, factors, spectrum, curve, kept]
    bench = Bench(shown, left.k, left.tolerance, outputs)
    with gr.Column(elem_classes=["rank-pictures", "rank-below"]):
        reasons.build(bench)
        descent.build(bench)
        photo.build()
        quiz.build()

    for button, key in left.chips:
        button.click(entry.chosen, gr.State(key), outputs, **QUEUED)
    # Gradio's `input` event of a text box misses what is pasted, cut or deleted.
    text.change(entry.typed, [text, boxed], outputs, trigger_mode="always_last", **LIGHT)
    grid.input(entry.edited, grid, outputs, trigger_mode="always_last", **LIGHT)
    file.upload(entry.opened, file, outputs, **QUEUED)
    gr.on([left.draw.click, left.settings[3].release], entry.drawn, left.settings, outputs, **QUEUED)
    left.kind.change(entry.panels, left.kind, left.panels, **LIGHT)
    gr.on([left.kind.change, shown.change], entry.gridded, [left.kind, shown, grid], [left.wrong, grid], **LIGHT)
    sliders = [shown, left.k, left.tolerance]
    left.k.input(entry.moved, sliders, [left.wrong, kept, spectrum, curve], trigger_mode="always_last", **LIGHT)
    left.tolerance.input(
        entry.tolerated, sliders, [left.wrong, headline, spectrum], trigger_mode="always_last", **LIGHT
    )
    moves = [linked.change, left.k.input, left.tolerance.input]
    gr.on(moves, None, [linked, left.k, left.tolerance], js=link.WRITE, **LIGHT)
    page = gr.context.Context.root_block
    page.load(entry.restored, None, outputs, **QUEUED)
    page.unload(_put_away)
    return bench


def _put_away(request: gr.Request) -> None:
    """The tab was closed: free what it held."""
    for shelf in (SHELF, descent.SHELF, photo.SHELF):
        shelf.clear(request.session_hash)
