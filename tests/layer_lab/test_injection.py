"""LoRA in a real ViT, as the page shows it."""

import pytest
from peft import LoraConfig, get_peft_model

from lora_demo import backbones, lora
from lora_demo.errors import LabError
from lora_demo.layer_lab.injection import inspect_injection


@pytest.mark.parametrize("rank", [1, 8])
def test_counts_of_the_bundled_backbone_are_those_worked_out_by_hand(rank):
    """Per rank: query and value 4,608, attention 9,216, all linear layers 20,736; head 1,930; whole model 2,721,226."""
    costs = {cost.choice: cost for cost in inspect_injection("bundled", "query_value", rank).costs}
    adapters = {name: costs[name].adapter_parameters for name in lora.TARGETS}
    assert adapters == {"query_value": 4608 * rank, "attention": 9216 * rank, "all_linear": 20736 * rank}
    assert [costs[name].adapted_layers for name in lora.TARGETS] == [12, 24, 36]
    assert costs["head"].trained_parameters == 1930
    assert costs["full"].trained_parameters == 2_721_226
    assert all(
        cost.frozen_parameters + cost.trained_parameters - cost.adapter_parameters == 2_721_226
        for cost in costs.values()
    )


def test_counts_are_those_of_peft(tiny_backbone):
    found = inspect_injection(tiny_backbone, "query_value", 2)
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    adapted = get_peft_model(backbones.load(tiny_backbone).model, config)
    assert found.cost.adapter_parameters == adapted.get_nb_trainable_parameters()[0]


def test_injection_changes_only_the_named_lines_and_not_the_output(tiny_backbone):
    found = inspect_injection(tiny_backbone, "query_value", 2)
    changed = [after.name for before, after in zip(found.before, found.after, strict=True) if before.kind != after.kind]
    assert changed == ["q_proj", "v_proj"]
    assert found.names == [f"vit.layers.{n}.attention.{name}" for n in (0, 1) for name in ("q_proj", "v_proj")]
    assert found.output_change == 0


def test_a_rank_that_does_not_fit_is_refused_in_a_sentence(tiny_backbone):
    with pytest.raises(LabError, match="Rank 64 does not fit"):
        inspect_injection(tiny_backbone, "query_value", 64)
