import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lora_demo.classify import calibration


def overconfident(count: int = 4_000, factor: float = 3.0, seed: int = 0):
    """Logits that are true log-odds times `factor`: the right temperature is `factor`."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(count, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(-1), 1, generator=generator).flatten()
    return factor * logits, labels


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_network_too_sure(factor):
    assert calibration.temperature(*overconfident(factor=factor)) == pytest.approx(factor, rel=0.08)


def test_no_temperature_on_a_fine_grid_is_likelier():
    logits, labels = overconfident(400)
    found = calibration.temperature(logits, labels)
    grid = np.geomspace(0.05, 20, 2_000)
    losses = [F.cross_entropy(logits.double() / t, labels).item() for t in grid]
    assert F.cross_entropy(logits.double() / found, labels).item() <= min(losses) + 1e-7


def test_the_error_is_that_of_guo_et_al_counted_bin_by_bin():
    logits, labels = overconfident(500)
    probabilities = logits.softmax(-1).double().numpy()
    confidence, answer = probabilities.max(1), probabilities.argmax(1)
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            accuracy = (answer[inside] == labels.numpy()[inside]).mean()
            expected += inside.mean() * abs(accuracy - confidence[inside].mean())
    found = calibration.expected_calibration_error(logits.softmax(-1), labels)
    assert found == pytest.approx(expected, abs=1e-9)


def test_certainty_that_is_always_right_has_no_error_and_always_wrong_the_whole():
    sure = torch.eye(3)
    assert calibration.expected_calibration_error(sure, torch.tensor([0, 1, 2])) == 0
    assert calibration.expected_calibration_error(sure, torch.tensor([1, 2, 0])) == 1


def test_calibrating_lowers_the_error_and_keeps_the_answer():
    logits, labels = overconfident()
    found = calibration.calibrate(logits, labels)
    assert found.ece_after < found.ece_before / 3
    assert torch.equal(found.probabilities(logits).argmax(-1), logits.argmax(-1))
    assert torch.allclose(found.probabilities(logits).sum(-1), torch.ones(len(labels)))
