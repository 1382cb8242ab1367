"""The exact rank is the rank over the rationals, and every stated reason holds exactly."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from lora_demo.matrices import exact as exact_module
from lora_demo.matrices import exact_rank, from_array, parse


@st.composite
def rational_products(draw):
    """(rows of an m × n product through k, k): entries are fractions, and the rank is at most k."""
    m, n, k = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(0, 4))
    numbers = st.fractions(-9, 9, max_denominator=7)
    y = [[draw(numbers) for _ in range(k)] for _ in range(m)]
    z = [[draw(numbers) for _ in range(n)] for _ in range(k)]
    return [[sum((y[i][t] * z[t][j] for t in range(k)), Fraction(0)) for j in range(n)] for i in range(m)], k


def _matrix(rows):
    return parse("\n".join(" ".join(map(str, row)) for row in rows))


def _combination(coefficients, vectors, length):
    return tuple(
        sum((c * v[j] for c, v in zip(coefficients, vectors, strict=True)), Fraction(0)) for j in range(length)
    )


@given(rational_products())
def test_rank_pivots_and_echelon_form_are_those_of_sympy(product):
    rows, k = product
    exact = exact_rank(_matrix(rows))
    reduced, pivots = sympy.Matrix(rows).rref()
    assert exact.certain
    assert exact.rank == len(pivots) <= k
    assert exact.why.pivot_columns == pivots
    assert [list(row) for row in exact.why.echelon] == [
        [Fraction(int(x.p), int(x.q)) for x in reduced.row(i)] for i in range(len(pivots))
    ]


@given(rational_products())
def test_the_factors_multiply_back_to_the_matrix_exactly(product):
    rows, _ = product
    why = exact_rank(_matrix(rows)).why
    assert [list(_combination(y, why.zt, len(rows[0]))) for y in why.y] == rows
    assert why.zt == tuple(tuple(rows[i]) for i in why.pivot_rows)


@given(rational_products())
def test_the_bases_span_what_they_say(product):
    rows, _ = product
    m, n = len(rows), len(rows[0])
    exact = exact_rank(_matrix(rows))
    why = exact.why
    assert len(why.row_basis) == len(why.column_basis) == exact.rank
    assert why.column_basis == tuple(tuple(row[j] for row in rows) for j in why.pivot_columns)
    assert len(why.null_basis) == n - exact.rank
    for vector in why.null_basis:
        assert _combination(vector, list(zip(*rows, strict=True)), m) == (0,) * m
    if why.null_basis:
        assert sympy.Matrix(why.null_basis).rank() == len(why.null_basis)


@given(rational_products())
def test_every_relation_in_words_holds(product):
    rows, _ = product
    exact = exact_rank(_matrix(rows))
    assert len(exact.relations) == len(rows) - exact.rank
    for relation in exact.relations:
        i = int(re.match(r"row (\d+)", relation).group(1))
        if relation.endswith("is zero"):
            assert not any(rows[i - 1])
        elif " = " in relation:
            right = relation.split(" = ")[1].replace("− ", "-").replace("−", "-").replace("+ ", "")
            terms = re.findall(r"(-?)(?:(\d+(?:/\d+)?) )?row (\d+)", right)
            coefficients = [Fraction(sign + (size or "1")) for sign, size, _ in terms]
            assert _combination(coefficients, [rows[int(p) - 1] for *_, p in terms], len(rows[0])) == tuple(rows[i - 1])
        else:
            assert re.fullmatch(r"row \d+ is a combination of \d+ other rows?", relation)


@pytest.mark.parametrize(
    ("text", "rank", "relations"),
    [
        ("1 2 3\n4 5 6\n5 7 9", 2, ("row 3 = row 1 + row 2",)),
        ("1 2 3\n4 0 6\n7 8 9", 3, ()),
        ("2 4\n1 2\n3 6", 1, ("row 2 = 1/2 row 1", "row 3 = 3/2 row 1")),
        ("0 0\n0 0", 0, ("row 1 is zero", "row 2 is zero")),
        ("1 0\n0 1\n-1 2", 2, ("row 3 = −row 1 + 2 row 2",)),
        ("0.1 0.2\n0.3 0.6", 1, ("row 2 = 3 row 1",)),
        ("0", 0, ("row 1 is zero",)),
        ("5", 1, ()),
    ],
)
def test_relations_are_said_in_plain_words(text, rank, relations):
    exact = exact_rank(parse(text))
    assert (exact.rank, exact.relations) == (rank, relations)


def test_the_notebook_picture_uses_the_rows_of_the_matrix():
    why = exact_rank(parse("1 2 3\n4 5 6\n5 7 9")).why
    assert why.zt == ((1, 2, 3), (4, 5, 6))
    assert why.y == ((1, 0), (0, 1), (1, 1))


def test_the_rank_is_of_what_was_typed_and_not_of_its_doubles():
    typed = parse("0.1 0.2 0.3\n0.3 0.6 0.9")
    assert exact_rank(typed).rank == 1
    assert exact_rank(from_array(typed.values)).rank == 2  # 3 · 0.1 is not 0.3 in doubles


def test_stored_doubles_are_judged_as_they_are():
    row = np.random.default_rng(0).standard_normal(5)
    assert exact_rank(from_array(np.outer([1, 2, 0.25], row))).rank == 1  # powers of two round nothing


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 5), st.integers(0, 10**6))
def test_a_random_product_has_the_rank_of_its_factors(m, n, k, seed):
    rng = np.random.default_rng(seed)
    y, z = rng.integers(-9, 10, (m, k)), rng.integers(-9, 10, (k, n))
    expected = sympy.Matrix(y).rank() if k and np.linalg.matrix_rank(z) == k else None
    exact = exact_rank(from_array(y @ z))
    assert exact.rank <= min(m, n, k)
    if expected is not None:
        assert exact.rank == expected


def test_a_large_matrix_of_low_rank_is_certified():
    rng = np.random.default_rng(1)
    exact = exact_rank(from_array(rng.integers(-3, 4, (512, 5)) @ rng.integers(-3, 4, (5, 512))))
    assert (exact.rank, exact.certain) == (5, True)


def test_full_rank_modulo_the_prime_is_proof_enough():
    exact = exact_rank(from_array(np.random.default_rng(2).standard_normal((300, 200))))
    assert (exact.rank, exact.certain) == (200, True)


def test_the_process_apart_gives_what_this_process_gives(monkeypatch):
    rng = np.random.default_rng(3)
    matrix = from_array(rng.integers(-3, 4, (20, 4)) @ rng.integers(-3, 4, (4, 15)))
    here = exact_rank(matrix)
    monkeypatch.setattr(exact_module, "_QUICK_WORK", -1)
    with ThreadPoolExecutor(1) as pool:  # as a web server calls it
        apart = pool.submit(exact_rank, matrix, 60).result()
    assert "process apart" in apart.how
    assert apart.why == here.why


def test_what_cannot_be_proved_in_time_is_a_lower_bound_and_the_process_ends():
    rng = np.random.default_rng(4)
    matrix = from_array(rng.integers(-999, 999, (400, 300)) @ rng.integers(-999, 999, (300, 400)))
    started = time.monotonic()
    exact = exact_rank(matrix, seconds=0.05)
    assert time.monotonic() - started < 60  # unkilled, this elimination takes minutes
    assert (str(exact), exact.certain, exact.why) == ("at least 300", False, None)


def test_a_multiple_of_the_prime_does_not_fool_the_answer():
    prime = 2**61 - 1
    exact = exact_rank(parse(f"{prime} 0\n0 {2 * prime}"))
    assert (exact.rank, exact.certain) == (2, True)


def test_numbers_of_hundreds_of_digits_are_eliminated_exactly():
    big = "9" * 390
    assert exact_rank(parse(f"1e300 1e-300\n{big[:300]} 1")).rank == 2
