"""The Train tab: LoRA, full fine-tuning and the head alone on the same images in the same order, live."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape

import gradio as gr

from lora_demo import runs
from lora_demo.figures import race
from lora_demo.settings import Settings
from lora_demo.story import Story
from lora_demo.ui.chart import chart, figure_value
from lora_demo.ui.edge import spoken
from lora_demo.ui.session import owner_of

LEAD = "The same images in the same order: all of the network, LoRA, or only its last layer."
REFERENCE = "reference"
UPDATE_SECONDS = 0.5
REPLAY_SECONDS = 10
FIRST = ("rank", "targets", "steps")  # seen at once; the other settings are folded away
RANKS = [1, 2, 4, 8, 16, 32]
PRESETS = {
    "default": {},
    "rank 1": {"rank": 1},
    "all linear": {"targets": "all_linear"},
    "as in the notebook": {
        "rank": 4, "alpha": None, "batch_size": 16, "learning_rate_head": 3e-5, "learning_rate_lora": 3e-5,
        "learning_rate_full": 3e-5, "optimizer": "adam", "schedule": "constant", "freeze_head": True,
    },
}  # fmt: skip
REMEMBER_RUN = """id => {
  const url = new URL(location); url.searchParams.set('run', id); history.replaceState(null, '', url);
}"""
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


@dataclass(frozen=True)
class TrainTab:
    """What other tabs need of this one: the settings' controls by name, and the button that leads on."""

    settings: dict[str, gr.components.Component]
    classify: gr.Button


def build(demo: gr.Blocks, owner: gr.Textbox) -> TrainTab:
    """Lay out the tab; it starts on the recorded run."""
    with gr.Row():
        with gr.Column(scale=1, elem_classes="controls"):
            gr.HTML(f'<div class="lead">{LEAD}</div>')
            with gr.Row(elem_classes="chips"):
                chips = {name: gr.Button(name, size="sm") for name in PRESETS}
            inputs = {name: _input(FIELDS[name]) for name in FIRST}
            with gr.Row(elem_classes="run"):
                train = gr.Button("Train", variant="primary", elem_id="train")
                stop = gr.Button("Stop", elem_id="stop")
            with gr.Accordion("More settings", open=False):
                inputs |= {name: _input(field) for name, field in FIELDS.items() if name not in FIRST}
            replay = gr.Button("Replay this run", size="sm", elem_id="replay")
        with gr.Column(scale=3, elem_classes="pictures"):
            headline = gr.HTML(elem_id="race-headline")
            over = gr.Radio(
                [("over steps", "steps"), ("over seconds", "seconds")], value="steps", show_label=False, container=False,
                label="Horizontal axis", elem_classes="switch",
            )  # fmt: skip
            with gr.Row():
                with gr.Column(min_width=320):
                    losses = chart(label="Training loss of each lane", height=300, elem_id="loss")
                with gr.Column(min_width=320):
                    accuracies = chart(label="Accuracy of each lane on held-out images", height=300, elem_id="accuracy")
            ledger = gr.HTML(elem_id="ledger")
            onward = gr.Button("Classify a photo with the adapter", elem_classes="onward")

    run_id = gr.Textbox(visible="hidden", elem_id="run-id")
    pictures = [headline, losses, accuracies, ledger]
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # Queued, without a limit: an error of an event outside the queue shows as a failed request in the browser's console.
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}

    for name, button in chips.items():
        button.click(lambda name=name: _preset(name, list(inputs)), None, list(inputs.values()), **quick)
    started = train.click(spoken(_start), [owner, *inputs.values()], run_id, **streaming)
    started.success(None, run_id, None, js=REMEMBER_RUN)
    following = [started.success(spoken(_follow), [run_id, over], pictures, **streaming)]
    following.append(
        demo.load(_resume, None, [run_id, over], **quick).then(spoken(_follow), [run_id, over], pictures, **streaming)
    )
    following.append(over.input(spoken(_follow), [run_id, over], pictures, **streaming))
    following.append(replay.click(spoken(_replay), [run_id, over], pictures, **streaming))
    stop.click(spoken(_stop), [run_id, owner], None, **streaming)
    return TrainTab(inputs, onward)


def _input(field: dataclasses.Field) -> gr.components.Component:
    """The form's control for one setting, from the setting's own declaration."""
    described, value = field.metadata, field.default
    common = {"label": described["label"], "info": described["meaning"], "elem_id": f"setting-{field.name}"}
    if field.name == "rank":
        return gr.Radio(RANKS, value=value, **(common | {"info": None}))
    if field.name == "steps":
        return gr.Slider(10, 1000, value, step=10, **(common | {"label": "Steps of one batch", "info": None}))
    if field.name == "lanes":
        return gr.CheckboxGroup(
            [(race.LANE_NAMES[lane], lane) for lane in described["choices"]], value=list(value), **common
        )
    if described["choices"]:
        return gr.Radio(_choices(field), value=value, **(common | ({"info": None} if field.name in FIRST else {})))
    if isinstance(value, bool):
        return gr.Checkbox(value, **common)
    if isinstance(value, str):
        return gr.Textbox(value, **common)
    return gr.Number(value, **common)


def _choices(field: dataclasses.Field) -> list[tuple[str, str]]:
    from lora_demo import settings

    names = {"targets": settings.TARGETS, "variant": settings.VARIANTS}.get(field.name, {})
    return [(names.get(choice, choice), choice) for choice in field.metadata["choices"]]


def _preset(name: str, fields: list[str]) -> list:
    values = Settings.parse(PRESETS[name]).as_dict()
    return [values[field] for field in fields]


def _start(owner: str, request: gr.Request, *values) -> str:
    names = [*FIRST, *(name for name in FIELDS if name not in FIRST)]
    given = {
        # An empty gr.Number may arrive as 0, which no optional setting allows: it means what an empty field means.
        name: None if FIELDS[name].type.endswith("None") and not value else value
        for name, value in zip(names, values, strict=True)
    }
    return runs.start(Settings.parse(given), owner_of(owner, request)).id


def _stop(run_id: str, owner: str, request: gr.Request) -> None:
    if run_id:
        runs.stop(run_id, owner_of(owner, request))


def _resume(request: gr.Request) -> tuple[str, str]:
    """The run that the page's address names, where it is still here."""
    run_id = request.query_params.get("run", "")
    return (run_id if runs.exists(run_id) else ""), "steps"


async def _follow(run_id: str, over: str) -> AsyncIterator[tuple]:
    """Pictures of the run as it grows; without one, of the recorded run that comes with the project."""
    live = runs.live(run_id)
    if live is None:
        yield _pictures(Story.of(runs.record(run_id or REFERENCE).events()), over, _recorded(run_id))
        return
    story = Story()
    started = time.monotonic()
    async for new in runs.follow(live, UPDATE_SECONDS):
        for event in new:
            story.add(event)
        yield _pictures(story, over, _time_left(story, time.monotonic() - started))


async def _replay(run_id: str, over: str) -> AsyncIterator[tuple]:
    """The run once more from its record, in ten seconds, and called a replay throughout."""
    told = list(runs.record(run_id or REFERENCE).events())
    story, frames = Story(), 2 * REPLAY_SECONDS
    for frame in range(frames):
        for event in told[len(told) * frame // frames : len(told) * (frame + 1) // frames]:
            story.add(event)
        yield _pictures(story, over, "replay of a record")
        await asyncio.sleep(REPLAY_SECONDS / frames)


def _pictures(story: Story, over: str, note: str) -> tuple:
    return (
        _headline(story, note),
        figure_value(race.loss(story, over)),
        figure_value(race.accuracy(story, over)),
        race.ledger(story),
    )


def _headline(story: Story, note: str) -> str:
    pieces = "".join(
        f'<span class="{lane}">{escape(text)}</span>' if lane else escape(text) for text, lane in story.headline()
    )
    facts = [note] if note else []
    if story.prepared:
        settings = story.prepared.settings
        facts.insert(0, f"step <b>{story.step:,} / {story.steps:,}</b>")
        facts.append(f"r <b>{settings['rank']}</b>, {escape(settings['targets'].replace('_', ', '))}")
        facts.append(f"{settings['batch_size']} images a step, {story.prepared.dtype} on {story.prepared.device}")
    if (noise := story.noise()) is not None:
        facts.append(f"one standard error of an accuracy: <b>±{noise:.1f}</b> points")
    return f'<div class="headline">{pieces}</div><div class="facts">{"".join(f"<span>{fact}</span>" for fact in facts)}</div>'


def _recorded(run_id: str) -> str:
    return "" if run_id else "a recorded run; press Train for your own"


def _time_left(story: Story, elapsed: float) -> str:
    if story.over or not story.step:
        return ""
    return f"about <b>{elapsed / story.step * (story.steps - story.step):.0f} s</b> left"
