"""The sentence and the facts of an X-ray are made from its numbers."""

from types import SimpleNamespace as Made

import pytest

from lora_demo.xray import findings


def change(rank_90: int, size: float = 0.1, rank: int = 8) -> Made:
    return Made(rank_90=rank_90, size=size, rank=rank, denoised_rank=3, amplification=None)


def xray(**lanes: list[int]) -> Made:
    layers = [
        Made(
            changes={lane: change(held[i]) for lane, held in lanes.items()},
            layer=Made(label=f"query, layer {i}"),
            shape=(4, 4),
        )
        for i in range(max(map(len, lanes.values()), default=0))
    ]
    return Made(layers=layers, lanes=list(lanes), intruders=lambda lane: (1, 10))


@pytest.mark.parametrize(
    ("lanes", "sentence"),
    [
        (
            {"lora": [3, 6], "full": [8, 85]},
            "Full fine-tuning’s change needs 8 to 85 directions a layer for 90 % of its size; LoRA has 8 and uses 3 to 6",
        ),
        ({"full": [5, 5]}, "Full fine-tuning’s change needs 5 directions a layer for 90 % of its size"),
        ({}, "Only the head was trained: no other layer changed"),
    ],
)
def test_the_headline(lanes, sentence):
    assert "".join(text for text, _ in findings.headline(xray(**lanes))) == sentence


def test_the_facts_count_matrices_and_intruders():
    told = " ".join(findings.facts(xray(lora=[3, 6])))
    assert "2 matrices by <b>10.0 %</b>" in told
    assert "<b>1</b> of 10" in told


def test_a_layers_facts_name_it_and_its_ranks():
    told = " ".join(findings.layer_facts(xray(lora=[3]).layers[0]))
    assert "query, layer 0" in told
    assert "90 % in <b>3</b>, 3 above the noise" in told
