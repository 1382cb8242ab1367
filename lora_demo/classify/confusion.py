"""The test images: who takes what for what, where two lanes disagree, and whether the difference is one."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from dataclasses import dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from lora_demo.classify.classifier import load, weights_id
from lora_demo.classify.held_out import data_of
from lora_demo.errors import LabError
from lora_demo.records import Record

_LOCKS: dict[tuple, threading.Lock] = {}  # two sessions that ask at once compute it once; others need not wait for them

ABSENT = "The images this adapter was tested on are not here: it was trained elsewhere, or they have gone."


class NoTestImages(LabError):
    """The test images of a run are not to be had."""


@dataclass(frozen=True)
class Answers:
    """A lane's answers for all test images, in the data set's order: `logits` [n, classes], true `labels` [n]."""

    classes: list[str]
    labels: Tensor
    logits: Tensor

    @property
    def predicted(self) -> Tensor:
        """[n]: the most likely class of each image."""
        return self.logits.argmax(-1)

    @property
    def correct(self) -> Tensor:
        """[n] bool."""
        return self.predicted == self.labels

    @property
    def confusion(self) -> Tensor:
        """[classes, classes]: images of the row's class that were taken for the column's."""
        count = len(self.classes)
        return torch.bincount(self.labels * count + self.predicted, minlength=count**2).view(count, count)

    @property
    def accuracy_by_class(self) -> dict[str, float]:
        """Share in [0, 1] of each class's images that were recognised; not a number where there are none."""
        confusion = self.confusion
        return dict(zip(self.classes, (confusion.diagonal() / confusion.sum(1)).tolist(), strict=True))

    def images_of(self, true: int, predicted: int) -> list[int]:
        """Numbers of the test images of one class that were taken for another (or the same): a cell of the confusion."""
        return ((self.labels == true) & (self.predicted == predicted)).nonzero().flatten().tolist()


def answers(record: Record, lane: str) -> Answers:
    """A lane's answers for the test images: computed once, kept in the record.

    Raises `NoTestImages` where the run's data are not here, `ClassifyError` where the lane was not kept.
    """
    with _LOCKS.setdefault((record, lane), threading.Lock()):
        return _answers(record, lane, weights_id(record, lane))


@functools.lru_cache(maxsize=16)
def _answers(record: Record, lane: str, weights: str) -> Answers:
    data = data_of(record)
    if data is None:
        raise NoTestImages(ABSENT)
    path = record.folder / "test" / f"{lane}-{weights}.safetensors"
    try:
        logits = safetensors.torch.load_file(path)["logits"]
    except (OSError, safetensors.SafetensorError):
        _, logits = load(record, lane).answers(data.test.images)
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            safetensors.torch.save_file({"logits": logits}, path)
    return Answers(list(data.classes), data.test.labels, logits)


def images(record: Record, numbers: list[int]) -> Tensor:
    """Test images by their numbers, [n, 3, h, w] uint8; raises `NoTestImages`."""
    return _test_images(record)[numbers]


@functools.lru_cache(maxsize=2)
def _test_images(record: Record) -> Tensor:
    data = data_of(record)
    if data is None:
        raise NoTestImages(ABSENT)
    return data.test.images


@dataclass(frozen=True)
class Disagreement:
    """Two lanes on the same images: where one alone is right, and the chance to see so uneven a split were they equal.

    `p_value` is McNemar's exact test (McNemar 1947): of the images that one lane alone gets right, each lane should have half.
    """

    only_first: list[int]
    only_second: list[int]
    differ: list[int]
    p_value: float


def disagreement(first: Answers, second: Answers) -> Disagreement:
    """Compare two lanes' answers for the same test images; `differ` holds every image they answer differently for."""
    only_first = (first.correct & ~second.correct).nonzero().flatten().tolist()
    only_second = (second.correct & ~first.correct).nonzero().flatten().tolist()
    differ = (first.predicted != second.predicted).nonzero().flatten().tolist()
    return Disagreement(only_first, only_second, differ, mcnemar(len(only_first), len(only_second)))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value: a fair coin thrown `only_first + only_second` times splits as unevenly as this, or more."""
    count, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(count, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / 2**count)
