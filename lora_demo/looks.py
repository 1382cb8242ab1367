"""Looks at images that no lane trains on: what is measured of every lane there."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lora_demo.backbones import Backbone
from lora_demo.datasets import Data
from lora_demo.lane import Lane

INTERIM_IMAGES = 200  # of the validation images, looked at while training
PICTURES = 8  # of those, whose answers are told
BATCH = 50


class Looks:
    """The images that are looked at: `splits` "validation", the same few at every look, and "test".

    `pictures` are the indices of those of the former whose answers are told. What the head lane's frozen backbone makes of a
    split is computed once.
    """

    def __init__(self, data: Data, backbone: Backbone, device: str):
        self.backbone, self.device = backbone, device
        # Evenly spread over the classes, in whatever order the split is.
        by_class = torch.argsort(data.validation.labels, stable=True)
        interim = data.validation[by_class[_spread(len(data.validation), INTERIM_IMAGES)]]
        self.splits = {"validation": interim, "test": data.test}
        self.pictures = _spread(len(interim), PICTURES)
        self._features: dict[str, list[Tensor]] = {}

    def at(
        self, kind: str, replicas: list[dict[str, Lane]], stopped: Callable[[], bool]
    ) -> list[dict[str, dict]] | None:
        """Every lane's `accuracy`, `loss` and `answers` (probabilities [n, classes]) on `splits[kind]`, a dictionary a replica.

        None where the run was stopped in between.
        """
        split, kept = self.splits[kind], self._features.setdefault(kind, [])
        logits = [{name: [] for name in lanes} for lanes in replicas]
        for number, batch in enumerate(split.batches(BATCH)):
            pixels = self.backbone.pixels(batch.images).to(self.device)
            for lanes, found in zip(replicas, logits, strict=True):
                for name, lane in lanes.items():
                    if stopped():
                        return None
                    lane.model.eval()
                    with torch.inference_mode():
                        if name != "head":
                            found[name].append(lane.logits(pixels).float().cpu())
                            continue
                        if number == len(kept):
                            kept.append(lane.features(pixels))
                        found[name].append(lane.model.classifier(kept[number].float()).cpu())
        return [{name: _figures(torch.cat(of[name]), split.labels) for name in of} for of in logits]

    def shown(self, answers: Tensor) -> list[list[float]]:
        """[class, probability] of each picture's likeliest class; a probability of 0 where the answer is no number."""
        probability, label = answers[self.pictures].nan_to_num(0).max(-1)
        return [[int(i), round(float(p), 3)] for i, p in zip(label, probability, strict=True)]


def told(figures: dict) -> dict:
    """`figures` as an event tells them: without the answers, and None for what is no number."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in figures.items()
        if key != "answers"
    }


def _spread(count: int, wanted: int) -> Tensor:
    """`wanted` indices, evenly spread over `count`; all where there are no more."""
    return torch.linspace(0, count - 1, min(wanted, count)).long()


def _figures(logits: Tensor, labels: Tensor) -> dict:
    """Of `logits` [n, classes]: accuracy, mean loss, how many classes are ever predicted, and the probabilities."""
    predicted = logits.argmax(-1)
    return {
        "accuracy": (predicted == labels).sum().item() / len(labels),
        "loss": F.cross_entropy(logits, labels).item(),
        "predicted_classes": len(predicted.unique()),
        "answers": logits.softmax(-1),
    }
