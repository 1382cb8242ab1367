"""What people paste is read as they meant it, and what cannot be read is refused with its place."""

import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_demo.matrices import MatrixError, from_array, parse, to_text


def _rows(draw_number):
    shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))
    return shapes.flatmap(
        lambda shape: st.lists(
            st.lists(draw_number, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
        )
    )


INTEGERS = _rows(st.integers(-(10**12), 10**12))
DOUBLES = _rows(st.floats(allow_nan=False, allow_infinity=False))
FRACTIONS = _rows(st.fractions(max_denominator=10_000).filter(lambda x: abs(x) < 10**9))

PRINTERS = {
    "spaces": lambda rows: "\n".join(" ".join(map(str, row)) for row in rows),
    "tabs, Windows line ends, blank lines": lambda rows: "\r\n\r\n".join("\t".join(map(str, row)) for row in rows),
    "commas": lambda rows: "\n".join(",".join(map(str, row)) for row in rows),
    "commas and spaces": lambda rows: "\n".join(", ".join(map(str, row)) for row in rows),
    "Python lists": lambda rows: str([list(map(_Bare, row)) for row in rows]),
    "Python tuples": lambda rows: str(tuple(tuple(map(_Bare, row)) for row in rows)),
    "MATLAB": lambda rows: "A = [" + "; ".join(" ".join(map(str, row)) for row in rows) + "];",
    "MATLAB with commas": lambda rows: "[" + ";\n".join(", ".join(map(str, row)) for row in rows) + "]",
    "Wolfram": lambda rows: "{" + ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows) + "}",
    "SymPy": lambda rows: "Matrix([" + ", ".join(str(list(map(_Bare, row))) for row in rows) + "])",
    "LaTeX": lambda rows: "$$A = \\begin{pmatrix}\n" + _latex_rows(rows) + "\n\\end{pmatrix}$$",
    "LaTeX array": lambda rows: "\\left[\\begin{array}{c|cc}" + _latex_rows(rows) + "\\end{array}\\right]",
    "Markdown": lambda rows: "|" + "   |" * len(rows[0]) + "\n|" + " --: |" * len(rows[0]) + "\n" + _pipes(rows),
    "bars": lambda rows: _pipes(rows),
    "unicode minus": lambda rows: "\n".join(" ".join(map(str, row)) for row in rows).replace("-", "−"),
}


class _Bare:
    """Prints a fraction inside a list as a person types it: 1/3."""

    def __init__(self, value):
        self.value = value

    def __repr__(self):
        return str(self.value)


def _latex_rows(rows):
    return " \\\\\n".join(" & ".join(_latex(x) for x in row) for row in rows)


def _latex(x):
    if isinstance(x, Fraction) and x.denominator > 1:
        return f"{'-' if x < 0 else ''}\\frac{{{abs(x.numerator)}}}{{{x.denominator}}}"
    return str(x)


def _pipes(rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


@pytest.mark.parametrize("layout", PRINTERS)
@given(rows=INTEGERS)
def test_integers_come_back_exactly_from_every_layout(layout, rows):
    assert [list(row) for row in parse(PRINTERS[layout](rows)).fractions] == rows


@pytest.mark.parametrize("layout", PRINTERS)
@given(rows=FRACTIONS)
def test_fractions_come_back_exactly_from_every_layout(layout, rows):
    assert [list(row) for row in parse(PRINTERS[layout](rows)).fractions] == rows


@pytest.mark.parametrize("layout", PRINTERS)
@given(rows=DOUBLES)
def test_doubles_come_back_bit_for_bit_from_every_layout(layout, rows):
    assert (parse(PRINTERS[layout](rows)).values == np.array(rows)).all()


@given(rows=DOUBLES)
def test_numpy_prints_come_back(rows):
    with np.printoptions(threshold=sys.maxsize, floatmode="unique", linewidth=30):
        array = np.array(rows)
        for text in (str(array), repr(array)):
            assert (parse(text).values == array).all()


@given(rows=_rows(st.floats(-1e4, 1e4, width=32)))
def test_printed_tensors_come_back_to_the_digits_printed(rows):
    import torch

    tensor = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    torch.set_printoptions(precision=12)
    try:
        printed = str(tensor * 1)
    finally:
        torch.set_printoptions(profile="default")
    np.testing.assert_allclose(parse(printed).values, np.array(rows), rtol=1e-6, atol=1e-12)


DECIMALS = _rows(st.decimals(-1000, 1000, places=2)).filter(lambda rows: len(rows) > 1 and len(rows[0]) > 1)


@pytest.mark.parametrize("separator", ["\t", ";", "; ", " "])
@given(rows=DECIMALS)
def test_decimal_commas_are_read_where_they_cannot_separate(separator, rows):
    matrix = parse("\n".join(separator.join(str(x).replace(".", ",") for x in row) for row in rows))
    assert [list(row) for row in matrix.fractions] == [[Fraction(x) for x in row] for row in rows]
    assert matrix.note == "Commas were read as decimal commas."


@given(rows=FRACTIONS)
def test_the_text_of_a_typed_matrix_reads_back_exactly(rows):
    matrix = parse(PRINTERS["spaces"](rows))
    assert parse(to_text(matrix)).fractions == matrix.fractions


@given(rows=DOUBLES)
def test_the_text_of_an_array_reads_back_as_the_same_doubles(rows):
    matrix = from_array(np.array(rows))
    assert (parse(to_text(matrix)).values == matrix.values).all()
    assert matrix.fractions == tuple(tuple(map(Fraction, row)) for row in rows)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0.1 1e-3\n2.50E+1 .5", [["1/10", "1/1000"], ["25", "1/2"]]),
        ("1 2; 3 4", [["1", "2"], ["3", "4"]]),
        ("1;2\n3;4", [["1", "2"], ["3", "4"]]),
        ("1 2;\n3 4;", [["1", "2"], ["3", "4"]]),
        ("1,5 2,5\n3,5 4", [["3/2", "5/2"], ["7/2", "4"]]),
        ("[1, 2,\n 3, 4]", [["1", "2", "3", "4"]]),
        ("[1 2\n 3 4]", [["1", "2"], ["3", "4"]]),
        ("A =\n\n   1.0e+03 *\n\n    1.2000    0.0010\n    3.0000    4.0000\n", [["1200", "1"], ["3000", "4000"]]),
        ("A = torch.tensor([\n [1, 2],\n [3, 6]   # twice row 1\n], dtype=torch.float32)", [["1", "2"], ["3", "6"]]),
        ("tensor([[1., 2.]], device='cuda:0', grad_fn=<MulBackward0>)", [["1", "2"]]),
        ("[np.float64(1.5), np.float64(-2.0)]", [["3/2", "-2"]]),
        ("| cat | dog |\n|---|---|\n| 1 | 2 |", [["1", "2"]]),
        ("| 1 | 2 |\n|---|---|\n| 3 | 4 |", [["1", "2"], ["3", "4"]]),
        (r"\begin{bmatrix} 1 \\[2pt] \tfrac12 \\ 3 \times 10^{-2} \end{bmatrix}", [["1"], ["1/2"], ["3/100"]]),
        ("⎡1  2⎤\n⎣3  4⎦", [["1", "2"], ["3", "4"]]),
        ("1\t2\t\n3\t4\t\n", [["1", "2"], ["3", "4"]]),
        ("1 / 3 2", [["1/3", "2"]]),
        ("0.5/0.25", [["2"]]),
        ("7", [["7"]]),
    ],
)
def test_what_people_paste_is_read_as_they_meant_it(text, rows):
    assert parse(text).fractions == tuple(tuple(map(Fraction, row)) for row in rows)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2 3\n4 5 6\n7 8", "row 3 has 2 numbers, rows 1 and 2 have 3"),
        ("1 2\n3\n4 5\n6 7", "row 2 has 1 number, the other rows have 2"),
        ("1 2\n3 x", "row 2, column 2: “x” is not a number"),
        ("1,,3\n4,5,6", "row 1, column 2: nothing stands there"),
        ("\t2\n3\t4", "row 1, column 1: nothing stands there"),
        ("1\t\t3\n4\t5\t6", "row 1, column 2: nothing stands there"),
        ("[[1, 2], [nan, 4]]", "row 2, column 1: “nan” is not a finite number"),
        ("1 -inf", "row 1, column 2: “-inf” is not a finite number"),
        ("1+2j 3", "row 1, column 1: “1+2j” is a complex number"),
        ("3 2i", "row 1, column 2: “2i” is a complex number"),
        ("2*3 4", "row 1, column 1: “2*3” is a formula"),
        ("=A1+B2\t3", "row 1, column 1: “=A1+B2” is a formula"),
        ("1 - 2", "row 1, column 2: “-” is a formula"),
        ("1/0 2", "row 1, column 1: 1/0 divides by zero"),
        ("[[1, 2, ..., 9]]", "stands for numbers that were left out"),
        ("[[1 2]\n ...\n [3 4]]", "line 2: “...” stands for numbers that were left out"),
        (r"\begin{pmatrix} 1 & \cdots & 2 \end{pmatrix}", "stands for numbers that were left out"),
        ("1,234\t5,678", "row 1, column 1: “1,234” may mean 1.234 or 1234"),
        ("1,5\t2.5", "row 1, column 1: “1,5” has a decimal comma, other numbers a decimal point"),
        ("1,234.5\t2", "row 1, column 1: “1,234.5” is not one number"),
        ("  \n\n", "the text is empty"),
        ("[]", "the matrix is empty"),
        ("[[[1, 2]]]", "3 levels of brackets"),
        ("[[1, 2], [3, 4]", "a bracket is opened and never closed"),
        ("1, 2]", "a bracket is closed that was never opened"),
        ("zeros(4, 4)", "“zeros” stands outside"),
        (r"\begin{matrix}1\end{matrix} \begin{matrix}2\end{matrix}", "more than one matrix"),
        ("1" * 401, "a number of 401 characters; at most 400"),
        ("1e999999999 2", "row 1, column 1: “1e999999999” is beyond the range"),
        ("1e-999999999/3", "row 1, column 1: “1e-999999999” is beyond the range"),
        ("1e300/1e-300", "row 1, column 1: “1e300/1e-300” is beyond the range"),
        ("1e-300/1e300", "row 1, column 1: “1e-300/1e300” is beyond the range"),
        ("1 " * 513, "the matrix is 1 × 513; at most 512 rows and 512 columns"),
        ("1\n" * 513, "the matrix is 513 × 1; at most 512 rows and 512 columns"),
        ("٣ 4", "row 1, column 1: “٣” is not a number"),
    ],
)
def test_a_refusal_names_the_place_and_what_was_found(text, sentence):
    with pytest.raises(MatrixError) as refusal:
        parse(text)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(text=st.text(alphabet="0123456789.,;-+/eE[](){}|&\\$ \n\tabxij=*…%#_<>'\"", max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    try:
        matrix = parse(text)
    except MatrixError:
        return
    assert np.isfinite(matrix.values).all()
    assert parse(to_text(matrix)).fractions == matrix.fractions


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 5_000_000 + "1 2",
        "a_" * 1_000_000,
        "\\begin{" * 500_000,
        "\\frac{" * 500_000,
        "tensor(" * 500_000,
        "[" * 2_000_000,
        ", " * 1_000_000 + "]",
        ",size=(" * 500_000,
        "1" * 5_000_000,
        "1 2)" + " " * 2_000_000 + "x",
        "x" * 10_000_001,
    ],
)
def test_hostile_text_is_answered_and_not_chewed_on(text):
    outcome = []

    def read():
        try:
            outcome.append(parse(text))
        except MatrixError as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(timeout=30)  # linear reading takes a second; quadratic takes hours
    assert outcome
