"""What a lane counts and tells of itself, beside a count by hand, NumPy and the files themselves."""

import numpy as np
import pytest
import torch

from lora_demo import lane, lora
from lora_demo.events import Measured, Spectra

BATCH, TOKENS, WIDTH, MLP, HEADS, RANK, CLASSES = 8, 17, 32, 64, 2, 2, 2  # the tiny backbone's and the settings'
ALL, ONE = BATCH * TOKENS, BATCH  # rows of a product over every token, and over the class token


def product(rows: int, inner: int, columns: int) -> int:
    """FLOPs of [rows, inner] @ [inner, columns]: a multiplication and an addition each."""
    return 2 * rows * inner * columns


def attention(queries: int) -> int:
    """Scores and weighted sum of one layer."""
    return 2 * BATCH * HEADS * product(queries, WIDTH // HEADS, TOKENS)


PATCHES = product(BATCH * 16, 3 * 8 * 8, WIDTH)
HEAD = product(BATCH, WIDTH, CLASSES)
SQUARE = product(ALL, WIDTH, WIDTH)  # one of query, key, value and output for every token
FIRST_LAYER = 4 * SQUARE + 2 * product(ALL, WIDTH, MLP)
LAST_LAYER = (
    2 * SQUARE + 2 * product(ONE, WIDTH, WIDTH) + 2 * product(ONE, WIDTH, MLP)
)  # key and value; the rest for one
FORWARD = PATCHES + FIRST_LAYER + LAST_LAYER + attention(TOKENS) + attention(1) + HEAD
# Backward, a linear layer takes the product again for its input's gradient and once more for its weight's; attention five
# products of that size for its two, since the scores are computed anew.
ATTENTION_BACKWARD = 2.5 * (attention(TOKENS) + attention(1))
FULL = FORWARD + PATCHES + 2 * (FIRST_LAYER + LAST_LAYER + HEAD) + ATTENTION_BACKWARD
# LoRA on query and value: W = W0 + s B A is formed, and instead of W's gradient come four thin products. The input of the
# first layer's query, key and value needs no gradient, nor does the first key's output get one.
FORMED = 4 * product(WIDTH, RANK, WIDTH)
THIN = 4 * (3 * product(ALL, WIDTH, RANK) + product(ONE, WIDTH, RANK))
LORA = FORWARD + FORMED + (FIRST_LAYER - 3 * SQUARE) + LAST_LAYER + 2 * HEAD + ATTENTION_BACKWARD + THIN


@pytest.mark.parametrize(("name", "flops"), [("head", FORWARD + HEAD), ("lora", LORA), ("full", FULL)])
def test_flops_are_those_counted_by_hand(tiny_settings, run_race, name, flops):
    race, events = run_race({**tiny_settings, "lanes": [name], "steps": 2})
    assert race.lanes[name].measured["flops"] == flops
    told = next(event for event in events if isinstance(event, Measured))
    assert told.lanes[name] == race.lanes[name].measured
    assert events[-1].lanes[name]["flops"] == flops


def test_what_the_head_lane_keeps_for_its_backward_pass_is_counted_to_the_byte(tiny_settings, run_race):
    _, events = run_race({**tiny_settings, "lanes": ["head"], "steps": 2})
    class_tokens, log_softmax, labels, total_weight = BATCH * WIDTH * 4, BATCH * CLASSES * 4, BATCH * 8, 4
    saved = events[-1].lanes["head"]["saved_activation_bytes"]
    assert saved == class_tokens + log_softmax + labels + total_weight


def test_a_saved_tensor_counts_once_and_a_parameter_never():
    layer = torch.nn.Linear(3, 5, bias=False)
    x = torch.ones(7, 3, requires_grad=True)
    counted = lane._CountSavedTensors(layer)
    with counted:
        h = layer(x)  # keeps x, and the weight
        (h * h + h[:2].exp().sum() + h.T.tanh().sum()).sum()  # keeps h, twice, and what exp and tanh gave
    assert counted.bytes == 4 * (7 * 3 + 7 * 5 + 2 * 5 + 7 * 5)


def test_bytes_are_counted_as_stored(tiny_settings, run_race):
    _, events = run_race(tiny_settings)
    full = events[-1].lanes["full"]
    assert full["optimizer_bytes"] == 2 * 4 * full["trainable_parameters"]  # Adam's two moments in fp32
    assert full["gradient_bytes"] == 4 * full["trainable_parameters"]
    assert 0 < full["checkpoint_bytes"] - 4 * full["total_parameters"] < 10_000  # and the file's header
    lanes = events[-1].lanes
    saved = [lanes[name]["saved_activation_bytes"] for name in ("head", "lora", "full")]
    assert saved == sorted(saved)


def test_sgd_keeps_one_number_a_parameter(tiny_settings, run_race):
    _, events = run_race({**tiny_settings, "lanes": ["full"], "optimizer": "sgd", "steps": 2})
    assert events[-1].lanes["full"]["optimizer_bytes"] == 4 * events[-1].lanes["full"]["trainable_parameters"]


@pytest.mark.parametrize("variant", lora.VARIANTS)
def test_loras_spectra_are_those_of_its_layers_change(tiny_settings, run_race, variant):
    race, events = run_race({**tiny_settings, "lanes": ["lora"], "variant": variant, "learning_rate_lora": 0.01})
    told = [event for event in events if isinstance(event, Spectra)][-1]
    assert told.step == 4
    layers = lora.adapted_layers(race.lanes["lora"].model)
    assert told.lanes["lora"].keys() == layers.keys()
    for name, layer in layers.items():
        values = np.linalg.svd(layer.delta_weight().detach().numpy(), compute_uv=False)
        found = told.lanes["lora"][name]
        assert found == pytest.approx(values[: len(found)], rel=6e-3, abs=1e-5)  # three figures are told
        assert values[len(found) :].max(initial=0) < (1e-5 if variant != "dora" else 1)


@pytest.mark.parametrize("exact_up_to", [lane.EXACT_UP_TO, 8])
def test_fulls_spectra_are_those_of_every_matrixs_change(tiny_settings, run_race, monkeypatch, exact_up_to):
    monkeypatch.setattr(lane, "EXACT_UP_TO", exact_up_to)
    race, events = run_race({**tiny_settings, "lanes": ["full"], "learning_rate_full": 1e-3})
    told = [event for event in events if isinstance(event, Spectra)][-1].lanes["full"]
    start, now = race.backbone.model.state_dict(), race.lanes["full"].model.state_dict()
    assert len(told) == 2 * 6
    for name, found in told.items():
        values = np.linalg.svd((now[f"{name}.weight"] - start[f"{name}.weight"]).numpy(), compute_uv=False)
        assert len(found) == lane.LARGEST_KEPT
        assert found == pytest.approx(values[: len(found)], rel=6e-3 if exact_up_to > 8 else 0.05)


def test_a_lane_whose_weights_are_no_numbers_tells_no_spectra(tiny_settings, run_race):
    race, _ = run_race({**tiny_settings, "lanes": ["lora", "full"]})
    for name, competitor in race.lanes.items():
        with torch.no_grad():
            next(iter(competitor.trained.values())).fill_(float("nan"))
        assert competitor.spectra(race.backbone.model.state_dict()) == {}, name


@pytest.mark.parametrize("steps", [1, 10, 1000])
def test_the_cosine_warms_up_and_comes_down_to_nothing(steps):
    share = [lane.schedule("cosine", steps)(step) for step in range(steps)]
    warm_up = max(1, round(0.06 * steps))
    assert share[warm_up - 1] == 1 == max(share)
    assert share[:warm_up] == sorted(share[:warm_up])
    assert share[warm_up:] == sorted(share[warm_up:], reverse=True)
    assert steps < 1000 or share[-1] < 1e-5


def test_the_rising_schedule_goes_from_a_hundredth_to_a_hundred_times_by_a_constant_factor():
    share = np.array([lane.schedule("rising", 50)(step) for step in range(50)])
    assert share[[0, -1]] == pytest.approx([0.01, 100])
    assert share[1:] / share[:-1] == pytest.approx(np.full(49, share[1] / share[0]))
