import copy
import json

import pytest
import safetensors.torch
import torch
from peft import PeftModel

from lora_demo import adapters, lora

CLASSES = ["dark", "bright", "other"]


@pytest.mark.parametrize("targets", ["query_value", "attention", "all_linear"])
@pytest.mark.parametrize("variant", ["lora", "rslora", "dora", "pissa", "lora_plus", "lora_fa"])
def test_what_is_written_reads_back_and_peft_reads_it_too(
    backbone, trained, logits, pixels, tmp_path, variant, targets
):
    model = trained(backbone, variant, targets)
    adapters.save(adapters.from_model(model, backbone.name, CLASSES), tmp_path / "adapter")

    ours = copy.deepcopy(backbone.model)
    adapters.apply(adapters.load(tmp_path / "adapter"), ours)
    assert torch.allclose(logits(ours.eval(), pixels), logits(model, pixels), atol=1e-5)

    base = copy.deepcopy(backbone.model)
    base.classifier = torch.nn.Linear(base.classifier.in_features, len(CLASSES))
    theirs = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert torch.allclose(logits(theirs, pixels), logits(model, pixels), atol=1e-5)


def test_strength_zero_is_the_frozen_backbone_under_the_runs_head(backbone, trained, logits, pixels):
    model = trained(backbone)
    base = copy.deepcopy(backbone.model)
    base.classifier = model.classifier
    for layer in lora.adapted_layers(model).values():
        layer.strength = 0.0
    assert torch.equal(logits(model, pixels), logits(base.eval(), pixels))


@pytest.fixture
def saved(backbone, trained, tmp_path):
    """The tensors of an adapter saved in `tmp_path`."""
    adapters.save(adapters.from_model(trained(backbone), backbone.name, CLASSES), tmp_path)
    return safetensors.torch.load_file(tmp_path / adapters.WEIGHTS)


def refused(backbone, folder, tensors, match):
    safetensors.torch.save_file(tensors, folder / adapters.WEIGHTS)
    model = copy.deepcopy(backbone.model)
    with pytest.raises(adapters.AdapterError, match=match):
        adapters.apply(adapters.load(folder), model)


def test_a_missing_key_is_named(backbone, saved, tmp_path):
    tensors = saved
    name = next(key for key in tensors if "lora_B" in key)
    del tensors[name]
    refused(backbone, tmp_path, tensors, "lacks .*lora_B")


def test_a_key_left_over_is_named(backbone, saved, tmp_path):
    refused(backbone, tmp_path, saved | {"base_model.model.vit.extra": torch.ones(1)}, r"vit\.extra")


def test_a_key_that_is_not_pefts_is_named(backbone, saved, tmp_path):
    refused(backbone, tmp_path, saved | {"vit.extra": torch.ones(1)}, r"no key of a PEFT adapter")


def test_a_wrong_shape_is_named(backbone, saved, tmp_path):
    tensors = saved
    name = next(key for key in tensors if "lora_A" in key)
    tensors[name] = tensors[name][:, :-1].contiguous()
    refused(backbone, tmp_path, tensors, r"lora_A.* has shape \[4, 31\].* needs \[4, 32\]")


def test_values_that_are_no_numbers_are_named(backbone, saved, tmp_path):
    tensors = saved
    name = next(key for key in tensors if "lora_A" in key)
    tensors[name][0, 0] = torch.nan
    refused(backbone, tmp_path, tensors, "no numbers")


def test_a_layer_the_backbone_lacks_is_named(backbone, saved, tmp_path):
    renamed = {key.replace("layers.1", "layers.7"): value for key, value in saved.items()}
    refused(backbone, tmp_path, renamed, r"layers\.7")


@pytest.mark.parametrize("name", [adapters.CONFIG, adapters.WEIGHTS, adapters.CLASSES])
def test_a_missing_or_broken_file_is_refused(saved, tmp_path, name):
    (tmp_path / name).write_text("{")
    with pytest.raises(adapters.AdapterError, match="incomplete"):
        adapters.load(tmp_path)


def test_the_file_says_nothing_peft_does_not_know(saved, tmp_path):
    config = json.loads((tmp_path / adapters.CONFIG).read_text())
    from peft import LoraConfig

    assert config.keys() <= LoraConfig().to_dict().keys()
