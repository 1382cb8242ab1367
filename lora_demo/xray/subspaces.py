"""Do two changes use the same directions? The LoRA paper's two measures (Hu et al. 2021, arXiv 2106.09685, section 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lora_demo.xray.spectra import SVD

MOST_DIRECTIONS = 64  # of either side


@dataclass(frozen=True, eq=False)
class Overlap:
    """How much of the top directions of `first` lies in those of `second`.

    phi [p, q]: phi[i - 1, j - 1] in [0, 1] compares the first i directions with the first j; random [p, q]: what two random
    subspaces of these dimensions share on average.
    """

    first: str
    second: str
    phi: np.ndarray
    random: np.ndarray

    @property
    def diagonal(self) -> np.ndarray:
        """phi(i, i), i = 1 ... min(p, q)."""
        return np.diagonal(self.phi)


def overlap(first: Tensor, second: Tensor) -> np.ndarray:
    """phi(i, j) = ||V1_i V2_j^T||_F^2 / min(i, j) for every i and j, [p, q] (section 7.2, equation 4).

    `first` [p, d] and `second` [q, d] hold orthonormal right singular vectors as rows, the most important first.
    """
    squared = (first @ second.T).square().double().cumsum(0).cumsum(1).numpy()
    return squared / np.minimum(*_counts(squared.shape))


def random_overlap(p: int, q: int, d: int) -> np.ndarray:
    """max(i, j) / d, [p, q]: the mean of phi over random subspaces of R^d.

    The squared projection of a unit vector on j random dimensions is j / d on average; i of them sum to i j / d.
    """
    return np.maximum(*_counts((p, q))) / d


def compare(first: str, one: SVD, second: str, other: SVD) -> Overlap | None:
    """The overlap of the input directions that two matrices use; None where one of them is zero.

    The paper takes the right singular vectors of A; those of B A span the same space, ordered by what the layer uses.
    """
    V1, V2 = (found.Vh[: min(found.numerical_rank, MOST_DIRECTIONS)] for found in (one, other))
    if not len(V1) or not len(V2):
        return None
    return Overlap(first, second, overlap(V1, V2), random_overlap(len(V1), len(V2), V1.shape[1]))


@dataclass(frozen=True)
class Amplification:
    """||dW_r||_F / ||U_r^T W0 V_r||_F: how much stronger than W0 a change is in its own top r directions (section 7.3).

    `random` is the factor that random directions would give: ||dW_r||_F over r ||W0||_F / sqrt(out in).
    """

    rank: int
    factor: float
    random: float


def amplification(change: SVD, W0: Tensor, rank: int) -> Amplification | None:
    """The amplification factor of a change of W0 [out, in] in its top `rank` directions; None where it is zero."""
    rank = min(rank, change.numerical_rank)
    if not rank:
        return None
    size = float(torch.linalg.norm(change.S[:rank]))
    inside = float(torch.linalg.norm(change.U[:, :rank].T @ W0 @ change.Vh[:rank].T))
    random = rank * float(torch.linalg.norm(W0)) / W0.numel() ** 0.5
    return Amplification(rank, size / inside, size / random)


def _counts(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """i as a column and j as a row, from 1."""
    return np.arange(1, shape[0] + 1)[:, None], np.arange(1, shape[1] + 1)[None]
