import json
import re
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoImageProcessor, ViTForImageClassification

from lora_demo import adapters, backbones, classify, exports, lora

LANES = ["head", "lora", "full"]


@pytest.fixture
def pixels(record):
    backbone = classify.load(record).backbone
    return torch.randn(5, 3, *backbone.image_size, generator=torch.Generator().manual_seed(3))


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def test_the_zip_of_an_adapter_is_imported_again(record, tmp_path):
    path = exports.peft_zip(record, tmp_path / "a.zip", "Mine")
    again = adapters.read_file(path, backbones.load(record.settings.backbone))
    kept = adapters.load(record.folder / "adapter")
    assert again.classes == kept.classes
    assert all(torch.equal(again.tensors[key], value) for key, value in kept.tensors.items())


def test_the_card_tells_data_settings_and_figures_and_its_recipe_works(record, pixels, tmp_path):
    folder = unpacked(exports.peft_zip(record, tmp_path / "a.zip", "Mine"), tmp_path / "folder")
    card = (folder / "README.md").read_text()
    finished = list(record.events())[-1]
    assert "# Mine" in card
    assert f"| lora | {100 * finished.lanes['lora']['accuracy']:.1f} % |" in card
    assert "tested on 20" in card
    assert "| learning_rate_lora | 0.05 |" in card
    code = re.search(r"```python\n(.*?)```", card, re.S)[1].replace("path/to/this/folder", str(folder))
    names = {}
    exec(code, names)
    with torch.inference_mode():
        theirs = names["model"](pixel_values=pixels).logits
    assert torch.allclose(theirs, classify.load(record).logits(pixels), atol=1e-5)


def test_the_card_of_an_adapter_trained_elsewhere_says_what_is_not_known(record, tmp_path):
    (record.folder.parent / "silent").mkdir(exist_ok=True)
    silent = type(record)(record.folder.parent / "silent")
    (silent.folder / "events.jsonl").write_text("")
    card = exports.model_card(adapters.load(record.folder / "adapter"), silent, "Theirs")
    assert "trained elsewhere" in card
    assert "Not measured here" in card


@pytest.mark.parametrize("lane", LANES)
def test_the_merged_folder_answers_in_transformers_as_the_lane_does_here(record, pixels, photo, tmp_path, lane):
    folder = unpacked(exports.merged_zip(record, tmp_path / "m.zip", lane), tmp_path / "m")
    model = ViTForImageClassification.from_pretrained(folder).eval()
    classifier = classify.load(record, lane)
    with torch.inference_mode():
        assert torch.allclose(model(pixel_values=pixels).logits, classifier.logits(pixels), atol=1e-5)
    assert model.config.id2label == dict(enumerate(classifier.classes))
    processed = AutoImageProcessor.from_pretrained(folder)(photo, return_tensors="pt")["pixel_values"]
    assert (processed - classify.seen(classifier.backbone, photo)).abs().max() < 0.05  # one grey level is 0.02
    assert record.settings.backbone not in (folder / "config.json").read_text()


def test_merging_for_export_leaves_the_classifier_and_its_sliders_alone(record, pixels):
    classifier = classify.load(record)
    before = classifier.logits(pixels, 0.5)
    merged = exports.merged_model(classifier)
    assert not lora.adapted_layers(merged)
    assert torch.equal(classifier.logits(pixels, 0.5), before)


@pytest.mark.parametrize("lane", LANES)
def test_onnx_gives_the_same_labels_without_torch(record, pixels, photo, tmp_path, lane):
    path = exports.onnx_file(record, tmp_path / "m.onnx", lane)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    classifier = classify.load(record, lane)
    for batch in (pixels, classify.seen(classifier.backbone, photo)):  # of five and of one
        logits = session.run(None, {"pixel_values": batch.numpy()})[0]
        expected = classifier.logits(batch).numpy()
        assert np.allclose(logits, expected, atol=1e-4)
        assert (logits.argmax(-1) == expected.argmax(-1)).all()
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == classifier.classes
    assert tuple(json.loads(about["mean"])) == classifier.backbone.mean


def test_a_lane_that_was_not_kept_cannot_be_exported(record, tmp_path):
    with pytest.raises(classify.ClassifyError, match="kept no weights"):
        exports.merged_zip(record, tmp_path / "m.zip", "adam")
