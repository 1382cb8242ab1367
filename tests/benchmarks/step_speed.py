"""Images per second of each lane's whole step on the bundled backbone, by attention, number format and last layer.

    .venv/bin/python tests/benchmarks/step_speed.py [rounds]

Interleaved in one process, medians; bfloat16 is left out where this machine's own probe finds it slower than float32. The last
layer computes every token or the class token alone (lora_demo/class_token.py). The last column is the share of the machine's
matrix-multiply peak, measured beside it, that the step reaches with the FLOPs that it really makes (counted).
"""

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from lora_demo import backbones, numerics
from lora_demo.class_token import only_class_token
from lora_demo.lane import WARM_UP_STEPS, Lane, copied, prepare
from lora_demo.settings import LANES, Settings

BATCH = 32
LAST_LAYERS = {"every token": False, "class token": True}


def lane(name: str, backbone: backbones.Backbone, attention: str, dtype: torch.dtype, class_token: bool = True) -> Lane:
    """A lane as training builds it, but for its attention and its last layer."""
    model = copied(backbone.model, backbone.new_head(list("abcdefghij"), torch.Generator().manual_seed(0)))
    model.set_attn_implementation(attention)
    groups = prepare(name, model, Settings(), 0, dtype)
    if class_token:
        only_class_token(model)
    return Lane(name, model, groups, Settings(), dtype)


def batch(backbone: backbones.Backbone) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images and labels: only time is measured."""
    return torch.randn(BATCH, 3, *backbone.image_size), torch.randint(0, 10, (BATCH,))


def peak() -> float:
    """FLOP/s of a 1,024 x 1,024 product in float32."""
    return 2 * 1024**3 / numerics.product_seconds(torch.float32, 1024, 1024)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    backbone = backbones.load()
    dtypes = sorted({torch.float32, numerics.fast_dtype("cpu")}, key=str)
    lanes = {
        (name, attention, dtype, last): lane(name, backbone, attention, dtype, class_token)
        for name in LANES
        for attention in ("eager", "sdpa")
        for dtype in dtypes
        for last, class_token in LAST_LAYERS.items()
    }
    pixels, labels = batch(backbone)
    peaks = []
    for _ in range(WARM_UP_STEPS + rounds):
        peaks.append(peak())
        for competitor in lanes.values():
            competitor.train_step(pixels, labels)
    top = statistics.median(peaks)
    print(
        f"{torch.get_num_threads()} threads, {rounds} rounds, batch {BATCH}; float32 products: {top / 1e9:.0f} GFLOP/s"
    )
    print(f"{'lane':6} {'attention':10} {'format':10} {'last layer':12} {'images/s':>9} {'of peak':>8}")
    for (name, attention, dtype, last), competitor in lanes.items():
        seconds = statistics.median(competitor.step_seconds[WARM_UP_STEPS:])
        share = competitor.measured["flops"] / seconds / top
        print(f"{name:6} {attention:10} {str(dtype)[6:]:10} {last:12} {BATCH / seconds:9.0f} {share:8.0%}")


if __name__ == "__main__":
    main()
