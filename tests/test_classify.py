import copy

import pytest
import torch
from PIL import Image

from lora_demo import classify, datasets, lora, training
from lora_demo.events import Finished
from lora_demo.records import Record
from lora_demo.settings import Settings


@pytest.fixture
def raced(tiny_settings, tmp_path):
    """A finished race and the record it left."""
    record = Record(tmp_path / "run")
    race = training.Race(Settings.parse({**tiny_settings, "learning_rate_lora": 0.05, "learning_rate_full": 0.01}))
    record.create(race.settings)
    for event in race.run():
        if isinstance(event, Finished):
            record.save_lanes(race)
        record.append(event)
    return race, record


@pytest.mark.parametrize("lane", ["head", "lora", "full"])
def test_a_lane_read_back_answers_as_it_did_when_trained(raced, lane):
    race, record = raced
    pixels = race.backbone.pixels(race.data.test.images)
    with torch.inference_mode():
        trained = race.lanes[lane].model.eval()(pixel_values=pixels).logits
    assert torch.allclose(classify.load(record, lane).logits(pixels), trained, atol=1e-5)


def test_strength_zero_is_the_frozen_backbone_under_the_runs_head(raced):
    race, record = raced
    base = copy.deepcopy(race.lanes["lora"].model).eval()
    lora.eject(base)
    base.set_attn_implementation(classify.load(record).model.config._attn_implementation)
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
