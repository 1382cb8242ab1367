"""One SVD, and all that it says: three ranks, norms, the best approximation of each rank, the bridge to LoRA."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lora_demo.matrices.exact import Exact, exact_rank
from lora_demo.matrices.matrix import Matrix, MatrixError

ENERGY_SHARES = (90, 95, 99)  # percent of the squared Frobenius norm
_NOISE_FLOOR_SIDE = 20  # the limit law behind the denoised rank is for large matrices


@dataclass(frozen=True)
class Denoised:
    """The rank above the noise (Gavish and Donoho 2014, arXiv:1305.5870, unknown noise level).

    rank and threshold are None where there is no noise floor to judge by; `reason` is a sentence either way.
    """

    rank: int | None
    threshold: float | None
    reason: str


@dataclass(frozen=True)
class LowRank:
    """The best rank-k approximation A_k = Y Zᵀ (Eckart and Young 1936) and what it loses.

    approximation, error: A_k and A - A_k [m, n]; y = U_k diag(s_1..s_k) [m, k]; zt = V_kᵀ [k, n].
    frobenius_error = sqrt(sum of s_i² for i > k); spectral_error = s_{k+1}; relative_error: of the Frobenius norm.
    stored = k (m + n) numbers against original = m n.
    """

    k: int
    approximation: np.ndarray
    error: np.ndarray
    frobenius_error: float
    spectral_error: float
    relative_error: float
    y: np.ndarray
    zt: np.ndarray
    stored: int
    original: int


@dataclass(frozen=True)
class LoRABridge:
    """If the matrix were the update of a weight [m, n]: what LoRA of this rank stores, and at best loses.

    trainable_parameters = rank (m + n) in B [m, rank] and A [rank, n]; full_parameters = m n;
    relative_error: the least ‖ΔW - BA‖_F / ‖ΔW‖_F; energy_kept = 1 - relative_error².
    """

    rank: int
    trainable_parameters: int
    full_parameters: int
    relative_error: float
    energy_kept: float

    def __str__(self) -> str:
        share = self.trainable_parameters / self.full_parameters
        return (
            f"LoRA of rank {self.rank} would store {self.trainable_parameters:,} numbers instead of "
            f"{self.full_parameters:,} ({share:.1%}) and lose at least {self.relative_error:.1%} of the update."
        )


@dataclass(frozen=True, eq=False)
class Analysis:
    """What one SVD A = U diag(s) Vᵀ and one elimination say of a matrix; made by `analyze`.

    u [m, q], singular_values [q] from the largest down, vt [q, n], with q = min(m, n);
    tolerance: singular values above it count; exact: the rank over the rationals.
    """

    matrix: Matrix
    u: np.ndarray
    singular_values: np.ndarray
    vt: np.ndarray
    tolerance: float
    exact: Exact

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return self.matrix.shape

    @property
    def default_tolerance(self) -> float:
        """max(m, n) · eps · s_1 with the eps of double precision: the rule of NumPy and PyTorch."""
        return _tolerance(self.shape, self.singular_values, np.float64)

    @property
    def numerical_rank(self) -> int:
        """How many singular values exceed the tolerance."""
        return int((self.singular_values > self.tolerance).sum())

    @property
    def single_precision_rank(self) -> int:
        """How many exceed max(m, n) · eps · s_1 with the eps of single precision (1.2e-7)."""
        return int((self.singular_values > _tolerance(self.shape, self.singular_values, np.float32)).sum())

    @cached_property
    def denoised(self) -> Denoised:
        """The rank above the noise; independent of the tolerance in use."""
        return above_noise(self.singular_values, self.shape, self.default_tolerance)

    @property
    def nullity(self) -> int:
        """n - rank, the dimension of {x : A x = 0}, by the exact rank (at most this where that is a lower bound)."""
        return self.shape[1] - self.exact.rank

    @property
    def condition_number(self) -> float:
        """s_1 / s_q; infinite where s_q is zero to rounding, by the default tolerance."""
        smallest = self.singular_values[-1]
        return float(self.singular_values[0] / smallest) if smallest > self.default_tolerance else float("inf")

    @property
    def spectral_norm(self) -> float:
        """‖A‖₂ = s_1: the most that A stretches a vector."""
        return float(self.singular_values[0])

    @property
    def frobenius_norm(self) -> float:
        """‖A‖_F = sqrt(sum of all squared numbers) = sqrt(sum of s_i²)."""
        return float(self.frobenius_errors[0])

    @property
    def stable_rank(self) -> float:
        """‖A‖_F² / s_1² <= rank; 0 for the zero matrix."""
        return float((self._relative**2).sum())

    @property
    def effective_rank(self) -> float:
        """exp of the entropy of s_i / sum s (Roy and Vetterli 2007); 0 for the zero matrix."""
        shares = self._relative[self._relative > 0]
        if not shares.size:
            return 0.0
        shares = shares / shares.sum()
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @cached_property
    def energy_ranks(self) -> dict[int, int]:
        """{90: k, 95: k, 99: k}: the least k whose A_k keeps that percentage of ‖A‖_F²."""
        lost = self.relative_errors**2
        return {share: int(np.argmax(lost <= 1 - share / 100)) for share in ENERGY_SHARES}

    @cached_property
    def frobenius_errors(self) -> np.ndarray:
        """‖A - A_k‖_F for k = 0..q, [q + 1] (Eckart and Young 1936)."""
        return _tails(self._relative) * self.singular_values[0]

    @property
    def spectral_errors(self) -> np.ndarray:
        """‖A - A_k‖₂ = s_{k+1} for k = 0..q, [q + 1] (Mirsky 1960)."""
        return np.append(self.singular_values, 0.0)

    @cached_property
    def relative_errors(self) -> np.ndarray:
        """‖A - A_k‖_F / ‖A‖_F for k = 0..q, [q + 1]; zeros for the zero matrix."""
        tails = _tails(self._relative)
        return tails / tails[0] if tails[0] else tails

    @property
    def break_even(self) -> int:
        """The largest k with k (m + n) < m n: up to it two factors store less than the matrix."""
        m, n = self.shape
        return (m * n - 1) // (m + n)

    def with_tolerance(self, tolerance: float | None) -> Analysis:
        """The same analysis with another tolerance (None: the default rule); nothing is computed again."""
        return replace(self, tolerance=_checked(tolerance, self.default_tolerance))

    def low_rank(self, k: int) -> LowRank:
        """The best approximation of rank at most k, 0 <= k <= min(m, n); raises MatrixError outside."""
        self._check_rank(k, least=0)
        m, n = self.shape
        y, zt = self.u[:, :k] * self.singular_values[:k], self.vt[:k]
        approximation = y @ zt
        return LowRank(
            k=k,
            approximation=approximation,
            error=self.matrix.values - approximation,
            frobenius_error=float(self.frobenius_errors[k]),
            spectral_error=float(self.spectral_errors[k]),
            relative_error=float(self.relative_errors[k]),
            y=y,
            zt=zt,
            stored=k * (m + n),
            original=m * n,
        )

    def layer(self, i: int) -> np.ndarray:
        """The i-th rank-1 layer s_i u_i v_iᵀ [m, n], i counted from 1; the first k of them sum to A_k."""
        self._check_rank(i, least=1)
        return self.singular_values[i - 1] * np.outer(self.u[:, i - 1], self.vt[i - 1])

    def lora(self, rank: int) -> LoRABridge:
        """The matrix as the update of a weight, under LoRA of this rank >= 1."""
        self._check_rank(rank, least=1)
        m, n = self.shape
        lost = float(self.relative_errors[rank])
        return LoRABridge(rank, rank * (m + n), m * n, lost, 1 - lost**2)

    def headline(self) -> str:
        """The rank and why in one sentence: "Rank 2 of 3: row 3 = row 1 + row 2."."""
        q = min(self.shape)
        start = f"Rank {self.exact} of {q}"
        if self.exact.certain and self.numerical_rank != self.exact.rank:
            start = f"Exact rank {self.exact} of {q}, numerical rank {self.numerical_rank}"
        return f"{start}: {self._because(q)}."

    def _because(self, q: int) -> str:
        exact = self.exact
        if exact.certain and exact.rank == 0:
            return "every number is zero"
        if exact.certain and exact.rank == self.shape[0]:
            return "no row is a combination of the others"
        plain = [relation for relation in exact.relations if "combination" not in relation][:2]
        if plain:
            more = len(exact.relations) - len(plain)
            return "; ".join(plain) + (f"; and {more} more" if more else "")
        if not exact.certain:
            return "more could not be proved in time"
        if exact.rank == q:
            return "no column is a combination of the others"
        dependent = self.shape[0] - exact.rank
        return f"{dependent} of {self.shape[0]} rows follow from the others"

    @property
    def _relative(self) -> np.ndarray:
        """s / s_1: squares of it neither overflow nor vanish."""
        largest = self.singular_values[0]
        return self.singular_values / largest if largest else self.singular_values

    def _check_rank(self, k: int, least: int) -> None:
        q = min(self.shape)
        if not least <= k <= q:
            raise MatrixError(f"rank {k} is not possible here: choose from {least} to {q}")


def analyze(matrix: Matrix, tolerance: float | None = None) -> Analysis:
    """Analyse the matrix; `tolerance` None is max(m, n) · eps · s_1.

    Raises MatrixError for a tolerance that is negative or not finite, and where a norm leaves double's range.
    """
    with ThreadPoolExecutor(1) as pool:  # the elimination beside the SVD: both release the interpreter
        elimination = pool.submit(exact_rank, matrix)
        u, singular_values, vt = _svd(matrix.values)
        exact = elimination.result()
    default = _tolerance(matrix.shape, singular_values, np.float64)
    return Analysis(matrix, u, singular_values, vt, _checked(tolerance, default), exact)


def above_noise(singular_values: np.ndarray, shape: tuple[int, int], tolerance: float) -> Denoised:
    """The rank above noise of unknown size, from all min(m, n) singular values; those up to `tolerance` are rounding."""
    m, n = sorted(shape)
    if m < _NOISE_FLOOR_SIDE:
        return Denoised(None, None, f"It takes {_NOISE_FLOOR_SIDE} rows and columns to tell noise from signal.")
    median = float(np.median(singular_values))
    if median <= tolerance:
        return Denoised(None, None, "No noise floor: more than half of the singular values are zero to rounding.")
    threshold = noise_factor(m / n) * median
    rank = int((singular_values > threshold).sum())
    return Denoised(rank, threshold, f"Singular values above {threshold:.3g}, {threshold / median:.2f} medians.")


def noise_factor(beta: float) -> float:
    """omega(beta) for 0 < beta = m/n <= 1: the threshold in medians (Gavish and Donoho 2014, section IV, their fit)."""
    return 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43


def _svd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Divided by a power of two first, exactly: LAPACK then meets neither overflow nor subnormal numbers.
    exponent = int(np.frexp(np.abs(values).max())[1])
    u, scaled, vt = np.linalg.svd(np.ldexp(values, -exponent), full_matrices=False)
    with np.errstate(over="ignore"):
        singular_values = np.ldexp(scaled, exponent)
        if not np.isfinite(singular_values[0] * np.sqrt(len(scaled))):
            raise MatrixError("the numbers are so large that the matrix's norm is beyond the range of double precision")
    return u, singular_values, vt


def _tails(values: np.ndarray) -> np.ndarray:
    """sqrt(sum of values_i² for i > k), k = 0..q; summed from the smallest up."""
    return np.append(np.sqrt(np.cumsum(values[::-1] ** 2)[::-1]), 0.0)


def _tolerance(shape: tuple[int, int], singular_values: np.ndarray, precision: type) -> float:
    return float(max(shape) * np.finfo(precision).eps * singular_values[0])


def _checked(tolerance: float | None, default: float) -> float:
    if tolerance is None:
        return default
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise MatrixError(f"the tolerance is {tolerance}; it must be a number of at least 0")
    return float(tolerance)
