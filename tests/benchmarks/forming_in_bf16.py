"""Does learning suffer where W0 + s B A is formed in bf16, which drops changes below 2^-9 of a weight?

    python tests/benchmarks/forming_in_bf16.py [steps]

Three twins learn CIFAR-10 from the same batches: in fp32; with W0, A, B and the activations in bf16 but s B A added
exactly (an addmm into the output); and with W rounded to bf16 as well (the layer as it is). bf16 is imitated by rounding
in fp32, so that the answer is the same on a CPU without bf16 instructions. The last rate is a thirtieth of the usual one,
where changes stay small.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ViTForImageClassification

from lora_demo import datasets, lora
from lora_demo.low_rank_product import LowRankLinear

BACKBONE = Path(__file__).resolve().parents[2] / "assets" / "backbone"
SETTINGS = (("query_value", 2e-3), ("all_linear", 1e-3), ("all_linear", 3e-5))
BATCH = 32


class Rounded(torch.autograd.Function):
    """An activation stored in bf16, and its gradient too."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return bf16(x)

    @staticmethod
    def backward(ctx, dx: Tensor) -> Tensor:
        return bf16(dx)


def bf16(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def exact(layer: lora.LoRALinear, x: Tensor) -> Tensor:
    W = layer.adapted_weight().detach()
    return LowRankLinear.apply(x, W, layer.bias, layer.lora_A, layer.lora_B, layer.scaling)


def rounded(layer: lora.LoRALinear, x: Tensor, form: Callable[[Tensor], Tensor]) -> Tensor:
    W = form(bf16(layer.weight) + layer.scaling * bf16(layer.lora_B) @ bf16(layer.lora_A)).detach()
    return Rounded.apply(
        LowRankLinear.apply(Rounded.apply(x), W, layer.bias, layer.lora_A, layer.lora_B, layer.scaling)
    )


TWINS = {
    "fp32": exact,
    "bf16, added": functools.partial(rounded, form=torch.clone),
    "bf16, formed": functools.partial(rounded, form=bf16),
}


def twin(target: str, forward: Callable[[lora.LoRALinear, Tensor], Tensor]) -> nn.Module:
    torch.manual_seed(0)
    model = ViTForImageClassification.from_pretrained(BACKBONE, attn_implementation="eager", dtype=torch.float32)
    model.classifier = nn.Linear(model.config.hidden_size, 10)
    lora.inject(model, lora.TARGETS[target], rank=8, alpha=16)
    lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    for layer in lora.adapted_layers(model).values():
        layer.forward = functools.partial(forward, layer)
    return model


def change(model: nn.Module) -> Tensor:
    """Every layer's W - W0, in one vector."""
    return torch.cat([layer.delta_weight().detach().flatten() for layer in lora.adapted_layers(model).values()])


def main(steps: int) -> None:
    train = datasets.load().train
    for target, rate in SETTINGS:
        models = {label: twin(target, forward) for label, forward in TWINS.items()}
        losses: dict[str, list[float]] = {label: [] for label in models}
        optimizers = {
            label: torch.optim.AdamW(lora.parameter_groups(model, rate, head_learning_rate=1e-2))
            for label, model in models.items()
        }
        for batch in torch.randint(len(train), (steps, BATCH), generator=torch.Generator().manual_seed(0)):
            pixels = F.interpolate(train.images[batch] / 127.5 - 1, size=(64, 64), mode="bilinear")
            for label, model in models.items():
                optimizers[label].zero_grad()
                loss = F.cross_entropy(model(pixels).logits, train.labels[batch])
                loss.backward()
                optimizers[label].step()
                losses[label].append(loss.item())
        print(f"\n{f'{target}, rate {rate:g}':28} loss of the last ten   most it differs   change differs from fp32's")
        for label, model in models.items():
            differs = max(abs(a - b) for a, b in zip(losses[label], losses["fp32"], strict=True))
            off = torch.linalg.norm(change(model) - change(models["fp32"])) / torch.linalg.norm(change(models["fp32"]))
            print(f"{label:28} {sum(losses[label][-10:]) / 10:20.4f} {differs:17.4f} {off:27.1%}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
