"""Which number format and which attention are fast on this machine: measured once, not assumed."""

from __future__ import annotations

import functools
import time

import torch

EAGER_UP_TO = 100  # tokens; tests/benchmarks/step_speed.py prints both attentions in both formats
MARGIN = 1.2  # bfloat16 must be this much faster: it costs precision


@functools.cache
def fast_dtype(device: str) -> torch.dtype:
    """bfloat16 where its matrix products are faster than float32's, else float32: a probe of about 50 ms on a CPU.

    A CPU without bf16 instructions is slower in bf16, so that asking its name would not do.
    """
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    full, half = (product_seconds(dtype) for dtype in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if half * MARGIN < full else torch.float32


def product_seconds(dtype: torch.dtype, rows: int = 1024, width: int = 192, repeats: int = 3) -> float:
    """Best time of a product [rows, width] @ [width, width], such as a small ViT's layers are made of."""
    x, weight = torch.ones(rows, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
    times = []
    for _ in range(1 + repeats):  # the first one warms up
        start = time.perf_counter()
        x @ weight
        times.append(time.perf_counter() - start)
    return min(times[1:])


def fast_attention(device: str, dtype: torch.dtype, tokens: int) -> str:
    """transformers' name of the attention to train with.

    The CPU's fused attention is slow backward on short sequences in bfloat16, a third of a step at 65 tokens; in float32 on an
    AVX2 core it is the faster one, by some percent. A rule, not a probe: a run is to repeat bit for bit from its seed.
    """
    return "eager" if device == "cpu" and dtype == torch.bfloat16 and tokens <= EAGER_UP_TO else "sdpa"


def best_device() -> str:
    """ "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
