"""How long the X-ray of the bundled run takes: `python tests/benchmarks/xray.py`.

Medians of interleaved repeats; the truncation curve and forgetting once, for they take their time. OpenBLAS gets one thread, as
in app.py.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from lora_demo import lora
from lora_demo.figures import xray as pictures
from lora_demo.records import bundled
from lora_demo.xray import changes, evaluation, forgetting, report, truncation

RUNS = 5
LAYER = "vit.layers.3.mlp.fc1"


def seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(*calls) -> list[float]:
    """Median seconds of each call, run in turn; the first turn warms up."""
    times = [[seconds(call) for call in calls] for _ in range(1 + RUNS)][1:]
    return [median(column) for column in zip(*times, strict=True)]


def line(what: str, taken: float, aim: str = "") -> None:
    print(f"{what:<66} {taken * 1e3:9.1f} ms   {aim}")


def opening(record) -> None:
    """The first question after the page came up: files, SVDs and all."""
    start = time.perf_counter()
    layers = report.examine(record)
    first = next(layers)
    pictures.spectra(first).to_json()
    line("first picture, run and backbone read from disk", time.perf_counter() - start, "1 s")
    list(layers)
    line("whole X-ray, run and backbone read from disk", time.perf_counter() - start, "3 s")


def layer_views(record) -> None:
    def whole():
        report.xray(record)

    def one():
        found = report.examine_layer(record, LAYER)
        pictures.spectra(found).to_json()
        pictures.overlap(found.overlap("full", "frozen")).to_json()
        pictures.intruders(found.changes["full"].intruders, "full").to_json()

    all_of_it, layer = interleaved(whole, one)
    line("whole X-ray, once the run is in memory", all_of_it)
    line("one layer and its three pictures", layer, "150 ms")


def against_the_plain_way(record) -> None:
    change = changes.read(record).lane("lora").changes["vit.layers.3.attention.q_proj"]
    by_qr, values_by_qr, dense = interleaved(
        lambda: changes.LowRank(change.B, change.A, change.scaling).svd,
        lambda: lora.spectrum(change.B, change.A, change.scaling),
        lambda: torch.linalg.svd(change.dense(), full_matrices=False),
    )
    line(
        "LoRA's singular triplets from two QRs, 192 x 192, r = 8", by_qr, f"{dense / by_qr:.1f} times as fast as dense"
    )
    line("  its values alone", values_by_qr, f"{dense / values_by_qr:.1f} times as fast as dense")
    wide = changes.read(record).lane("full").changes["vit.layers.3.mlp.fc2"].matrix
    turned, plain = interleaved(lambda: changes.svd(wide), lambda: torch.linalg.svd(wide, full_matrices=False))
    line("SVD of a wide matrix, 192 x 768, turned first", turned, f"{plain / turned:.1f} times as fast as plain")


def looks(record) -> None:
    """Images a second in an evaluation, by batch."""
    weights = changes.read(record)
    looked = evaluation.Evaluation(weights.backbone, truncation._test_images("bundled", 200))
    trained = weights.trained("full")
    usual, sizes = evaluation.BATCH, (10, 25, 50, 100)

    def look(size):
        evaluation.BATCH = size
        looked.accuracy(trained)

    taken = interleaved(*(lambda size=size: look(size) for size in sizes))
    for size, one in zip(sizes, taken, strict=True):
        print(f"  batches of {size:<4} {200 / one:6.0f} images/s")
    evaluation.BATCH = usual


def curves(record) -> None:
    start, ends = time.perf_counter(), {}
    for score in truncation.curve(record):
        print(f"  {score.lane:<5} k = {score.k:<4} {score.accuracy:7.1%}   after {time.perf_counter() - start:5.1f} s")
        ends[score.lane] = time.perf_counter() - start
    line("truncation curve, 500 images, both lanes", max(ends.values()), "15 s")
    for score in forgetting.forgetting(record):
        print(f"  {score.lane:<6} knows {score.accuracy:6.1%} of its old task")


def main() -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    record = bundled()["reference"]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    opening(record)
    layer_views(record)
    against_the_plain_way(record)
    looks(record)
    curves(record)


if __name__ == "__main__":
    main()
