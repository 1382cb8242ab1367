"""Gradient descent on ‖T - B A‖_F², step by step, beside the least loss that Eckart and Young allow."""

from __future__ import annotations

import numpy as np

from lora_demo.matrices.matrix import Matrix, MatrixError

DEFAULT_RATE = 0.25
OVERSHOOTING_RATE = 0.5
_START_SIZE = 1e-2  # of ‖B‖ and ‖A‖ beside sqrt(s_1): small, so that the directions come one after another
_LARGEST = 1e140  # of the target's numbers
_DIVERGED = 1e3  # times ‖T‖_F²


class Descent:
    """B [m, r] and A [r, n] trained on a target T [m, n] by plain gradient descent from a small random start.

    rate is in units of 1 / s_1, for at the minimum the steepest curvature of the loss is 4 s_1: from 0.5 on the largest
    direction overshoots. From a small start the singular directions are learnt in order, the largest first (Saxe,
    McClelland and Ganguli 2014, arXiv:1312.6120).

    losses: ‖T - B A‖_F² before the first step and after each [steps + 1].
    singular_values: of B A at the same moments [steps + 1][r].
    floor: the sum of s_i² for i > r: no B A of rank r can do better (Eckart and Young 1936).
    targets: s_1..s_r, where the singular values of B A go.
    """

    def __init__(self, matrix: Matrix, rank: int, rate: float = DEFAULT_RATE, seed: int = 0) -> None:
        """Raises MatrixError for a rank outside 1..min(m, n), a rate outside 0..10, and numbers whose squares overflow."""
        m, n = matrix.shape
        if not 1 <= rank <= min(m, n):
            raise MatrixError(f"rank {rank} is not possible here: choose from 1 to {min(m, n)}")
        if not 0 < rate <= 10:
            raise MatrixError(f"the rate is {rate}; it must be above 0 and at most 10")
        if seed < 0:
            raise MatrixError(f"the seed is {seed}; it must not be negative")
        if np.abs(matrix.values).max() > _LARGEST:
            raise MatrixError(f"a number above {_LARGEST:g} is too large here: the loss adds up squares")
        spectrum = np.linalg.svd(matrix.values, compute_uv=False)
        self._scale = float(spectrum[0]) or 1.0  # the target is trained in units of s_1 and reported in its own
        self._target = matrix.values / self._scale
        self.rate = rate
        self.floor = float((spectrum[rank:] ** 2).sum())
        self.targets = spectrum[:rank]
        rng = np.random.default_rng(seed)
        self._b = _START_SIZE * rng.standard_normal((m, rank)) / np.sqrt(m)
        self._a = _START_SIZE * rng.standard_normal((rank, n)) / np.sqrt(n)
        self._limit = _DIVERGED * max(1.0, float((self._target**2).sum()))
        self._diverged = False
        self.losses: list[float] = []
        self.singular_values: list[np.ndarray] = []
        self._residual = self._record()

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.losses) - 1

    @property
    def diverged(self) -> bool:
        """True once the loss has grown a thousandfold: the rate is too high, and no further step is taken."""
        return self._diverged

    @property
    def b(self) -> np.ndarray:
        """B [m, r]."""
        return self._b * np.sqrt(self._scale)

    @property
    def a(self) -> np.ndarray:
        """A [r, n]."""
        return self._a * np.sqrt(self._scale)

    def step(self, count: int = 1) -> None:
        """Take `count` steps: B -= η ∂/∂B, A -= η ∂/∂A together, with η = rate / s_1; none once diverged."""
        for _ in range(count):
            if self._diverged:
                return
            gradient_b = -2 * self._residual @ self._a.T
            gradient_a = -2 * self._b.T @ self._residual
            self._b -= self.rate * gradient_b
            self._a -= self.rate * gradient_a
            self._residual = self._record()

    def message(self) -> str:
        """Where the descent stands, in one sentence."""
        if self._diverged:
            return f"Diverged after {self.steps} steps: the rate {self.rate:g} is too high; try {DEFAULT_RATE:g}."
        if self.rate >= OVERSHOOTING_RATE:
            return f"Step {self.steps}: the rate {self.rate:g} overshoots and cannot settle; try {DEFAULT_RATE:g}."
        return f"Step {self.steps}: loss {self.losses[-1]:.4g}, and {self.floor:.4g} is the least that rank allows."

    def _record(self) -> np.ndarray:
        """Note the loss and the spectrum of B A, the latter from r × r cores alone; returns T - B A."""
        residual = self._target - self._b @ self._a
        loss = float(np.vdot(residual, residual))
        self._diverged = not loss < self._limit
        core = np.linalg.qr(self._b)[1] @ np.linalg.qr(self._a.T)[1].T
        self.losses.append(loss * self._scale**2)
        self.singular_values.append(np.linalg.svd(core, compute_uv=False) * self._scale)
        return residual
