"""What training changed: the difference of every linear layer's weight from the backbone's, read from a run record."""

from __future__ import annotations

import copy
import math
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from lora_demo import adapters, backbones, lora
from lora_demo.errors import LabError
from lora_demo.records import Record
from lora_demo.variants import VARIANTS
from lora_demo.xray.spectra import SVD, svd, svd_of_product

KINDS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "output", "fc1": "fc1", "fc2": "fc2"}


class XRayError(LabError):
    """A run kept no weights to look into, or has no such layer or lane."""


@dataclass(frozen=True)
class Layer:
    """A linear layer of the backbone: its name (`vit.layers.0.attention.q_proj`), depth (from 0, as in the name) and kind."""

    name: str
    depth: int
    kind: str

    @property
    def label(self) -> str:
        """As a person reads it: "query, layer 0"."""
        return f"{self.kind}, layer {self.depth}"

    @classmethod
    def named(cls, name: str) -> Layer:
        """The layer of this qualified name."""
        return cls(name, int(re.search(r"\.layers\.(\d+)\.", name)[1]), KINDS[name.rpartition(".")[2]])


class Change:
    """A weight's change [out, in]; its rank is at most `rank`."""

    rank: int

    def dense(self) -> Tensor:
        """The change [out, in]."""
        raise NotImplementedError

    @cached_property
    def svd(self) -> SVD:
        """The `rank` singular triplets, largest first."""
        raise NotImplementedError

    def in_doubles(self) -> Tensor:
        """The change [out, in] in float64; where it is known as factors, rounding does not raise its rank."""
        return self.dense().double()

    def truncated(self, k: int | None) -> Tensor:
        """The nearest change of rank k (Eckart and Young 1936); for None or from its own rank on itself, bit for bit."""
        return self.dense() if k is None or k >= self.rank else self.svd.truncated(k)


@dataclass(frozen=True, eq=False)
class LowRank(Change):
    """scaling B A, with B [out, r] and A [r, in]."""

    B: Tensor
    A: Tensor
    scaling: float

    @property
    def rank(self) -> int:
        return len(self.A)

    def dense(self) -> Tensor:
        return (self.scaling * self.B) @ self.A  # in the order of variants.LoRA.change, for the same bits

    def in_doubles(self) -> Tensor:
        # Multiples of 2^-23 of each factor's largest number, as fine as fp32: the sums of 64 products still fit 53 bits.
        return _on_grid(self.scaling * self.B.double()) @ _on_grid(self.A.double())

    @cached_property
    def svd(self) -> SVD:
        return svd_of_product(self.B, self.A, self.scaling)


@dataclass(frozen=True, eq=False)
class Dense(Change):
    """A change without known factors: full fine-tuning's, or DoRA's."""

    matrix: Tensor

    @property
    def rank(self) -> int:
        return min(self.matrix.shape)

    def dense(self) -> Tensor:
        return self.matrix

    @cached_property
    def svd(self) -> SVD:
        return svd(self.matrix)


@dataclass(frozen=True, eq=False)
class Lane:
    """What a lane trained: `changes` by the linear layer's name, every other weight as trained by its parameter's name."""

    changes: dict[str, Change]
    others: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Weights:
    """A run's backbone and what every kept lane changed of it.

    lanes: "head", "lora" and "full", those that were kept. seeds: the LoRA lanes of the run's further seeds, by seed.
    """

    run: str
    backbone: backbones.Backbone
    lanes: dict[str, Lane]
    seeds: dict[int, Lane]

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The linear layers of the backbone's blocks by name, in the model's order; the head is none of them."""
        return _linear_layers(self.backbone.model)

    def frozen(self, layer: str) -> Tensor:
        """W0 [out, in]. Raises `XRayError` where there is no such layer."""
        if layer not in self.layers:
            raise XRayError(f"There is no linear layer {layer!r}; the first one is {next(iter(self.layers))!r}.")
        return self.backbone.model.get_submodule(layer).weight.detach()

    def lane(self, name: str) -> Lane:
        """The lane called `name`. Raises `XRayError` where the run kept none."""
        if name not in self.lanes:
            kept = ", ".join(self.lanes) or "none"
            raise XRayError(f"Run {self.run!r} kept no weights of a lane {name!r}; it kept {kept}.")
        return self.lanes[name]

    def trained(self, lane: str, k: int | None = None, layer: str | None = None) -> dict[str, Tensor]:
        """Every weight that `lane` trained, by parameter name, the changes cut to rank k: in `layer` alone, or in all.

        Biases, norms, embeddings and head stay as trained; k None cuts nothing and is what the lane trained, bit for bit.
        """
        lane_weights = self.lane(lane)
        cut = {
            f"{name}.weight": self.frozen(name) + change.truncated(k if layer in (None, name) else None)
            for name, change in lane_weights.changes.items()
        }
        return cut | lane_weights.others


def read(record: Record) -> Weights:
    """The weights that a run kept; remembered for the next question, until the run writes them anew.

    Raises `XRayError` where it kept none, and what `backbones.load` and `adapters.load` raise.
    """
    files = sorted(record.folder.rglob("*.safetensors"))
    return _read(record, tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=2)
def _read(record: Record, written: tuple[tuple[Path, int], ...]) -> Weights:
    if not record.lanes:
        raise XRayError(f"Run {record.name!r} kept no weights: it was stopped too early.")
    backbone = backbones.load(record.settings.backbone)
    readers = {"head": _head, "lora": _lora, "full": _full}
    files = {"head": "head.safetensors", "lora": "adapter", "full": "full.safetensors"}
    lanes = {lane: readers[lane](backbone.model, record.folder / files[lane]) for lane in record.lanes}
    found = sorted((int(path.parent.name), path) for path in record.folder.glob("seeds/*/adapter"))
    return Weights(record.name, backbone, lanes, {seed: _lora(backbone.model, path) for seed, path in found})


def _on_grid(factor: Tensor, bits: int = 23) -> Tensor:
    """`factor` rounded to multiples of a power of two, 2^-bits of the one above its largest number."""
    step = 2.0 ** (math.frexp(float(factor.abs().max()))[1] - bits)
    return (factor / step).round() * step


def _linear_layers(model: nn.Module) -> dict[str, Layer]:
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and ".layers." in name]
    return {name: Layer.named(name) for name in names}


def _head(model: nn.Module, file: Path) -> Lane:
    return Lane({}, safetensors.torch.load_file(file))


def _lora(model: nn.Module, folder: Path) -> Lane:
    adapter, model = adapters.load(folder), copy.deepcopy(model)
    adapters.apply(adapter, model)  # checks every key, and knows what DoRA makes of its magnitudes
    with torch.no_grad():
        changes = {name: _change(layer) for name, layer in lora.adapted_layers(model).items()}
    return Lane(changes, {f"classifier.{name}": value for name, value in model.classifier.state_dict().items()})


def _change(layer: lora.LoRALinear) -> Change:
    if VARIANTS[
        layer.variant
    ].is_low_rank:  # PiSSA among them: its files hold the start as further columns of B and rows of A
        return LowRank(layer.lora_B.detach(), layer.lora_A.detach(), layer.scaling)
    return Dense(layer.delta_weight())


def _full(model: nn.Module, file: Path) -> Lane:
    """The file holds the head as trained, and the change of every other weight."""
    stored, start = safetensors.torch.load_file(file), model.state_dict()
    layers = _linear_layers(model)
    changes = {name: Dense(stored.pop(f"{name}.weight")) for name in layers}
    others = {name: v if name.startswith("classifier.") else start[name] + v for name, v in stored.items()}
    return Lane(changes, others)
