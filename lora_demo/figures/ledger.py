"""What was measured of each lane, beside each other: a table that fills in, and the few images that every look answers for.

Both are lists of pieces of HTML, a cell each, so that a live update carries the cells that changed (ui/pieces.py).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from lora_demo.figures.palette import LANE_NAMES
from lora_demo.figures.race import ORDER
from lora_demo.story import Story
from lora_demo.units import bytes_text, significant


@dataclass(frozen=True)
class Row:
    """One measured quantity; `note` says what it is, or where its limit lies."""

    key: str
    title: str
    show: Callable[[float], str]
    note: str


def _flops(value: float) -> str:
    return f"{significant(value / 1e9)} GFLOP"


ROWS = (
    Row("accuracy", "right on test images", lambda v: f"{100 * v:.1f} %", ""),
    Row("trainable_parameters", "parameters trained", "{:,}".format, ""),
    Row("step_seconds", "time of a step", lambda v: f"{1000 * v:.0f} ms", "speed"),
    Row("flops", "computation of a step", _flops, "counted: products of matrices, forward and backward"),
    Row("gradient_bytes", "gradients", bytes_text, "4 bytes a trained parameter"),
    Row("optimizer_bytes", "optimizer", bytes_text, "Adam keeps two numbers a trained parameter"),
    Row(
        "saved_activation_bytes", "kept for the backward pass", bytes_text, "grows with the batch; LoRA cannot avoid it"
    ),
    Row("checkpoint_bytes", "file to keep", bytes_text, "adapter and head, or the whole network"),
    Row("seconds", "training so far", "{:.1f} s".format, "of its own work"),
)


def ledger(story: Story) -> list[str]:
    """The ledger as an HTML table: a row a quantity, a column a lane, LoRA beside full; "—" until it is measured."""
    known = _known(story)
    if not known:
        return []
    lanes = [lane for lane in ORDER if lane in known]
    both = {"full", "lora"} <= known.keys()
    head = "".join(f"<th scope='col' class='lane {lane}'>{LANE_NAMES[lane]}</th>" for lane in lanes)
    head += "<th scope='col' class='words'>LoRA beside full</th>" if both else ""
    pieces = [f"<div class='scroll'><table class='ledger across'><thead><tr><th></th>{head}</tr></thead><tbody>"]
    for row in ROWS:
        values = {lane: known[lane].get(row.key) for lane in lanes}
        pieces.append(f"<tr><th scope='row' title='{escape(row.note)}'>{row.title}</th>")
        pieces += [f"<td>{'—' if value is None else escape(row.show(value))}</td>" for value in values.values()]
        pieces.append(f"<td class='words'>{_beside(row, values, known)}</td></tr>" if both else "</tr>")
    return [*pieces, "</tbody></table></div>"]


def _known(story: Story) -> dict[str, dict]:
    """Everything measured by now, by lane."""
    finished = story.finished.lanes if story.finished else {}
    names = finished or (story.prepared.lanes if story.prepared else {})
    return {
        lane: {
            **names[lane],
            **story.measured.get(lane, {}),
            "seconds": story.seconds.get(lane),
            "step_seconds": story.seconds[lane] / story.step if story.step and lane in story.seconds else None,
            **finished.get(lane, {}),
        }
        for lane in names
    }


def _beside(row: Row, values: dict[str, float | None], known: dict[str, dict]) -> str:
    """LoRA's share of full's value as a bar and in words; of the step's time, also the limit that the computation sets."""
    lora, full = values["lora"], values["full"]
    if lora is None or not full:
        return ""
    if row.key == "step_seconds":
        flops = [known[lane].get("flops") for lane in ("full", "lora")]
        limit = f", of {flops[0] / flops[1]:.2f}× at most" if all(flops) else ""
        words = f"{full / lora:.2f}× as fast{limit}"
    elif full >= 10 * lora:
        words = f"{significant(full / lora, 2)}× smaller"
    else:
        words = f"{100 * lora / full:.0f} %"
    width = min(100, 100 * lora / full)
    return f"<span class='bar' style='--share:{width:.1f}%'></span> {words}"


def answers(story: Story, classes: list[str]) -> list[str]:
    """The few held-out images and what each lane says they are, now and at every look before: ● right, ○ wrong.

    The images come from `strip`, so that they are sent once.
    """
    labels = story.prepared.pictures if story.prepared else []
    if not labels or not story.looks:
        return ["<div class='note'>The first answers come with the first look at held-out images.</div>"]
    count = len(labels)
    tiles = "".join(
        f"<th scope='col'><i role='img' aria-label='a held-out image: {escape(classes[label])}' style='background-position:"
        f"{100 * i / max(1, count - 1):.3f}% 0; background-size:{100 * count}% 100%'></i>{escape(classes[label])}</th>"
        for i, label in enumerate(labels)
    )
    pieces = [f"<div class='scroll'><table class='ledger learning'><thead><tr><th></th>{tiles}</tr></thead><tbody>"]
    for lane in (lane for lane in ORDER if lane in story.looks[-1].pictures):
        looks = [look.pictures[lane] for look in story.looks if lane in look.pictures]
        pieces.append(f"<tr><th scope='row' class='lane {lane}'>{LANE_NAMES[lane]}</th>")
        for i, label in enumerate(labels):
            guess, probability = looks[-1][i]
            marks = "".join("●" if look[i][0] == label else "○" for look in looks[-8:])
            verdict = "right" if guess == label else "wrong"
            pieces.append(
                f"<td class='{verdict}'>{escape(classes[int(guess)])}<br><small>{100 * probability:.0f} % "
                f"<span aria-hidden='true'>{marks}</span></small></td>"
            )
        pieces.append("</tr>")
    return [*pieces, "</tbody></table></div>"]


def strip(png: bytes | None) -> str:
    """The images of `answers`, given side by side as a PNG, as the style that shows them there."""
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else ""
    return f"<style>.learning i {{ background-image: url('{address}'); }}</style>"
