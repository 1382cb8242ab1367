"""How fast our LoRA layer trains against PEFT's, and which form of the layer is the fast one.

    python tests/benchmarks/layer_speed.py [rounds]

Contestants take turns, one step each, in one process; each figure is a median over the rounds, each ratio the median of
the rounds' own ratios. One thread, and processor time rather than the clock's, so that other programs do not count: on an
idle machine the two are the same. Only time is measured, so random images do.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import ViTForImageClassification

sys.path.insert(0, str(Path(__file__).parents[2]))

from lora_demo import lora, numerics

BACKBONE = Path(__file__).resolve().parents[2] / "assets" / "backbone"
PEFT_TARGETS = {
    "query_value": ["q_proj", "v_proj"],
    "all_linear": ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"],
}
RANK, ALPHA, BATCH = 8, 16, 32
WARM_UP = 3  # rounds left out: the libraries choose their kernels in the first ones
FAST = numerics.fast_dtype("cpu")


# --- whole training steps ------------------------------------------------------------------------------------------


def backbone(attention: str, dtype: torch.dtype) -> ViTForImageClassification:
    """The bundled ViT, its frozen weights in `dtype`, under a new fp32 head of ten classes."""
    model = ViTForImageClassification.from_pretrained(BACKBONE, attn_implementation=attention, dtype=dtype)
    model.classifier = nn.Linear(model.config.hidden_size, 10)
    return model


def ours(target: str, attention: str, dtype: torch.dtype) -> nn.Module:
    """The backbone under our layers and a head that learns."""
    model = backbone(attention, dtype)
    lora.inject(model, lora.TARGETS[target], RANK, ALPHA)
    lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    return model


def peft(target: str, attention: str, dtype: torch.dtype) -> nn.Module:
    """The backbone under PEFT's layers and a head that learns."""
    options = {"target_modules": PEFT_TARGETS[target], "modules_to_save": ["classifier"]}
    return get_peft_model(backbone(attention, dtype), LoraConfig(r=RANK, lora_alpha=ALPHA, **options))


def training_step(model: nn.Module, autocast: bool) -> Callable[[], None]:
    """One step on 32 random images of 64 pixels: forward, backward, AdamW."""
    torch.manual_seed(0)
    images, labels = torch.randn(BATCH, 3, 64, 64), torch.randint(10, (BATCH,))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            loss = F.cross_entropy(model(images).logits, labels)
        loss.backward()
        optimizer.step()

    return step


def compare_with_peft(rounds: int) -> None:
    """Images a second of both, at the same settings and as a user gets PEFT."""
    cast = torch.bfloat16 == FAST
    for target in PEFT_TARGETS:
        seconds = interleaved(
            {
                f"ours, {name(FAST)}, eager": training_step(ours(target, "eager", FAST), cast),
                f"PEFT, {name(FAST)}, eager": training_step(peft(target, "eager", FAST), cast),
                "ours, float32, sdpa": training_step(ours(target, "sdpa", torch.float32), False),
                "PEFT, float32, sdpa (as a user gets it)": training_step(peft(target, "sdpa", torch.float32), False),
            },
            rounds,
        )
        print_table(f"{target}, r = {RANK}", seconds)


# --- other forms of the layer ---------------------------------------------------------------------------------------


class TokensFirst(torch.autograd.Function):
    """W formed as in `LowRankLinear`, but the small factors lie as [tokens, r]."""

    @staticmethod
    def forward(ctx, x: Tensor, W: Tensor, b: Tensor, A: Tensor, B: Tensor, s: float) -> Tensor:
        ctx.s = s
        ctx.save_for_backward(x, W, A.to(x.dtype), B.to(x.dtype))
        return F.linear(x, W, b)

    @staticmethod
    @once_differentiable
    def backward(ctx, dh: Tensor):
        x, W, A, B = ctx.saved_tensors
        dh_rows, x_rows = dh.flatten(0, 1), x.flatten(0, 1)
        dA, dB = (ctx.s * (dh_rows @ B)).T @ x_rows, dh_rows.T @ (ctx.s * (x_rows @ A.T))
        return dh @ W, None, None, dA.float(), dB.float(), None


def formed_tokens_first(layer: lora.LoRALinear, x: Tensor) -> Tensor:
    with torch.no_grad():
        W = layer.adapted_weight().to(x.dtype)
    return TokensFirst.apply(x, W, layer.bias, layer.lora_A, layer.lora_B, layer.scaling)


def formed_by_autograd(layer: lora.LoRALinear, x: Tensor) -> Tensor:
    return F.linear(x, layer.adapted_weight().to(x.dtype), layer.bias)


def added_to_the_output(layer: lora.LoRALinear, x: Tensor) -> Tensor:
    h, z = F.linear(x, layer.weight, layer.bias), x.flatten(0, 1) @ layer.lora_A.T.to(x.dtype)
    return torch.addmm(h.flatten(0, 1), z, layer.lora_B.T.to(x.dtype), alpha=layer.scaling).unflatten(0, x.shape[:2])


FORMS = {
    "as in lora.py": lora.LoRALinear.forward,
    "formed, small factors [tokens, r]": formed_tokens_first,
    "formed, autograd's dW": formed_by_autograd,
    "addmm into the base output": added_to_the_output,
}


def compare_forms(rounds: int) -> None:
    """The whole step with the layer in each of the forms that it could take."""
    for target in PEFT_TARGETS:
        steps = {}
        for form, forward in FORMS.items():
            model = ours(target, "eager", FAST)
            for layer in lora.adapted_layers(model).values():
                layer.forward = functools.partial(forward, layer)
            steps[form] = training_step(model, torch.bfloat16 == FAST)
        print_table(f"{target}, {name(FAST)}, eager", interleaved(steps, rounds))


# --- timing --------------------------------------------------------------------------------------------------------


def interleaved(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each step in each round, after a warm-up."""
    seconds: dict[str, list[float]] = {contestant: [] for contestant in steps}
    for _ in range(WARM_UP + rounds):
        for contestant, step in steps.items():
            start = time.process_time()
            step()
            seconds[contestant].append(time.process_time() - start)
    return {contestant: times[WARM_UP:] for contestant, times in seconds.items()}


def ratio(times: list[float], seconds: dict[str, list[float]]) -> float:
    """How much longer than the first contestant, round by round."""
    first = next(iter(seconds.values()))
    return statistics.median(t / f for t, f in zip(times, first, strict=True))


def print_table(title: str, seconds: dict[str, list[float]]) -> None:
    print(f"\n{title:42} images/s   the first line is faster by")
    for contestant, times in seconds.items():
        print(f"{contestant:42} {BATCH / statistics.median(times):8.0f}   {ratio(times, seconds):.2f}x")


def name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    warnings.simplefilter("ignore", FutureWarning)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    torch.set_num_threads(1)
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, one thread, {capability}, {name(FAST)} is the faster format")
    compare_with_peft(rounds)
    compare_forms(rounds)
