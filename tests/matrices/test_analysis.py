"""The analysis agrees with NumPy, with the papers' equations, and with itself."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_demo.matrices import MatrixError, analyze, example, from_array, generate, parse
from lora_demo.matrices.analysis import noise_factor


@st.composite
def arrays(draw):
    m, n, numbers = draw(st.integers(1, 8)), draw(st.integers(1, 8)), st.integers(-50, 50)
    return np.array([[draw(numbers) for _ in range(n)] for _ in range(m)], dtype=float)


@given(arrays())
def test_ranks_norms_and_condition_number_are_those_of_numpy(a):
    analysis = analyze(from_array(a))
    assert analysis.numerical_rank == np.linalg.matrix_rank(a)
    np.testing.assert_allclose(analysis.frobenius_norm, np.linalg.norm(a))
    np.testing.assert_allclose(analysis.spectral_norm, np.linalg.norm(a, 2), atol=1e-12)
    if analysis.numerical_rank == min(a.shape):
        np.testing.assert_allclose(analysis.condition_number, np.linalg.cond(a), rtol=1e-6)
    else:
        assert analysis.condition_number == np.inf


@given(arrays())
def test_no_matrix_comes_closer_than_the_eckart_young_curve_and_a_k_lies_on_it(a):
    analysis = analyze(from_array(a))
    for k in range(min(a.shape) + 1):
        low_rank = analysis.low_rank(k)
        error = a - low_rank.approximation
        np.testing.assert_allclose(low_rank.error, error, atol=1e-10)
        np.testing.assert_allclose(low_rank.frobenius_error, np.linalg.norm(error), atol=1e-10)
        np.testing.assert_allclose(low_rank.spectral_error, np.linalg.norm(error, 2), atol=1e-10)
        np.testing.assert_allclose(low_rank.y @ low_rank.zt, low_rank.approximation, atol=1e-10)
        assert np.linalg.matrix_rank(low_rank.approximation, tol=1e-9) <= k
        assert low_rank.stored == low_rank.y.size + low_rank.zt.size
        other = np.random.default_rng(k).standard_normal((a.shape[0], k)) @ np.ones((k, a.shape[1]))
        assert np.linalg.norm(a - other) >= low_rank.frobenius_error - 1e-10


@given(arrays())
def test_the_layers_add_up_to_the_approximation(a):
    analysis = analyze(from_array(a))
    layers = [analysis.layer(i) for i in range(1, min(a.shape) + 1)]
    np.testing.assert_allclose(sum(layers), a, atol=1e-10)
    assert all(np.linalg.matrix_rank(layer, tol=1e-9) <= 1 for layer in layers)


@given(st.integers(1, 20), st.integers(0, 10**6))
def test_exact_and_numerical_rank_agree_on_well_conditioned_integers(n, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, (n, n)) + 10 * n * np.eye(n, dtype=int)[rng.permutation(n)]
    a[: n // 2] = a[n - n // 2 :]  # half of the rows twice: the rank is known and the rest well conditioned
    analysis = analyze(from_array(a))
    assert analysis.exact.rank == analysis.numerical_rank == n - n // 2


@given(arrays())
def test_stable_and_effective_rank_follow_their_definitions(a):
    analysis = analyze(from_array(a))
    s = np.linalg.svd(a, compute_uv=False)
    if s[0] == 0:
        assert analysis.stable_rank == analysis.effective_rank == 0
        return
    np.testing.assert_allclose(analysis.stable_rank, np.linalg.norm(a) ** 2 / np.linalg.norm(a, 2) ** 2)
    p = s[s > 1e-300] / s.sum()
    np.testing.assert_allclose(analysis.effective_rank, np.exp(-(p * np.log(p)).sum()), rtol=1e-6)
    for share, k in analysis.energy_ranks.items():
        kept = np.cumsum(s**2) / (s**2).sum() * 100
        assert kept[k - 1] >= share - 1e-9
        assert k == 1 or kept[k - 2] < share + 1e-9


def test_hilbert_has_three_ranks():
    analysis = analyze(example("hilbert").build())
    assert analysis.exact.rank == 12
    assert analysis.numerical_rank == 11
    assert analysis.single_precision_rank == np.linalg.matrix_rank(analysis.matrix.values.astype(np.float32)) < 11
    assert analysis.headline().startswith("Exact rank 12 of 12, numerical rank 11")


def test_the_denoised_rank_finds_the_signal_and_its_threshold_is_the_papers():
    analysis = analyze(generate(60, 40, 3, noise=0.5, seed=2))
    assert analysis.denoised.rank == 3
    assert analysis.exact.rank == analysis.numerical_rank == 40
    expected = noise_factor(40 / 60) * np.median(np.linalg.svd(analysis.matrix.values, compute_uv=False))
    np.testing.assert_allclose(analysis.denoised.threshold, expected)


@pytest.mark.parametrize(("beta", "omega"), [(0.05, 1.5194), (0.5, 2.1711), (1.0, 2.8582)])
def test_the_noise_factor_is_within_the_papers_two_hundredths_of_its_table(beta, omega):
    assert abs(noise_factor(beta) - omega) < 0.02  # Gavish and Donoho 2014, table IV


def test_pure_noise_has_denoised_rank_zero():
    assert analyze(generate(50, 50, 0, noise=1, seed=0)).denoised.rank == 0


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [(generate(19, 40, 3, noise=1), "It takes 20 rows and columns"), (generate(40, 40, 3), "No noise floor")],
)
def test_without_a_noise_floor_there_is_a_reason_instead_of_a_denoised_rank(matrix, reason):
    denoised = analyze(matrix).denoised
    assert (denoised.rank, denoised.threshold) == (None, None)
    assert denoised.reason.startswith(reason)


def test_another_tolerance_counts_again_and_computes_no_svd(monkeypatch):
    analysis = analyze(parse("1 0 0\n0 0.1 0\n0 0 0.001"))
    monkeypatch.setattr(np.linalg, "svd", None)
    assert [analysis.with_tolerance(t).numerical_rank for t in (0, 0.01, 0.5, 1)] == [3, 2, 1, 0]
    assert analysis.with_tolerance(0.5).with_tolerance(None).tolerance == analysis.default_tolerance
    analysis.low_rank(2)
    assert analysis.default_tolerance == 3 * np.finfo(float).eps


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_size_is_refused(tolerance):
    with pytest.raises(MatrixError, match="tolerance"):
        analyze(parse("1"), tolerance)


@pytest.mark.parametrize("rows", [[[0.0]], [[5.0]], [[-3.0]], np.zeros((4, 4)), np.zeros((1, 7)), [[1.0], [2.0]]])
def test_zero_and_tiny_matrices_have_every_figure(rows):
    analysis = analyze(from_array(np.array(rows)))
    for name, member in vars(type(analysis)).items():
        if isinstance(member, property) or hasattr(member, "func"):
            assert getattr(analysis, name) is not None
    q = min(analysis.shape)
    assert analysis.low_rank(q).frobenius_error == 0
    assert str(analysis.lora(1)).startswith("LoRA of rank 1")
    assert analysis.headline().startswith(f"Rank {analysis.exact.rank} of {q}")


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e305])
def test_sizes_at_the_edge_of_double_precision_change_no_rank(scale):
    analysis = analyze(from_array(np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]]) * scale))
    assert analysis.numerical_rank == 3
    assert np.isfinite([analysis.frobenius_norm, analysis.stable_rank, analysis.effective_rank]).all()


def test_a_norm_beyond_double_precision_is_refused():
    with pytest.raises(MatrixError, match="norm is beyond the range"):
        analyze(from_array(np.full((20, 20), 1e308)))


@pytest.mark.parametrize("k", [-1, 3])
def test_an_impossible_rank_is_refused(k):
    with pytest.raises(MatrixError, match="choose from 0 to 2"):
        analyze(parse("1 2 3\n4 5 6")).low_rank(k)


@given(st.integers(1, 40), st.integers(1, 40))
def test_break_even_is_the_last_rank_that_stores_less(m, n):
    k = analyze(from_array(np.ones((m, n)))).break_even
    assert k * (m + n) < m * n <= (k + 1) * (m + n)


def test_the_lora_bridge_counts_as_lora_does_and_loses_what_the_spectrum_says():
    bridge = analyze(parse("3 0 0 0\n0 4 0 0")).lora(1)
    assert dataclasses.astuple(bridge)[:3] == (1, 6, 8)
    assert bridge.relative_error == pytest.approx(3 / 5)
    assert bridge.energy_kept == pytest.approx(16 / 25)


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("1 2 3\n4 5 6\n5 7 9", "Rank 2 of 3: row 3 = row 1 + row 2."),
        ("1 2\n3 4", "Rank 2 of 2: no row is a combination of the others."),
        ("0 0\n0 0", "Rank 0 of 2: every number is zero."),
        ("1 2\n2 4\n3 6\n4 8", "Rank 1 of 2: row 2 = 2 row 1; row 3 = 3 row 1; and 1 more."),
        ("1 1e-30\n1 0", "Exact rank 2 of 2, numerical rank 1: no row is a combination of the others."),
    ],
)
def test_the_headline_says_the_rank_and_why(text, headline):
    assert analyze(parse(text)).headline() == headline


def test_the_package_starts_without_the_heavy_libraries():
    import subprocess
    import sys

    heavy = "import sys, lora_demo.matrices; print({'torch', 'gradio', 'plotly', 'PIL', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout.strip() == "set()"
