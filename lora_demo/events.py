"""The only language between training, page, record, replay, command and test.

An event is a small frozen dataclass with a `kind` and numbers. A run is a sequence of them: `queued` while it waits, `prepared`
once, `step` after every step, `measured` after the second, `evaluated` and `spectra` now and then, `changed` where somebody or
something interfered, and at the end exactly one `finished` or `failed`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Queued:
    """The run waits for its turn; `place` is 1 for the next one, `seconds` the expected wait where it can be told."""

    kind: ClassVar[str] = "queued"
    place: int
    seconds: float | None = None


@dataclass(frozen=True)
class Prepared:
    """Backbone, data and lanes are ready.

    `lanes` gives for each lane `trainable_parameters` and `total_parameters`; `images` how many there are to train on, validate
    on and test on; `classes` their names; `dtype` and `device` what was chosen; `pictures` the classes of the few images that
    every look answers for.
    """

    kind: ClassVar[str] = "prepared"
    settings: dict[str, Any]
    lanes: dict[str, dict[str, int]]
    images: dict[str, int]
    classes: list[str]
    device: str
    dtype: str
    pictures: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """Step number `step` (from 1) is done in every lane that still trains: training loss, and seconds of its own work so far.

    With several seeds both are means, and `each` holds every seed's loss. A loss that is no number is None.
    """

    kind: ClassVar[str] = "step"
    step: int
    losses: dict[str, float | None]
    seconds: dict[str, float]
    each: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What one step costs each lane, counted during the second.

    `gradient_bytes`, `optimizer_bytes`, `saved_activation_bytes` and `flops`.
    """

    kind: ClassVar[str] = "measured"
    step: int
    lanes: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Evaluated:
    """After `step` steps: `accuracy` in [0, 1] and `loss` of each lane on validation images, never trained on.

    `predicted_classes` says how many different answers a lane gave; with several seeds the figures are means and `accuracies`
    holds each. `pictures`: by lane, [class, probability] of the few images shown.
    """

    kind: ClassVar[str] = "evaluated"
    step: int
    lanes: dict[str, dict[str, Any]]
    pictures: dict[str, list[list[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spectra:
    """The largest singular values of each adapted layer's change since the start, by lane and layer, after `step` steps."""

    kind: ClassVar[str] = "spectra"
    step: int
    lanes: dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Changed:
    """Something other than the settings shaped the run after `step` steps.

    `what` is "paused", "resumed", "rates" (`rates` has the new ones), "continued" (more steps after a run had ended),
    "early stop" or "broke" (`lane` trains no more), or "time is up".
    """

    kind: ClassVar[str] = "changed"
    step: int
    what: str
    lane: str = ""
    rates: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """The run is over, to its end or because it was stopped after `step` steps.

    `lanes` gives for each lane what `training.Lane.summary` measures; `accuracy` and `loss` are those of the test images, and
    None where the run was stopped before they were measured.
    """

    kind: ClassVar[str] = "finished"
    step: int
    stopped: bool
    lanes: dict[str, dict[str, Any]]
    run_id: str = ""


@dataclass(frozen=True)
class Failed:
    """The run is over because something went wrong; `message` is the sentence a person reads."""

    kind: ClassVar[str] = "failed"
    message: str
    run_id: str = ""


Event = Queued | Prepared | Step | Measured | Evaluated | Spectra | Changed | Finished | Failed
KINDS: dict[str, type] = {kind.kind: kind for kind in Event.__args__}


def kept_accuracy(figures: dict[str, Any]) -> float | None:
    """What the weights that were kept are right on, of a lane's figures in `Finished`: of several seeds, the first one's."""
    return figures.get("accuracies", [figures.get("accuracy")])[0]


def to_dict(event: Event) -> dict[str, Any]:
    """`event` as plain JSON values, its kind first."""
    return {"kind": event.kind, **dataclasses.asdict(event)}


def from_dict(values: dict[str, Any]) -> Event:
    """The event that `to_dict` made `values` of."""
    fields = dict(values)
    return KINDS[fields.pop("kind")](**fields)
