"""Truncation and forgetting: what the network still gets right."""

import shutil

import pytest
import safetensors.torch
import torch

from lora_demo import classify, datasets
from lora_demo.datasets import Split
from lora_demo.records import Record, bundled
from lora_demo.xray import forgetting, truncation
from lora_demo.xray.changes import XRayError, read
from lora_demo.xray.evaluation import Score, spread


def own_task(record, count=40) -> Split:
    """Images labelled by the backbone's own head, so that it gets all of them right."""
    backbone = read(record).backbone
    images = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return Split(images, backbone.model(pixel_values=backbone.pixels(images)).logits.argmax(-1))


def test_cut_to_full_rank_a_lane_is_as_accurate_as_the_run_measured(trained):
    record = trained(steps=3)
    finished = list(record.events())[-1]
    scores = truncation.truncate(record, 32)
    assert {lane: score.accuracy for lane, score in scores.items()} == {
        lane: finished.lanes[lane]["accuracy"] for lane in ("full", "lora")
    }
    assert min(score.accuracy for score in scores.values()) >= 0.5


def test_the_bundled_runs_lora_cut_to_its_own_rank_is_as_accurate_as_it_answers():
    record, images = bundled()["reference"], spread(datasets.load().test, 100)
    classifier = classify.load(record, "lora")
    answers = classifier.logits(classifier.backbone.pixels(images.images)).argmax(-1)
    score = truncation.truncate(record, 8, lanes=["lora"], images=100)["lora"]
    assert score.accuracy == (answers == images.labels).sum().item() / 100
    assert score.images == 100


def test_at_rank_zero_lora_is_the_frozen_backbone_under_its_head(record):
    test = datasets.load(record.settings.data).test
    classifier = classify.load(record, "lora")
    answers = classifier.logits(classifier.backbone.pixels(test.images), 0.0).argmax(-1)
    assert truncation.truncate(record, 0)["lora"].accuracy == (answers == test.labels).float().mean().item()


def test_the_curve_has_a_zero_and_ends_at_each_lanes_own_rank(record):
    scores = list(truncation.curve(record, images=10))
    assert [score.k for score in scores if score.lane == "full"] == [0, 1, 2, 4, 8, 16, 32]
    assert [score.k for score in scores if score.lane == "lora"] == [0, 1, 2]
    assert {score.images for score in scores} == {10}


def test_a_point_of_the_curve_is_the_single_answer_at_that_rank(record):
    curve = {(score.lane, score.k): score for score in truncation.curve(record, ranks=[1, 5])}
    assert curve["full", 5] == truncation.truncate(record, 5)["full"]
    assert curve["lora", 2].accuracy == truncation.truncate(record, 5)["lora"].accuracy


def test_a_curve_that_is_stopped_ends_within_a_batch(record):
    asked = []
    scores = truncation.curve(record, ranks=[0, 1], should_stop=lambda: len(asked) >= 1)
    next(scores)
    asked.append("stop")
    assert list(scores) == []


def test_a_layer_is_cut_in_the_lanes_that_changed_it(record):
    assert truncation.truncate(record, 0, "vit.layers.0.mlp.fc1").keys() == {"full"}
    assert truncation.truncate(record, 0, "vit.layers.0.attention.q_proj", lanes=["lora"]).keys() == {"lora"}
    with pytest.raises(XRayError, match="nothing that could be cut in vit"):
        truncation.truncate(record, 0, "vit.layers.0.mlp.fc1", lanes=["lora"])


@pytest.mark.parametrize("k", [-1, 1.5, float("nan"), "2", True])
def test_a_rank_that_is_none_is_refused(record, k):
    with pytest.raises(XRayError, match="whole number"):
        truncation.truncate(record, k)


def test_a_run_of_the_head_alone_has_nothing_to_cut(trained):
    record = trained(lanes=["head"])
    with pytest.raises(XRayError, match="nothing to cut"):
        next(truncation.curve(record))


def test_an_untouched_backbone_forgets_nothing_and_a_spoilt_one_does(record, tmp_path):
    images = own_task(record)
    untouched = Record(tmp_path / "untouched")
    shutil.copytree(record.folder, untouched.folder)
    adapter = untouched.folder / "adapter" / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(adapter)
    zeroed = {name: value * 0 if "lora_B" in name else value for name, value in tensors.items()}
    safetensors.torch.save_file(zeroed, adapter, metadata={"format": "pt"})
    full = untouched.folder / "full.safetensors"
    spoilt = {n: v if "classifier" in n else torch.randn_like(v) for n, v in safetensors.torch.load_file(full).items()}
    safetensors.torch.save_file(spoilt, full)
    accuracy = {score.lane: score.accuracy for score in forgetting.forgetting(untouched, images)}
    assert list(accuracy) == ["frozen", "lora", "full"]
    assert accuracy["frozen"] == accuracy["lora"] == 1
    assert accuracy["full"] < 1


def test_what_was_forgotten_is_asked_of_the_bundled_backbone_alone(record):
    with pytest.raises(XRayError, match="bundled backbone alone"):
        next(forgetting.forgetting(record))


def test_the_bundled_backbone_knows_its_own_images():
    images = forgetting.tiny_imagenet()
    assert images.images.shape == (1000, 3, 64, 64)
    assert images.labels.bincount().tolist() == [5] * 200
    frozen = next(forgetting.forgetting(bundled()["reference"], spread(images, 100)))
    assert frozen.accuracy > 0.3  # 48.2 % of all 10,000 (assets/backbone/README.md); guessing gets 0.5 %


def test_the_standard_error_is_the_binomials():
    assert Score("full", 1, 0.9, 1000).standard_error == pytest.approx(0.0095, abs=5e-5)
