"""Guess the rank: small integer matrices, their rank, and the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lora_demo.matrices.analysis import analyze
from lora_demo.matrices.matrix import Matrix, MatrixError, from_array

ROUNDS = 8  # one of each kind


@dataclass(frozen=True)
class Question:
    """matrix: what is shown; answer: its exact rank; reason: one sentence that says why."""

    matrix: Matrix
    answer: int
    reason: str

    @property
    def choices(self) -> range:
        """The ranks that can be guessed: 0..min(m, n)."""
        return range(min(self.matrix.shape) + 1)

    def check(self, guess: int) -> tuple[bool, str]:
        """Whether the guess is right, and the sentence to show."""
        verdict = "Right" if guess == self.answer else f"Not {guess}"
        return guess == self.answer, f"{verdict}. {self.reason}"


def quiz(seed: int, rounds: int = ROUNDS) -> tuple[Question, ...]:
    """A game of `rounds` questions in mixed order, the same for the same seed >= 0; the kinds differ within a game."""
    if seed < 0 or not 1 <= rounds <= 50:
        raise MatrixError("a game needs a seed of at least 0 and 1 to 50 rounds")
    rng = np.random.default_rng(seed)
    order = [kind for _ in range(-(-rounds // len(_KINDS))) for kind in rng.permutation(len(_KINDS))]
    return tuple(_question(_KINDS[kind](rng)) for kind in order[:rounds])


def _question(numbers: np.ndarray) -> Question:
    matrix = from_array(numbers)
    analysis = analyze(matrix)
    return Question(matrix, analysis.exact.rank, analysis.headline())


def _numbers(rng: np.random.Generator, m: int, n: int) -> np.ndarray:
    """Small integers without zeros: zeros would give the answer away."""
    return rng.choice([-3, -2, -1, 1, 2, 3, 4, 5], (m, n))


def _sum_of_rows(rng: np.random.Generator) -> np.ndarray:
    rows = _numbers(rng, 2, 3)
    return np.vstack([rows, rows.sum(axis=0)])[rng.permutation(3)]


def _multiples(rng: np.random.Generator) -> np.ndarray:
    return np.outer(rng.choice([-2, -1, 1, 2, 3], 3), _numbers(rng, 1, 3)[0])


def _any_numbers(rng: np.random.Generator) -> np.ndarray:
    return _numbers(rng, 3, 3)


def _counting(rng: np.random.Generator) -> np.ndarray:
    """Numbers in equal steps, row after row: they all differ, and the rank is 2."""
    start, step = rng.integers(1, 6), rng.integers(1, 4)
    return start + step * np.arange(16).reshape(4, 4)


def _permutation(rng: np.random.Generator) -> np.ndarray:
    return np.eye(4, dtype=int)[rng.permutation(4)]


def _zero_row(rng: np.random.Generator) -> np.ndarray:
    rows = _numbers(rng, 3, 3)
    rows[rng.integers(3)] = 0
    return rows


def _checkerboard(rng: np.random.Generator) -> np.ndarray:
    return (np.indices((4, 4)).sum(axis=0) + rng.integers(2)) % 2


def _wide(rng: np.random.Generator) -> np.ndarray:
    return _numbers(rng, 3, 4)


_KINDS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    _sum_of_rows,
    _multiples,
    _any_numbers,
    _counting,
    _permutation,
    _zero_row,
    _checkerboard,
    _wide,
)
