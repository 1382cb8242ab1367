"""The only language between training, page, record, replay, command and test.

An event is a small frozen dataclass with a `kind` and numbers. A run is a sequence of them: `queued` while it waits, `prepared`
once, `step` after every step, `evaluated` now and then, and at the end exactly one `finished` or `failed`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Queued:
    """The run waits for its turn; `place` is 1 for the next one."""

    kind: ClassVar[str] = "queued"
    place: int


@dataclass(frozen=True)
class Prepared:
    """Backbone, data and lanes are ready.

    `lanes` gives for each lane `trainable_parameters` and `total_parameters`; `images` how many there are to train on, validate
    on and test on; `classes` their names; `dtype` and `device` what was chosen.
    """

    kind: ClassVar[str] = "prepared"
    settings: dict[str, Any]
    lanes: dict[str, dict[str, int]]
    images: dict[str, int]
    classes: list[str]
    device: str
    dtype: str


@dataclass(frozen=True)
class Step:
    """Step number `step` (from 1) is done in every lane: training loss, and seconds of the lane's own work so far."""

    kind: ClassVar[str] = "step"
    step: int
    losses: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Evaluated:
    """After `step` steps: `accuracy` in [0, 1] and `loss` of each lane on validation images, never trained on."""

    kind: ClassVar[str] = "evaluated"
    step: int
    lanes: dict[str, dict[str, float]]


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


Event = Queued | Prepared | Step | Evaluated | Finished | Failed
KINDS: dict[str, type] = {kind.kind: kind for kind in (Queued, Prepared, Step, Evaluated, Finished, Failed)}


def to_dict(event: Event) -> dict[str, Any]:
    """`event` as plain JSON values, its kind first."""
    return {"kind": event.kind, **dataclasses.asdict(event)}


def from_dict(values: dict[str, Any]) -> Event:
    """The event that `to_dict` made `values` of."""
    fields = dict(values)
    return KINDS[fields.pop("kind")](**fields)
