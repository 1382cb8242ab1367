"""What the page shows of a run while it goes on, and of a record: headline, curves, ledger, answers, spectrum."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from html import escape

import gradio as gr

from lora_demo import diagnosis, runs
from lora_demo.figures import ledger, race
from lora_demo.records import Record
from lora_demo.story import Story
from lora_demo.ui.chart import growing_figure
from lora_demo.ui.train.charts import drawn
from lora_demo.units import duration_text

REFERENCE = "reference"
UPDATE_SECONDS = 0.5
SPECTRUM_SECONDS = 1.0
PAUSE, GO = "Pause", "Go on"


async def follow(run_id: str, compare: list[str]) -> AsyncIterator[tuple]:
    """Headline, curves, ledger, answers and the pause button of a run as it grows; without one, of the recorded run."""
    name = run_id or REFERENCE
    record = runs.record(name)
    earlier = {title: told_by(record.name) for title, record in chosen(compare, name).items()}
    live = runs.live(name)
    if live is None:
        note = "" if run_id else "a recorded run; press Train for your own"
        yield _pictures(name, record, Story.of(record.events()), earlier, note)
        return
    story = Story()
    async for new in runs.follow(live, UPDATE_SECONDS):
        for event in new:
            story.add(event)
        yield _pictures(name, record, story, earlier, _time_left(story, live.seconds_left()))


async def follow_spectrum(run_id: str, lane: str, layer: str | None) -> AsyncIterator[tuple]:
    """The choice of layers and the spectrum of one of them, once a second while a run goes on."""
    name = run_id or REFERENCE
    live = runs.live(name)
    if live is None:
        yield _spectrum(Story.of(runs.record(name).events()), lane, layer)
        return
    story = Story()
    async for new in runs.follow(live, SPECTRUM_SECONDS):
        for event in new:
            story.add(event)
        yield _spectrum(story, lane, layer)


def chosen(compare: list[str], run_id: str) -> dict[str, Record]:
    """The earlier runs to draw, by a title short enough for a legend; the run itself is none."""
    records = {name: runs.record(name) for name in compare if name != run_id and runs.exists(name)}
    return {title(record): record for record in records.values()}


def title(record: Record) -> str:
    """A run in a few words: what it was, and how it ended."""
    settings = record.settings
    told = told_by(record.name)
    figures = told.finished.lanes if told.finished else {}
    reached = f", LoRA {100 * figures['lora']['accuracy']:.1f} %" if figures.get("lora", {}).get("accuracy") else ""
    name = "recorded: " if record.name in runs.bundled() else ""
    return f"{name}r {settings.rank} {settings.targets.replace('_', ', ')}, {told.step:,} steps{reached}"


def told_by(name: str) -> Story:
    """The story of a record; of one that has ended it is read once."""
    live = runs.live(name)
    if live and not live.over:
        return Story.of(runs.record(name).events())
    return _ended(name)


@functools.lru_cache(maxsize=32)
def _ended(name: str) -> Story:
    return Story.of(runs.record(name).events())


def _pictures(run_id: str, record: Record, story: Story, earlier: dict[str, Story], note: str) -> tuple:
    classes = story.prepared.classes if story.prepared else []
    return (
        _headline(story, note),
        drawn(run_id, story, earlier),
        ledger.ledger(story),
        _strip(record.folder) if story.looks else "",
        ledger.answers(story, classes),
        gr.Button(GO if story.paused else PAUSE),
    )


@functools.lru_cache(maxsize=64)
def _strip(folder) -> str:
    return ledger.strip(Record(folder).pictures())


def _spectrum(story: Story, lane: str, layer: str | None) -> tuple:
    names = race.layers(story, lane)
    layer = layer if layer in names else (names[0] if names else None)
    choice = gr.Dropdown(choices=[(_short(name), name) for name in names], value=layer)
    return choice, growing_figure(*race.spectrum(story, lane, layer or ""))


def _short(name: str) -> str:
    """ "vit.layers.0.attention.q_proj" -> "layer 0, q_proj"."""
    parts = name.split(".")
    depth = next((part for part in parts if part.isdigit()), None)
    return f"layer {depth}, {parts[-1]}" if depth else name


def _headline(story: Story, note: str) -> list[str]:
    texts = ((escape(text).replace(" %", "&nbsp;%"), lane) for text, lane in story.headline())
    pieces = "".join(f'<span class="{lane}">{text}</span>' if lane else text for text, lane in texts)
    facts = [note] if note else []
    if story.prepared:
        settings = story.settings
        facts.insert(0, f"step <b>{story.step:,} / {story.steps:,}</b>")
        facts.append(f"r <b>{settings['rank']}</b>, {escape(settings['targets'].replace('_', ', '))}")
        facts.append(f"{settings['batch_size']} images a step, {story.prepared.dtype} on {story.prepared.device}")
        if settings.get("seeds", 1) > 1:
            facts.append(f"<b>{settings['seeds']}</b> seeds: mean and range")
    if (noise := story.noise()) is not None:
        facts.append(f"one standard error of an accuracy: <b>±{noise:.1f}</b> points")
    told = [f"<span>{fact}</span>" for fact in facts]
    wrong = [f'<div class="wrong">{escape(said)}</div>' for said in diagnosis.stops(story) + diagnosis.problems(story)]
    return [f'<div class="headline">{pieces}</div><div class="facts">', *told, "</div>", *wrong]


def _time_left(story: Story, seconds: float | None) -> str:
    if story.over or story.paused or seconds is None or story.step == story.steps:
        return ""
    return f"about <b>{duration_text(seconds)}</b> left"
