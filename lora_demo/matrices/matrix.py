"""A matrix as it was typed: float64 values for the SVD beside the exact numbers for the exact rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm

import numpy as np

from lora_demo.errors import LabError

MAX_SIDE = 512  # rows or columns


class MatrixError(LabError):
    """A matrix, or a question about one, that cannot be used: one sentence says what was found and where."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """An m × n matrix of real numbers, finite in double precision.

    values: the numbers as float64 [m, n], read-only.
    entries: each number as plain text that `parse` reads: "3", "-0.1", "1/3", "2e-5".
    stored: True where the numbers came as doubles (an array, a `.npy` file): then the exact numbers are those doubles
        and `entries` their shortest decimals. False where they were typed: "0.1" is exactly 1/10.
    note: what was decided while reading ("decimal commas"), a sentence, or "".
    """

    values: np.ndarray
    entries: tuple[tuple[str, ...], ...]
    stored: bool = False
    note: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return self.values.shape

    @cached_property
    def integer_rows(self) -> tuple[list[list[int]], list[int]]:
        """The exact rows as integers [m][n], each row over a positive denominator of its own [m]."""
        if self.stored:
            pairs = ([value.as_integer_ratio() for value in row] for row in self.values.tolist())
            scaled = [_over_common_denominator(row) for row in pairs]
        else:
            scaled = [_scaled(row) for row in self.entries]
        return [row for row, _ in scaled], [denominator for _, denominator in scaled]

    @cached_property
    def fractions(self) -> tuple[tuple[Fraction, ...], ...]:
        """The exact numbers, [m][n]."""
        rows, denominators = self.integer_rows
        return tuple(
            tuple(Fraction(x, denominator) for x in row) for row, denominator in zip(rows, denominators, strict=True)
        )


def from_entries(entries: Sequence[Sequence[str]], note: str = "") -> Matrix:
    """The matrix of canonical entries (`entries.read_entry` gives them), all rows equally long and in range."""
    values = np.array([[_to_float(entry) for entry in row] for row in entries], dtype=np.float64)
    values.setflags(write=False)
    return Matrix(values, tuple(map(tuple, entries)), note=note)


def from_array(array: np.ndarray, note: str = "", max_side: int = MAX_SIDE) -> Matrix:
    """The matrix of a real array [m, n] (or a vector, read as one row); integers stay exact.

    Raises MatrixError for other shapes, sides above `max_side`, other kinds of numbers, and numbers that are not finite.
    """
    array = np.asarray(array)
    if array.dtype.kind == "c":
        raise MatrixError("the array holds complex numbers; only real ones are read")
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise MatrixError(f"the array holds {array.dtype}, not real numbers of at most 64 bits")
    if array.ndim == 1:
        array = array[None, :]
    if array.ndim != 2:
        raise MatrixError(f"the array has {array.ndim} dimensions; a matrix has 2")
    check_shape(*array.shape, max_side)
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0] + 1
        raise MatrixError(f"row {row}, column {column}: {values[row - 1, column - 1]} is not a finite number")
    values.setflags(write=False)
    whole = array.dtype.kind in "biu"
    entries = (array.astype(np.uint8) if array.dtype.kind == "b" else array) if whole else values
    texts = tuple(tuple(_shortest(x) for x in row) for row in entries.tolist())
    return Matrix(values, texts, stored=not whole, note=note)


def check_shape(m: int, n: int, max_side: int = MAX_SIDE) -> None:
    """Raises MatrixError unless 1 <= m, n <= `max_side`."""
    if m < 1 or n < 1:
        raise MatrixError("the matrix is empty: it has no numbers")
    if m > max_side or n > max_side:
        raise MatrixError(f"the matrix is {m} × {n}; at most {max_side} rows and {max_side} columns are read")


def to_text(matrix: Matrix) -> str:
    """Plain text, one row a line, that `parse` reads back: the same numbers (of stored doubles, the same doubles)."""
    return "\n".join(" ".join(row) for row in matrix.entries)


def _shortest(value: float | int) -> str:
    """The shortest decimal that reads back as the same number; whole ones without a point, zero without a sign."""
    text = repr(value).removesuffix(".0")
    return "0" if text == "-0" else text


def _to_float(entry: str) -> float:
    return float(Fraction(entry)) if "/" in entry else float(entry)


def _scaled(row: Sequence[str]) -> tuple[list[int], int]:
    """A row of entries as integers over one denominator; 512 × 512 of them must not wait for `Fraction(text)`."""
    try:
        return [int(entry) for entry in row], 1
    except ValueError:
        pass  # a point, an exponent or a fraction
    if any("/" in entry for entry in row):
        return _over_common_denominator([Fraction(entry).as_integer_ratio() for entry in row])
    decimals = [_mantissa_and_exponent(entry) for entry in row]
    lowest = min(0, *(exponent for _, exponent in decimals)) if len(decimals) > 1 else min(0, decimals[0][1])
    return [mantissa * 10 ** (exponent - lowest) for mantissa, exponent in decimals], 10**-lowest


def _mantissa_and_exponent(entry: str) -> tuple[int, int]:
    """ "-1.25e3" -> (-125, 1): the number is mantissa times 10 to the exponent."""
    number, _, exponent = entry.partition("e")
    whole, _, decimals = number.partition(".")
    return int(whole + decimals), int(exponent or 0) - len(decimals)


def _over_common_denominator(pairs: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    common = lcm(*(denominator for _, denominator in pairs))
    return [numerator * (common // denominator) for numerator, denominator in pairs], common
