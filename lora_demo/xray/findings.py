"""The X-ray in a sentence and a line of facts, made from its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lora_demo.units import significant

if TYPE_CHECKING:  # words need no torch
    from lora_demo.xray.report import LayerXRay, XRay

Pieces = list[tuple[str, str]]
NAMES = {"lora": "LoRA", "full": "full fine-tuning"}


def headline(found: XRay) -> Pieces:
    """How many directions hold 90 % of each lane's change, as (text, lane or "") pieces."""
    held = {lane: [one.changes[lane].rank_90 for one in found.layers if lane in one.changes] for lane in found.lanes}
    if "full" in held and "lora" in held:
        rank = max(one.changes["lora"].rank for one in found.layers if "lora" in one.changes)
        return [
            ("Full fine-tuning", "full"),
            (f"’s change needs {_range(held['full'])} directions a layer for 90 % of its size; ", ""),
            ("LoRA", "lora"),
            (f" has {rank} and uses {_range(held['lora'])}", ""),
        ]
    if not held:
        return [("Only the head was trained: no other layer changed", "")]
    lane = next(iter(held))
    return [
        (NAMES[lane][0].upper() + NAMES[lane][1:], lane),
        (f"’s change needs {_range(held[lane])} directions a layer for 90 % of its size", ""),
    ]


def facts(found: XRay) -> list[str]:
    """What else the whole network says, a short sentence each (simple HTML)."""
    told = []
    for lane in found.lanes:
        sizes = [one.changes[lane].size for one in found.layers if lane in one.changes]
        count, of = found.intruders(lane)
        told.append(
            f"{NAMES[lane]} moved {len(sizes)} matrices by <b>{100 * float(np.median(sizes)):.1f} %</b> (median)"
        )
        told.append(f"<b>{count}</b> of {of} strong directions are intruders")
    return told


def layer_facts(found: LayerXRay) -> list[str]:
    """One layer's figures, a short sentence each (simple HTML)."""
    told = [f"<b>{found.layer.label}</b>, {found.shape[0]} × {found.shape[1]}"]
    for lane, change in found.changes.items():
        noise = "" if change.denoised_rank is None else f", {change.denoised_rank} above the noise"
        told.append(
            f"{NAMES[lane]}: 90 % in <b>{change.rank_90}</b>{noise}; size <b>{100 * change.size:.1f} %</b> of W₀"
        )
        if change.amplification:
            factor, chance = change.amplification.factor, change.amplification.random
            told.append(f"amplification <b>{significant(factor)}×</b> (random directions {significant(chance)}×)")
    return told


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
