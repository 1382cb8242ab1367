"""Why LoRA wants a learning rate of its own: one small problem, a row of rates, full fine-tuning against LoRA."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lora_demo.lora import LoRALinear

SIZE, RANK, INPUTS, STEPS = 48, 4, 128, 80
NOTEBOOK_RATE = 3e-5  # the notebook's, for both methods
RATES = (NOTEBOOK_RATE, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


@dataclass(frozen=True)
class Sweep:
    """Loss after `STEPS` steps of Adam at each of `RATES`, over the loss before."""

    full: list[float]
    lora: list[float]

    def best(self, lane: str) -> float:
        """The rate at which "full" or "lora" ended lowest."""
        losses = getattr(self, lane)
        return RATES[losses.index(min(losses))]


@functools.cache
def sweep() -> Sweep:
    """Train one linear layer towards W0 + D, where D's singular values halve from one to the next: most of it has low rank."""
    generator = torch.Generator().manual_seed(0)
    W0, noise = (torch.randn(SIZE, SIZE, generator=generator) / SIZE**0.5 for _ in range(2))
    U, _, Vh = torch.linalg.svd(noise)
    change = U * (0.5 ** torch.arange(1, SIZE + 1)) @ Vh
    x = torch.randn(INPUTS, SIZE, generator=generator)
    goal = x @ (W0 + change).T
    return Sweep(*([_train(lane, rate, W0, x, goal) for rate in RATES] for lane in ("full", "lora")))


def _train(lane: str, rate: float, W0: Tensor, x: Tensor, goal: Tensor) -> float:
    layer: nn.Module = nn.Linear(SIZE, SIZE, bias=False)
    layer.weight.data = W0.clone()
    if lane == "lora":
        layer = LoRALinear(layer, RANK, 2 * RANK, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(STEPS + 1):
        loss = (layer(x) - goal).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[-1] / losses[0]
