"""The first answer: what every lane says of the photo, how far to believe it, and what the sliders on the adapter do."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from lora_demo import library
from lora_demo.events import kept_accuracy
from lora_demo.figures import answers as figures
from lora_demo.figures import dials
from lora_demo.figures.matrix import data_url
from lora_demo.records import Record
from lora_demo.ui.chart import figure_text
from lora_demo.ui.session import found, library_of, owner_of, usable_record

UNSURE = 0.2  # a margin below this is called a close call
SLIDERS = ("scale", "rank", "blocks")
CURVES_SHOWN = 3  # classes


@dataclass(frozen=True)
class Asked:
    """What the page asks: of which adapter, about which photo, and where the sliders stand.

    `wait` says whether the held-out images may be waited for, the first time they are looked at.
    """

    entry: library.Entry
    photo: Any  # a classify.photo.Photo and a classify.Dial: named so, torch would be imported with the page
    dial: Any
    wait: bool = False

    @property
    def record(self) -> Record:
        return self.entry.record


def asked(
    path: str | None, adapter: str, scale: float, rank: float, blocks: list[int] | None, owner: str, request: gr.Request
) -> Asked:
    """The question as the domain takes it; raises `LabError` where there is no such photo or adapter."""
    from lora_demo import classify
    from lora_demo.classify.photo import open_photo

    entry = entry_of(adapter, owner_of(owner, request))
    classifier = classify.load(entry.record)
    dialled = classifier.dialled
    kept = None if rank >= dialled.max_rank else int(rank)
    on = None if blocks is None or set(blocks) >= set(dialled.blocks) else frozenset(blocks)
    return Asked(entry, open_photo(path, classifier.backbone), classify.Dial(scale, kept, on))


def waited(question: Asked) -> Asked:
    """The same question, to be answered with the held-out images."""
    return dataclasses.replace(question, wait=True)


def entry_of(adapter: str, owner: str) -> library.Entry:
    """The chosen adapter; without one the session's newest, before any the bundled one."""
    return found(adapter or usable_record(owner).name, owner)


def key(entry: library.Entry) -> str:
    """Changes with the adapter, and with its weights while its run goes on."""
    from lora_demo import classify

    return f"{entry.id}-{classify.weights_id(entry.record, 'lora')}"


def pending(question: Asked) -> str:
    """ "yes" where the held-out images have not been looked at with every lane."""
    from lora_demo.classify.held_out import belief

    known = [belief(question.record, lane, compute=False) for lane in question.record.lanes]
    return "" if all(known) else "yes"


def everything(question: Asked) -> tuple:
    """Headline, what the network sees, bars and the three sliders' curves."""
    return headline(question), seen(question), bars(question), *curves(question, SLIDERS)


def headline(question: Asked) -> str:
    """The sentence, the facts and the doubt."""
    from lora_demo.classify import photo

    said = photo.answers(question.record, question.photo, question.dial, question.wait)["lora"]
    doubt = photo.doubt(question.record, question.photo, question.wait)
    sentence = _sentence(said.believed, bool(doubt and doubt.unlike))
    facts = [*_sureness(said, doubt), *_adapter(question), *_sliders(question)]
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    unsure = f'<div class="note doubt">{_doubt(doubt, question)}</div>'
    return f'<div class="headline">{sentence}</div><div class="facts">{told}</div>{unsure}'


def _sentence(probabilities: dict[str, float], unlike: bool) -> str:
    (label, most), (second, next_most) = list(probabilities.items())[:2]
    named = f"{'an' if label[0] in 'aeiou' else 'a'} {escape(label)}"
    lora = '<span class="lora">LoRA</span>'
    if unlike:
        return f"Unlike anything in training; {lora} must choose and says {named}, {100 * most:.0f} %"
    if most - next_most < UNSURE:
        return f"A close call for {lora}: {named}, or {escape(second)}?"
    return f"{named[0].upper()}{named[1:]}, says {lora}, {100 * most:.0f} % sure"


def _sureness(said, doubt) -> list[str]:
    (_, most), (second, next_most) = list(said.believed.items())[:2]
    facts = [f"margin <b>{100 * (most - next_most):.0f}</b> points over {escape(second)}"]
    if said.calibrated and doubt:
        fitted = doubt.calibration
        plain = next(iter(said.softmax.values()))
        facts.append(
            f"<span title='Temperature {fitted.temperature:.2f}, fitted on held-out images. Expected calibration error: "
            f"{100 * fitted.ece_before:.1f} % before, {100 * fitted.ece_after:.1f} % after.'>calibrated at T "
            f"<b>{fitted.temperature:.2f}</b>: ECE <b>{100 * fitted.ece_before:.1f} → {100 * fitted.ece_after:.1f} %</b></span>"
        )
        facts.append(f"softmax alone says <b>{100 * plain:.0f} %</b>")
    return facts


def _adapter(question: Asked) -> list[str]:
    measured = _accuracy(question.record, (question.record.folder / "events.jsonl").stat().st_size)
    whose = {
        "bundled": f"<b>{escape(question.entry.name)}</b>, bundled",
        "run": f"this session's run <b>{escape(question.entry.name)}</b>",
        "imported": f"imported <b>{escape(question.entry.name)}</b>",
    }[question.entry.kind]
    tested = f": <b>{100 * measured:.1f} %</b> right on test images" if measured is not None else ", not tested here"
    return [f"adapter {whose}{tested}"]


@functools.lru_cache(maxsize=50)
def _accuracy(record: Record, size: int) -> float | None:
    """LoRA's accuracy on the test images, where its run measured it; `size` is that of the record's events."""
    finished = next((event for event in record.events() if event.kind == "finished"), None)
    return kept_accuracy(finished.lanes.get("lora", {})) if finished else None


def _sliders(question: Asked) -> list[str]:
    facts = [f"strength <b>{question.dial.scale:g}</b>"]
    if question.dial.rank is not None:
        facts.append(f"rank kept <b>{question.dial.rank}</b>")
    if question.dial.blocks is not None:
        facts.append(f"blocks on <b>{', '.join(str(b + 1) for b in sorted(question.dial.blocks)) or 'none'}</b>")
    return facts


def _doubt(doubt, question: Asked) -> str:
    from lora_demo.classify.novelty import FOREIGN_PASS

    if doubt is None and not question.wait:
        return "Held-out images are being looked at: calibration and whether this photo is like them come with them."
    if doubt is None:
        return "Not calibrated: the held-out images of this adapter's training are not here."
    passed = f"Of photos of other things about {100 * FOREIGN_PASS:.0f} % pass this check."
    if doubt.unlike:
        return f"{100 * (1 - doubt.farther):.0f} % of held-out images are nearer to a class than this photo. {passed}"
    return (
        f"Near enough to a class: {100 * doubt.farther:.0f} % of held-out images are farther from every one. {passed}"
    )


def seen(question: Asked) -> str:
    """The image as the network sees it, and the check that the strength's slider begins at the base."""
    from lora_demo import classify

    image = question.photo.image
    difference = classify.load(question.record).difference_at_zero(question.photo.pixels)
    return (
        f'<figure class="seen"><img alt="the image as the network sees it" src="{data_url(image)}">'
        f"<figcaption>as the network sees it, {image.width} × {image.height}<br>"
        f"Largest logit difference to the base at scale 0: <b>{difference:g}</b></figcaption></figure>"
    )


def bars(question: Asked) -> str:
    """Every lane's probabilities side by side."""
    from lora_demo.classify import photo

    said = photo.answers(question.record, question.photo, question.dial, question.wait)
    calibrated = all(answer.calibrated for answer in said.values())
    shown = {lane: answer.calibrated if calibrated else answer.softmax for lane, answer in said.items()}
    title = "How sure each lane is, calibrated" if calibrated else "How sure each lane is, softmax"
    return figure_text(figures.bars(shown, "lora", title))


def curves(question: Asked, names: tuple[str, ...]) -> list[str]:
    """For each slider the picture of this image's probabilities over it."""
    from lora_demo import classify
    from lora_demo.classify import photo

    classifier = classify.load(question.record)
    dialled, dial = classifier.dialled, question.dial
    now = photo.answers(question.record, question.photo, dial, question.wait)["lora"].believed
    drawn = photo.curves(question.record, question.photo, dial, {*names, "scale"}, question.wait)
    base = classifier.classes[drawn["scale"][1][0].argmax()]
    shown = list(dict.fromkeys([*list(now)[:2], base, *now]))[:CURVES_SHOWN]
    columns = [classifier.classes.index(name) for name in shown]
    pictures = []
    for name in names:
        places, probabilities = drawn[name]
        if name == "blocks":
            on = dialled.blocks if dial.blocks is None else dial.blocks
            switched = probabilities[:, columns[0]].tolist()
            pictures.append(dials.switches(places, switched, now[shown[0]], shown[0], on))
        else:
            at = dial.scale if name == "scale" else dialled.max_rank if dial.rank is None else dial.rank
            what = "the adapter's strength" if name == "scale" else "the directions kept"
            pictures.append(dials.curve(places, probabilities[:, columns].tolist(), shown, at, what))
    return pictures


def dials_of(adapter: str, owner: str, request: gr.Request) -> tuple:
    """The sliders for this adapter, as trained."""
    from lora_demo import classify

    dialled = classify.load(entry_of(adapter, owner_of(owner, request)).record).dialled
    blocks = [(str(block + 1), block) for block in dialled.blocks]
    return (
        gr.Slider(value=1),
        gr.Slider(maximum=dialled.max_rank, value=dialled.max_rank),
        gr.CheckboxGroup(choices=blocks, value=dialled.blocks),
    )


def choices(owner: str) -> list[tuple[str, str]]:
    """The session's adapters for a control that chooses one."""
    kinds = {"run": "this session's", "imported": "imported", "bundled": "bundled"}
    return [(f"{entry.name} ({kinds[entry.kind]})", entry.id) for entry in library_of(owner)]
