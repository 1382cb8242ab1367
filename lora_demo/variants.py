"""What each LoRA variant does differently: one small class and one paper each.

Every variant trains a change of a frozen weight W0 [out, in] through B [out, r] and A [r, in], so that the layer's
weight is W = W0 + change. LoRA itself is the base class; the others say only where they part from it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lora_demo.lora import LoRALinear


class LoRA:
    """W = W0 + (alpha / r) B A (Hu et al. 2021, arXiv 2106.09685, section 4.1)."""

    trains_A = True
    is_low_rank = True  # change = scaling * B A plus a constant, so its gradient never needs an [out, in] matrix
    ratio = 1.0  # learning rate of B over that of A

    def scaling(self, alpha: float, rank: int) -> float:
        """The factor before B A."""
        return alpha / rank

    def start(self, layer: LoRALinear) -> None:
        """Give `layer` what the variant needs beyond a random A and a zero B."""

    def change(self, layer: LoRALinear) -> Tensor:
        """W - W0 at full strength, [out, in], differentiable in whatever is trained."""
        return (layer.scaling * layer.lora_B) @ layer.lora_A


class RsLoRA(LoRA):
    """The scaling alpha / sqrt(r) keeps the change's size steady as r grows (Kalajdzievski 2023, arXiv 2312.03732)."""

    def scaling(self, alpha: float, rank: int) -> float:
        return alpha / math.sqrt(rank)


class LoRAPlus(LoRA):
    """B learns 16 times faster than A (Hayou et al. 2024, arXiv 2402.12354); see `lora.parameter_groups`."""

    ratio = 16.0


class LoRAFA(LoRA):
    """A stays as drawn; only B learns (Zhang et al. 2023, arXiv 2308.03303)."""

    trains_A = False


class DoRA(LoRA):
    """W = m (W0 + s B A) / ||W0 + s B A||: size and direction of each output row learn apart.

    Liu et al. 2024, arXiv 2402.09353, equation 5; norms over rows [out], as PEFT lays weights out.
    """

    is_low_rank = False  # the magnitude's gradient needs the whole row

    def start(self, layer: LoRALinear) -> None:
        W0 = layer.weight.to(layer.lora_A.dtype)
        layer.magnitude = nn.Parameter(torch.linalg.norm(W0, dim=1))

    def change(self, layer: LoRALinear) -> Tensor:
        W0 = layer.weight.to(layer.lora_A.dtype)
        direction = W0 + super().change(layer)
        norm = torch.linalg.norm(direction.detach(), dim=1)  # a constant for the gradient: section 4.3
        return (layer.magnitude / norm)[:, None] * direction - W0


class PiSSA(LoRA):
    """B A starts as the r largest singular triplets of W0, and the rest of W0 is what stays frozen.

    Meng et al. 2024, arXiv 2404.02948, equations 2 to 4: W = (W0 - s B0 A0) + s B A. Not that rest but the start, B0 and
    A0, is stored: it is smaller, leaves W0 whole, and B A - B0 A0 is zero at the start to the last bit.
    """

    def start(self, layer: LoRALinear) -> None:
        U, S, Vh = torch.linalg.svd(layer.weight.to(layer.lora_A.dtype), full_matrices=False)
        root = (S[: layer.rank] / layer.scaling).sqrt()
        with torch.no_grad():
            layer.lora_B.copy_(U[:, : layer.rank] * root)
            layer.lora_A.copy_(root[:, None] * Vh[: layer.rank])
        layer.register_buffer("initial_B", layer.lora_B.detach().clone())
        layer.register_buffer("initial_A", layer.lora_A.detach().clone())

    def change(self, layer: LoRALinear) -> Tensor:
        return super().change(layer) - (layer.scaling * layer.initial_B) @ layer.initial_A


VARIANTS: dict[str, LoRA] = {
    "lora": LoRA(),
    "rslora": RsLoRA(),
    "dora": DoRA(),
    "pissa": PiSSA(),
    "lora_plus": LoRAPlus(),
    "lora_fa": LoRAFA(),
}
