import numpy as np
import pytest
import torch

from lora_demo import lora
from lora_demo.xray.spectra import denoised_rank, rank_of_energy, svd, svd_of_product


def matrix(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns", "r"), [(192, 192, 8), (768, 192, 8), (192, 768, 16), (30, 40, 1)])
def test_the_svd_from_two_qrs_is_the_dense_one(rows, columns, r):
    B, A, scaling = matrix(rows, r), matrix(r, columns, 1), 2.0
    found = svd_of_product(B, A, scaling)
    dense = (scaling * B @ A).numpy()
    np.testing.assert_allclose(found.S, np.linalg.svd(dense, compute_uv=False)[:r], rtol=1e-5)
    np.testing.assert_allclose(found.S, lora.spectrum(B, A, scaling), rtol=1e-5)
    np.testing.assert_allclose(found.truncated(r), dense, atol=1e-5 * np.abs(dense).max())
    np.testing.assert_allclose(found.U.T @ found.U, np.eye(r), atol=1e-5)
    np.testing.assert_allclose(found.Vh @ found.Vh.T, np.eye(r), atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(20, 50), (50, 20), (20, 20)])
def test_a_wide_matrix_is_taken_apart_as_a_tall_one(rows, columns):
    a = matrix(rows, columns)
    found = svd(a)
    np.testing.assert_allclose(found.S, np.linalg.svd(a.numpy(), compute_uv=False), rtol=1e-5)
    np.testing.assert_allclose(found.truncated(20), a, atol=1e-5)
    left_over = np.linalg.norm(a - found.truncated(5))
    np.testing.assert_allclose(left_over, np.linalg.norm(found.S[5:]), rtol=1e-5)  # Eckart and Young


def test_the_rank_of_90_percent_is_counted_as_by_hand():
    assert rank_of_energy(np.array([3.0, 1.0])) == 1  # 9 of 10, exactly nine tenths
    assert rank_of_energy(np.array([2.9, 1.0])) == 2
    assert rank_of_energy(np.ones(20)) == 18
    assert rank_of_energy(np.zeros(4)) == 0


def test_the_denoised_rank_finds_what_was_planted_in_noise():
    signal = 40 * svd(matrix(100, 3)).U @ svd(matrix(60, 3, 1)).U.T
    assert denoised_rank(svd(signal + matrix(100, 60, 2))) == 3
    assert denoised_rank(svd(matrix(100, 60, 2))) == 0


def test_a_product_of_factors_has_no_noise_floor():
    assert denoised_rank(svd_of_product(matrix(100, 4), matrix(4, 60, 1), 1.0)) is None


def test_directions_that_are_only_rounding_are_not_counted():
    B = torch.cat([matrix(50, 3), torch.zeros(50, 2)], dim=1)
    assert svd_of_product(B, matrix(5, 40, 1), 1.0).numerical_rank == 3
    assert svd_of_product(torch.zeros(50, 2), matrix(2, 40), 1.0).numerical_rank == 0
