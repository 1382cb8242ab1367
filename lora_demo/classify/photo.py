"""One photo before all lanes of a run: what no slider moves is computed once."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lora_demo import backbones, images
from lora_demo.classify.calibration import Calibration
from lora_demo.classify.classifier import load, resized, seen, weights_id
from lora_demo.classify.dials import AS_TRAINED, Dial
from lora_demo.classify.held_out import belief
from lora_demo.records import Record


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as a backbone sees it: `image` in its size, `pixels` [1, 3, h, w] normalised."""

    image: Image.Image
    pixels: Tensor


@dataclass(frozen=True)
class Answer:
    """A lane's probabilities by class, likeliest first; `calibrated` is None where its held-out images are not (yet) known."""

    softmax: dict[str, float]
    calibrated: dict[str, float] | None

    @property
    def believed(self) -> dict[str, float]:
        """The calibrated ones where there are any."""
        return self.calibrated or self.softmax


@dataclass(frozen=True)
class Doubt:
    """How far to believe LoRA's lane about a photo: whether it is unlike anything in training, and the lane's calibration.

    `farther` is the share of held-out images, in [0, 1], that are farther from every class.
    """

    unlike: bool
    farther: float
    calibration: Calibration


def open_photo(path: str | None, backbone: backbones.Backbone) -> Photo:
    """The photo in a file, kept for the next question. Raises `images.ImageError`."""
    if not path or not Path(path).is_file():
        raise images.ImageError("There is no image, or it was deleted by age: choose one, or upload yours once more.")
    return _photo(path, Path(path).stat().st_mtime_ns, backbone)


@functools.lru_cache(maxsize=50)
def _photo(path: str, changed: int, backbone: backbones.Backbone) -> Photo:
    image = resized(backbone, images.open_image(path))
    return Photo(image, seen(backbone, image))


def answers(record: Record, photo: Photo, dial: Dial = AS_TRAINED, compute: bool = True) -> dict[str, Answer]:
    """Every kept lane's answer; `dial` is for LoRA's. Without `compute` calibrated only where that is known already."""
    return {lane: _answer(record, lane, photo, dial, compute) for lane in record.lanes}


def doubt(record: Record, photo: Photo, compute: bool = True) -> Doubt | None:
    """About LoRA's lane as trained; None where its held-out images are not here, or without `compute` not known yet."""
    if (known := belief(record, "lora", compute)) is None:
        return None
    features, _ = _as_trained(record, "lora", weights_id(record, "lora"), photo)
    farther = known.familiar.share_farther(known.familiar.cosines(features).item())
    return Doubt(known.familiar.is_unlike(features).item(), farther, known.calibration)


def curves(
    record: Record, photo: Photo, dial: Dial, names: Iterable[str], compute: bool = True
) -> dict[str, tuple[list[float], Tensor]]:
    """LoRA's lane over the sliders called `names`: places, and probabilities [places, classes], calibrated where known."""
    known = belief(record, "lora", compute)
    drawn = load(record).dialled.curves(photo.pixels, dial, names)
    return {
        name: (curve.places, known.calibration.again(curve.probabilities) if known else curve.probabilities)
        for name, curve in drawn.items()
    }


def _answer(record: Record, lane: str, photo: Photo, dial: Dial, compute: bool) -> Answer:
    classifier, known = load(record, lane), belief(record, lane, compute)
    weights = weights_id(record, lane)
    if lane == "lora" and dial != AS_TRAINED:
        logits = _dialled(record, weights, photo, dial)
    else:
        _, logits = _as_trained(record, lane, weights, photo)
    calibrated = known and ranked(classifier.classes, known.calibration.probabilities(logits)[0])
    return Answer(ranked(classifier.classes, logits.softmax(-1)[0]), calibrated)


@functools.lru_cache(maxsize=200)
def _as_trained(record: Record, lane: str, weights: str, photo: Photo) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(np.array(photo.image)).permute(2, 0, 1)[None]
    return load(record, lane).answers(pixels)


@functools.lru_cache(maxsize=200)
def _dialled(record: Record, weights: str, photo: Photo, dial: Dial) -> Tensor:
    return load(record).dialled.logits(photo.pixels, [dial])


def ranked(classes: list[str], probabilities: Tensor) -> dict[str, float]:
    """[classes] by name, likeliest first."""
    return dict(sorted(zip(classes, probabilities.tolist(), strict=True), key=lambda item: -item[1]))
