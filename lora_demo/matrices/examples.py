"""Matrices worth looking at, each with what it teaches, and a generator of matrices with a known rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np

from lora_demo.matrices.matrix import Matrix, MatrixError, check_shape, from_array, from_entries
from lora_demo.matrices.parsing import parse


@dataclass(frozen=True)
class Example:
    """key: short and stable, for links; title: for the chip; lesson: one sentence; build: makes the matrix."""

    key: str
    title: str
    lesson: str
    build: Callable[[], Matrix]


def generate(m: int, n: int, k: int, noise: float = 0.0, seed: int = 0) -> Matrix:
    """An m × n matrix of exact rank k: a product of integer factors [m, k] and [k, n], drawn from -3..3.

    Normal noise of standard deviation `noise`, rounded to 4 decimals, is added to each number; with it the exact rank
    is almost surely full. The same seed gives the same matrix. Raises MatrixError for impossible settings.
    """
    check_shape(m, n)
    if not 0 <= k <= min(m, n):
        raise MatrixError(f"a {m} × {n} matrix cannot have rank {k}: choose from 0 to {min(m, n)}")
    if not (isfinite(noise) and 0 <= noise <= 1e6):
        raise MatrixError(f"the noise is {noise}; it must lie between 0 and 1,000,000")
    if seed < 0:
        raise MatrixError(f"the seed is {seed}; it must not be negative")
    rng = np.random.default_rng(seed)
    signal = _full_rank(rng, m, k) @ _full_rank(rng, n, k).T
    if noise == 0:
        return from_array(signal)
    noisy = signal + noise * rng.standard_normal((m, n))
    return from_entries([[f"{x:.4f}" for x in row] for row in noisy.tolist()])


def noisy_signal(noise: float = 0.5) -> Matrix:
    """The rank-3 signal of the examples, 40 × 30, under noise of this standard deviation."""
    return generate(40, 30, 3, noise, seed=3)


def _full_rank(rng: np.random.Generator, rows: int, k: int) -> np.ndarray:
    """Integers [rows, k] of rank k; a small draw may be deficient and is drawn again."""
    while True:
        factor = rng.integers(-3, 4, (rows, k))
        if k == 0 or np.linalg.matrix_rank(factor) == k:
            return factor


def _typed(text: str) -> Callable[[], Matrix]:
    return lambda: parse(text)


def _hilbert() -> Matrix:
    return from_entries([[f"1/{i + j + 1}" if i + j else "1" for j in range(12)] for i in range(12)])


def _magic() -> Matrix:
    """The 8 × 8 square of the doubly even method: count up, and count down where both block diagonals pass."""
    upward = np.arange(1, 65).reshape(8, 8)
    i, j = np.indices((8, 8)) % 4
    return from_array(np.where((i == j) | (i + j == 3), 65 - upward, upward))


EXAMPLES: tuple[Example, ...] = (
    Example(
        "sum",
        "Row 3 = row 1 + row 2",
        "The third row says nothing new: two rows are enough, so the rank is 2.",
        _typed("1 2 3\n4 5 6\n5 7 9"),
    ),
    Example(
        "independent",
        "Three independent rows",
        "No row can be made from the others: the rank is 3, as high as it gets.",
        _typed("1 2 3\n4 0 6\n7 8 9"),
    ),
    Example(
        "multiples",
        "Multiples of one row",
        "Every row is a multiple of [1, 2], one direction: the rank is 1.",
        _typed("2 4\n1 2\n3 6"),
    ),
    Example(
        "zeros",
        "Zeros",
        "No information at all: the rank is 0.",
        _typed("\n".join(["0 0 0 0"] * 4)),
    ),
    Example(
        "identity",
        "Identity",
        "All singular values are 1: no direction matters more, and nothing can be left out cheaply.",
        lambda: from_array(np.eye(8, dtype=int)),
    ),
    Example(
        "permutation",
        "Permutation",
        "Shuffled rows of the identity: mostly zeros, and still of full rank.",
        lambda: from_array(np.eye(8, dtype=int)[[3, 0, 6, 1, 7, 4, 2, 5]]),
    ),
    Example(
        "triangular",
        "Upper triangle of ones",
        "Full rank, yet a few layers carry most of it: rank and how much each direction weighs are two questions.",
        lambda: from_array(np.triu(np.ones((12, 12), dtype=int))),
    ),
    Example(
        "magic",
        "Magic square",
        "All 64 numbers differ, and still the rank is 3: the rule that fills the square is a simple one.",
        _magic,
    ),
    Example(
        "vandermonde",
        "Vandermonde",
        "Powers of 1 to 8: different points make it exactly regular, but its condition number is near a billion.",
        lambda: from_array(np.vander(np.arange(1, 9), increasing=True)),
    ),
    Example(
        "hilbert",
        "Hilbert 12 × 12",
        "Exact rank 12, numerical rank 11 in double precision, fewer in single: rounding hides what is there.",
        _hilbert,
    ),
    Example(
        "noise",
        "Rank 3 under noise",
        "Noise makes the exact and the numerical rank full; the denoised rank still finds the 3 that were put in.",
        noisy_signal,
    ),
    Example(
        "words",
        "Word counts",
        "Six texts by seven words (cat, dog, vet, fur, bank, loan, rate): two topics, pets and money, so rank 2.",
        _typed("2 1 1 1 0 0 0\n4 2 2 2 0 0 0\n0 0 1 0 3 2 1\n0 0 2 0 6 4 2\n2 1 2 1 3 2 1\n4 2 3 2 3 2 1"),
    ),
)


def example(key: str) -> Example:
    """The example of this key; raises MatrixError where there is none."""
    for candidate in EXAMPLES:
        if candidate.key == key:
            return candidate
    raise MatrixError(f"there is no example “{key}”; there are {', '.join(e.key for e in EXAMPLES)}")
