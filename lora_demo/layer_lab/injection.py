"""LoRA put into a real ViT: what changes in the module tree, what trains, and what training keeps in memory."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import torch

from lora_demo import backbones, lora
from lora_demo.datasets import CLASSES
from lora_demo.layer_lab import sizes
from lora_demo.layer_lab.tree import Line, module_tree


@dataclass(frozen=True)
class Cost:
    """What one choice of adapted layers trains, beside the new head, and the bytes that costs in fp32."""

    choice: str
    adapted_layers: int
    adapter_parameters: int
    trained_parameters: int
    frozen_parameters: int

    @property
    def gradient_bytes(self) -> int:
        """Gradients of everything trained."""
        return sizes.gradient_bytes(self.trained_parameters)

    @property
    def adam_bytes(self) -> int:
        """Adam's two moments."""
        return sizes.adam_bytes(self.trained_parameters)

    @property
    def momentum_bytes(self) -> int:
        """SGD's momentum."""
        return sizes.momentum_bytes(self.trained_parameters)


@dataclass(frozen=True)
class Injection:
    """A backbone with a new head before and after `lora.inject`.

    `costs` has one entry for each key of `lora.TARGETS`, then "head" (the new head alone) and "full" (everything).
    `output_change` is the largest difference of the logits that injection made, on two images of noise.
    """

    backbone: str
    targets: str
    rank: int
    before: list[Line]
    after: list[Line]
    names: list[str]
    costs: list[Cost]
    output_change: float

    @property
    def cost(self) -> Cost:
        """The cost of the targets that were asked for."""
        return next(cost for cost in self.costs if cost.choice == self.targets)


@functools.lru_cache(maxsize=16)
def inspect_injection(backbone: str, targets: str, rank: int) -> Injection:
    """Put LoRA of `rank` on the layers `targets` names (a key of `lora.TARGETS`) of a copy of the backbone.

    Raises:
        BackboneError: where the backbone cannot be loaded.
        LoRAError: where the rank does not fit.
    """
    loaded = backbones.load(backbone)
    model = copy.deepcopy(loaded.model).eval()
    generator = torch.Generator().manual_seed(0)
    model.classifier = loaded.new_head(list(CLASSES), generator)
    before = module_tree(model)
    costs = _costs(model, rank)

    images = torch.rand(2, 3, *loaded.image_size, generator=generator)
    with torch.inference_mode():
        base = model(pixel_values=images).logits
    names = lora.inject(model, lora.TARGETS[targets], rank, generator=generator)
    lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    with torch.inference_mode():
        change = (model(pixel_values=images).logits - base).abs().max().item()
    return Injection(backbone, targets, rank, before, module_tree(model), names, costs, change)


def _costs(model: torch.nn.Module, rank: int) -> list[Cost]:
    """Counted on `model` itself: inject, count, eject, which leaves it as it was."""
    head = sum(p.numel() for p in model.classifier.parameters())
    whole = sum(p.numel() for p in model.parameters())
    costs = []
    for targets, pattern in lora.TARGETS.items():
        names = lora.inject(model, pattern, rank)
        adapters = sum(p.numel() for layer in lora.adapted_layers(model).values() for p in layer.adapter_parameters())
        lora.eject(model)
        costs.append(Cost(targets, len(names), adapters, adapters + head, whole - head))
    return [*costs, Cost("head", 0, 0, head, whole - head), Cost("full", 0, 0, whole, 0)]
