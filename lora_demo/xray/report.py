"""The X-ray: what every lane of a run did to every linear layer, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lora_demo.records import Record
from lora_demo.xray.changes import KINDS, Change, Layer, LowRank, Weights, XRayError, read
from lora_demo.xray.intruders import Intruders, intruders
from lora_demo.xray.spectra import SVD, denoised_rank, rank_of_energy, svd
from lora_demo.xray.subspaces import Amplification, Overlap, amplification, compare

AMPLIFIED = 8  # directions of a change without a rank of its own, where no LoRA beside it says another number
LANES = ("lora", "full")
FROZEN = "frozen"  # W0's name among what an overlap compares


@dataclass(frozen=True, eq=False)
class ChangeXRay:
    """What one lane did to one layer.

    singular_values [r or min(out, in)], largest first; rank: their number; rank_90: how many hold 90 % of the sum of squares;
    denoised_rank: how many stand above the noise, None without a noise floor; size: ||dW||_F / ||W0||_F.
    """

    singular_values: np.ndarray
    rank: int
    rank_90: int
    denoised_rank: int | None
    size: float
    amplification: Amplification | None
    intruders: Intruders


@dataclass(frozen=True, eq=False)
class LayerXRay:
    """One layer: W0's singular values, every lane's change, and how much of their directions the changes share."""

    layer: Layer
    shape: tuple[int, int]
    frozen: np.ndarray
    changes: dict[str, ChangeXRay]
    overlaps: tuple[Overlap, ...]

    def overlap(self, first: str, second: str) -> Overlap | None:
        """The overlap of these two, None where either does not change this layer."""
        return next((found for found in self.overlaps if (found.first, found.second) == (first, second)), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, four figures each; of an overlap its diagonal."""
        lanes = self.changes
        return {
            "name": self.layer.name,
            "label": self.layer.label,
            "shape": list(self.shape),
            "frozen": _short(self.frozen),
            **{lane: _short(lanes[lane].singular_values) if lane in lanes else [] for lane in LANES},
            "rank_90": {lane: change.rank_90 for lane, change in lanes.items()},
            "denoised_rank": {lane: change.denoised_rank for lane, change in lanes.items()},
            "size": {lane: _short(change.size) for lane, change in lanes.items()},
            "amplification": {
                lane: {"rank": found.rank, "factor": _short(found.factor), "random": _short(found.random)}
                for lane, found in ((lane, change.amplification) for lane, change in lanes.items())
                if found
            },
            "overlap": {
                f"{found.first}, {found.second}": {
                    "phi": _short(found.diagonal),
                    "random": _short(np.diagonal(found.random)),
                }
                for found in self.overlaps
            },
            "intruders": {lane: change.intruders.count for lane, change in lanes.items()},
        }


@dataclass(frozen=True, eq=False)
class XRay:
    """The layers looked at so far, in the model's order."""

    run: str
    layers: tuple[LayerXRay, ...]

    @property
    def lanes(self) -> list[str]:
        """The lanes that changed any of these layers."""
        return [lane for lane in LANES if any(lane in found.changes for found in self.layers)]

    def layer(self, name: str) -> LayerXRay:
        """The layer of this qualified name. Raises `XRayError` where there is none."""
        for found in self.layers:
            if found.layer.name == name:
                return found
        raise XRayError(f"The X-ray of run {self.run!r} has no layer {name!r}.")

    @property
    def kinds(self) -> list[str]:
        """The kinds of matrix among these layers, in the order of a block."""
        return [kind for kind in KINDS.values() if any(found.layer.kind == kind for found in self.layers)]

    def sizes(self, lane: str) -> np.ndarray:
        """||dW||_F / ||W0||_F by matrix kind (as in `kinds`) and depth, [kinds, depth]; not a number where nothing changed."""
        depth = 1 + max((found.layer.depth for found in self.layers), default=-1)
        sizes = np.full((len(self.kinds), depth), np.nan)
        for found in self.layers:
            if lane in found.changes:
                sizes[self.kinds.index(found.layer.kind), found.layer.depth] = found.changes[lane].size
        return sizes

    def intruders(self, lane: str) -> tuple[int, int]:
        """How many intruders the lane made, and of how many directions looked at."""
        found = [layer.changes[lane].intruders for layer in self.layers if lane in layer.changes]
        return sum(one.count for one in found), sum(len(one.similarity) for one in found)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, as `/xray` answers."""
        return {
            "run": self.run,
            "lanes": self.lanes,
            "layers": [layer.as_dict() for layer in self.layers],
            "intruders": {lane: dict(zip(("count", "of"), self.intruders(lane), strict=True)) for lane in self.lanes},
        }


def xray(record: Record, other: Record | None = None) -> XRay:
    """The whole X-ray of a run; `other` is a run on the same backbone whose LoRA is compared with this one's."""
    return XRay(record.name, tuple(examine(record, other)))


def examine(record: Record, other: Record | None = None) -> Iterator[LayerXRay]:
    """The layers that training changed, each as soon as it has been looked at, in the model's order.

    Raises `XRayError` where the run kept no weights, or `other` stands on another backbone.
    """
    weights, others = read(record), _other_loras(record, other)
    for name in weights.layers:
        if any(name in lane.changes for lane in weights.lanes.values()):
            yield _examined(weights, name, others)


def examine_layer(record: Record, name: str, other: Record | None = None) -> LayerXRay:
    """One layer alone. Raises `XRayError` where there is no such layer."""
    return _examined(read(record), name, _other_loras(record, other))


def _other_loras(record: Record, other: Record | None) -> dict[str, dict[str, Change]]:
    """The changes of LoRA lanes that were trained apart: of the run's further seeds, and of another run."""
    found = {f"lora, seed {seed}": lane.changes for seed, lane in read(record).seeds.items()}
    if other is not None:
        if other.settings.backbone != record.settings.backbone:
            raise XRayError(f"Runs {record.name!r} and {other.name!r} cannot be compared: their backbones differ.")
        found[f"lora, run {other.name}"] = read(other).lane("lora").changes
    return found


def _examined(weights: Weights, name: str, others: dict[str, dict[str, Change]]) -> LayerXRay:
    W0 = weights.frozen(name)
    frozen = svd(W0)
    changes = {lane: weights.lanes[lane].changes[name] for lane in LANES if name in _changes_of(weights, lane)}
    lora = changes.get("lora")
    amplified = lora.rank if isinstance(lora, LowRank) else AMPLIFIED
    looked_at = {lane: _change(change, W0, frozen, amplified) for lane, change in changes.items()}
    apart = {label: found[name].svd for label, found in others.items() if name in found}
    shared = _overlaps({lane: change.svd for lane, change in changes.items()}, apart, frozen)
    return LayerXRay(weights.layers[name], tuple(W0.shape), frozen.S.numpy(), looked_at, tuple(shared))


def _changes_of(weights: Weights, lane: str) -> dict[str, Change]:
    return weights.lanes[lane].changes if lane in weights.lanes else {}


def _change(change: Change, W0: Tensor, frozen: SVD, amplified: int) -> ChangeXRay:
    found = change.svd
    values = found.S.numpy()
    return ChangeXRay(
        singular_values=values,
        rank=change.rank,
        rank_90=rank_of_energy(values),
        denoised_rank=denoised_rank(found),
        size=float(np.linalg.norm(values) / np.linalg.norm(frozen.S.numpy())),
        amplification=amplification(found, W0, amplified),
        intruders=intruders(W0 + change.dense(), frozen.U),
    )


def _overlaps(changes: dict[str, SVD], apart: dict[str, SVD], frozen: SVD) -> Iterator[Overlap]:
    pairs = [("lora", "full", changes.get("full"))]
    pairs += [("lora", label, found) for label, found in apart.items()]
    pairs += [(lane, FROZEN, frozen) for lane in changes]
    for first, second, other in pairs:
        if first in changes and other is not None and (found := compare(first, changes[first], second, other)):
            yield found


def _short(values: np.ndarray | float) -> list[float] | float:
    """Four figures: half of the bytes."""
    if isinstance(values, np.ndarray):
        return [_short(value) for value in values.tolist()]
    return float(f"{values:.4g}")
