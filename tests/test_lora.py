"""LoRA layer: what it promises, beside PEFT 0.21, NumPy and the papers' equations."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification

from lora_demo import lora
from lora_demo.errors import LabError
from lora_demo.lora import LoRAError, LoRALinear
from lora_demo.variants import VARIANTS

RANK, ALPHA = 4, 8
PEFT_OPTIONS = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "pissa": {"init_lora_weights": "pissa"},
}
ALL_SIX = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]
BACKBONE = Path(__file__).resolve().parents[1] / "assets" / "backbone"


@pytest.fixture
def vit() -> ViTForImageClassification:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=8
    )
    config.num_labels = 5
    return ViTForImageClassification(config).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def randomise_B(layer: LoRALinear) -> LoRALinear:
    """A zero B hides mistakes: give it numbers as training would."""
    with torch.no_grad():
        layer.lora_B.add_(0.05 * torch.randn(layer.lora_B.shape, generator=torch.Generator().manual_seed(2)))
    return layer


# --- beside PEFT ---------------------------------------------------------------------------------------------------


def twins(
    model: nn.Module, variant: str, *, from_start: bool = False, dropout: float = 0.0
) -> tuple[nn.Module, nn.Module]:
    """The same weights under our layer and under PEFT's; B not zero unless `from_start`."""
    mine, theirs = copy.deepcopy(model), copy.deepcopy(model)
    options = {"r": RANK, "lora_alpha": ALPHA, "target_modules": ALL_SIX, "lora_dropout": dropout}
    theirs = get_peft_model(theirs, LoraConfig(**options, **PEFT_OPTIONS[variant]))
    lora.inject(mine, lora.TARGETS["all_linear"], RANK, ALPHA, variant=variant, dropout=dropout)
    lora.mark_only_adapters_as_trainable(mine)
    for name, layer in lora.adapted_layers(mine).items():
        their_A, their_B = factors(theirs, name)
        with torch.no_grad():
            if variant == "pissa":  # each draws its own start; it must be the same one
                torch.testing.assert_close(layer.lora_A, their_A, atol=1e-6, rtol=0)
                torch.testing.assert_close(layer.lora_B, their_B, atol=1e-6, rtol=0)
            layer.lora_A.copy_(their_A)
            if not from_start:
                their_B.copy_(randomise_B(layer).lora_B)
    return mine, theirs


def factors(theirs: nn.Module, name: str) -> tuple[Tensor, Tensor]:
    """PEFT's A and B of the layer we call `name`."""
    layer = theirs.base_model.model.get_submodule(name)
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


@pytest.mark.parametrize("variant", PEFT_OPTIONS)
def test_forward_is_pefts_to_1e_6(vit, images, variant):
    mine, theirs = twins(vit, variant)
    assert not torch.allclose(mine(images).logits, vit(images).logits, atol=1e-3), "the adapters must do something"
    torch.testing.assert_close(mine(images).logits, theirs(images).logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("variant", PEFT_OPTIONS)
def test_gradients_are_pefts_to_1e_5(vit, images, variant):
    mine, theirs = twins(vit, variant)
    for model in (mine, theirs):
        F.cross_entropy(model(images).logits, LABELS).backward()
    for name, layer in lora.adapted_layers(mine).items():
        their_A, their_B = factors(theirs, name)
        assert layer.lora_A.grad.abs().max() > 1e-5
        torch.testing.assert_close(layer.lora_A.grad, their_A.grad, atol=1e-5, rtol=0)
        torch.testing.assert_close(layer.lora_B.grad, their_B.grad, atol=1e-5, rtol=0)
        if variant == "dora":
            magnitude = theirs.base_model.model.get_submodule(name).lora_magnitude_vector["default"].weight
            torch.testing.assert_close(layer.magnitude.grad, magnitude.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", PEFT_OPTIONS)
def test_ten_optimizer_steps_end_where_pefts_do_to_1e_4(vit, images, variant):
    mine, theirs = twins(vit, variant, from_start=True)
    for model in (mine, theirs):
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        for _ in range(10):
            optimizer.zero_grad()
            F.cross_entropy(model(images).logits, LABELS).backward()
            optimizer.step()
    assert not torch.allclose(mine(images).logits, vit(images).logits, atol=1e-3), "ten steps must move the model"
    torch.testing.assert_close(mine(images).logits, theirs(images).logits, atol=1e-4, rtol=0)
    for name, layer in lora.adapted_layers(mine).items():
        their_A, their_B = factors(theirs, name)
        torch.testing.assert_close(layer.lora_A, their_A, atol=1e-4, rtol=0)
        torch.testing.assert_close(layer.lora_B, their_B, atol=1e-4, rtol=0)


@pytest.mark.parametrize("variant", PEFT_OPTIONS)
def test_merged_weights_are_pefts_to_1e_6(vit, variant):
    mine, theirs = twins(vit, variant)
    lora.merge(mine)
    merged = theirs.merge_and_unload()
    for name, layer in lora.adapted_layers(mine).items():
        torch.testing.assert_close(layer.weight, merged.get_submodule(name).weight, atol=1e-6, rtol=0)


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
def test_dropout_drops_what_peft_drops(vit, images, variant):
    mine, theirs = twins(vit, variant, dropout=0.3)
    outputs = []
    for model in (mine.train(), theirs.train()):
        torch.manual_seed(3)
        outputs.append(model(images).logits)
        F.cross_entropy(outputs[-1], LABELS).backward()
    torch.testing.assert_close(*outputs, atol=1e-6, rtol=0)
    for name, layer in lora.adapted_layers(mine).items():
        their_A, their_B = factors(theirs, name)
        torch.testing.assert_close(layer.lora_A.grad, their_A.grad, atol=1e-5, rtol=0)
        torch.testing.assert_close(layer.lora_B.grad, their_B.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", PEFT_OPTIONS)
def test_on_the_bundled_backbone_the_logits_are_pefts_to_a_millionth(variant):
    model = ViTForImageClassification.from_pretrained(BACKBONE, dtype=torch.float32).eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        mine, theirs = (twin(images).logits for twin in twins(model, variant))
    assert torch.linalg.norm(mine - theirs) < 1e-6 * torch.linalg.norm(theirs)


# --- the layer -----------------------------------------------------------------------------------------------------


def test_the_notebooks_check():
    base = nn.Linear(10, 10)
    layer = LoRALinear(base, rank=4)
    x = torch.randn(8, 10)
    assert layer(x).shape == (8, 10)
    assert [name for name, p in layer.named_parameters() if p.requires_grad] == ["lora_A", "lora_B"]
    assert torch.equal(layer(x), base(x))
    assert layer.scaling == 1.0  # alpha is r where it is not given


@pytest.mark.parametrize("variant", ["lora", "rslora", "pissa"])
@pytest.mark.parametrize("x_learns", [True, False])
def test_hand_written_gradients_are_the_derivatives(variant, x_learns):
    torch.manual_seed(0)
    layer = randomise_B(LoRALinear(nn.Linear(7, 5).double(), 3, 6, variant=variant))
    x = torch.randn(2, 4, 7, dtype=torch.float64, requires_grad=x_learns)

    def h(x: Tensor, A: Tensor, B: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"lora_A": A, "lora_B": B}, x)

    assert torch.autograd.gradcheck(h, (x, layer.lora_A, layer.lora_B))


def test_lora_is_the_papers_equation():
    layer = randomise_B(LoRALinear(nn.Linear(7, 5).double(), 3, 6))
    x = torch.randn(2, 7, dtype=torch.float64)
    W0, b, A, B = (t.detach().numpy() for t in (layer.weight, layer.bias, layer.lora_A, layer.lora_B))
    h = np.stack([W0 @ row + b + 6 / 3 * B @ (A @ row) for row in x.numpy()])
    np.testing.assert_allclose(layer(x).detach().numpy(), h, atol=1e-14)


def test_rslora_scales_by_the_root_of_the_rank():
    assert LoRALinear(nn.Linear(9, 9), 9, 6, variant="rslora").scaling == 6 / math.sqrt(9)


def test_lora_fa_has_the_same_gradient_of_B_and_keeps_less_for_it():
    torch.manual_seed(0)
    base, x = nn.Linear(64, 48), torch.randn(2, 5, 64)
    gradients, kept = [], []
    for variant in ("lora", "lora_fa"):
        layer = randomise_B(LoRALinear(base, 2, variant=variant, generator=torch.Generator().manual_seed(0)))
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t):
            h = layer(x)
        h.square().sum().backward()
        gradients.append(layer.lora_B.grad)
        kept.append(sum(sizes))
    assert layer.lora_A.grad is None
    torch.testing.assert_close(*gradients)
    assert kept[0] - kept[1] == 10 * (64 - 2)  # ten tokens keep r numbers each instead of 64


@pytest.mark.parametrize(("init", "spread"), [("kaiming", 1 / math.sqrt(3 * 400)), ("gaussian", 1 / 50)])
def test_A_is_drawn_as_its_name_says_and_the_same_from_the_same_seed(init, spread):
    drawn = [
        LoRALinear(nn.Linear(400, 60), 50, init=init, generator=torch.Generator().manual_seed(seed)).lora_A
        for seed in (0, 0, 1)
    ]
    assert drawn[0].std().item() == pytest.approx(spread, rel=0.03)
    assert (drawn[0].abs().max() <= 1 / math.sqrt(400)) == (init == "kaiming")
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("variant", VARIANTS)
def test_strength_goes_from_the_base_to_the_trained_weight(variant):
    torch.manual_seed(0)
    base, x = nn.Linear(12, 9), torch.randn(4, 12)
    layer = randomise_B(LoRALinear(base, 3, variant=variant))
    W = base.weight + layer.delta_weight()
    layer.strength = 0.25
    expected = F.linear(x, base.weight + 0.25 * (W - base.weight), base.bias)
    torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=0)
    layer.strength = 0.0
    assert torch.equal(layer(x), base(x))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_output_is_the_same_bits_with_and_without_gradients(variant):
    layer = randomise_B(LoRALinear(nn.Linear(12, 9), 3, variant=variant))
    x = torch.randn(4, 12)
    with torch.inference_mode():
        without = layer(x)
    assert torch.equal(without, layer(x))


def test_dropout_does_nothing_outside_training():
    layer = randomise_B(LoRALinear(nn.Linear(12, 9), 3, dropout=0.5))
    x = torch.randn(4, 12)
    dropped = layer.train()(x)
    kept = layer.eval()(x)
    torch.testing.assert_close(kept, F.linear(x, layer.weight + layer.delta_weight(), layer.bias))
    assert not torch.allclose(dropped, kept)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_bf16_base_trains_fp32_factors_under_autocast(variant):
    torch.manual_seed(0)
    base, x = nn.Linear(16, 12).bfloat16(), torch.randn(4, 16).bfloat16()
    layer = LoRALinear(base, 4, variant=variant)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), base(x))
        h = randomise_B(layer)(x)
    assert h.dtype == torch.bfloat16
    exact = F.linear(x.float(), layer.weight.float() + layer.delta_weight(), layer.bias.float())
    torch.testing.assert_close(h.float(), exact, atol=0.05, rtol=2**-6)
    h.sum().backward()
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in layer.adapter_parameters())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"rank": 0}, "Rank 0"),
        ({"rank": 11}, "1 to 10"),
        ({"rank": 2, "alpha": math.nan}, "alpha"),
        ({"rank": 2, "variant": "qlora"}, "qlora"),
        ({"rank": 2, "init": "ones"}, "ones"),
        ({"rank": 2, "dropout": 1.0}, "Dropout"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(LoRAError, match=sentence):
        LoRALinear(nn.Linear(10, 12), **wrong)


# --- a whole model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", lora.TARGETS)
@pytest.mark.parametrize("variant", VARIANTS)  # PiSSA too: its B A - B0 A0 is exactly zero at the start
def test_injection_does_not_change_the_output_by_a_bit(vit, images, variant, target):
    before = vit(images).logits
    lora.inject(vit, lora.TARGETS[target], RANK, ALPHA, variant=variant)
    assert torch.equal(vit(images).logits, before)


@pytest.mark.parametrize("variant", VARIANTS)
def test_injection_is_undone_exactly(vit, images, variant):
    vit.vit.layers[0].attention.q_proj.weight.requires_grad_(False)
    original = copy.deepcopy(vit)
    names = lora.inject(vit.train(), lora.TARGETS["all_linear"], RANK, ALPHA, variant=variant)
    lora.merge(vit)
    assert lora.eject(vit) == names
    assert repr(vit) == repr(original)
    for (name, now), (was_named, was) in zip(vit.named_parameters(), original.named_parameters(), strict=True):
        assert name == was_named
        assert torch.equal(now, was)
        assert now.requires_grad == was.requires_grad
    assert all(module.training for module in vit.modules())


@pytest.mark.parametrize("variant", VARIANTS)
def test_merging_keeps_the_output_and_unmerging_brings_W0_back_bit_for_bit(vit, images, variant):
    base = {name: p.clone() for name, p in vit.named_parameters()}
    names = lora.inject(vit, lora.TARGETS["attention"], RANK, ALPHA, variant=variant)
    for layer in lora.adapted_layers(vit).values():
        randomise_B(layer)
    unmerged = vit(images).logits
    lora.merge(vit)
    lora.merge(vit)  # a second time changes nothing
    torch.testing.assert_close(vit(images).logits, unmerged, atol=1e-6, rtol=0)
    assert not torch.equal(vit.get_submodule(names[0]).weight, base[f"{names[0]}.weight"])
    lora.unmerge(vit)
    for name in names:
        assert torch.equal(vit.get_submodule(name).weight, base[f"{name}.weight"])
        assert torch.equal(vit.get_submodule(name).bias, base[f"{name}.bias"])
    assert torch.equal(vit(images).logits, unmerged)


def test_merging_never_writes_to_the_base_layers_memory():
    base = nn.Linear(6, 6)
    before = base.weight.clone()
    randomise_B(LoRALinear(base, 2)).merge()
    assert torch.equal(base.weight, before)
    assert base.weight.requires_grad


TRANSFORMERS_5 = {
    "query_value": ["attention.q_proj", "attention.v_proj"],
    "attention": ["attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj"],
    "all_linear": [
        "attention.q_proj",
        "attention.k_proj",
        "attention.v_proj",
        "attention.o_proj",
        "mlp.fc1",
        "mlp.fc2",
    ],
}
TRANSFORMERS_4 = {
    "q_proj": "attention.query",
    "k_proj": "attention.key",
    "v_proj": "attention.value",
    "o_proj": "output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


class Named4(nn.Module):
    """Linear layers under the names that transformers 4 gives a ViT."""

    def __init__(self) -> None:
        super().__init__()

        def linears(**names: nn.Module) -> nn.ModuleDict:
            return nn.ModuleDict(names)

        def dense() -> nn.ModuleDict:
            return linears(dense=nn.Linear(4, 4))

        def block() -> nn.ModuleDict:
            inner = linears(query=nn.Linear(4, 4), key=nn.Linear(4, 4), value=nn.Linear(4, 4))
            return linears(attention=linears(attention=inner, output=dense()), intermediate=dense(), output=dense())

        self.vit = linears(encoder=linears(layer=nn.ModuleList([block(), block()])), pooler=dense())
        self.classifier = nn.Linear(4, 2)


@pytest.mark.parametrize("target", lora.TARGETS)
def test_targets_name_the_same_layers_in_transformers_5_and_4(vit, target):
    expected_5 = {f"vit.layers.{n}.{suffix}" for n in range(2) for suffix in TRANSFORMERS_5[target]}
    assert set(lora.inject(vit, lora.TARGETS[target], 1)) == expected_5
    expected_4 = set()
    for n in range(2):
        for suffix in TRANSFORMERS_5[target]:
            old = suffix
            for new_name, old_name in TRANSFORMERS_4.items():
                old = old.replace(new_name, old_name)
            expected_4.add(f"vit.encoder.layer.{n}.{old}")
    assert set(lora.inject(Named4(), lora.TARGETS[target], 1)) == expected_4


def test_a_pattern_that_matches_nothing_is_refused_with_what_it_could_have_matched(vit):
    with pytest.raises(LabError, match=r"'query'.*vit\.layers\.N\.attention\.q_proj.*classifier"):
        lora.inject(vit, "query", RANK)


def test_a_pattern_that_is_no_regular_expression_is_refused(vit):
    with pytest.raises(LabError, match="not a regular expression"):
        lora.inject(vit, "q_proj(", RANK)


def test_a_refused_injection_leaves_the_model_as_it_was(vit):
    before = repr(vit)
    with pytest.raises(LoRAError, match="Rank 30 "):  # fits every layer but the head, 32 -> 5
        lora.inject(vit, "q_proj|classifier", 30)
    assert repr(vit) == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_adapters_and_the_head_train(vit, images, variant):
    names = lora.inject(vit, lora.TARGETS["query_value"], RANK, variant=variant)
    lora.mark_only_adapters_as_trainable(vit, also=[vit.classifier])
    per_layer = RANK * 32 + (0 if variant == "lora_fa" else RANK * 32) + (32 if variant == "dora" else 0)
    assert lora.trainable_parameters(vit) == len(names) * per_layer + 32 * 5 + 5
    frozen = {name: p.clone() for name, p in vit.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW(lora.parameter_groups(vit, 1e-2))
    F.cross_entropy(vit(images).logits, LABELS).backward()
    optimizer.step()
    assert all(torch.equal(p, frozen[name]) for name, p in vit.named_parameters() if name in frozen)
    assert all(layer.lora_B.abs().max() > 0 for layer in lora.adapted_layers(vit).values())


def test_lora_plus_lets_B_learn_sixteen_times_faster_and_the_head_at_its_own_rate(vit):
    lora.inject(vit, lora.TARGETS["query_value"], RANK, variant="lora_plus")
    lora.mark_only_adapters_as_trainable(vit, also=[vit.classifier])
    groups = lora.parameter_groups(vit, 1e-4, head_learning_rate=1e-2)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rate) == sum(p.requires_grad for p in vit.parameters())
    for layer in lora.adapted_layers(vit).values():
        assert rate[id(layer.lora_A)] == 1e-4
        assert rate[id(layer.lora_B)] == pytest.approx(16e-4)
    assert rate[id(vit.classifier.weight)] == 1e-2


# --- spectra -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("out_features", "in_features", "rank"), [(30, 20, 4), (20, 30, 4), (6, 5, 5)])
def test_spectrum_without_forming_BA_is_the_dense_one(out_features, in_features, rank):
    generator = torch.Generator().manual_seed(0)
    B = torch.randn(out_features, rank, dtype=torch.float64, generator=generator)
    A = torch.randn(rank, in_features, dtype=torch.float64, generator=generator)
    dense = np.linalg.svd(2.5 * B.numpy() @ A.numpy(), compute_uv=False)[:rank]
    np.testing.assert_allclose(lora.spectrum(B, A, 2.5).numpy(), dense, rtol=1e-12)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_extracting_leaves_the_error_of_eckart_and_young(rank):
    delta = torch.randn(12, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    B, A = lora.extract(delta, rank)
    assert B.shape == (12, rank)
    assert A.shape == (rank, 8)
    beyond = np.linalg.svd(delta.numpy(), compute_uv=False)[rank:]
    assert torch.linalg.norm(delta - B @ A).item() == pytest.approx(math.sqrt((beyond**2).sum()), abs=1e-12)
