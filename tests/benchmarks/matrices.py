"""How long the Rank & SVD tab's domain takes, beside the plain NumPy call: `python tests/benchmarks/matrices.py`.

Medians of interleaved runs. NumPy's OpenBLAS gets one thread, as in app.py: on two shared cores its threads wait for
each other, and a 512 × 512 SVD takes seconds instead of 0.15 s.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from lora_demo.matrices import Descent, analyze, example, from_array, generate, parse, to_text
from lora_demo.matrices.photo import photo_from_array

RUNS = 7


def interleaved(ours, plain, runs: int = RUNS) -> tuple[float, float]:
    """Median seconds of two calls, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for call, seconds in zip((ours, plain), times, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return median(times[0]), median(times[1])


def line(what: str, ours, plain, limit: str = "", runs: int = RUNS) -> None:
    a, b = interleaved(ours, plain, runs)
    print(f"{what:<48} {a * 1e3:9.1f} ms {b * 1e3:9.1f} ms   {a / b:6.1f}   {limit}")


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'':<48} {'ours':>12} {'plain NumPy':>12}    ratio   limit")
    cases = {
        "10 × 10 doubles": (from_array(rng.standard_normal((10, 10))), "20 ms"),
        "10 × 10 of rank 4": (generate(10, 10, 4), "20 ms"),
        "Hilbert 12 × 12": (example("hilbert").build(), ""),
        "64 × 64 doubles": (from_array(rng.standard_normal((64, 64))), ""),
        "64 × 64 of rank 20": (generate(64, 64, 20), ""),
        "512 × 512 doubles": (from_array(rng.standard_normal((512, 512))), "1 s"),
        "512 × 512 of rank 3": (generate(512, 512, 3), "1 s"),
        "512 × 512 of rank 200 (“at least”)": (generate(512, 512, 200), "1 s"),
    }
    for name, (matrix, limit) in cases.items():

        def fresh(matrix=matrix):
            matrix.__dict__.pop("integer_rows", None)  # cached: without this, later runs would be too cheap
            matrix.__dict__.pop("fractions", None)
            return analyze(matrix)

        line(f"analyze, {name}", fresh, lambda matrix=matrix: np.linalg.svd(matrix.values), limit)
    for side, k in ((64, 16), (512, 64)):
        matrix = from_array(rng.standard_normal((side, side)))
        analysis, text = analyze(matrix), to_text(matrix)

        def plain_product(a=analysis, k=k):
            return (a.u[:, :k] * a.singular_values[:k]) @ a.vt[:k]

        line(f"low_rank({k}), {side} × {side}", partial(analysis.low_rank, k), plain_product)
        line(f"parse, {side} × {side} doubles", partial(parse, text), partial(np.loadtxt, text.split("\n")), runs=3)
    descent = Descent(generate(64, 64, 20), 8)
    t, b, a = rng.standard_normal((64, 64)), descent.b, descent.a
    line("one step of descent, 64 × 64, rank 8", descent.step, lambda: (t - b @ a) @ a.T)

    y, x = np.mgrid[:2000, :2000] / 2000
    layers = [
        127 + 60 * np.sin(60 * x * y + c) + 40 * (x > y) + 10 * rng.standard_normal((2000, 2000)) for c in range(3)
    ]
    photo = photo_from_array(np.clip(np.stack(layers, axis=2), 0, 255).astype(np.uint8))
    channels = [photo.pixels[:, :, c].astype(np.float32) for c in range(3)]

    def plain_svd():
        return [np.linalg.svd(channel, full_matrices=False) for channel in channels]

    line("photo 2000 × 2000, first picture (k = 64)", lambda: photo.decompose().at(64), plain_svd, "1.5 s", runs=1)
    first = photo.decompose()
    (u, s, vt), *_ = plain_svd()
    line("photo 2000 × 2000, next k", lambda: first.at(100), lambda: (u[:, :100] * s[:100]) @ vt[:100])


if __name__ == "__main__":
    main()
