"""The module tree that people read."""

from torch import nn

from lora_demo.layer_lab.tree import module_tree
from lora_demo.lora import inject, mark_only_adapters_as_trainable


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.act, self.out = nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 6)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(3))
        self.head = nn.Linear(6, 2)


def test_equal_numbered_layers_become_one_line_and_empty_modules_none():
    lines = module_tree(Model())
    assert [(line.depth, line.name, line.kind, line.repeats) for line in lines] == [
        (0, "", "Model", 1),
        (1, "layers", "ModuleList", 1),
        (2, "0–2", "Block", 3),
        (3, "query", "Linear", 1),
        (3, "out", "Linear", 1),
        (1, "head", "Linear", 1),
    ]


def test_layers_that_differ_stay_apart():
    model = Model()
    inject(model, r"layers\.1\.query", 2)
    assert [(line.name, line.repeats) for line in module_tree(model) if line.kind == "Block"] == [
        ("0", 1),
        ("1", 1),
        ("2", 1),
    ]


def test_every_parameter_is_counted_once_as_frozen_or_trained():
    model = Model()
    inject(model, "query", 2)
    mark_only_adapters_as_trainable(model, also=[model.head])
    frozen = trained = times = 0
    for line in module_tree(model):
        times = line.repeats if line.depth == 2 else times if line.depth > 2 else 1
        frozen, trained = frozen + times * line.frozen, trained + times * line.trained
    assert trained == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert frozen == sum(p.numel() for p in model.parameters() if not p.requires_grad)
