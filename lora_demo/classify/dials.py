"""Sliders on a trained adapter: how strong, how many singular directions, in which blocks. Many settings in one forward pass.

Each adapted layer's change is written by its singular directions, W_trained - W0 = sum_i s_i u_i v_i^T, and every image of a
batch has a coefficient of its own before each of them:

    h = W0 x + b + sum_i c_i s_i u_i (v_i^T x)

The scale sets all c_i of a layer, the rank kept the first k of them to 1 and the others to 0, a block that is off all its own to
0. So a curve over a slider is one batch: the same image, once for each place of the slider.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_demo import lora
from lora_demo.errors import LabError

MAX_SCALE = 2.0
SCALES = tuple(i / 5 for i in range(11))  # places of the scale's curve
MAX_RANKS = 9  # places of the rank's curve
CURVES_KEPT = 30
OWN = {
    "scale": {"scale": 1.0},
    "rank": {"rank": None},
    "blocks": {},
}  # what of a dial each slider's own curve does not see


class DialError(LabError):
    """A slider was asked for a place it does not have."""


@dataclass(frozen=True)
class Dial:
    """Where the sliders stand: `scale` in [0, 2], the `rank` kept in each layer and the `blocks` that are on (None: all).

    Raises `DialError` for a scale or a rank that cannot be.
    """

    scale: float = 1.0
    rank: int | None = None
    blocks: frozenset[int] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.scale, bool) or not isinstance(self.scale, int | float) or not 0 <= self.scale <= MAX_SCALE:
            raise DialError(f"The scale must be a number from 0 to {MAX_SCALE:g}, not {self.scale!r}.")
        whole = not isinstance(self.rank, bool) and isinstance(self.rank, int | float) and float(self.rank).is_integer()
        if self.rank is not None and (not whole or self.rank < 0):
            raise DialError(f"The rank kept must be a whole number from 0 on, not {self.rank!r}.")


AS_TRAINED = Dial()


@dataclass(frozen=True)
class Curve:
    """`probabilities` [places, classes] of one image at the `places` of one slider, the others standing still."""

    places: list[float]
    probabilities: Tensor


class DialledLinear(nn.Module):
    """A `LoRALinear` as it was trained, with a coefficient for each image and singular direction of its change.

    `coefficients` [n, r]: all of one image's at 0 is the frozen layer, bit for bit; all at 1 is the trained one up to rounding.
    """

    def __init__(self, layer: lora.LoRALinear):
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.U, self.S, self.Vh = singular_directions(layer)
        self.coefficients = torch.ones(1, len(self.S))

    def forward(self, x: Tensor) -> Tensor:
        """x [n, tokens, in] -> [n, tokens, out]."""
        change = (x @ self.Vh.T * (self.coefficients * self.S)[:, None]) @ self.U.T
        return F.linear(x, self.weight, self.bias) + change


@torch.no_grad()
def singular_directions(layer: lora.LoRALinear) -> tuple[Tensor, Tensor, Tensor]:
    """U [out, r], S [r] and V^T [r, in] of W_trained - W0, largest first.

    Of a plain product from two thin QRs and the SVD of an r x r core; of DoRA, whose change has no low rank, and of PiSSA by a
    dense SVD.
    """
    if layer.variant in ("dora", "pissa"):
        strength, layer.strength = layer.strength, 1.0
        try:
            return torch.linalg.svd(layer.delta_weight(), full_matrices=False)
        finally:
            layer.strength = strength
    Q_B, R_B = torch.linalg.qr(layer.lora_B.detach())
    Q_A, R_A = torch.linalg.qr(layer.lora_A.detach().T)
    U, S, Vh = torch.linalg.svd(layer.scaling * R_B @ R_A.T)
    return Q_B @ U, S, Vh @ Q_A.T


class Dialled:
    """A model with sliders; it shares the weights of the model it is made of, which it does not touch.

    Raises `DialError` where the model has no adapter.
    """

    def __init__(self, model: nn.Module):
        layers = lora.adapted_layers(model)
        if not layers:
            raise DialError("Only LoRA's lane has sliders: the others have no adapter.")
        self._model = copy.deepcopy(model, {id(p): p for p in model.parameters()})
        self._layers = {name: DialledLinear(layer) for name, layer in layers.items()}
        for name, layer in self._layers.items():
            self._model.set_submodule(name, layer)
        self._known: dict[tuple, Curve] = {}
        self._lock = threading.RLock()  # curves ask for logits

    @property
    def max_rank(self) -> int:
        """The largest number of directions that a layer has."""
        return max(len(layer.S) for layer in self._layers.values())

    @property
    def blocks(self) -> list[int]:
        """Numbers of the transformer's blocks in which something is adapted."""
        return sorted({_block(name) for name in self._layers})

    def logits(self, pixels: Tensor, dials: list[Dial]) -> Tensor:
        """pixels [n, 3, h, w], a dial for each (or one image for all dials) -> [n, classes]."""
        with self._lock, torch.inference_mode():
            for name, layer in self._layers.items():
                layer.coefficients = _coefficients(dials, _block(name), len(layer.S))
            return self._model(pixel_values=pixels.expand(len(dials), -1, -1, -1)).logits

    def probabilities(self, pixels: Tensor, dial: Dial) -> Tensor:
        """pixels [1, 3, h, w] -> [classes]."""
        return self.logits(pixels, [dial])[0].softmax(-1)

    def curves(self, pixels: Tensor, dial: Dial = AS_TRAINED, names: Iterable[str] = tuple(OWN)) -> dict[str, Curve]:
        """The curves of one image [1, 3, h, w], each slider moved while the others stand as `dial` says.

        "scale" over 0 to 2; "rank" over 0 to `max_rank`, at most 9 places; "blocks" over the blocks, each switched over alone.
        What is not yet known is one batch: a slider that was moved leaves its own curve as it was.
        """
        image = hashlib.blake2b(pixels.numpy().tobytes()).digest()
        keys = {name: (image, name, dataclasses.replace(dial, **OWN[name])) for name in names}
        moved = {name: self._moved(name, dial) for name in keys}
        with self._lock:
            if wanted := [name for name, key in keys.items() if key not in self._known]:
                dials = [one for name in wanted for one in moved[name].values()]
                rows = self.logits(pixels, dials).softmax(-1).split([len(moved[name]) for name in wanted])
                self._known |= {keys[n]: Curve(list(moved[n]), own) for n, own in zip(wanted, rows, strict=True)}
            curves = {name: self._known[key] for name, key in keys.items()}
            for old in list(self._known)[:-CURVES_KEPT]:
                del self._known[old]
        return curves

    def _moved(self, name: str, dial: Dial) -> dict[float, Dial]:
        """The places of one slider, and the dial at each."""
        if name == "scale":
            return {scale: dataclasses.replace(dial, scale=scale) for scale in SCALES}
        if name == "rank":
            top = self.max_rank
            places = min(top, MAX_RANKS - 1)
            return {k: dataclasses.replace(dial, rank=k) for k in (round(i * top / places) for i in range(places + 1))}
        on = frozenset(self.blocks) if dial.blocks is None else dial.blocks
        return {block: dataclasses.replace(dial, blocks=on ^ {block}) for block in self.blocks}


def _coefficients(dials: list[Dial], block: int, directions: int) -> Tensor:
    """[len(dials), directions]: what of a layer's change each dial lets through."""
    rows = torch.zeros(len(dials), directions)
    for row, dial in zip(rows, dials, strict=True):
        if dial.blocks is None or block in dial.blocks:
            row[: None if dial.rank is None else int(dial.rank)] = dial.scale
    return rows


def _block(name: str) -> int:
    """`vit.layers.3.attention.q_proj` -> 3."""
    return int(re.search(r"\blayers\.(\d+)\.", name)[1])
