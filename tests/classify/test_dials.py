import copy

import numpy as np
import pytest
import torch

from lora_demo import classify, lora
from lora_demo.classify import AS_TRAINED, Dial, DialError

VARIANTS = ["lora", "rslora", "dora", "pissa"]


def base_logits(classifier, pixels):
    """The frozen backbone under the run's head."""
    base = copy.deepcopy(classifier.model)
    lora.eject(base)
    with torch.inference_mode():
        return base(pixel_values=pixels).logits


def truncated_logits(classifier, pixels, rank):
    """The same by NumPy: every adapted weight is W0 plus the truncated SVD of what was added to it."""
    model = copy.deepcopy(classifier.model)
    for name, layer in lora.adapted_layers(model).items():
        change = layer.delta_weight().detach().numpy().astype(np.float64)
        U, S, Vh = np.linalg.svd(change, full_matrices=False)
        linear = layer.to_linear()
        linear.weight.data += torch.from_numpy((U[:, :rank] * S[:rank]) @ Vh[:rank]).float()
        model.set_submodule(name, linear)
    with torch.inference_mode():
        return model(pixel_values=pixels).logits


@pytest.mark.parametrize("variant", VARIANTS)
def test_at_scale_zero_the_largest_difference_to_the_frozen_backbone_is_zero(adapted, pixels, variant):
    classifier = adapted(variant)
    base = base_logits(classifier, pixels)
    assert (classifier.dialled.logits(pixels, [Dial(scale=0)]) - base).abs().max() == 0
    assert (classifier.dialled.logits(pixels, [AS_TRAINED]) - base).abs().max() > 1e-2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_the_scale_multiplies_the_merged_weight_less_the_frozen_one(adapted, pixels, variant, scale):
    classifier = adapted(variant)
    expected = classifier.logits(pixels, scale)  # LoRALinear's own strength: W0 + scale (W_merged - W0)
    assert torch.allclose(classifier.dialled.logits(pixels, [Dial(scale=scale)]), expected, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_the_rank_kept_is_numpys_truncated_svd_of_the_change(adapted, pixels, variant, rank):
    classifier = adapted(variant)
    expected = truncated_logits(classifier, pixels, rank)
    assert torch.allclose(classifier.dialled.logits(pixels, [Dial(rank=rank)]), expected, atol=1e-5)


def test_all_directions_kept_is_the_adapter_as_trained(adapted, pixels):
    classifier = adapted("dora")
    assert classifier.dialled.max_rank == 32  # DoRA's change has every rank the layer allows
    whole = classifier.dialled.logits(pixels, [Dial(rank=classifier.dialled.max_rank)])
    assert torch.allclose(whole, classifier.logits(pixels), atol=1e-5)


@pytest.mark.parametrize("off", [0, 1])
def test_a_block_that_is_off_is_frozen(adapted, pixels, off):
    classifier = adapted("lora")
    for name, layer in lora.adapted_layers(classifier.model).items():
        layer.strength = 0.0 if f"layers.{off}." in name else 1.0
    with torch.inference_mode():
        expected = classifier.model(pixel_values=pixels).logits
    found = classifier.dialled.logits(pixels, [Dial(blocks=frozenset({0, 1} - {off}))])
    assert torch.allclose(found, expected, atol=1e-5)


def test_every_place_of_every_curve_is_what_the_dial_alone_says(adapted, pixels):
    dialled, stand = adapted("lora").dialled, Dial(scale=0.8, rank=2, blocks=frozenset({1}))
    dialled.curves(pixels, Dial(scale=1.5, rank=2, blocks=frozenset({1})))  # so that one curve is known already
    curves = dialled.curves(pixels, stand)
    moved = {
        "scale": lambda place: Dial(place, stand.rank, stand.blocks),
        "rank": lambda place: Dial(stand.scale, place, stand.blocks),
        "blocks": lambda place: Dial(stand.scale, stand.rank, stand.blocks ^ {place}),
    }
    assert curves.keys() == moved.keys()
    for name, dial_at in moved.items():
        for place, row in zip(curves[name].places, curves[name].probabilities, strict=True):
            assert torch.allclose(dialled.probabilities(pixels, dial_at(place)), row, atol=1e-5)
    assert curves["scale"].places[0] == 0
    assert curves["scale"].places[-1] == classify.MAX_SCALE
    assert curves["rank"].places == [0, 1, 2, 3, 4]
    assert curves["blocks"].places == [0, 1]


def test_another_image_has_other_curves(adapted, pixels):
    dialled = adapted("lora").dialled
    one, other = (dialled.curves(p)["scale"].probabilities for p in (pixels, pixels + 1))
    assert not torch.allclose(one, other, atol=1e-3)


def test_sliders_share_the_weights_and_leave_the_classifier_alone(adapted, pixels):
    classifier = adapted("lora")
    before = classifier.logits(pixels)
    layer = classifier.dialled._model.vit.layers[0].attention.q_proj
    assert layer.weight.data_ptr() == classifier.model.vit.layers[0].attention.q_proj.weight.data_ptr()
    classifier.dialled.logits(pixels, [Dial(scale=0)])
    assert torch.equal(classifier.logits(pixels), before)


@pytest.mark.parametrize("lane", ["head", "full"])
def test_a_lane_without_an_adapter_has_no_sliders(record, lane):
    with pytest.raises(DialError, match="no adapter"):
        _ = classify.load(record, lane).dialled


@pytest.mark.parametrize(
    "values", [{"scale": -0.1}, {"scale": 2.1}, {"scale": float("nan")}, {"scale": "1"}, {"rank": -1}, {"rank": 1.5}]
)
def test_a_place_that_a_slider_does_not_have_is_refused(values):
    with pytest.raises(DialError, match="must be"):
        Dial(**values)
