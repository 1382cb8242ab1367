"""The exact rank over the rationals, and why: pivots, relations between rows, bases, and the factors A = Y Zᵀ."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from lora_demo.matrices.certificate import Echelon, eliminate
from lora_demo.matrices.matrix import Matrix

PRIME = 2**61 - 1
SECONDS = 0.5  # that the certificate of a large matrix may take
_QUICK_WORK = 500_000  # word operations of elimination done in this process: some 10 ms
_QUICK_BOUND = 16  # up to this rank FLINT certifies even 512 × 512 in a few ms
_WHY_NUMBERS = 4_096  # above this many numbers only the rank is certified: nobody reads relations of 500 rows
_SMALL_TERMS, _SMALL_DIGITS = 6, 5  # of a relation that is still plain words

_FULL = "Full modulo the prime 2⁶¹ - 1, so full over the rationals."

Row = tuple[Fraction, ...]


@dataclass(frozen=True)
class Why:
    """What elimination shows, all exact; rows and columns are counted from 0.

    pivot_columns, pivot_rows: the first independent columns and rows, left to right and top to bottom [rank].
    echelon: the nonzero rows of the reduced row echelon form [rank][n].
    y, zt: A = Y Zᵀ, Y [m][rank] long and skinny, Zᵀ [rank][n] the pivot rows of A.
    column_basis: the pivot columns of A, a basis of its column space [rank][m].
    width: n.
    """

    pivot_columns: tuple[int, ...]
    pivot_rows: tuple[int, ...]
    echelon: tuple[Row, ...]
    y: tuple[Row, ...]
    zt: tuple[Row, ...]
    column_basis: tuple[Row, ...]
    width: int

    @property
    def row_basis(self) -> tuple[Row, ...]:
        """A basis of the row space [rank][n]: the pivot rows of A."""
        return self.zt

    @property
    def null_basis(self) -> tuple[Row, ...]:
        """A basis of {x : A x = 0}, one vector a free column, [n - rank][n]."""
        basis = []
        for free in sorted(set(range(self.width)) - set(self.pivot_columns)):
            vector = [Fraction(0)] * self.width
            vector[free] = Fraction(1)
            for row, pivot in zip(self.echelon, self.pivot_columns, strict=True):
                vector[pivot] = -row[free]
            basis.append(tuple(vector))
        return tuple(basis)

    @property
    def relations(self) -> tuple[str, ...]:
        """How each row that is no pivot row follows from them: "row 3 = row 1 + row 2"; rows counted from 1."""
        pivots = set(self.pivot_rows)
        return tuple(
            _relation(i, coefficients, self.pivot_rows) for i, coefficients in enumerate(self.y) if i not in pivots
        )


@dataclass(frozen=True)
class Exact:
    """The rank over the rationals of the exact numbers.

    rank: the rank, or a lower bound where `certain` is False.
    how: one sentence that says how it is known.
    why: pivots, relations and bases; None where the matrix is too large to show them.
    """

    rank: int
    certain: bool
    how: str
    why: Why | None

    @property
    def relations(self) -> tuple[str, ...]:
        """Row relations in plain words; empty where there are none or `why` is None."""
        return self.why.relations if self.why else ()

    def __str__(self) -> str:
        return f"{self.rank}" if self.certain else f"at least {self.rank}"


def exact_rank(matrix: Matrix, seconds: float = SECONDS) -> Exact:
    """The exact rank of the matrix.

    The rank modulo the prime 2⁶¹ - 1 comes first: it never exceeds the rank, so where it is full it is the answer.
    Otherwise small matrices are eliminated over the rationals here, and large ones get `seconds` in a process of
    its own, and what it cannot prove in time is said as "at least".
    """
    rows, denominators = matrix.integer_rows
    m, n = matrix.shape
    bound = _rank_modulo_prime(rows)
    full = bound == min(m, n)
    want_why = m * n <= _WHY_NUMBERS
    if full and not want_why:
        return Exact(bound, True, _FULL, None)
    if full and m == n:
        return Exact(bound, True, _FULL, _regular(matrix))
    words = 1 + max(x.bit_length() for row in rows for x in row) // 64
    work = m * n * bound * (1 + bound * words // 8)
    if (work <= _QUICK_WORK and want_why) or (bound <= _QUICK_BOUND and words == 1 and not want_why):
        answer, how = eliminate(rows, want_why), "Eliminated over the rationals."
    else:
        answer, how = _in_killable_process(rows, want_why, seconds), "Eliminated over the rationals in a process apart."
    if answer is None:
        late = f"The rank modulo the prime 2⁶¹ - 1; elimination over the rationals did not end in {seconds:g} s."
        return Exact(bound, full, _FULL if full else late, None)
    if not want_why:
        return Exact(answer, True, how, None)
    why = _why(matrix, *answer, denominators)
    return Exact(len(why.pivot_rows), True, how, why)


def _rank_modulo_prime(rows: Sequence[Sequence[int]]) -> int:
    from flint import nmod_mat

    return nmod_mat(len(rows), len(rows[0]), [x % PRIME for row in rows for x in row], PRIME).rank()


def _in_killable_process(rows: list[list[int]], want_why: bool, seconds: float) -> int | tuple[Echelon, Echelon] | None:
    """The answer of `eliminate`, or None where it did not come in time. Safe in any thread: nothing is forked."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("certificate.py"))]
    try:
        done = subprocess.run(
            command, input=pickle.dumps((rows, want_why)), capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None  # out of memory: no answer either
    answer = pickle.loads(done.stdout)
    return (Echelon(*answer[0]), Echelon(*answer[1])) if want_why else answer


def _why(matrix: Matrix, by_rows: Echelon, by_columns: Echelon, denominators: list[int]) -> Why:
    """From the echelon forms of D A and (D A)ᵀ, D = diag(denominators), to statements about A itself."""
    exact = matrix.fractions
    pivots = by_columns.pivots
    y = tuple(
        tuple(
            Fraction(row[i] * denominators[pivot], by_columns.denominator * denominator)
            for row, pivot in zip(by_columns.rows, pivots, strict=True)
        )
        for i, denominator in enumerate(denominators)
    )
    return Why(
        pivot_columns=tuple(by_rows.pivots),
        pivot_rows=tuple(pivots),
        echelon=tuple(tuple(Fraction(x, by_rows.denominator) for x in row) for row in by_rows.rows),
        y=y,
        zt=tuple(exact[i] for i in pivots),
        column_basis=tuple(tuple(row[j] for row in exact) for j in by_rows.pivots),
        width=matrix.shape[1],
    )


def _regular(matrix: Matrix) -> Why:
    """Of a regular matrix nothing need be computed: every row and column is a pivot, the echelon form is I."""
    n = matrix.shape[0]
    identity = tuple(tuple(Fraction(int(i == j)) for j in range(n)) for i in range(n))
    columns = tuple(zip(*matrix.fractions, strict=True))
    every = tuple(range(n))
    return Why(every, every, identity, identity, matrix.fractions, columns, n)


def _relation(i: int, coefficients: Row, pivot_rows: Sequence[int]) -> str:
    """One row in words; only coefficients that a person can read are written out, the others stand in `Why.y`."""
    terms = [(c, p + 1) for c, p in zip(coefficients, pivot_rows, strict=True) if c]
    if not terms:
        return f"row {i + 1} is zero"
    digits = max(len(str(c.numerator)) + len(str(c.denominator)) for c, _ in terms)
    if len(terms) > _SMALL_TERMS or digits > 2 * _SMALL_DIGITS:
        return f"row {i + 1} is a combination of {len(terms)} other {'row' if len(terms) == 1 else 'rows'}"
    text = ""
    for c, p in terms:
        sign = ("− " if c < 0 else "+ ") if text else ("−" if c < 0 else "")
        text += f"{' ' if text else ''}{sign}{'' if abs(c) == 1 else f'{abs(c)} '}row {p}"
    return f"row {i + 1} = {text}"
