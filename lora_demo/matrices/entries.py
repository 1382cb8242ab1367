"""One typed number: what is accepted, what is refused, and the sentence that says why."""

from __future__ import annotations

import re
from fractions import Fraction

from lora_demo.matrices.matrix import MatrixError

MAX_CHARACTERS = 400  # of one number
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_DECIMAL = re.compile(_NUMBER)
# Already canonical and surely in range, as nearly all numbers are: twice as fast for 512 × 512 of them.
_CANONICAL = re.compile(r"(?:-?[1-9][0-9]{0,14}|-?0(?=\.)|0)(?:\.[0-9]{0,19}[1-9])?")
_FRACTION = re.compile(rf"({_NUMBER})/({_NUMBER})")
_COMPLEX = re.compile(rf"(?:{_NUMBER})?(?:[+-]|{_NUMBER})?\*?[ijIJ]")
_ELISION = re.compile(r"\.\.+|…|⋯|⋮|⋱|\\[cvdl]?dots[cb]?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|∞|\\infty|#div/0!|#n/a)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


def read_entry(cell: str, row: int, column: int) -> str:
    """The cell in canonical form ("+1.50E3" is "1.5e3", "2/6" is "1/3"), or MatrixError that names the place."""
    if _CANONICAL.fullmatch(cell):
        return cell
    place = f"row {row}, column {column}"
    if len(cell) > MAX_CHARACTERS:
        raise MatrixError(f"{place}: a number of {len(cell)} characters; at most {MAX_CHARACTERS} are read")
    if _DECIMAL.fullmatch(cell):
        return _in_range(cell, place)
    fraction = _FRACTION.fullmatch(cell)
    if fraction:
        above, below = (_in_range(part, place) for part in fraction.groups())
        if Fraction(below) == 0:
            raise MatrixError(f"{place}: {cell} divides by zero")
        return _fraction_in_range(Fraction(above) / Fraction(below), cell, place)
    raise MatrixError(f"{place}: {_what_is_wrong(cell)}")


def point_for_comma(cells: list[list[str]]) -> tuple[list[list[str]], str]:
    """Cells with decimal commas turned into points, and the note that says so; unchanged where there is no comma.

    The commas here do not separate cells. Raises MatrixError where they could as well group thousands.
    """
    if not any("," in cell for row in cells for cell in row):
        return cells, ""
    with_comma = [(i, j, cell) for i, row in enumerate(cells, 1) for j, cell in enumerate(row, 1) if "," in cell]
    for i, j, cell in with_comma:
        if not all(_DECIMAL_COMMA.fullmatch(part) for part in cell.split("/") if "," in part):
            raise MatrixError(f"row {i}, column {j}: {_quoted(cell)} is not one number: is the comma a separator?")
    if any("." in cell for row in cells for cell in row):
        i, j, cell = with_comma[0]
        raise MatrixError(f"row {i}, column {j}: {_quoted(cell)} has a decimal comma, other numbers a decimal point")
    if all(_THOUSANDS.fullmatch(cell) for _, _, cell in with_comma):
        i, j, cell = with_comma[0]
        both = f"{cell.replace(',', '.')} or {cell.replace(',', '')}"
        raise MatrixError(f"row {i}, column {j}: {_quoted(cell)} may mean {both}; write it without the comma")
    return [[cell.replace(",", ".") for cell in row] for row in cells], "Commas were read as decimal commas."


def refuse_elision(text: str) -> None:
    """Raises MatrixError where numbers were left out of a print ("...", an ellipsis, dots of LaTeX)."""
    found = _ELISION.search(text)
    if found:
        row = text[: found.start()].count("\n") + 1
        raise MatrixError(
            f"line {row}: “{found.group()}” stands for numbers that were left out; paste the whole matrix "
            "(torch and NumPy print all of it after set_printoptions(threshold=...))"
        )


def _in_range(number: str, place: str) -> str:
    """Canonical text of a decimal; its size is judged by float, which reads any exponent at once."""
    value = float(number)
    mantissa, _, exponent = number.lower().partition("e")
    if abs(value) == float("inf") or (value == 0 and mantissa.strip("+-0.") != ""):
        raise MatrixError(f"{place}: {_quoted(number)} is beyond the range of double precision (1e-308 to 1e308)")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, decimals = mantissa.lstrip("+-").partition(".")
    if value == 0:
        return "0"
    decimals = decimals.rstrip("0")
    canonical = sign + (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")
    return canonical + (f"e{int(exponent)}" if exponent.strip("+-0") else "")


def _fraction_in_range(value: Fraction, cell: str, place: str) -> str:
    try:
        as_float = float(value)
    except OverflowError:
        as_float = float("inf")
    if abs(as_float) == float("inf") or (as_float == 0) != (value == 0):
        raise MatrixError(f"{place}: {_quoted(cell)} is beyond the range of double precision (1e-308 to 1e308)")
    canonical = str(value)
    if len(canonical) > MAX_CHARACTERS:
        raise MatrixError(f"{place}: {_quoted(cell)} is a fraction of more than {MAX_CHARACTERS} characters")
    return canonical


def _what_is_wrong(cell: str) -> str:
    if cell == "":
        return "nothing stands there"
    if _NOT_FINITE.fullmatch(cell):
        return f"{_quoted(cell)} is not a finite number"
    if _COMPLEX.fullmatch(cell):
        return f"{_quoted(cell)} is a complex number; only real ones are read"
    if cell in ("+", "-", "*", "/", "^", "=") or re.search(r"[0-9a-zA-Z)][*^+/(=-]|[*^=(]|√|\\sqrt", cell):
        return f"{_quoted(cell)} is a formula; only numbers are read"
    return f"{_quoted(cell)} is not a number"


def _quoted(cell: str) -> str:
    return f"“{cell}”" if len(cell) <= 40 else f"“{cell[:37]}…”"
