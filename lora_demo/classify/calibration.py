"""How far a probability can be believed: temperature scaling, and the expected calibration error before and after.

Guo et al. 2017, arXiv 1706.04599: softmax(logits / T), T fitted on held-out images by their likelihood (section 4.2); ECE is the
mean gap between accuracy and confidence over 15 bins of confidence, weighted by the images in each (equation 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 15
LIMITS = (0.05, 20.0)  # of a temperature; beyond them a softmax is flat or a step anyway


@dataclass(frozen=True)
class Calibration:
    """`temperature` of a lane, and its expected calibration error in [0, 1] before and after dividing the logits by it."""

    temperature: float
    ece_before: float
    ece_after: float

    def probabilities(self, logits: Tensor) -> Tensor:
        """[..., classes] -> calibrated probabilities; the order of the classes stays."""
        return (logits / self.temperature).softmax(-1)

    def again(self, probabilities: Tensor) -> Tensor:
        """[..., classes], the plain softmax of logits -> `probabilities` of those logits, which log p is but for a shift."""
        return (probabilities.log() / self.temperature).softmax(-1)


def calibrate(logits: Tensor, labels: Tensor) -> Calibration:
    """Fit on held-out images, logits [n, classes] and labels [n].

    The error is measured by halves, each under the temperature of the other, so that no image judges a temperature it has set;
    the temperature that is returned comes from all of them.
    """
    halves = torch.arange(len(labels)) % 2 == 0
    after = torch.empty_like(logits)
    for fit, judge in ((halves, ~halves), (~halves, halves)):
        after[judge] = logits[judge] / temperature(logits[fit], labels[fit])
    before, after = (expected_calibration_error(values.softmax(-1), labels) for values in (logits, after))
    return Calibration(temperature(logits, labels), before, after)


def temperature(logits: Tensor, labels: Tensor) -> float:
    """The T in [0.05, 20] with the largest likelihood: the loss is convex in 1 / T, so thirds of the interval are cut away."""
    low, high = 1 / LIMITS[1], 1 / LIMITS[0]
    logits = logits.double()
    while high - low > 1e-4 * low:
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if F.cross_entropy(logits * one, labels) <= F.cross_entropy(logits * other, labels):
            high = other
        else:
            low = one
    return 2 / (low + high)


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """ECE in [0, 1] of probabilities [n, classes] under labels [n]: equal bins of the largest probability, (low, high]."""
    confidence, answer = probabilities.double().max(-1)
    gap = (answer == labels).double() - confidence
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.double).index_add(0, place, gap)
    return (gaps.abs().sum() / len(labels)).item()
