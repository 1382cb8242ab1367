"""What goes wrong in a run, in sentences that name the lane and the setting to change."""

from __future__ import annotations

from lora_demo.settings import Settings, rising
from lora_demo.story import LANE_NAMES, Story

EARLIEST = 20  # steps before a trend is one
RISES, MOVES = 1.1, 0.97  # training loss of the last fifth over that of the start: above, below
BROKEN = 1.5  # times the lowest smoothed loss
SMOOTH = 5  # points
RATE_NAMES = {"head": "Rate of the head", "lora": "Rate of LoRA", "full": "Rate of full"}


def problems(story: Story) -> list[str]:
    """What goes wrong by now, a sentence each; for a rate that rises to break the lanes, where it did."""
    if story.settings.get("schedule") == "rising":
        return [sentence for lane in story.losses if (sentence := _breaking_point(story, lane))]
    found = []
    for lane in story.losses:
        last = story.looks[-1].lanes.get(lane, {}) if story.looks else {}
        trend, setting = _trend(story, lane), f"{RATE_NAMES[lane]!r}"
        if last.get("predicted_classes") == 1 and len(story.prepared.classes) > 1:
            found.append(
                f"{_name(lane)} gives every image the same class: its rate is too high; set {setting} to a tenth."
            )
        elif trend is not None and trend > RISES:
            found.append(f"{_name(lane)}’s training loss rises: its rate is too high; set {setting} to a tenth.")
        elif trend is not None and trend > MOVES:
            found.append(
                f"{_name(lane)}’s training loss hardly moves: its rate is too low to matter; set {setting} to ten times."
            )
    return found


def stops(story: Story) -> list[str]:
    """When and why a lane, or the whole run, stopped before its last step."""
    why = {
        "early stop": "{lane} stopped at step {step:,}: its held-out loss had not become better for {patience} looks.",
        "broke": "{lane} broke at step {step:,}: its loss was no longer a number.",
        "time is up": "The time was up at step {step:,}.",
    }
    return [
        why[change.what].format(
            lane=_name(change.lane) if change.lane else "", step=change.step, patience=story.settings.get("patience")
        )
        for change in story.changes
        if change.what in why
    ]


def _trend(story: Story, lane: str) -> float | None:
    """Training loss of the last fifth of the points over that of the first few; None where it is too early to say."""
    values = story.losses[lane].values
    if story.step < max(EARLIEST, story.steps / 4) or len(values) < EARLIEST:
        return None
    tail, start = values[-(len(values) // 5) :], values[:SMOOTH]
    return (sum(tail) / len(tail)) / (sum(start) / len(start))


def _breaking_point(story: Story, lane: str) -> str | None:
    """At which rate a lane learnt best and at which it broke (Smith 2017, arXiv 1506.01186, section 3.3)."""
    curve = story.losses[lane]
    if len(curve.values) < EARLIEST:
        return None
    windows = [curve.values[max(0, i + 1 - SMOOTH) : i + 1] for i in range(len(curve.values))]
    smooth = [sum(window) / len(window) for window in windows]
    lowest = min(range(len(smooth)), key=smooth.__getitem__)
    broke = next((i for i in range(lowest, len(smooth)) if smooth[i] > BROKEN * smooth[lowest]), None)
    if broke is None:
        return None
    peak = Settings.parse(story.settings).learning_rate(lane)
    learnt, lost = (peak * rising(curve.steps[i] - 1, story.steps) for i in (lowest, broke))
    return f"{_name(lane)} learnt best at a rate near {learnt:.1g} and broke near {lost:.1g}."


def _name(lane: str) -> str:
    return LANE_NAMES[lane][0].upper() + LANE_NAMES[lane][1:]
