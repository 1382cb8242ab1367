import shutil

import numpy as np
import pytest
import torch

from lora_demo import classify, datasets, images, runs
from lora_demo.classify import held_out
from lora_demo.examples import FOLDER, OF_CLASS, OF_NO_CLASS
from lora_demo.records import Record
from lora_demo.settings import Settings


def features_of(record, image) -> torch.Tensor:
    classifier = classify.load(record)
    pixels = torch.from_numpy(np.array(classify.resized(classifier.backbone, image))).permute(2, 0, 1)[None]
    return classifier.answers(pixels)[0]


def test_the_bundled_photos_of_no_class_are_unlike_anything_and_those_of_a_class_are_not():
    record = runs.record("reference")
    known = held_out.belief(record).familiar
    for name in (*OF_CLASS, *OF_NO_CLASS):
        features = features_of(record, images.open_image(str(FOLDER / f"{name}.png")))
        assert known.is_unlike(features).item() == (name in OF_NO_CLASS), name


def test_random_noise_is_unlike_anything():
    record, random = runs.record("reference"), torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (20, 3, 64, 64), dtype=torch.uint8, generator=random)
    features, _ = classify.load(record).answers(noise)
    assert held_out.belief(record).familiar.is_unlike(features).all()


def test_what_is_kept_for_the_bundled_run_is_what_the_network_says():
    record = runs.record("reference")
    classifier, data = classify.load(record), datasets.load("bundled")
    some = torch.arange(0, 500, 50)
    _, logits = classifier.answers(data.validation.images[some])
    calibration = held_out.belief(record).calibration
    path = next((record.folder / "held_out").glob(f"lora-{classify.weights_id(record, 'lora')}.safetensors"))
    kept = held_out.safetensors.torch.load_file(path)
    assert torch.allclose(kept["logits"][some], logits, atol=1e-3)
    assert calibration.temperature == pytest.approx(
        held_out.calibrate(kept["logits"], data.validation.labels).temperature
    )


@pytest.mark.parametrize("lane", ["head", "lora", "full"])
def test_every_lane_has_its_own(record, lane):
    found = held_out.belief(record, lane)
    assert found.familiar.means.shape == (2, 32)
    assert len(found.familiar.held_out) == 6  # a tenth of 60 training images


def test_new_weights_are_believed_anew(record, tmp_path):
    copy = Record(shutil.copytree(record.folder, tmp_path / "copy"))
    before = held_out.belief(copy)
    head = held_out.safetensors.torch.load_file(copy.folder / "head.safetensors")
    one = classify.load(copy, "head").logits(torch.ones(1, 3, 32, 32))
    changed = {name: value + 1 if "bias" in name else value * 5 for name, value in head.items()}
    held_out.safetensors.torch.save_file(changed, copy.folder / "head.safetensors")
    assert not torch.allclose(classify.load(copy, "head").logits(torch.ones(1, 3, 32, 32)), one)
    assert held_out.belief(copy) is before  # LoRA's lane is as it was


def test_an_adapter_trained_elsewhere_has_none(record, tmp_path):
    elsewhere = Record(tmp_path / "run")
    elsewhere.create(Settings.parse({"lanes": ["lora"], "backbone": record.settings.backbone}))
    (elsewhere.folder / "adapter").symlink_to(record.folder / "adapter")
    assert held_out.belief(elsewhere) is None
