"""Intruder dimensions: strong directions of a tuned weight that are unlike any direction of the weight it came from.

Shuttleworth et al. 2024, arXiv 2410.21228: LoRA makes them, full fine-tuning hardly does.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from torch import Tensor

from lora_demo.xray.spectra import svd

TOP, EPSILON = 10, 0.5  # the authors' own: how many of the tuned weight's directions, and how alike is alike


@dataclass(frozen=True, eq=False)
class Intruders:
    """similarity [k, q]: absolute cosines of the k strongest left singular vectors of the tuned weight with all of W0's.

    A row is an intruder where nothing in it reaches `epsilon`. random: the largest cosine that a random direction has, in the
    median.
    """

    similarity: np.ndarray
    epsilon: float
    random: float

    @property
    def largest(self) -> np.ndarray:
        """The best match of each of the k directions, [k]."""
        return self.similarity.max(axis=1)

    @property
    def which(self) -> np.ndarray:
        """The intruders, counted from 0."""
        return np.flatnonzero(self.largest < self.epsilon)

    @property
    def count(self) -> int:
        """How many of the k are intruders."""
        return len(self.which)


def intruders(tuned: Tensor, U0: Tensor, top: int = TOP, epsilon: float = EPSILON) -> Intruders:
    """The intruders of a tuned weight [out, in], given the left singular vectors of W0 as columns, [out, q]."""
    similarity = (svd(tuned).U[:, :top].T @ U0).abs().numpy()
    return Intruders(similarity, epsilon, random_similarity(*U0.shape))


def random_similarity(d: int, q: int) -> float:
    """The median of a random direction's largest absolute cosine with q orthonormal vectors in R^d.

    Each cosine is about N(0, 1/d), so all q stay below z / sqrt(d) with chance (2 Phi(z) - 1)^q, a half at the median.
    """
    return min(1.0, NormalDist().inv_cdf((1 + 0.5 ** (1 / q)) / 2) / d**0.5)
