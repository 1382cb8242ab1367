"""A file -> Matrix: .csv, .tsv and .txt as text, .npy without pickle, .mtx (Matrix Market)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from lora_demo.matrices.entries import read_entry
from lora_demo.matrices.matrix import Matrix, MatrixError, check_shape, from_array, from_entries
from lora_demo.matrices.parsing import MAX_TEXT, matrix_of, parse, separated

SUFFIXES = (".csv", ".tsv", ".txt", ".npy", ".mtx")


def read_file(path: str) -> Matrix:
    """The matrix in the file; raises MatrixError where it cannot be read as one. Never unpickles anything."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise MatrixError(f"a file that ends in “{suffix}” is not read; give one of {', '.join(SUFFIXES)}")
    if suffix == ".npy":
        return _npy(path)
    text = _text(path)
    if suffix == ".mtx":
        return _matrix_market(text)
    return parse(text) if suffix == ".txt" else _table(text)


def _npy(path: str) -> Matrix:
    try:
        # Mapped, not loaded: a header that promises more than the file holds is refused before memory is taken.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise MatrixError("the file is not a readable .npy array of plain numbers") from error
    if not isinstance(array, np.ndarray):
        raise MatrixError("the file is an archive of arrays (.npz); give one array as .npy")
    return from_array(array)


def _text(path: str) -> str:
    data = Path(path).read_bytes()
    if len(data) > 2 * MAX_TEXT:
        raise MatrixError(f"the file has {len(data):,} bytes; at most {MAX_TEXT:,} characters are read")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise MatrixError("the file is not text in UTF-8 or UTF-16") from error


def _table(text: str) -> Matrix:
    """A spreadsheet's file; a first row of names (no digits at all) is left out, openly."""
    lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
    if not (lines and _is_heading(lines[0])):
        return _cells(lines)
    matrix = _cells(lines[1:])
    return replace(matrix, note=f"The heading row was left out. {matrix.note}".strip())


def _is_heading(line: str) -> bool:
    words = [word.strip(' "') for word in re.split(r"[\t;,]", line)]
    numbers = re.compile(r"[+-]?(?:nan|inf(?:inity)?)?", re.IGNORECASE)
    return not re.search(r"[0-9]", line) and not all(numbers.fullmatch(word) for word in words)


def _cells(lines: list[str]) -> Matrix:
    separator = next((s for s in "\t;," if s in lines[0]), None) if lines and any('"' in x for x in lines) else None
    return matrix_of(separated(lines, separator)) if separator else parse("\n".join(lines))


def _matrix_market(text: str) -> Matrix:
    """Matrix Market exchange format (Boisvert, Pozo and Remington 1996): coordinate and array, real and integer."""
    lines = text.splitlines()
    banner = lines[0].lower().split() if lines else []
    if len(banner) != 5 or banner[:2] != ["%%matrixmarket", "matrix"]:
        raise MatrixError("the file does not begin with “%%MatrixMarket matrix” and three words on its kind")
    layout, field, symmetry = banner[2:]
    if layout not in ("coordinate", "array") or field not in ("real", "integer", "pattern"):
        raise MatrixError(f"a Matrix Market file of kind “{layout} {field}” is not read; only real matrices are")
    if symmetry not in ("general", "symmetric", "skew-symmetric"):
        raise MatrixError(f"a Matrix Market file with “{symmetry}” symmetry is not read")
    body = [line.split() for line in lines[1:] if line.strip() and not line.startswith("%")]
    if not body or not all(word.isdecimal() and len(word) < 10 for word in body[0]):
        raise MatrixError("the Matrix Market file does not say how large its matrix is")
    sizes, cells = [int(word) for word in body[0]], body[1:]
    if len(sizes) != (3 if layout == "coordinate" else 2):
        raise MatrixError(f"the size line of a {layout} file has {len(sizes)} numbers")
    m, n = sizes[:2]
    check_shape(m, n)
    if symmetry != "general" and m != n:
        raise MatrixError(f"a {symmetry} matrix must be square; this one is {m} × {n}")
    placed = _coordinates(cells, m, n, sizes[2], field) if layout == "coordinate" else _columns(cells, m, n, symmetry)
    grid = [["0"] * n for _ in range(m)]
    for row, column, cell in placed:
        grid[row][column] = entry = read_entry(cell, row + 1, column + 1)
        if symmetry != "general" and row != column:
            negated = entry.removeprefix("-") if entry.startswith("-") else f"-{entry}"
            grid[column][row] = negated if symmetry == "skew-symmetric" and entry != "0" else entry
    return from_entries(grid)


def _coordinates(cells: list[list[str]], m: int, n: int, count: int, field: str) -> list[tuple[int, int, str]]:
    """(row, column, number) of each stored entry, counted from 0."""
    if len(cells) != count:
        raise MatrixError(f"the Matrix Market file promises {count} entries and holds {len(cells)}")
    placed = {}
    for number, cell in enumerate(cells, 1):
        if len(cell) != (2 if field == "pattern" else 3):
            raise MatrixError(f"entry {number} of the Matrix Market file has {len(cell)} words")
        if not all(word.isdecimal() and len(word) < 10 for word in cell[:2]):
            raise MatrixError(f"entry {number} of the Matrix Market file has no row and column")
        row, column = int(cell[0]), int(cell[1])
        if not (1 <= row <= m and 1 <= column <= n):
            raise MatrixError(f"entry {number} stands at row {row}, column {column}, outside the {m} × {n} matrix")
        if (row, column) in placed:
            raise MatrixError(f"row {row}, column {column} is given twice in the Matrix Market file")
        placed[row, column] = (row - 1, column - 1, "1" if field == "pattern" else cell[2])
    return list(placed.values())


def _columns(cells: list[list[str]], m: int, n: int, symmetry: str) -> list[tuple[int, int, str]]:
    """An array file lists column after column; of a symmetric matrix only the lower triangle."""
    first = {"general": lambda j: 0, "symmetric": lambda j: j, "skew-symmetric": lambda j: j + 1}[symmetry]
    places = [(i, j) for j in range(n) for i in range(first(j), m)]
    numbers = [word for cell in cells for word in cell]
    if len(numbers) != len(places):
        raise MatrixError(f"the Matrix Market file should hold {len(places)} numbers and holds {len(numbers)}")
    return [(i, j, number) for (i, j), number in zip(places, numbers, strict=True)]
