"""How fast the race's lanes train against what a user gets from PEFT and transformers: fp32, default attention.

    .venv/bin/python tests/benchmarks/race_speed.py [rounds]

Contestants take turns, one step each, in one process; each ratio is the median of the rounds' own ratios. Needs an idle machine:
the clock's time is measured. The lanes are built as training builds them, the others as their documentation does; all train with
AdamW on the same 32 images of 64 pixels. The share of peak is of the FLOPs that a step really makes (counted).
"""

import statistics
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from layer_speed import WARM_UP, backbone, peft, training_step
from step_speed import BATCH, batch, lane, peak

from lora_demo import backbones, numerics

RATIOS = (
    ("LoRA on query and value, beside PEFT", "PEFT LoRA", "our LoRA"),
    ("full, beside transformers", "transformers full", "our full"),
    ("LoRA's step beside full's", "our full", "our LoRA"),
)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    bundled, dtype = backbones.load(), numerics.fast_dtype("cpu")
    attention = numerics.fast_attention("cpu", dtype, bundled.tokens)
    lanes = {
        f"our {title}": lane(name, bundled, attention, dtype) for title, name in (("LoRA", "lora"), ("full", "full"))
    }
    pixels, labels = batch(bundled)
    steps = {
        name: lambda competitor=competitor: competitor.train_step(pixels, labels) for name, competitor in lanes.items()
    }
    steps["PEFT LoRA"] = training_step(peft("query_value", "sdpa", torch.float32), autocast=False)
    steps["transformers full"] = training_step(backbone("sdpa", torch.float32), autocast=False)
    seconds, peaks = {name: [] for name in steps}, []
    for _ in range(WARM_UP + rounds):
        peaks.append(peak())
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    seconds = {name: times[WARM_UP:] for name, times in seconds.items()}
    top = statistics.median(peaks[WARM_UP:])
    print(
        f"{torch.get_num_threads()} threads, {rounds} rounds, {str(dtype)[6:]}, {attention}; peak {top / 1e9:.0f} GFLOP/s"
    )
    for name, times in seconds.items():
        median = statistics.median(times)
        share = f"{lanes[name].measured['flops'] / median / top:6.0%} of peak" if name in lanes else ""
        print(f"{name:20} {BATCH / median:6.0f} images/s {share}")
    for title, slow, fast in RATIOS:
        ratios = [a / b for a, b in zip(seconds[slow], seconds[fast], strict=True)]
        quartiles = statistics.quantiles(ratios, n=4)
        print(f"{title:40} {statistics.median(ratios):.2f}x (quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f})")
    limit = lanes["our full"].measured["flops"] / lanes["our LoRA"].measured["flops"]
    print(f"{'limit of that, by counted FLOPs':40} {limit:.2f}x")


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    main()
