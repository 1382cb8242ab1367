"""How many numbers a LoRA layer trains, and what its optimizer keeps for them."""

from __future__ import annotations

from dataclasses import dataclass

FP32 = 4  # bytes a number
ADAM_MOMENTS = 2  # Adam keeps a mean and a mean square for every trained number (Kingma and Ba 2015, algorithm 1)


def gradient_bytes(parameters: int) -> int:
    """Bytes of the gradient of `parameters` numbers trained in fp32."""
    return FP32 * parameters


def adam_bytes(parameters: int) -> int:
    """Bytes Adam keeps between steps for `parameters` numbers trained in fp32."""
    return ADAM_MOMENTS * FP32 * parameters


def momentum_bytes(parameters: int) -> int:
    """Bytes SGD with momentum keeps between steps; without momentum it keeps none."""
    return FP32 * parameters


@dataclass(frozen=True)
class LayerSize:
    """W0 [d, k] with a change B A, B [d, r] and A [r, k], scaled by alpha / r (Hu et al. 2021, section 4.1)."""

    d: int
    k: int
    r: int
    alpha: float

    @property
    def frozen_parameters(self) -> int:
        """Numbers in W0."""
        return self.d * self.k

    @property
    def trained_parameters(self) -> int:
        """Numbers in A and B together."""
        return self.r * (self.d + self.k)

    @property
    def scaling(self) -> float:
        """alpha / r."""
        return self.alpha / self.r

    @property
    def break_even_rank(self) -> float:
        """The rank at which A and B together hold as many numbers as W0."""
        return self.d * self.k / (self.d + self.k)


PRESETS: dict[str, LayerSize] = {
    "this page's ViT": LayerSize(192, 192, 8, 16),  # query of assets/backbone
    "ViT-Tiny MLP": LayerSize(
        768, 192, 8, 16
    ),  # Touvron et al. 2021 (2012.12877), table 1: width 192, MLP four times that
    "ViT-B/16": LayerSize(768, 768, 4, 4),  # Dosovitskiy et al. 2021 (2010.11929), table 1; r as in the notebook
    "GPT-3 175B": LayerSize(12288, 12288, 4, 4),  # Hu et al. 2021, section 4.2: r = 4 on query and value gave 35 MB
}
