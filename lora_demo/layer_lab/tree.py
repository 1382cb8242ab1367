"""A model's module tree, short enough to read: equal layers folded, modules without parameters left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from lora_demo.lora import LoRALinear


@dataclass(frozen=True)
class Line:
    """One module: depth in the tree, name, class, shape in words, and how many of its own parameters rest and train."""

    depth: int
    name: str
    kind: str
    shape: str
    frozen: int
    trained: int
    repeats: int = 1


def module_tree(model: nn.Module) -> list[Line]:
    """`model` as lines from the root down; numbered neighbours that look alike become one line that says how many."""
    return _lines("", model, 0)


def _lines(name: str, module: nn.Module, depth: int) -> list[Line]:
    if not any(True for _ in module.parameters()):
        return []
    own = list(module.parameters(recurse=False))
    trained = sum(p.numel() for p in own if p.requires_grad)
    frozen = sum(p.numel() for p in own) - trained
    lines = [Line(depth, name, type(module).__name__, _shape(module), frozen, trained)]
    blocks = [block for child, part in module.named_children() if (block := _lines(child, part, depth + 1))]
    for run in _runs_of_equals(blocks):
        first = run[0][0]
        if len(run) > 1:
            first = replace(first, name=f"{first.name}–{run[-1][0].name}", repeats=len(run))
        lines += [first, *run[0][1:]]
    return lines


def _runs_of_equals(blocks: list[list[Line]]) -> list[list[list[Line]]]:
    """Numbered neighbours that differ in nothing but their number, together."""
    runs: list[list[list[Line]]] = []
    for block in blocks:
        if runs and block[0].name.isdigit() and _nameless(runs[-1][0]) == _nameless(block):
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _nameless(block: list[Line]) -> list[Line]:
    return [replace(block[0], name=""), *block[1:]]


def _shape(module: nn.Module) -> str:
    if isinstance(module, nn.Linear | LoRALinear):
        shape = f"{module.in_features} → {module.out_features}"
        return f"{shape}, r = {module.rank}" if isinstance(module, LoRALinear) else shape
    if isinstance(module, nn.Conv2d):
        return f"{module.in_channels} → {module.out_channels}, {module.kernel_size[0]} × {module.kernel_size[1]}"
    return ""
