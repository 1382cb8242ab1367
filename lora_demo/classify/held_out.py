"""What a lane answers for images it was not trained on: computed once a run, kept in its record.

500 validation images and 50 training images of each class pass through the network once; `Belief` is what follows from them.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from lora_demo import datasets
from lora_demo.classify.calibration import Calibration, calibrate
from lora_demo.classify.classifier import load, weights_id
from lora_demo.classify.novelty import Familiar, familiar
from lora_demo.records import Record

TRAINING_PER_CLASS = 50  # as many again move the area under the ROC curve by 0.001

_LOCKS: dict[tuple, threading.Lock] = {}  # two sessions that ask at once compute it once; others need not wait for them


@dataclass(frozen=True)
class Belief:
    """When to believe a lane: its calibrated temperature, and what its training images look like to it."""

    calibration: Calibration
    familiar: Familiar


def belief(record: Record, lane: str = "lora", compute: bool = True) -> Belief | None:
    """The lane's belief; None where its data are not to be had here, as those of an adapter trained elsewhere.

    About 1,000 images the first time (seconds), a millisecond from then on; without `compute` also None where it is the first
    time. Raises `ClassifyError` where the lane was not kept.
    """
    weights = weights_id(record, lane)
    if not compute and not _path(record, lane, weights).exists():
        return None
    with _LOCKS.setdefault((record, lane), threading.Lock()):
        return _belief(record, lane, weights)


@functools.lru_cache(maxsize=32)
def _belief(record: Record, lane: str, weights: str) -> Belief | None:
    path = _path(record, lane, weights)
    try:
        kept = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError):
        kept = _computed(record, lane)
        if kept is None:
            return None
        with contextlib.suppress(OSError):  # a record on a disk that may not be written to is computed anew
            path.parent.mkdir(exist_ok=True)
            safetensors.torch.save_file(kept, path)
    return Belief(calibrate(kept["logits"], kept["labels"]), Familiar(kept["means"], kept["cosines"]))


def calibrated(record: Record, lane: str, softmax: dict[str, float]) -> dict[str, float] | None:
    """A lane's plain probabilities by class, calibrated; None where its data are not here."""
    known = belief(record, lane)
    if known is None:
        return None
    return dict(zip(softmax, known.calibration.again(torch.tensor(list(softmax.values()))).tolist(), strict=True))


def _path(record: Record, lane: str, weights: str) -> Path:
    return record.folder / "held_out" / f"{lane}-{weights}.safetensors"


def _computed(record: Record, lane: str) -> dict[str, torch.Tensor] | None:
    data = data_of(record)
    if data is None:
        return None
    classifier = load(record, lane)
    some = torch.cat(
        [(data.train.labels == i).nonzero().flatten()[:TRAINING_PER_CLASS] for i in range(len(data.classes))]
    )
    train = data.train[some]
    seen, _ = classifier.answers(train.images)
    features, logits = classifier.answers(data.validation.images)
    known = familiar(seen, train.labels, features)
    return {"logits": logits, "labels": data.validation.labels, "means": known.means, "cosines": known.held_out}


def data_of(record: Record) -> datasets.Data | None:
    """The data a run was trained on, where they are here still and have the classes it has."""
    prepared = next((event for event in record.events() if event.kind == "prepared"), None)
    if prepared is None:
        return None
    try:
        data = datasets.load(record.settings.data)
    except datasets.DataError:
        return None
    return data if list(data.classes) == list(prepared.classes) else None
