import numpy as np
import pytest
import torch

from lora_demo import classify, datasets
from lora_demo.classify import confusion
from lora_demo.records import Record
from lora_demo.settings import Settings


def made(predicted: list[int], labels: list[int]) -> confusion.Answers:
    return confusion.Answers(["a", "b", "c"], torch.tensor(labels), torch.eye(3)[predicted])


def test_the_confusion_counts_true_classes_by_row():
    answers = made([0, 1, 1, 2, 0, 0], [0, 0, 1, 1, 2, 0])
    expected = np.zeros((3, 3), int)
    for true, predicted in zip(answers.labels.tolist(), answers.predicted.tolist(), strict=True):
        expected[true, predicted] += 1
    assert (answers.confusion.numpy() == expected).all()
    assert answers.accuracy_by_class == {"a": pytest.approx(2 / 3), "b": 0.5, "c": 0.0}


def test_a_cell_gives_its_images():
    answers = made([0, 1, 1, 2, 0, 0], [0, 0, 1, 1, 2, 0])
    assert answers.images_of(0, 0) == [0, 5]
    assert answers.images_of(2, 0) == [4]
    assert answers.images_of(2, 1) == []
    counted = [[len(answers.images_of(i, j)) for j in range(3)] for i in range(3)]
    assert counted == answers.confusion.tolist()


def test_where_two_lanes_disagree_is_told():
    first, second = made([0, 1, 2, 0], [0, 1, 2, 2]), made([0, 0, 2, 1], [0, 1, 2, 2])
    found = confusion.disagreement(first, second)
    assert (found.only_first, found.only_second, found.differ) == ([1], [], [1, 3])


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021484375), (0, 10, 0.001953125), (9, 1, 0.021484375)],
)
def test_mcnemars_p_value_is_that_of_a_fair_coin(only_first, only_second, p_value):
    """By hand from the binomial: 2 (1 + 10) / 2^10 for one of ten, 2 / 2^10 for none."""
    assert confusion.mcnemar(only_first, only_second) == pytest.approx(p_value)


@pytest.mark.parametrize("lane", ["head", "lora", "full"])
def test_the_answers_are_those_the_lane_gives_one_by_one_and_those_it_was_measured_with(record, lane):
    answers = confusion.answers(record, lane)
    data = datasets.load(record.settings.data)
    classifier = classify.load(record, lane)
    one_by_one = torch.cat([classifier.logits(classifier.backbone.pixels(image[None])) for image in data.test.images])
    assert torch.allclose(answers.logits, one_by_one, atol=1e-5)
    measured = list(record.events())[-1].lanes[lane]["accuracy"]
    assert answers.correct.float().mean().item() == pytest.approx(measured)


def test_they_are_computed_once_and_kept_in_the_record(record, monkeypatch):
    kept = confusion.answers(record, "lora")
    confusion._answers.cache_clear()
    monkeypatch.setattr(classify.Classifier, "answers", None)
    assert torch.equal(confusion.answers(record, "lora").logits, kept.logits)


def test_without_the_data_it_says_so(record, tmp_path):
    elsewhere = Record(tmp_path / "run")
    elsewhere.create(Settings.parse({"lanes": ["lora"]}))
    (elsewhere.folder / "adapter").symlink_to(record.folder / "adapter")
    with pytest.raises(confusion.NoTestImages, match="not here"):
        confusion.answers(elsewhere, "lora")
