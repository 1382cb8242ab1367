import os
import time

import pytest
import torch
from PIL import Image

from lora_demo import classify, images
from lora_demo.classify import held_out, photo
from lora_demo.classify.dials import AS_TRAINED, Dial


@pytest.fixture
def path(tmp_path):
    """A photo on disk: random, as no class is."""
    file = tmp_path / "photo.png"
    Image.effect_noise((90, 60), 80).convert("RGB").save(file)
    return str(file)


@pytest.fixture
def shown(record, path):
    return photo.open_photo(path, classify.load(record).backbone)


@pytest.mark.parametrize("dial", [AS_TRAINED, Dial(0.5), Dial(1.5, rank=1)])
def test_every_lane_says_what_it_says_alone(record, path, shown, dial):
    answers = photo.answers(record, shown, dial)
    alone = classify.compare(record, images.open_image(path), dial.scale, dial.rank)
    assert list(answers) == list(alone) == ["head", "lora", "full"]
    for lane, answer in answers.items():
        assert answer.softmax == pytest.approx(alone[lane], abs=1e-5)
        assert list(answer.softmax.values()) == sorted(answer.softmax.values(), reverse=True)


def test_calibrated_is_the_softmax_of_the_logits_over_the_temperature(record, shown):
    for lane, answer in photo.answers(record, shown).items():
        logits = classify.load(record, lane).logits(shown.pixels)[0]
        expected = (logits / held_out.belief(record, lane).calibration.temperature).softmax(-1)
        classes = classify.load(record, lane).classes
        assert answer.calibrated == pytest.approx(dict(zip(classes, expected.tolist(), strict=True)), abs=1e-5)
        assert answer.believed == answer.calibrated
        assert held_out.calibrated(record, lane, answer.softmax) == pytest.approx(answer.calibrated, abs=1e-5)


def test_the_curves_are_calibrated_as_the_answers_are(record, shown):
    places, probabilities = photo.curves(record, shown, AS_TRAINED, ("scale",))["scale"]
    for place, row in zip(places, probabilities, strict=True):
        said = photo.answers(record, shown, Dial(place))["lora"].calibrated
        assert [said[name] for name in classify.load(record).classes] == pytest.approx(row.tolist(), abs=1e-5)


def test_without_waiting_nothing_is_computed_and_the_answer_is_not_calibrated(record, shown, monkeypatch):
    monkeypatch.setattr(held_out, "_path", lambda record, lane, weights: record.folder / "not there")
    monkeypatch.setattr(held_out, "_belief", None)
    assert all(one.calibrated is None for one in photo.answers(record, shown, compute=False).values())
    assert photo.doubt(record, shown, compute=False) is None


def test_the_doubt_is_that_of_the_features(record, shown):
    doubt, known = photo.doubt(record, shown), held_out.belief(record)
    model = classify.load(record).model
    with torch.inference_mode():
        feature = model.vit(pixel_values=shown.pixels).last_hidden_state[:, 0]
    cosine = torch.cosine_similarity(feature, known.familiar.means).max()
    assert doubt.unlike == (cosine.item() < known.familiar.threshold)
    assert doubt.farther == pytest.approx((known.familiar.held_out < cosine).double().mean().item(), abs=0.05)


def test_the_sliders_begin_at_the_backbone_under_the_runs_head(record, shown):
    classifier = classify.load(record)
    assert classifier.difference_at_zero(shown.pixels) == 0
    with torch.inference_mode():
        base = classifier.backbone.model.vit(pixel_values=shown.pixels).last_hidden_state[:, 0]
        expected = classifier.model.classifier(base)
        assert torch.equal(classifier.base(pixel_values=shown.pixels).logits, expected)
    assert (classifier.dialled.logits(shown.pixels, [AS_TRAINED]) - expected).abs().max() > 1e-3


def test_a_photo_is_opened_once_until_its_file_changes(record, path):
    backbone = classify.load(record).backbone
    first = photo.open_photo(path, backbone)
    assert photo.open_photo(path, backbone) is first
    Image.new("RGB", (50, 50), "red").save(path)
    os.utime(path, (time.time() + 5,) * 2)
    assert photo.open_photo(path, backbone).image.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("gone", [None, "", "/not/there.png"])
def test_a_photo_that_is_gone_is_a_sentence(record, gone):
    with pytest.raises(images.ImageError, match="deleted by age") as caught:
        photo.open_photo(gone, classify.load(record).backbone)
    assert "/" not in str(caught.value)
