"""One small LoRA layer that learns step by step: real gradient steps on a `LoRALinear` of 4 inputs and 5 outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lora_demo.lora import LoRALinear

D, K, R, INPUTS = 5, 4, 2, 3
ALPHA = 4.0
SCALING = ALPHA / R
STARTS = {"lora": "B = 0, as LoRA", "swapped": "A = 0", "zero": "both 0"}
DONE = 1e-6  # nothing more to see below this loss
DIVERGED = 100  # times the first loss: the learning rate is too high, and the next steps end in infinities


@dataclass(frozen=True)
class Moment:
    """The layer after `step` steps; `losses[i]` is the loss after i of them. A [r, k], B [d, r]."""

    A: np.ndarray
    B: np.ndarray
    losses: tuple[float, ...]
    moved_A: float = 0.0
    moved_B: float = 0.0

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return len(self.losses) - 1

    @property
    def diverged(self) -> bool:
        """Whether the steps were so long that the loss ran away."""
        return not self.losses[-1] <= DIVERGED * self.losses[0]

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to learn, or to save."""
        return self.losses[-1] < DONE or self.diverged


@dataclass(frozen=True)
class Pass:
    """What a forward and a backward pass compute; one input a column, so that h = W0 x + s B A x reads as written.

    x [k, n]; Ax [r, n]; BAx, W0x, h, goal [d, n]; grad_A [r, k]; grad_B [d, r].
    """

    x: np.ndarray
    Ax: np.ndarray
    BAx: np.ndarray
    W0x: np.ndarray
    h: np.ndarray
    goal: np.ndarray
    grad_A: np.ndarray
    grad_B: np.ndarray
    loss: float


def begin(start: str = "lora") -> Moment:
    """The layer before its first step; `start` is a key of `STARTS` and says which of A and B is zero."""
    layer, _, _ = _problem()
    A, B = layer.lora_A.detach(), layer.lora_B.detach()
    if start == "swapped":
        A, B = torch.zeros_like(A), torch.randn(B.shape, generator=torch.Generator().manual_seed(3)) / R
    elif start == "zero":
        A = torch.zeros_like(A)
    moment = Moment(A.numpy().copy(), B.numpy().copy(), (0.0,))
    return Moment(moment.A, moment.B, (look(moment).loss,))


def look(moment: Moment) -> Pass:
    """A forward and a backward pass at `moment`, nothing changed."""
    layer, x, goal = _layer_at(moment)
    h, loss = _forward(layer, x, goal)
    loss.backward()
    with torch.no_grad():
        Ax = x @ layer.lora_A.T
        rows = {"x": x, "Ax": Ax, "BAx": Ax @ layer.lora_B.T, "W0x": x @ layer.weight.T, "h": h, "goal": goal}
        columns = {name: tensor.T.numpy().copy() for name, tensor in rows.items()}
    return Pass(**columns, grad_A=layer.lora_A.grad.numpy(), grad_B=layer.lora_B.grad.numpy(), loss=loss.item())


def take_step(moment: Moment, learning_rate: float) -> Moment:
    """One step of plain gradient descent on the mean squared error between h and its goal; none once `finished`."""
    if moment.finished:
        return moment
    layer, x, goal = _layer_at(moment)
    _forward(layer, x, goal)[1].backward()
    torch.optim.SGD(layer.adapter_parameters(), lr=learning_rate).step()
    A, B = layer.lora_A.detach().numpy().copy(), layer.lora_B.detach().numpy().copy()
    with torch.no_grad():
        loss = _forward(layer, x, goal)[1].item()
    moved = (float(np.linalg.norm(A - moment.A)), float(np.linalg.norm(B - moment.B)))
    return Moment(A, B, (*moment.losses, loss), *moved)


def _forward(layer: LoRALinear, x: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    h = layer(x)
    return h, (h - goal).square().mean()


def _layer_at(moment: Moment) -> tuple[LoRALinear, Tensor, Tensor]:
    layer, x, goal = _problem()
    with torch.no_grad():
        layer.lora_A.copy_(torch.from_numpy(moment.A))
        layer.lora_B.copy_(torch.from_numpy(moment.B))
    return layer, x, goal


def _problem() -> tuple[LoRALinear, Tensor, Tensor]:
    """The layer at its start, inputs x [n, k], and goals [n, d] that W0 with a change of rank r reaches exactly."""
    generator = torch.Generator().manual_seed(7)
    base = nn.Linear(K, D, bias=False)
    with torch.no_grad():
        base.weight.copy_(torch.randn(D, K, generator=generator) / 2)
    x = torch.randn(INPUTS, K, generator=generator)
    wanted = torch.randn(D, R, generator=generator) @ torch.randn(R, K, generator=generator) / 2
    goal = x @ (base.weight.detach() + wanted).T
    return LoRALinear(base, R, ALPHA, generator=generator), x, goal
