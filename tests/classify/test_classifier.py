import copy

import pytest
import torch
from PIL import Image

from lora_demo import backbones, classify, datasets
from lora_demo.records import Record
from lora_demo.settings import Settings


@pytest.mark.parametrize("lane", ["head", "lora", "full"])
def test_a_lane_read_back_answers_as_it_did_when_trained(raced, lane):
    race, record = raced
    pixels = race.backbone.pixels(race.data.test.images)
    with torch.inference_mode():
        trained = race.lanes[lane].model.eval()(pixel_values=pixels).logits
    assert torch.allclose(classify.load(record, lane).logits(pixels), trained, atol=1e-5)


def test_strength_zero_is_the_frozen_backbone_under_the_runs_head(raced):
    race, record = raced
    base = backbones.load(record.settings.backbone).model
    base.classifier = copy.deepcopy(race.lanes["lora"].model.classifier)
    pixels = race.backbone.pixels(race.data.test.images)
    classifier = classify.load(record)
    with torch.inference_mode():
        assert (classifier.logits(pixels, 0.0) - base(pixel_values=pixels).logits).abs().max() == 0
    assert (classifier.logits(pixels, 1.0) - classifier.logits(pixels, 0.0)).abs().max() > 1e-3


def test_probabilities_are_sorted_and_sum_to_one(raced):
    _, record = raced
    probabilities = classify.load(record).probabilities(Image.new("RGB", (50, 40), "white"))
    assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
    assert probabilities.keys() == {"dark", "bright"}
    assert abs(sum(probabilities.values()) - 1) < 1e-6


def test_side_by_side_the_sliders_move_loras_lane_alone(record):
    image = Image.effect_noise((50, 40), 90)
    trained, turned = classify.compare(record, image), classify.compare(record, image, 0.5, rank=1)
    assert trained.keys() == {"head", "lora", "full"}
    assert trained["head"] == turned["head"]
    assert trained["full"] == turned["full"]
    assert trained["lora"] != turned["lora"]
    whole = classify.compare(record, image, 1.0, rank=classify.load(record).dialled.max_rank)
    assert whole["lora"] == pytest.approx(trained["lora"], abs=1e-5)


def test_a_lane_that_did_not_race_is_refused(tiny_settings, tmp_path):
    record = Record(tmp_path / "run")
    record.create(Settings.parse(tiny_settings))
    with pytest.raises(classify.ClassifyError, match="full lane"):
        classify.load(record, "full")


@pytest.mark.parametrize("scale", [-0.1, 2.1, float("nan"), "much"])
def test_a_strength_out_of_range_is_refused(scale):
    with pytest.raises(classify.ClassifyError, match="scale"):
        classify.checked_scale(scale)


def test_the_bundled_reference_was_really_trained():
    from lora_demo import runs

    record = runs.record("reference")
    finished = list(record.events())[-1]
    data = datasets.load("bundled")
    classifier = classify.load(record)
    answers = torch.cat(
        [classifier.logits(classifier.backbone.pixels(batch.images)).argmax(-1) for batch in data.test.batches(100)]
    )
    accuracy = (answers == data.test.labels).float().mean().item()
    assert abs(accuracy - finished.lanes["lora"]["accuracy"]) <= 0.005
    assert accuracy > 0.7
