"""Images per second of each lane's whole step on the bundled backbone, by attention and number format.

    .venv/bin/python tests/benchmarks/step_speed.py [rounds]

Interleaved in one process, medians; bfloat16 is left out where this machine's own probe finds it slower than float32. The last
column is the share of the machine's matrix-multiply peak, measured beside it, that the step reaches (6, 4 or 2 FLOPs a weight and
token, attention's products left out).
"""

import copy
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from lora_demo import backbones, numerics
from lora_demo.settings import LANES, Settings
from lora_demo.training import Lane, _prepare

BATCH = 32
FLOPS_A_WEIGHT = {"full": 6, "lora": 4, "head": 2}


def lane(name: str, backbone: backbones.Backbone, attention: str, dtype: torch.dtype) -> Lane:
    """A lane as training builds it."""
    model = copy.deepcopy(backbone.model)
    model.set_attn_implementation(attention)
    model.classifier = backbone.new_head(list("abcdefghij"), torch.Generator().manual_seed(0))
    settings = Settings()
    groups = _prepare(name, model, settings)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    return Lane(name, model, groups, settings, dtype)


def peak() -> float:
    """FLOP/s of a 1,024 x 1,024 product in float32."""
    return 2 * 1024**3 / numerics.product_seconds(torch.float32, 1024, 1024)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    backbone = backbones.load()
    dtypes = {torch.float32, numerics.fast_dtype("cpu")}
    lanes = {
        (name, attention, dtype): lane(name, backbone, attention, dtype)
        for name in LANES
        for attention in ("eager", "sdpa")
        for dtype in dtypes
    }
    pixels, labels = torch.randn(BATCH, 3, *backbone.image_size), torch.randint(0, 10, (BATCH,))
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for competitor in lanes.values():
            competitor.train_step(pixels, labels)
    weights = sum(p.numel() for n, p in backbone.model.vit.layers.named_parameters() if p.dim() == 2)
    top = statistics.median(peaks)
    print(
        f"{torch.get_num_threads()} threads, {rounds} rounds, batch {BATCH}; products reach {top / 1e9:.0f} GFLOP/s in float32"
    )
    print(f"{'lane':6} {'attention':10} {'format':10} {'images/s':>9} {'of peak':>8}")
    for (name, attention, dtype), competitor in lanes.items():
        speed = BATCH / statistics.median(competitor.step_seconds[3:])
        share = speed * FLOPS_A_WEIGHT[name] * weights * backbone.tokens / top
        print(f"{name:6} {attention:10} {str(dtype)[6:]:10} {speed:9.0f} {share:8.0%}")


if __name__ == "__main__":
    main()
