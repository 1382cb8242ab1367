"""Which number format and which attention are fast on this machine: measured once, not assumed."""

from __future__ import annotations

import functools
import time

import torch

EAGER_UP_TO = (
    100  # tokens; the CPU's fused attention is slow backward on short sequences (tests/benchmarks/step_speed.py)
)


@functools.cache
def fast_dtype(device: str) -> torch.dtype:
    """bfloat16 where its matrix products are faster than float32's, else float32: a probe of about 50 ms on a CPU.

    A CPU without bf16 instructions is slower in bf16, so that asking its name would not do.
    """
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    seconds = {dtype: _product_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return min(seconds, key=seconds.get)


def _product_seconds(dtype: torch.dtype, size: int = 512, repeats: int = 5) -> float:
    x = torch.ones(size, size, dtype=dtype)
    x @ x
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        x @ x
        times.append(time.perf_counter() - start)
    return min(times)


def fast_attention(device: str, tokens: int) -> str:
    """transformers' name of the attention to train with: "eager" for short sequences on a CPU, else "sdpa"."""
    return "eager" if device == "cpu" and tokens <= EAGER_UP_TO else "sdpa"


def best_device() -> str:
    """ "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
