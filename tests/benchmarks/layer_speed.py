"""How fast our LoRA layer trains against PEFT's, on the bundled backbone: python tests/benchmarks/layer_speed.py [rounds]

Batch 32, 64 pixels, r = 8, AdamW. Contestants take turns, one step each, in one process, so that a busy machine slows all
of them alike; a ratio is the median over the rounds of PEFT's seconds over ours. Random images do: only time is measured.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import ViTForImageClassification

from lora_demo import lora

BACKBONE = Path(__file__).resolve().parents[2] / "assets" / "backbone"
PEFT_TARGETS = {"query_value": ["q_proj", "v_proj"], "all_linear": "all-linear"}
RANK, ALPHA, BATCH = 8, 16, 32


def backbone(attention: str, dtype: torch.dtype) -> ViTForImageClassification:
    """The bundled ViT with a new head of ten classes, frozen weights in `dtype`, the head in fp32."""
    model = ViTForImageClassification.from_pretrained(BACKBONE, attn_implementation=attention, dtype=dtype)
    model.classifier = nn.Linear(model.config.hidden_size, 10)
    return model


def ours(target: str, attention: str = "eager", dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    model = backbone(attention, dtype)
    lora.inject(model, lora.TARGETS[target], RANK, ALPHA)
    lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    return model


def peft(target: str, attention: str = "eager", dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    model = backbone(attention, dtype)
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=PEFT_TARGETS[target], modules_to_save=["classifier"], lora_dropout=0.0
    )
    if target == "all_linear":
        config.exclude_modules = ["classifier"]
    return get_peft_model(model, config)


def stepper(model: nn.Module, autocast: bool) -> Callable[[], float]:
    """A function that trains one step on fixed random images and returns its seconds."""
    torch.manual_seed(0)
    images, labels = torch.randn(BATCH, 3, 64, 64), torch.randint(10, (BATCH,))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> float:
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            loss = nn.functional.cross_entropy(model(images).logits, labels)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - started

    return step


def main(rounds: int) -> None:
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {rounds} rounds")
    for target in PEFT_TARGETS:
        contestants = {
            "ours": stepper(ours(target), autocast=True),
            "PEFT, same dtype and attention": stepper(peft(target), autocast=True),
            "PEFT, fp32 base under autocast": stepper(peft(target, dtype=torch.float32), autocast=True),
            "ours, fp32, sdpa": stepper(ours(target, "sdpa", torch.float32), autocast=False),
            "PEFT as a user gets it": stepper(peft(target, "sdpa", torch.float32), autocast=False),
        }
        for step in contestants.values():
            for _ in range(3):  # let oneDNN choose its kernels before timing
                step()
        seconds = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, step in contestants.items():
                seconds[name].append(step())
        print(f"\n{target:34} images/s   ours is faster by")
        for name, times in seconds.items():
            ratio = statistics.median(t / o for t, o in zip(times, seconds["ours"], strict=True))
            print(f"{name:34} {BATCH / statistics.median(times):8.0f}   {ratio:.2f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
