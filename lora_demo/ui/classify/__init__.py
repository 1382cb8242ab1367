"""The Classify tab: a person's photo through a trained adapter, how far to believe the answer, and the adapters themselves."""

from __future__ import annotations

import gradio as gr

from lora_demo import runs
from lora_demo.examples import FOLDER as EXAMPLES
from lora_demo.figures import answers as figures
from lora_demo.ui.chart import chart
from lora_demo.ui.classify import adapters, answer, looking, many, tested
from lora_demo.ui.classify.bench import QUEUED, Bench
from lora_demo.ui.edge import spoken
from lora_demo.ui.photo_input import PhotoInput
from lora_demo.ui.rank.events import LIGHT, said_in_place
from lora_demo.ui.session import OWNER, owner_of, usable_record

LEAD = "Your photo, through the adapter you have just trained."
FIRST_IMAGE = "ship"
WEBCAM_NOTE = "Camera and clipboard need https or localhost; that is the browser's rule."
PAUSE = "() => new Promise(done => setTimeout(done, 80))"
BLOCKS, RANK = list(range(6)), 8  # of the bundled adapter; another one's come with its first answer


def build(tab: gr.Tab, demo: gr.Blocks, owner: gr.Textbox) -> None:
    """Lay out the tab; it answers for an example image when it is first seen."""
    example_paths = {path.stem: str(path) for path in sorted(EXAMPLES.glob("*.png"))}
    shown = gr.Textbox("", visible="hidden")
    newest, pending = gr.Textbox("", visible="hidden"), gr.Textbox("", visible="hidden")
    with gr.Row(elem_classes="classify-top"):
        with gr.Column(scale=1, elem_classes="controls"):
            gr.HTML(f'<div class="lead">{LEAD}</div>')
            photo = PhotoInput(
                example_paths[FIRST_IMAGE], sources=["upload", "webcam", "clipboard"], height=220,
                label="Image", show_label=False, elem_id="photo",
            )  # fmt: skip
            with gr.Row(elem_classes="chips"):
                chips = {name: gr.Button(name, size="sm") for name in example_paths}
            adapter = gr.Dropdown(
                [("recorded reference (bundled)", "reference")], value="reference", label="Adapter", elem_id="adapter"
            )
            gr.HTML(f'<div class="note">{WEBCAM_NOTE}</div>')
        with gr.Column(scale=3, elem_classes=["pictures", "classify-first"]):
            headline = gr.HTML(elem_id="answer")
            with gr.Row():
                with gr.Column(scale=1, min_width=190, elem_classes="seen-beside"):
                    seen = gr.HTML(elem_id="seen")
                with gr.Column(scale=3, min_width=320):
                    bars = chart(
                        {},
                        label="Probability of the most likely classes in each lane",
                        height=figures.HEIGHT,
                        elem_id="bars",
                    )
            with gr.Row(elem_classes="dials"):
                with gr.Column(scale=1, min_width=240):
                    scale = gr.Slider(0, 2, 1, step=0.05, label="Adapter strength", elem_id="scale")
                    scale_curve = gr.HTML(elem_id="scale-curve")
                with gr.Column(scale=1, min_width=240):
                    rank = gr.Slider(0, RANK, RANK, step=1, label="Rank kept", elem_id="rank-kept-slider")
                    rank_curve = gr.HTML(elem_id="rank-curve")
                with gr.Column(scale=1, min_width=240):
                    blocks = gr.CheckboxGroup(
                        [(str(block + 1), block) for block in BLOCKS], value=BLOCKS, label="Blocks whose adapter is on",
                        elem_id="blocks", elem_classes="switch",
                    )  # fmt: skip
                    blocks_curve = gr.HTML(elem_id="blocks-curve")

    question = [photo, adapter, scale, rank, blocks, owner]
    curves = {"scale": scale_curve, "rank": rank_curve, "blocks": blocks_curve}
    pictures = [headline, seen, bars, *curves.values()]
    with gr.Column(elem_classes="classify-below"):
        bench = Bench(question, adapter, owner, shown)
        looking.build(bench)
        tested.build(bench)
        many.build(bench)
        changed, chosen = adapters.build(bench)

    def answered(event) -> None:
        """After `event`: what can be said at once, then what the held-out images say."""
        event(
            spoken(_answer), [*question, shown, newest], [*pictures, scale, rank, blocks, shown, pending], **QUEUED
        ).success(spoken(_believed), [*question, pending], [*pictures, pending], **QUEUED)

    for name, button in chips.items():
        button.click(lambda name=name: example_paths[name], None, photo, **QUEUED)
    answered(photo.change)
    for event in (adapter.input, *chosen):
        answered(event)
    for name, control in {"scale": scale, "rank": rank, "blocks": blocks}.items():
        others = {other: curve for other, curve in curves.items() if other != name}
        latest = {"trigger_mode": "always_last", **LIGHT}
        at_once, rest = said_in_place(3)(_moved(name)), said_in_place(2)(_redrawn(tuple(others)))
        moved = control.input(at_once, question, [headline, bars, curves[name]], **latest)
        # After a pause: the browser would otherwise ask on before it has drawn what it was told.
        moved.success(None, None, None, js=PAUSE).success(rest, question, list(others.values()), **latest)
    # Opening the tab, or a page whose link names it, looks for a newer adapter of this session and answers with it.
    choice = [adapter, newest]
    owned = demo.load(None, None, owner, js=OWNER)
    for event, look in ((tab.select, _refresh), (changed.change, _refresh), (owned.then, _linked)):
        answered(event(look, [adapter, newest, owner], choice, **QUEUED).success)


def warm_up() -> None:
    """Import what an answer needs and load the bundled run, so that the first person need not wait for it."""
    from lora_demo import classify
    from lora_demo.classify import held_out

    record = runs.record("reference")
    for lane in record.lanes:
        classify.load(record, lane)
        held_out.belief(record, lane)
    _ = classify.load(record).dialled


def _refresh(adapter: str, newest: str, owner: str, request: gr.Request) -> tuple:
    """The choice of adapters; one that this session has trained or brought since is chosen."""
    mine = owner_of(owner, request)
    choices = answer.choices(mine)
    ids = [id for _, id in choices]
    now = usable_record(mine).name if ids[0] in runs.bundled() else ids[0]
    value = adapter if now == newest and adapter in ids else now
    return gr.Dropdown(choices=choices, value=value), now


def _linked(adapter: str, newest: str, owner: str, request: gr.Request) -> tuple:
    if request.query_params.get("tab") != "classify":
        return gr.skip(), gr.skip()
    return _refresh(adapter, newest, owner, request)


def _answer(
    path: str | None, adapter: str, scale: float, rank: float, blocks: list[int], owner: str, shown: str,
    newest: str, request: gr.Request,
) -> tuple:  # fmt: skip
    """For another photo or adapter everything that is known without the held-out images; another adapter starts as trained."""
    nothing = (gr.skip(),) * 11
    if not path or not newest:
        return nothing  # the image was taken away, so the last answer stays; or nobody has opened the tab yet
    adapter_key = answer.key(answer.entry_of(adapter, owner_of(owner, request)))
    if shown == f"{adapter_key} {path}":
        return nothing
    same = shown.split(" ")[0] == adapter_key
    sliders = (gr.skip(),) * 3 if same else answer.dials_of(adapter, owner, request)
    places = (scale, rank, blocks) if same else (1, float("inf"), None)
    question = answer.asked(path, adapter, *places, owner, request)
    return *answer.everything(question), *sliders, f"{adapter_key} {path}", answer.pending(question)


def _believed(
    path: str | None, adapter: str, scale: float, rank: float, blocks: list[int], owner: str, pending: str,
    request: gr.Request,
) -> tuple:  # fmt: skip
    """The same once more, with what the held-out images say."""
    if not pending:
        return (gr.skip(),) * 7
    question = answer.asked(path, adapter, scale, rank, blocks, owner, request)
    return *answer.everything(answer.waited(question)), ""


def _moved(name: str):
    """What a move of one slider changes at once: the headline, the bars, and where it stands in its own picture."""

    def moved(path, adapter, scale, rank, blocks, owner, request: gr.Request) -> list:
        question = answer.asked(path, adapter, scale, rank, blocks, owner, request)
        return [answer.headline(question), answer.bars(question), *answer.curves(question, (name,))]

    return moved


def _redrawn(names: tuple[str, ...]):
    """The pictures of the other sliders, whose curves a move changes."""

    def redrawn(path, adapter, scale, rank, blocks, owner, request: gr.Request) -> list:
        return answer.curves(answer.asked(path, adapter, scale, rank, blocks, owner, request), names)

    return redrawn
