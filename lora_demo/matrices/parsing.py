"""Pasted text -> Matrix: spreadsheets, NumPy, torch and Python prints, MATLAB, LaTeX, Markdown, plain lines."""

from __future__ import annotations

import csv
import re
from collections import Counter

from lora_demo.matrices.entries import point_for_comma, read_entry, refuse_elision
from lora_demo.matrices.matrix import Matrix, MatrixError, check_shape, from_entries

MAX_TEXT = 10_000_000  # characters: 512 × 512 doubles in full need six million

_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "﹣": "-", "－": "-", "⁄": "/", "∕": "/", "，": ",", "；": ";"}
    | dict.fromkeys("\u00a0\u2007\u2009\u202f\u2002\u2003\u3000⎡⎤⎢⎥⎣⎦⎛⎞⎜⎟⎝⎠", " ")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff")
)
_BUILDER = re.compile(
    r"(?:[A-Za-z_]\w{0,20}\.){0,3}(?:[Tt]ensor|array|asarray|[mM]atrix|DoubleTensor|FloatTensor)\s*\("
)
_KEYWORD = re.compile(
    r",\s*(?:dtype|device|grad_fn|requires_grad|size|shape)\s*=\s*(?:<[^>]{0,80}>|\([^)]{0,80}\)|'[^']{0,80}'|[\w.]+)"
)
_PROMPT = re.compile(r"\A\s*(?:>>>|(?:In|Out) ?\[\d*\]:)")
_ASSIGNMENT = re.compile(r"\A\s*[A-Za-z]\w{0,30}(?:_\{\w{1,30}\})?\s*=(?!=)")
_NUMPY_SCALAR = re.compile(r"np\.(?:float|int|uint)\d{1,3}\(([^()]{0,400})\)")
_MATLAB_FACTOR = re.compile(r"^[ \t]*1\.0+e([+-]?\d{1,3})[ \t]*\*[ \t]*$", re.MULTILINE)
_ENVIRONMENT = r"\\begin\s*\{[^{}]{0,20}(?:matrix|array)\*?\}"
_COMMENT = re.compile(r"(?:^|(?<=\s))[#%].*$", re.MULTILINE)


def parse(text: str) -> Matrix:
    """The matrix that the text shows; raises MatrixError, whose sentence names the row and column and what was found.

    Without brackets each line is a row and its cells stand between tabs, semicolons, commas or spaces (a single line
    may use `;` between rows, as MATLAB does); within brackets `;` ends a row.
    """
    if len(text) > MAX_TEXT:
        raise MatrixError(f"the text has {len(text):,} characters; at most {MAX_TEXT:,} are read")
    cleaned = _clean(text)
    refuse_elision(cleaned)
    if not cleaned.strip():
        raise MatrixError("the text is empty: type or paste a matrix")
    cleaned, shift = _matlab_factor(cleaned)
    note = ""
    if "&" in cleaned or "\\" in cleaned:
        cells = _latex(cleaned)
    elif cleaned.lstrip().startswith("|"):
        cells, note = _markdown(cleaned)
    elif re.search(r"[\[\](){}]", cleaned):
        cells = _bracketed(cleaned)
    else:
        cells = _plain(cleaned)
    matrix = matrix_of(cells, note)
    return matrix if shift == 0 else from_entries(_shifted(matrix, shift), matrix.note)


def matrix_of(cells: list[list[str]], note: str = "") -> Matrix:
    """The matrix of raw cells [m][n]; raises MatrixError for a cell that is no number and for ragged rows."""
    check_shape(len(cells), max(map(len, cells), default=0))
    cells, comma_note = point_for_comma(cells)
    entries = [[read_entry(cell, i, j) for j, cell in enumerate(row, 1)] for i, row in enumerate(cells, 1)]
    _check_lengths([len(row) for row in entries])
    return from_entries(entries, " ".join(filter(None, (note, comma_note))))


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_SIGNS)
    text = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    if ("#" in text or "%" in text) and not text.lstrip().startswith("|"):
        text = _COMMENT.sub("", text)
    text = _NUMPY_SCALAR.sub(r"\1", text.replace("$", "").strip(" \n"))  # a tab may stand for an empty cell
    text = _ASSIGNMENT.sub("", _PROMPT.sub("", text))
    return re.sub(r" */ *", "/", text) if "/" in text else text


def _matlab_factor(text: str) -> tuple[str, int]:
    """MATLAB prints a common factor on a line of its own ("1.0e+03 *"): the text without it, and its exponent."""
    found = _MATLAB_FACTOR.search(text)
    return (text, 0) if found is None else (text[: found.start()] + text[found.end() :], int(found.group(1)))


def _shifted(matrix: Matrix, shift: int) -> list[list[str]]:
    def times_power_of_ten(entry: str) -> str:
        above, slash, below = entry.partition("/")
        mantissa, _, exponent = above.partition("e")
        return f"{mantissa}e{int(exponent or 0) + shift}{slash}{below}"

    rows = enumerate(matrix.entries, 1)
    return [[read_entry(times_power_of_ten(entry), i, j) for j, entry in enumerate(row, 1)] for i, row in rows]


def _latex(text: str) -> list[list[str]]:
    if len(re.findall(_ENVIRONMENT, text)) > 1:
        raise MatrixError("the text shows more than one matrix; paste one")
    begin = re.search(_ENVIRONMENT, text)
    text = text[begin.start() :] if begin else text
    # Rows first: what follows a double backslash must not be taken for a command of its own.
    text = re.sub(r"\\\\(?:\s*\[[^\[\]]{0,20}\])?|\\cr\b", "\n", text.replace("\n", " "))
    text = re.sub(r"\\begin\s*\{array\}\s*(?:\[\w\])?\s*\{[^{}]{0,600}\}", " ", text)
    text = re.sub(r"\\(?:begin|end)\s*\{[^{}]{0,20}\}(?:\[\w\])?", " ", text)
    text = re.sub(r"\\left\s*\\?[.(\[{|]|\\right\s*\\?[.)\]}|]|\\[\[\]()]|\\hline|\\(?:display|text)style", " ", text)
    text = re.sub(r"\\(?:[,;:! ]|q?quad\b|phantom\s*\{[^{}]{0,20}\})|~", " ", text)
    text = text.replace("{,}", ",")
    text = re.sub(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", text)
    text = re.sub(r"\\[dtc]?frac\s*(\d)\s*(\d)", r"\1/\2", text)
    text = re.sub(r"\\(?:times|cdot)\s*10\s*\^\s*(?:\{\s*([+-]?\s*\d+)\s*\}|(\d))", r"e\1\2", text)
    rows = [row for row in text.split("\n") if row.strip(" .,{}")]
    return [[re.sub(r"[\s{}]", "", cell) for cell in row.split("&")] for row in rows]


def _markdown(text: str) -> tuple[list[list[str]], str]:
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rule = next((i for i, row in enumerate(rows) if all(re.fullmatch(r":?-+:?", cell) for cell in row)), None)
    if rule is None:
        return [row[0].split() if len(row) == 1 else row for row in rows], ""
    heading, body = rows[:rule], rows[rule + 1 :]
    if any(re.search(r"[0-9]", cell) for row in heading for cell in row if not re.search(r"[A-Za-z]", cell)):
        return heading + body, ""
    named = any(cell for row in heading for cell in row)
    return body, "The table's heading row was left out." if named else ""


def _bracketed(text: str) -> list[list[str]]:
    text = _KEYWORD.sub("", text)
    builder = _BUILDER.match(text.strip())
    if builder:
        text = text.strip()[builder.end() :].rstrip("; \n").removesuffix(")")
    text = text.strip().rstrip(";").translate(str.maketrans("({)}", "[[]]"))
    depth = deepest = 0
    for character in text:
        depth += (character == "[") - (character == "]")
        deepest = max(deepest, depth)
        if depth < 0:
            raise MatrixError("a bracket is closed that was never opened")
    if depth:
        raise MatrixError("a bracket is opened and never closed")
    if deepest == 0:
        return _plain(text)
    if deepest > 2:
        raise MatrixError(f"there are {deepest} levels of brackets; a matrix has 2")
    outside = re.sub(r"\[[^\[\]]*\]", " ", text)
    outside = re.sub(r"[\[\],;\s]", "", outside)
    if outside:
        raise MatrixError(f"“{outside[:40]}” stands outside the rows' brackets")
    groups = re.findall(r"\[([^\[\]]*)\]", text)
    if deepest == 1 and len(groups) == 1:  # [1 2; 3 4]; a line that ends in a comma goes on
        groups = re.sub(r",\s*\n", ", ", groups[0]).strip().replace("\n", ";").split(";")
    else:
        groups = [row for group in groups for row in group.split(";")]
    return [_within_brackets(group) for group in groups if group.strip()]


def _within_brackets(row: str) -> list[str]:
    row = row.strip()
    if "," not in row:
        return row.split()
    pieces = row.removesuffix(",").split(",")
    return [cell for piece in pieces for cell in (piece.split() or [""])]


def _plain(text: str) -> list[list[str]]:
    lines = [line for line in text.split("\n") if line.strip()]
    check_shape(len(lines), 1)
    if len(lines) == 1 and ";" in lines[0]:
        lines = [line for line in lines[0].split(";") if line.strip()]
    elif any(";" in line for line in lines):
        stripped = [line.strip().removesuffix(";") for line in lines]
        if not any(";" in line for line in stripped):
            lines = stripped  # MATLAB rows, each ended by its semicolon
    everything = "\n".join(lines)
    if "\t" in everything:
        return separated(lines, "\t")
    if ";" in everything:
        return separated(lines, ";")
    if "," in everything and not _commas_are_decimal(lines):
        return separated([line.strip().removesuffix(",") for line in lines], ",")
    return [line.split() for line in lines]


def separated(lines: list[str], separator: str) -> list[list[str]]:
    """Lines of a spreadsheet or CSV, cut into cells; quotes around a cell are taken off."""
    try:
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t"))
    except csv.Error as error:
        raise MatrixError("the text cannot be read as a table: a cell is far too long") from error
    rows = [[cell.strip() for cell in row] for row in rows]
    while rows and max(map(len, rows)) > 1 and all(row[-1] == "" for row in rows):
        rows = [row[:-1] for row in rows]
    return rows


def _commas_are_decimal(lines: list[str]) -> bool:
    """Spaces between the cells and a comma inside them ("1,5 2,5"): every comma tight, at most one a word."""
    words = [line.split() for line in lines]
    tight = all(re.fullmatch(r"[^,]+(?:,[^,]+)?", word) for row in words for word in row)
    return tight and all(len(row) > 1 for row in words)


def _check_lengths(lengths: list[int]) -> None:
    common = Counter(lengths).most_common(1)[0][0]
    odd = next((i for i, length in enumerate(lengths, 1) if length != common), None)
    if odd is None:
        return
    alike = [i for i, length in enumerate(lengths, 1) if length == common]
    if len(alike) == 1:
        others = f"row {alike[0]} has"
    elif len(alike) == 2:
        others = f"rows {alike[0]} and {alike[1]} have"
    else:
        others = "the other rows have" if len(alike) == len(lengths) - 1 else "most rows have"
    number = "number" if lengths[odd - 1] == 1 else "numbers"
    raise MatrixError(f"row {odd} has {lengths[odd - 1]} {number}, {others} {common}")
