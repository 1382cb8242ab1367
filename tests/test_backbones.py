import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ViTImageProcessor

from lora_demo import backbones, classify


def test_the_bundled_backbone_knows_its_own_classes(sheets):
    backbone = backbones.load()
    assert backbone.model.dtype == torch.float32
    assert backbone.tokens == 65
    sheet = Image.open(sheets.parent / "tiny-imagenet" / "val.jpg").convert("RGB")
    tiles = torch.from_numpy(np.array(sheet)).view(20, 64, 50, 64, 3).permute(0, 2, 4, 1, 3).reshape(1000, 3, 64, 64)
    with torch.inference_mode():
        answers = torch.cat([backbone.model(backbone.pixels(part)).logits.argmax(-1) for part in tiles.split(100)])
    accuracy = (answers == torch.arange(200).repeat_interleave(5)).float().mean().item()
    assert (
        accuracy > 0.44
    )  # assets/backbone/README.md: 48.2 % of all 10,000; two standard errors of 1,000 are 3.2 points


def test_an_image_is_prepared_as_transformers_prepares_it(tiny_backbone):
    backbone = backbones.load(tiny_backbone)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    ours = classify.seen(backbone, image)
    theirs = ViTImageProcessor.from_pretrained(tiny_backbone)(image, return_tensors="pt")["pixel_values"]
    assert (ours - theirs).abs().max() < 0.05  # one grey level of 255 over the smallest std, 0.2, and rounding


def test_a_new_head_is_the_same_for_the_same_seed(tiny_backbone):
    backbone = backbones.load(tiny_backbone)
    one, two, other = (backbone.new_head(["a", "b"], torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)


def test_a_name_that_is_nowhere_is_refused():
    with pytest.raises(backbones.BackboneError, match="'nobody/nothing'"):
        backbones.load("nobody/nothing")


def test_a_model_that_is_no_vit_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(backbones.BackboneError, match="bert"):
        backbones.load(str(tmp_path))


def test_a_folder_with_pickled_weights_alone_is_refused(tiny_backbone, tmp_path):
    model = backbones.load(tiny_backbone).model
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(backbones.BackboneError):
        backbones.load(str(tmp_path))
