"""What the notebook this page grew out of gets wrong, each with a figure that says so.

The frozen head, which takes a training run, is in `frozen_head`; the shared learning rate in `rates`.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lora_demo import backbones, lora
from lora_demo.lora import LoRALinear

PHOTOS = Path(__file__).resolve().parents[2] / "assets" / "tiny-imagenet" / "val.jpg"
TILE, PER_ROW, PER_CLASS = 64, 50, 5  # assets/README.md
TOKENS, FEATURES = 8, 12  # of a layer's output, as many as can be drawn
WAYS = ("copied", "no_bias", "uninitialised")


@dataclass(frozen=True)
class RankOneSum:
    """`ranks[j]` and `errors[j]` of the sum of j + 1 terms s_i u_i v_i^T; an error is the share of ||M||_F left out."""

    ranks: list[int]
    errors: list[float]


def rank_one_sum(size: int = 6) -> RankOneSum:
    """Build a full-rank matrix from its rank-1 terms, one after another (Eckart and Young 1936)."""
    matrix = np.random.default_rng(0).normal(size=(size, size))
    U, S, Vt = np.linalg.svd(matrix)
    sums = [(U[:, :k] * S[:k]) @ Vt[:k] for k in range(1, size + 1)]
    errors = [float(np.linalg.norm(matrix - part) / np.linalg.norm(matrix)) for part in sums]
    return RankOneSum([int(np.linalg.matrix_rank(part)) for part in sums], errors)


@dataclass(frozen=True)
class WrongInjection:
    """A query projection's output before and after injection [TOKENS, FEATURES], and the model's share of right answers.

    `weight_range` is the smallest and largest number in the injected layer's W0.
    """

    base_output: np.ndarray
    output: np.ndarray
    base_accuracy: float
    accuracy: float
    images: int
    weight_range: tuple[float, float]


def inject_as(way: str) -> WrongInjection:
    """Inject at rank 8 into query and value: "copied" as this project does, "no_bias" without the bias, or "uninitialised"
    as the notebook: W0 from `torch.empty`, whatever was in that memory, and no bias.

    Judged before any training, on one validation image of each of the backbone's own 200 classes.
    """
    base, images, labels, base_accuracy, base_output = _before()
    model = copy.deepcopy(base)
    for name in lora.inject(model, lora.TARGETS["query_value"], 8):
        layer = model.get_submodule(name)
        if way != "copied":
            layer.bias = None
        if way == "uninitialised":
            layer.weight = nn.Parameter(torch.empty(layer.weight.shape), requires_grad=False)
    accuracy, output = _judge(model, images, labels)
    weight = model.get_submodule(QUERY).weight
    return WrongInjection(
        base_output, output, base_accuracy, accuracy, len(labels), (weight.min().item(), weight.max().item())
    )


QUERY = "vit.layers.0.attention.q_proj"


@functools.cache
def _before() -> tuple[nn.Module, Tensor, Tensor, float, np.ndarray]:
    """The backbone as it comes, images with their labels, and what it makes of them."""
    backbone = backbones.load()
    with Image.open(PHOTOS) as sheet:
        pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
    tiles = pixels.view(-1, TILE, PER_ROW, TILE, 3).permute(0, 2, 4, 1, 3).reshape(-1, 3, TILE, TILE)
    images, labels = backbone.pixels(tiles[::PER_CLASS]), torch.arange(len(tiles) // PER_CLASS)
    return backbone.model, images, labels, *_judge(backbone.model, images, labels)


def _judge(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, np.ndarray]:
    """Share of right answers, and the first tokens and features that come out of the first query projection."""
    seen: list[Tensor] = []
    handle = model.get_submodule(QUERY).register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        answers = model(pixel_values=images).logits.argmax(-1)
    handle.remove()
    return (answers == labels).float().mean().item(), seen[0][0, :TOKENS, :FEATURES].numpy()


@dataclass(frozen=True)
class Draw:
    """The numbers in a freshly drawn A, and the standard deviation that the rule promises."""

    values: np.ndarray
    expected_std: float


def draw_A(init: str, rank: int = 8, inputs: int = 192) -> Draw:
    """A [rank, inputs] as `LoRALinear` draws it: U(-1/sqrt(k), 1/sqrt(k)) has std 1/sqrt(3k), N(0, 1/r^2) has 1/r."""
    generator = torch.Generator().manual_seed(0)
    layer = LoRALinear(nn.Linear(inputs, inputs), rank, init=init, generator=generator)
    expected = 1 / rank if init == "gaussian" else (3 * inputs) ** -0.5
    return Draw(layer.lora_A.detach().flatten().numpy(), expected)


@dataclass(frozen=True)
class InPlace:
    """How far W0 x, kept by somebody else, was changed by each way of adding B A x; and how far their results differ."""

    kept_changed_in_place: float
    kept_changed_out_of_place: float
    result_difference: float


def add_in_place() -> InPlace:
    """Add B A x to W0 x in place, as the notebook does, and out of place, while somebody else holds on to W0 x."""
    generator = torch.Generator().manual_seed(0)
    W0, A, B, x = (torch.randn(shape, generator=generator) for shape in ((10, 10), (4, 10), (10, 4), (8, 10)))
    truth = F.linear(x, W0)
    kept = output = F.linear(x, W0)
    output += x @ A.T @ B.T
    other_kept = F.linear(x, W0)
    other = other_kept + x @ A.T @ B.T
    return InPlace(
        (kept - truth).abs().max().item(), (other_kept - truth).abs().max().item(), (output - other).abs().max().item()
    )
