"""Files are read as what they hold, and nothing in them is ever executed."""

import io
import pickle
from fractions import Fraction

import numpy as np
import pytest

from lora_demo.matrices import MatrixError, read_file


def _written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "1.5,2\n3,-4\n"),
        ("a.csv", "\ufeff1.5;2\r\n3;-4\r\n"),
        ("a.csv", '"1,5";"2"\n"3";"-4"\n'),
        ("a.csv", '"1,5","2"\n"3","-4"\n'),
        ("a.tsv", "1.5\t2\n3\t-4"),
        ("a.txt", "1.5 2\n3 -4"),
        ("a.txt", "1.5\t2\n3\t-4".encode("utf-16")),
        ("a.csv", "height,width\n1.5,2\n3,-4\n"),
    ],
)
def test_text_files_are_read_with_their_separators(tmp_path, name, content):
    assert read_file(_written(tmp_path, name, content)).values.tolist() == [[1.5, 2], [3, -4]]


def test_a_heading_row_is_left_out_openly(tmp_path):
    assert read_file(_written(tmp_path, "a.csv", "x,y\n1,2\n")).note == "The heading row was left out."


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, np.uint8, bool])
def test_an_npy_array_keeps_its_exact_numbers(tmp_path, dtype):
    array = (np.arange(6).reshape(2, 3) / (1 if np.dtype(dtype).kind != "f" else 10)).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    matrix = read_file(str(tmp_path / "a.npy"))
    assert matrix.fractions == tuple(tuple(Fraction(x) for x in row) for row in array.astype(object).tolist())


def test_large_integers_of_an_npy_array_stay_exact(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[2**60 + 1]]))
    assert read_file(str(tmp_path / "a.npy")).fractions == ((Fraction(2**60 + 1),),)


def _npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


class _Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was loaded')",)


@pytest.mark.parametrize(
    "content",
    [
        _npy(np.array([[_Bomb()]], dtype=object), allow_pickle=True),
        pickle.dumps(_Bomb()),
        _npy(np.array([[1 + 2j]])),
        _npy(np.array([[np.nan]])),
        _npy(np.ones((2, 2, 2))),
        _npy(np.ones((513, 1))),
        _npy(np.ones((0, 3))),
        _npy(np.array([["a"]])),
        _npy(np.float64(1)),
        _npy(np.ones((2, 2)))[:-8],
        _npy(np.ones((2, 2))).replace(b"(2, 2)", b"(9**9)"),
        b"",
        b"no array",
    ],
)
def test_an_npy_file_that_is_no_real_matrix_is_refused(tmp_path, content):
    with pytest.raises(MatrixError):
        read_file(_written(tmp_path, "a.npy", content))


MARKET = "%%MatrixMarket matrix {} {} {}\n% a comment\n{}"


@pytest.mark.parametrize(
    ("kind", "body", "rows"),
    [
        (("coordinate", "real", "general"), "2 3 2\n1 1 0.5\n2 3 -4e0\n", [["1/2", 0, 0], [0, 0, -4]]),
        (("coordinate", "integer", "symmetric"), "2 2 2\n1 1 1\n2 1 3\n", [[1, 3], [3, 0]]),
        (("coordinate", "real", "skew-symmetric"), "2 2 1\n2 1 3\n", [[0, -3], [3, 0]]),
        (("coordinate", "pattern", "general"), "2 2 1\n1 2\n", [[0, 1], [0, 0]]),
        (("array", "real", "general"), "2 2\n1\n2\n3\n4\n", [[1, 3], [2, 4]]),
        (("array", "real", "symmetric"), "2 2\n1\n2\n3\n", [[1, 2], [2, 3]]),
    ],
)
def test_matrix_market_files_follow_the_format(tmp_path, kind, body, rows):
    matrix = read_file(_written(tmp_path, "a.mtx", MARKET.format(*kind, body)))
    assert matrix.fractions == tuple(tuple(map(Fraction, row)) for row in rows)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("1 2\n3 4", "does not begin with"),
        (MARKET.format("coordinate", "complex", "general", "1 1 1\n1 1 1 1"), "only real matrices"),
        (MARKET.format("coordinate", "real", "hermitian", "1 1 1\n1 1 1"), "symmetry is not read"),
        (MARKET.format("coordinate", "real", "general", "999999 999999 1\n1 1 1"), "at most 512"),
        (MARKET.format("coordinate", "real", "general", "2 2 2\n1 1 1"), "promises 2 entries and holds 1"),
        (MARKET.format("coordinate", "real", "general", "2 2 1\n3 1 1"), "outside the 2 × 2 matrix"),
        (MARKET.format("coordinate", "real", "general", "2 2 2\n1 1 1\n1 1 2"), "given twice"),
        (MARKET.format("coordinate", "real", "general", "2 2 1\n1 2 nan"), "row 1, column 2: “nan”"),
        (MARKET.format("array", "real", "general", "2 2\n1\n2\n3"), "should hold 4 numbers and holds 3"),
        (MARKET.format("array", "real", "symmetric", "2 3\n1"), "must be square"),
    ],
)
def test_a_broken_matrix_market_file_is_refused_with_the_reason(tmp_path, content, sentence):
    with pytest.raises(MatrixError) as refusal:
        read_file(_written(tmp_path, "a.mtx", content))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.xlsx", b"PK"),
        ("a.csv", b"x,y\n" * 5_000),
        ("a.csv", b"nan,nan"),
        ("a.csv", b"\xff\x00\xfe"),
        ("a.csv", b""),
        ("a.mtx", b""),
    ],
)
def test_other_files_are_refused(tmp_path, name, content):
    with pytest.raises(MatrixError):
        read_file(_written(tmp_path, name, content))
