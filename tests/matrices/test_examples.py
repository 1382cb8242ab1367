"""Each example teaches what its line says, and the generator keeps its promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_demo.matrices import (
    EXAMPLES,
    MatrixError,
    analyze,
    exact_rank,
    example,
    generate,
    noisy_signal,
    parse,
    to_text,
)


@pytest.mark.parametrize(
    ("key", "rank"),
    [
        ("sum", 2),  # the notebook's A, and its B, C and Z below
        ("independent", 3),
        ("multiples", 1),
        ("zeros", 0),
        ("identity", 8),
        ("permutation", 8),
        ("triangular", 12),
        ("magic", 3),
        ("vandermonde", 8),
        ("words", 2),
    ],
)
def test_an_example_has_the_rank_it_is_there_for(key, rank):
    analysis = analyze(example(key).build())
    assert analysis.exact.rank == analysis.numerical_rank == np.linalg.matrix_rank(analysis.matrix.values) == rank


def test_every_example_has_a_key_of_its_own_and_reads_back_from_its_text():
    assert len({e.key for e in EXAMPLES}) == len(EXAMPLES)
    for e in EXAMPLES:
        matrix = e.build()
        assert parse(to_text(matrix)).fractions == matrix.fractions


def test_the_magic_square_is_magic():
    square = example("magic").build().values
    assert sorted(square.ravel()) == list(range(1, 65))
    diagonals = [np.trace(square), np.trace(square[::-1])]
    assert {*square.sum(axis=0), *square.sum(axis=1), *diagonals} == {260}


def test_the_hilbert_example_is_exact():
    matrix = example("hilbert").build()
    assert all(x == 1 / (i + j + 1) for i, row in enumerate(matrix.values) for j, x in enumerate(row))
    assert all(x.denominator == i + j + 1 for i, row in enumerate(matrix.fractions) for j, x in enumerate(row))


def test_the_noisy_signal_hides_rank_three():
    assert analyze(noisy_signal(0)).exact.rank == 3
    noisy = analyze(noisy_signal())
    assert (noisy.exact.rank, noisy.denoised.rank) == (30, 3)


@given(st.integers(1, 25), st.integers(1, 25), st.data())
def test_a_generated_matrix_has_exactly_the_rank_asked_for(m, n, data):
    k = data.draw(st.integers(0, min(m, n)))
    seed = data.draw(st.integers(0, 2**32))
    matrix = generate(m, n, k, seed=seed)
    assert matrix.shape == (m, n)
    assert exact_rank(matrix).rank == k
    assert matrix.entries == generate(m, n, k, seed=seed).entries


@pytest.mark.parametrize(
    "settings",
    [(0, 3, 0), (3, 513, 1), (3, 4, 4), (3, 4, -1), (3, 4, 2, -1), (3, 4, 2, float("nan")), (3, 4, 2, 0, -1)],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(MatrixError):
        generate(*settings)


def test_an_unknown_example_is_refused_with_those_there_are():
    with pytest.raises(MatrixError, match="there is no example “x”; there are sum,"):
        example("x")
