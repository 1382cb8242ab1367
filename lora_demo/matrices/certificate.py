"""Exact elimination over the rationals with FLINT: rank, pivots and coefficients of an integer matrix.

Run as a script it reads a pickled (rows, want_why) and writes the pickled answer: a process that can be killed when
its time is up, for FLINT cannot be interrupted. So this file imports nothing of the house and starts in 60 ms.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import astuple, dataclass

from flint import fmpz_mat


@dataclass(frozen=True)
class Echelon:
    """A reduced row echelon form: row i has its leading 1 in column pivots[i] and reads rows[i] / denominator.

    pivots: columns counted from 0 [rank]; rows: integers [rank][n].
    """

    pivots: list[int]
    rows: list[list[int]]
    denominator: int


def reduced_echelon(rows: list[list[int]]) -> Echelon:
    """The reduced row echelon form of an integer matrix [m][n], without its zero rows."""
    reduced, denominator, rank = fmpz_mat(rows).rref()
    kept = [[int(x) for x in row] for row in reduced.tolist()[:rank]]
    pivots = [next(j for j, x in enumerate(row) if x) for row in kept]
    return Echelon(pivots, kept, int(denominator))


def eliminate(rows: list[list[int]], want_why: bool) -> int | tuple[Echelon, Echelon]:
    """The rank alone, or the echelon forms of the matrix and of its transpose."""
    if not want_why:
        return fmpz_mat(rows).rank()
    return reduced_echelon(rows), reduced_echelon([list(column) for column in zip(*rows, strict=True)])


def main() -> None:
    """Answers in plain tuples: this file's classes have another name when it runs as a script."""
    rows, want_why = pickle.load(sys.stdin.buffer)
    answer = eliminate(rows, want_why)
    pickle.dump(tuple(map(astuple, answer)) if want_why else answer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
