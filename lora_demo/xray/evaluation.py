"""How many images a set of weights gets right: the same images, in the same batches, for all that are compared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from lora_demo import backbones, numerics
from lora_demo.class_token import only_class_token
from lora_demo.datasets import Split

# Images; a stop is heard between batches, and larger ones gain nothing (tests/benchmarks/xray.py prints them).
BATCH = 50


@dataclass(frozen=True)
class Score:
    """The share of `images` images that a lane got right, its changes cut to rank k (None: as trained)."""

    lane: str
    k: int | None
    accuracy: float
    images: int

    @property
    def standard_error(self) -> float:
        """sqrt(p (1 - p) / n), of the binomial distribution."""
        return (self.accuracy * (1 - self.accuracy) / self.images) ** 0.5


class Evaluation:
    """A backbone's network, in fp32, that answers with whatever weights it is given."""

    def __init__(self, backbone: backbones.Backbone, images: Split, should_stop: Callable[[], bool] = lambda: False):
        self.backbone, self.images, self.should_stop = backbone, images, should_stop
        self.device = numerics.best_device()
        self.model = copy.deepcopy(backbone.model).to(self.device)
        only_class_token(self.model)

    @torch.inference_mode()
    def accuracy(self, weights: dict[str, Tensor]) -> float | None:
        """The share of the images that the network gets right with `weights` in place of its own; None where it was stopped.

        `weights` by parameter name; a head [classes, width] may have other classes than the network's own.
        """
        weights = {name: value.to(self.device) for name, value in weights.items()}
        correct = 0
        for batch in self.images.batches(BATCH):
            if self.should_stop():
                return None
            pixels = self.backbone.pixels(batch.images.to(self.device))
            logits = functional_call(self.model, weights, kwargs={"pixel_values": pixels}).logits
            correct += (logits.argmax(-1) == batch.labels.to(self.device)).sum().item()
        return correct / len(self.images)


def spread(split: Split, count: int) -> Split:
    """`count` images of a split, evenly spread (bundled splits are sorted by class); all where it has no more."""
    return split[torch.linspace(0, len(split) - 1, min(count, len(split))).long()]
