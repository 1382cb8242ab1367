"""What a run's events tell: curves, progress, and the sentence at the end. Plain numbers, no figures.

Curves hold at most `MAX_POINTS` points, whatever the length of the run: when they are full every second point goes and the
stride doubles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from lora_demo import events

MAX_POINTS = 1000
LANE_NAMES = {"full": "full fine-tuning", "lora": "LoRA", "head": "the head alone"}


@dataclass
class Curve:
    """Points of one lane: step, seconds of the lane's own work, value."""

    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    stride: int = 1
    _seen: int = 0

    def add(self, step: int, seconds: float, value: float) -> None:
        self._seen += 1
        if (self._seen - 1) % self.stride:
            return
        if len(self.values) == MAX_POINTS:
            self.stride *= 2
            for column in (self.steps, self.seconds, self.values):
                del column[1::2]
            if (self._seen - 1) % self.stride:
                return
        self.steps.append(step)
        self.seconds.append(round(seconds, 3))
        self.values.append(round(value, 4))


@dataclass
class Story:
    """The state of a run as its events tell it; `add` takes them in order."""

    prepared: events.Prepared | None = None
    place: int | None = None
    step: int = 0
    losses: dict[str, Curve] = field(default_factory=dict)
    accuracies: dict[str, Curve] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    finished: events.Finished | None = None
    failure: str | None = None

    @classmethod
    def of(cls, told: Iterable[events.Event]) -> Story:
        story = cls()
        for event in told:
            story.add(event)
        return story

    def add(self, event: events.Event) -> None:
        """Take in the next event."""
        if isinstance(event, events.Queued):
            self.place = event.place
        elif isinstance(event, events.Prepared):
            self.prepared, self.place = event, None
        elif isinstance(event, events.Step):
            self.step, self.seconds = event.step, event.seconds
            for lane, loss in event.losses.items():
                self.losses.setdefault(lane, Curve()).add(event.step, event.seconds[lane], loss)
        elif isinstance(event, events.Evaluated):
            for lane, figures in event.lanes.items():
                self.accuracies.setdefault(lane, Curve()).add(event.step, self.seconds[lane], figures["accuracy"])
        elif isinstance(event, events.Finished):
            self.finished, self.place = event, None
        elif isinstance(event, events.Failed):
            self.failure = event.message

    @property
    def steps(self) -> int:
        """How many steps the run was asked for; 0 before it is prepared."""
        return self.prepared.settings["steps"] if self.prepared else 0

    @property
    def over(self) -> bool:
        return self.finished is not None or self.failure is not None

    def headline(self) -> list[tuple[str, str]]:
        """The one sentence for the last row, as (text, lane or "") pieces."""
        if self.failure:
            return [(self.failure, "")]
        if self.finished and not self.finished.stopped:
            return _verdict(self.finished.lanes)
        if self.finished:
            return [
                (
                    f"Stopped after {self.step:,} of {self.steps:,} steps"
                    if self.step
                    else "Stopped before the first step",
                    "",
                )
            ]
        if self.place:
            return [(f"Waiting for {'the run' if self.place == 1 else f'{self.place} runs'} before this one", "")]
        if self.step:
            return [(f"Training: step {self.step:,} of {self.steps:,}", "")]
        return [("Fetching the backbone and the images", "")]

    def noise(self) -> float | None:
        """Standard error of a measured test accuracy, in points (binomial); None before it is measured."""
        accuracies = [lane["accuracy"] for lane in (self.finished.lanes if self.finished else {}).values()]
        if not accuracies or None in accuracies or not self.prepared:
            return None
        p = sum(accuracies) / len(accuracies)
        return 100 * math.sqrt(p * (1 - p) / self.prepared.images["test"])


def _verdict(lanes: dict[str, dict]) -> list[tuple[str, str]]:
    """ "LoRA reached 99 % of full fine-tuning's accuracy training 1.4 % of its parameters", or what was measured of one lane."""
    if {"lora", "full"} <= lanes.keys() and lanes["full"]["accuracy"]:
        lora, full = lanes["lora"], lanes["full"]
        share = lora["accuracy"] / full["accuracy"]
        trained = lora["trainable_parameters"] / full["trainable_parameters"]
        return [
            ("LoRA", "lora"),
            (f" reached {share:.0%} of ".replace("%", " %"), ""),
            ("full fine-tuning", "full"),
            (f"’s accuracy training {100 * trained:.2g} % of its parameters", ""),
        ]
    lane = max(lanes, key=lambda name: lanes[name]["accuracy"])
    name = LANE_NAMES[lane]
    return [
        (name[0].upper() + name[1:], lane),
        (f" is right on {100 * lanes[lane]['accuracy']:.1f} % of the test images", ""),
    ]
