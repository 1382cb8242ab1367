"""Counts and bytes of one layer."""

import pytest
import torch
from torch import nn

from lora_demo.layer_lab import sizes
from lora_demo.layer_lab.sizes import PRESETS, LayerSize
from lora_demo.lora import LoRALinear, trainable_parameters


@pytest.mark.parametrize(("d", "k", "r"), [(192, 192, 8), (768, 192, 4), (8, 64, 1)])
def test_counts_are_those_of_a_real_layer(d, k, r):
    size = LayerSize(d, k, r, alpha=2 * r)
    layer = LoRALinear(nn.Linear(k, d, bias=False), r, 2 * r)
    assert size.trained_parameters == trainable_parameters(layer)
    assert size.frozen_parameters == layer.weight.numel()
    assert size.scaling == layer.scaling


def test_bytes_are_those_that_torch_keeps():
    layer = LoRALinear(nn.Linear(32, 16), 4)
    trained = trainable_parameters(layer)
    for optimizer, expected in (
        (torch.optim.Adam(layer.adapter_parameters()), sizes.adam_bytes(trained)),
        (torch.optim.SGD(layer.adapter_parameters(), momentum=0.9), sizes.momentum_bytes(trained)),
    ):
        layer(torch.randn(3, 32)).square().mean().backward()
        optimizer.step()
        states = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, torch.Tensor) and v.dim()]
        assert sum(t.numel() * t.element_size() for t in states) == expected
    assert sizes.gradient_bytes(trained) == sum(
        p.grad.numel() * p.grad.element_size() for p in layer.adapter_parameters()
    )


def test_at_the_break_even_rank_nothing_is_saved():
    size = LayerSize(192, 192, 96, 96)
    assert size.break_even_rank == 96
    assert size.trained_parameters == size.frozen_parameters


def test_the_gpt3_preset_has_the_papers_checkpoint_size():
    """Section 4.2: r = 4 on query and value of all 96 layers, in half precision, makes about 35 MB."""
    checkpoint = PRESETS["GPT-3 175B"].trained_parameters * 2 * 96 * 2
    assert checkpoint == pytest.approx(35 * 2**20, rel=0.05)
