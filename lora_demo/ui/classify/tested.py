"""On the test set: the confusion matrix and the images behind each cell, accuracy by class, where LoRA and full disagree."""

from __future__ import annotations

from html import escape

import gradio as gr
from PIL import Image

from lora_demo.figures import confusion as figures
from lora_demo.figures.palette import LANE_NAMES
from lora_demo.figures.tiles import captioned
from lora_demo.records import Record
from lora_demo.ui.classify import answer
from lora_demo.ui.classify.bench import QUEUED, Bench, once_seen
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.session import owner_of
from lora_demo.units import significant

WORDS = "Every test image, none of them trained on. Click a number, or choose, to see the images it counts."
TILES_SHOWN, TILE = 48, 64  # images; pixels
CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-cell]');
  if (button) trigger('select', { cell: button.dataset.cell });
});
"""


def build(bench: Bench) -> None:
    """The section: a lane's matrix beside all lanes' accuracies, the images of a cell, the disagreement."""
    heading = section("On the test set", WORDS)
    with gr.Row(elem_classes="chips"):
        lane = gr.Radio(
            [(LANE_NAMES[name], name) for name in ("lora", "full", "head")], value="lora", label="Lane",
            elem_classes="switch", container=False, show_label=False,
        )  # fmt: skip
        true, said = (
            gr.Dropdown([], label=words, container=True, scale=0, min_width=190, elem_id=f"cell-{id}")
            for id, words in (("true", "Images of class"), ("said", "taken for"))
        )
    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            matrix = gr.HTML(elem_id="confusion", js_on_load=CLICKS)
        with gr.Column(scale=2, min_width=280):
            classes = gr.HTML(elem_id="by-class")
    images = gr.HTML(elem_id="cell-images")
    disagreement = gr.HTML(elem_id="disagreement")

    asked = [bench.adapter, lane, true, said, bench.owner]
    first = once_seen(heading, bench.adapter.change, spoken(_first), asked, [matrix, true, said, images])
    first.success(spoken(_beside), [bench.adapter, bench.owner], [classes, disagreement], **QUEUED)
    lane.input(spoken(_of_lane), asked, [matrix, images], **QUEUED)
    gr.on([true.input, said.input], spoken(_of_lane), asked, [matrix, images], **QUEUED)
    matrix.select(spoken(_clicked), asked, [true, said, matrix, images], **QUEUED)


def _first(adapter: str, lane: str, true: str, said: str, owner: str, request: gr.Request) -> tuple:
    """The chosen lane's matrix and one of its cells: all that needs no other lane's answers."""
    from lora_demo.classify import confusion

    record = answer.entry_of(adapter, owner_of(owner, request)).record
    try:
        found = confusion.answers(record, _kept(record, lane))
    except confusion.NoTestImages as error:
        return _note(str(error)), gr.skip(), gr.skip(), ""
    true, said = _cell_of(found, true, said)
    choices = [gr.Dropdown(choices=found.classes, value=name) for name in (true, said)]
    return _matrix(found, true, said), *choices, _cell(record, found, true, said)


def _beside(adapter: str, owner: str, request: gr.Request) -> tuple:
    """All lanes by class, and where LoRA and full disagree."""
    from lora_demo.classify import confusion

    record = answer.entry_of(adapter, owner_of(owner, request)).record
    try:
        lanes = {name: confusion.answers(record, name) for name in ("lora", "full", "head") if name in record.lanes}
    except confusion.NoTestImages:
        return "", ""
    table = figures.by_class({name: of.accuracy_by_class for name, of in lanes.items()})
    return table, _disagreement(record, lanes)


def _of_lane(adapter: str, lane: str, true: str, said: str, owner: str, request: gr.Request) -> tuple:
    from lora_demo.classify import confusion

    record = answer.entry_of(adapter, owner_of(owner, request)).record
    found = confusion.answers(record, _kept(record, lane))
    true, said = _cell_of(found, true, said)
    return _matrix(found, true, said), _cell(record, found, true, said)


def _clicked(
    adapter: str, lane: str, true: str, said: str, owner: str, event: gr.EventData, request: gr.Request
) -> tuple:
    from lora_demo.classify import confusion

    record = answer.entry_of(adapter, owner_of(owner, request)).record
    found = confusion.answers(record, _kept(record, lane))
    row, column = (int(number) for number in event.cell.split(","))
    true, said = found.classes[row], found.classes[column]
    return true, said, _matrix(found, true, said), _cell(record, found, true, said)


def _kept(record: Record, lane: str) -> str:
    """The chosen lane where the record has it: an imported adapter has LoRA's alone."""
    return lane if lane in record.lanes else "lora"


def _cell_of(found, true: str | None, said: str | None) -> tuple[str, str]:
    """The chosen cell; where there is no such class, the two that are confused most often."""
    if true in found.classes and said in found.classes:
        return true, said
    wrong = found.confusion.clone().fill_diagonal_(0)
    row, column = divmod(int(wrong.argmax()), len(found.classes))
    return found.classes[row], found.classes[column]


def _matrix(found, true: str, said: str) -> str:
    cell = (found.classes.index(true), found.classes.index(said))
    right = f"<b>{100 * found.correct.float().mean().item():.1f} %</b> of {len(found.labels):,} images right"
    return f'<div class="facts"><span>{right}</span></div>' + figures.matrix(
        found.confusion.tolist(), found.classes, cell
    )


def _cell(record: Record, found, true: str, said: str) -> str:
    numbers = found.images_of(found.classes.index(true), found.classes.index(said))
    sure = found.logits.softmax(-1).amax(-1)
    captions = [f"{100 * sure[i].item():.0f} % {said}" for i in numbers[:TILES_SHOWN]]
    words = f"{len(numbers)} of class {true}, " + ("recognised" if true == said else f"taken for {said}")
    return f"<h3>{escape(words)}{_more(numbers)}</h3>{_tiles(record, numbers, captions)}"


def _disagreement(record: Record, lanes: dict) -> str:
    from lora_demo.classify import confusion

    if not {"lora", "full"} <= lanes.keys():
        return _note("LoRA and full cannot be compared: this adapter comes without the other lanes.")
    lora, full = lanes["lora"], lanes["full"]
    found = confusion.disagreement(lora, full)
    p = found.p_value
    verdict = "a difference that chance alone seldom makes" if p < 0.05 else "a difference that chance makes easily"
    facts = (
        f"<span>they answer differently for <b>{len(found.differ)}</b> of {len(lora.labels):,}</span>"
        f"<span>only LoRA right <b>{len(found.only_first)}</b></span><span>only full right <b>{len(found.only_second)}</b></span>"
        f"<span>McNemar’s exact test <b>p = {significant(p, 2) if p >= 0.001 else '< 0.001'}</b>: {verdict}</span>"
    ).replace("p = < ", "p < ")
    parts = []
    for title, numbers, wrong in (
        ("Only LoRA is right", found.only_first, full),
        ("Only full is right", found.only_second, lora),
    ):
        said = ((lora.classes[lora.labels[i]], wrong.classes[wrong.predicted[i]]) for i in numbers[:TILES_SHOWN])
        captions = [f"{true}, not {false}" for true, false in said]
        parts.append(f"<h3>{title}{_more(numbers)}</h3>{_tiles(record, numbers, captions)}")
    return f'<h3>Where LoRA and full disagree</h3><div class="facts">{facts}</div>{"".join(parts)}'


def _more(numbers: list[int]) -> str:
    return f"; the first {TILES_SHOWN}" if len(numbers) > TILES_SHOWN else ""


def _tiles(record: Record, numbers: list[int], captions: list[str]) -> str:
    from lora_demo.classify import confusion

    if not numbers:
        return _note("None.")
    pixels = confusion.images(record, numbers[:TILES_SHOWN]).permute(0, 2, 3, 1).numpy()
    return captioned([Image.fromarray(one) for one in pixels], captions, TILE)


def _note(words: str) -> str:
    return f'<div class="note">{escape(words)}</div>'
