"""What a run's events tell: curves, progress, and the sentence at the end. Plain numbers, no figures.

Curves hold at most `MAX_POINTS` points, whatever the length of the run: how many steps share a point is known from the start,
so that a curve only ever grows at its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lora_demo import events
from lora_demo.units import duration_text

MAX_POINTS = 500  # a chart is about as many pixels wide
LANE_NAMES = {"full": "full fine-tuning", "lora": "LoRA", "head": "the head alone"}
UP_TO = 1.96  # standard errors of a difference that chance explains, 95 % of the time


@dataclass
class Curve:
    """Points of one lane, each the mean over its steps: last step, seconds of the lane's own work, value, the seeds' range."""

    steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    _waiting: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, step: int, seconds: float, value: float, each: Iterable[float] = (), stride: int = 1) -> None:
        """Take in a value; it waits until `stride` of them make a point."""
        self._waiting.append((value, min(each, default=value), max(each, default=value)))
        if len(self._waiting) < stride:
            return
        mean, low, high = (round(sum(of) / len(of), 4) for of in zip(*self._waiting, strict=True))
        self._waiting.clear()
        self.steps.append(step)
        self.seconds.append(round(seconds, 2))
        self.values.append(mean)
        if each:
            self.low.append(low)
            self.high.append(high)


@dataclass
class Story:
    """The state of a run as its events tell it; `add` takes them in order."""

    prepared: events.Prepared | None = None
    queued: events.Queued | None = None
    step: int = 0
    losses: dict[str, Curve] = field(default_factory=dict)
    held_out_losses: dict[str, Curve] = field(default_factory=dict)
    accuracies: dict[str, Curve] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    measured: dict[str, dict] = field(default_factory=dict)
    looks: list[events.Evaluated] = field(default_factory=list)
    spectra: list[events.Spectra] = field(default_factory=list)
    changes: list[events.Changed] = field(default_factory=list)
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
        match event:
            case events.Queued():
                self.queued = event
            case events.Prepared():
                self.prepared, self.queued = event, None
            case events.Step():
                self._add_step(event)
            case events.Measured():
                self.measured = event.lanes
            case events.Evaluated():
                self._add_look(event)
            case events.Spectra():
                self.spectra.append(event)
            case events.Changed():
                self.changes.append(event)
            case events.Finished():
                self.finished, self.queued = event, None
            case events.Failed():
                self.failure = event.message

    def _add_step(self, event: events.Step) -> None:
        self.step = event.step
        self.seconds |= event.seconds
        for lane, loss in event.losses.items():
            if loss is not None:
                curve = self.losses.setdefault(lane, Curve())
                curve.add(event.step, event.seconds[lane], loss, event.each.get(lane, ()), self.stride)

    def _add_look(self, event: events.Evaluated) -> None:
        self.looks.append(event)
        for lane, figures in event.lanes.items():
            at = event.step, self.seconds[lane]
            each = figures.get("accuracies", ())
            self.accuracies.setdefault(lane, Curve()).add(*at, figures["accuracy"], each, self.look_stride)
            if figures["loss"] is not None:
                curve = self.held_out_losses.setdefault(lane, Curve())
                curve.add(*at, figures["loss"], stride=self.look_stride)

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was started with; empty before it is prepared."""
        return self.prepared.settings if self.prepared else {}

    @property
    def steps(self) -> int:
        """How many steps the run is to make; 0 before it is prepared."""
        return self.settings.get("steps", 0)

    @property
    def stride(self) -> int:
        """How many steps share a point of a loss curve."""
        return max(1, math.ceil(self.steps / MAX_POINTS))

    @property
    def look_stride(self) -> int:
        """How many looks share a point of a held-out curve."""
        return max(1, math.ceil(self.steps / self.settings.get("evaluate_every", 1) / MAX_POINTS))

    @property
    def over(self) -> bool:
        return self.finished is not None or self.failure is not None

    @property
    def paused(self) -> bool:
        told = [change.what for change in self.changes if change.what in ("paused", "resumed")]
        return bool(told) and told[-1] == "paused" and not self.over

    def headline(self) -> list[tuple[str, str]]:
        """The one sentence for the last row, as (text, lane or "") pieces."""
        if self.failure:
            return [(self.failure, "")]
        if self.finished and not self.finished.stopped:
            return self._verdict(self.finished.lanes)
        if self.finished:
            so_far = f"Stopped after {self.step:,} of {self.steps:,} steps"
            return [(so_far if self.step else "Stopped before the first step", "")]
        if self.queued:
            place, wait = self.queued.place, self.queued.seconds
            expected = f", about {duration_text(wait)}" if wait is not None else ""
            return [(f"Waiting for {'the run' if place == 1 else f'{place} runs'} before this one{expected}", "")]
        if self.step and self.step == self.steps:
            return [(f"Testing on {self.prepared.images['test']:,} images that no lane has seen", "")]
        if self.step:
            return [(f"{'Paused at' if self.paused else 'Training:'} step {self.step:,} of {self.steps:,}", "")]
        return [("Fetching the backbone and the images", "")]

    def noise(self) -> float | None:
        """Standard error of a measured test accuracy, in points (binomial); None before it is measured."""
        accuracies = [lane["accuracy"] for lane in (self.finished.lanes if self.finished else {}).values()]
        if not accuracies or None in accuracies or not self.prepared:
            return None
        p = sum(accuracies) / len(accuracies)
        return 100 * math.sqrt(p * (1 - p) / self.prepared.images["test"])

    def _verdict(self, lanes: dict[str, dict]) -> list[tuple[str, str]]:
        """Who won, by how much, at what cost: LoRA beside full where both raced, else the best lane's accuracy."""
        if not {"lora", "full"} <= lanes.keys() or not lanes["full"]["accuracy"]:
            lane = max(lanes, key=lambda name: lanes[name]["accuracy"])
            name = LANE_NAMES[lane]
            right = f" is right on {100 * lanes[lane]['accuracy']:.1f} % of the test images"
            return [(name[0].upper() + name[1:], lane), (right, "")]
        lora, full = lanes["lora"], lanes["full"]
        # Both saw the same images, so the difference is surer than this says: within noise may still be a difference.
        level = abs(lora["accuracy"] - full["accuracy"]) * 100 <= UP_TO * math.sqrt(2) * (self.noise() or 0)
        share = f"{lora['accuracy'] / full['accuracy']:.0%}".replace("%", " %")
        trained = 100 * lora["trainable_parameters"] / full["trainable_parameters"]
        pieces = [("LoRA", "lora"), (f" reached {share} of ", ""), ("full fine-tuning", "full")]
        within = ", within noise," if level else ""
        pieces.append((f"’s accuracy{within} training {trained:.2g} % of its parameters", ""))
        cost = []
        if lora.get("step_seconds") and full.get("step_seconds"):
            cost.append(_times(full["step_seconds"] / lora["step_seconds"], "faster", "slower") + " per step")
        if lora.get("checkpoint_bytes") and full.get("checkpoint_bytes"):
            cost.append(f"its file is {full['checkpoint_bytes'] / lora['checkpoint_bytes']:.0f}× smaller")
        return [*pieces, ("; it was " + " and ".join(cost), "")] if len(cost) == 2 else pieces


def _times(ratio: float, more: str, less: str) -> str:
    """ "1.2× faster", or "1.2× slower"."""
    return f"{ratio:.1f}× {more}" if ratio >= 1 else f"{1 / ratio:.1f}× {less}"
