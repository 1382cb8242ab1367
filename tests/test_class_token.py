"""The last layer for the class token alone, beside the whole layer of transformers."""

import copy

import pytest
import torch
from torch.nn import functional as F
from transformers.models.vit.modeling_vit import ViTLayer

from lora_demo import backbones, lora
from lora_demo.class_token import ClassTokenLayer, only_class_token


def both(tiny_backbone: str, attention: str = "eager", adapt: str | None = None) -> tuple:
    """The untouched model and one whose last layer computes the class token alone, in double precision."""
    model = backbones.load(tiny_backbone).model.double()
    model.set_attn_implementation(attention)
    if adapt:
        lora.inject(model, lora.TARGETS[adapt], 2, generator=torch.Generator().manual_seed(0))
        for layer in lora.adapted_layers(model).values():
            torch.nn.init.normal_(layer.lora_B)
        lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    quick = copy.deepcopy(model)
    only_class_token(quick)
    return model.train(), quick.train()


def gradients(model) -> dict:
    torch.manual_seed(1)
    pixels, labels = torch.randn(4, 3, 32, 32, dtype=torch.double), torch.tensor([0, 1, 2, 1])
    logits = model(pixel_values=pixels).logits
    F.cross_entropy(logits, labels).backward()
    return {"logits": logits} | {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


# transformers' eager attention takes its softmax in single precision, whatever the model's.
@pytest.mark.parametrize(("attention", "precision"), [("eager", 1e-5), ("sdpa", 1e-10)])
@pytest.mark.parametrize("adapt", [None, "query_value", "all_linear"])
def test_logits_and_every_gradient_stay_what_they_are(tiny_backbone, attention, precision, adapt):
    whole, quick = (gradients(model) for model in both(tiny_backbone, attention, adapt))
    assert whole.keys() == quick.keys()
    for name, value in whole.items():
        assert value is not None, name
        torch.testing.assert_close(quick[name], value, rtol=precision, atol=1e-3 * precision, msg=name)


def test_names_and_weights_stay(tiny_backbone):
    whole, quick = both(tiny_backbone)
    assert whole.state_dict().keys() == quick.state_dict().keys()
    assert isinstance(quick.vit.layers[-1], ClassTokenLayer)
    assert [type(layer) for layer in quick.vit.layers[:-1]] == [ViTLayer]


def test_the_last_layer_answers_for_one_token(tiny_backbone):
    whole, quick = both(tiny_backbone)
    pixels = torch.randn(2, 3, 32, 32, dtype=torch.double)
    assert whole.vit(pixels).last_hidden_state.shape == (2, 17, 32)
    assert quick.vit(pixels).last_hidden_state.shape == (2, 1, 32)


@pytest.mark.parametrize("where", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_a_model_with_dropout_is_left_as_it_is(tiny_backbone, where):
    model = backbones.load(tiny_backbone).model
    setattr(model.config, where, 0.1)
    assert type(only_class_token(model)) is ViTLayer
