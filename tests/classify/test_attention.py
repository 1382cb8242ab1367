import copy

import numpy as np
import pytest
import torch
from transformers.models.vit import modeling_vit

from lora_demo import backbones, classify, images, lora, runs
from lora_demo.classify import attention
from lora_demo.examples import FOLDER


def in_numpy(layers):
    """The product of [layers, tokens, tokens], the last layer on the left."""
    result = np.eye(layers.shape[-1])
    for layer in layers:
        result = layer @ result
    return result


def test_rollout_is_abnar_and_zuidemas_product(adapted, pixels):
    classifier = adapted("lora")
    model = copy.deepcopy(classifier.model)
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        told = model(pixel_values=pixels, output_attentions=True).attentions
    A = np.stack([one[0].numpy().astype(np.float64).mean(0) for one in told])
    row = in_numpy(0.5 * A + 0.5 * np.eye(17))[0, 1:]
    assert np.allclose(attention.where(classifier, pixels).numpy().flatten(), row / row.sum(), atol=1e-6)


def test_attention_that_is_the_same_everywhere_looks_everywhere():
    even = torch.full((3, 2, 5, 5), 0.2)
    row = attention.rollout(even)[0]
    assert torch.allclose(row.sum(), torch.tensor(1.0))
    assert torch.allclose(row[1:], row[1].expand(4))


def test_gradients_are_those_of_the_classs_logit(adapted, pixels, monkeypatch):
    """By finite differences: one attention weight of one layer is moved, and the logit watched."""
    classifier = adapted("lora")
    classifier.model.double()
    label, pixels = 2, pixels.double()
    _, gradients = attention.attention_of(classifier, pixels, 1.0, label)
    moved = {}

    def eager(module, query, key, value, mask, scaling=None, **_):
        weights = (query @ key.transpose(2, 3) * scaling).softmax(-1)
        if module is moved["in"]:
            weights[0, moved["head"], moved["from"], moved["to"]] += moved["by"]
        return (weights @ value).transpose(1, 2).contiguous(), weights

    monkeypatch.setattr(modeling_vit, "eager_attention_forward", eager)
    model = copy.deepcopy(classifier.model)
    model.set_attn_implementation("eager")
    random = np.random.default_rng(0)
    for _ in range(12):
        layer, head, start, end = (int(random.integers(n)) for n in (2, 2, 17, 17))
        moved |= {"in": model.vit.layers[layer].attention, "head": head, "from": start, "to": end}
        logits = []
        for by in (-1e-4, 1e-4):
            moved["by"] = by
            with torch.inference_mode():
                logits.append(model(pixel_values=pixels).logits[0, label].item())
        assert gradients[layer, head, start, end].item() == pytest.approx(
            (logits[1] - logits[0]) / 2e-4, abs=1e-7, rel=1e-4
        )


def test_the_weighted_form_is_chefers_product():
    random = torch.Generator().manual_seed(0)
    A, dA = (torch.randn(3, 2, 5, 5, generator=random).double() for _ in range(2))
    weighted = np.maximum((dA * A).numpy(), 0).mean(1)
    expected = in_numpy(np.eye(5) + weighted)
    assert np.allclose(attention.weighted_rollout(A, dA).numpy(), expected)


def test_base_is_the_frozen_backbone_under_the_runs_head(adapted, pixels, tiny_backbone):
    classifier = adapted("dora")
    model = backbones.load(tiny_backbone).model
    model.classifier = classifier.model.classifier
    bare = classify.Classifier(classifier.backbone, model, classifier.classes)
    for label in (None, 1):
        found = attention.base_and_adapted(classifier, pixels, label)
        assert torch.allclose(found["base"], attention.where(bare, pixels, label=label), atol=1e-6)
        assert not torch.allclose(found["base"], found["adapted"], atol=1e-3)


def test_looking_changes_nothing_about_the_classifier(adapted, pixels):
    classifier = adapted("lora")
    before = classifier.logits(pixels)
    attention.base_and_adapted(classifier, pixels, 0)
    assert torch.equal(classifier.logits(pixels), before)
    assert classifier.model.config._attn_implementation != "eager"
    assert all(p.grad is None for p in classifier.model.parameters())
    assert all(layer.strength == 1.0 for layer in lora.adapted_layers(classifier.model).values())


def test_a_map_has_a_share_for_each_patch():
    classifier = classify.load(runs.record("reference"))
    pixels = classify.seen(classifier.backbone, images.open_image(str(FOLDER / "ship.png")))
    for label in (None, classifier.classes.index("ship")):
        for shares in attention.base_and_adapted(classifier, pixels, label).values():
            assert shares.shape == (8, 8)
            assert shares.min() >= 0
            assert shares.sum().item() == pytest.approx(1)
