"""What PEFT trained answers here as it does there."""

import copy
import json

import pytest
import safetensors.torch
import torch
from peft import PeftModel

from lora_demo import adapters
from lora_demo.adapters import layer_names

CLASSES = ["dark", "bright", "other"]
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2"]
OLD = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}


@pytest.fixture
def imported_logits(backbone, pixels, logits, zipped):
    """folder -> the logits of its adapter, imported from a zip and applied to the backbone."""

    def answer(folder):
        adapter = adapters.read_file(zipped(folder), backbone)
        assert adapter.classes == CLASSES
        model = copy.deepcopy(backbone.model)
        adapters.apply(adapter, model)
        return logits(model, pixels)

    return answer


def old_names(folder, rewritten):
    """Rewrite a folder as PEFT on transformers 4 would have written it."""

    def rename(tensors):
        prefix = adapters.PREFIX
        return {prefix + layer_names.both_names(key.removeprefix(prefix))[1]: v for key, v in tensors.items()}

    targets = json.loads((folder / adapters.CONFIG).read_text())["target_modules"]
    rewritten(folder, {"target_modules": [OLD.get(name, name) for name in targets]}, rename)


@pytest.mark.parametrize("names", ["transformers 5", "transformers 4"])
@pytest.mark.parametrize("variant", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_an_adapter_of_pefts_gives_the_same_logits(
    peft_trained, imported_logits, logits, pixels, rewritten, names, variant
):
    model, folder = peft_trained(**variant)
    if names == "transformers 4":
        old_names(folder, rewritten)
        assert any("encoder.layer.0.attention.attention.query" in key for key in stored(folder))
    assert torch.allclose(imported_logits(folder), logits(model, pixels), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ALL_LINEAR},
        {"target_modules": r".*\.layers\.\d+\.mlp\.fc[12]"},
        {"target_modules": ["q_proj", "fc1"], "exclude_modules": ["layers.0.mlp.fc1"]},
        {"layers_to_transform": [1], "layers_pattern": "layers"},
        {"rank_pattern": {r"layers\.1\..*q_proj": 7}, "alpha_pattern": {"v_proj": 3}},
        {"rank_pattern": {"v_proj": 2}, "use_rslora": True},
        {"alpha_pattern": {"v_proj": 3}, "use_dora": True},
        {"use_rslora": True, "use_dora": True},
        {"init_lora_weights": "gaussian", "lora_dropout": 0.1, "task_type": "SEQ_CLS"},
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "pissa", "use_rslora": True},
        {"init_lora_weights": "pissa", "r": 20},  # twice as many directions as the layers of 32 have
    ],
    ids=str,
)
def test_every_setting_that_is_accepted_is_followed(peft_trained, imported_logits, logits, pixels, options):
    model, folder = peft_trained(**options)
    assert torch.allclose(imported_logits(folder), logits(model, pixels), atol=1e-5)


def test_all_linear_leaves_the_classifier_out(peft_trained, imported_logits, logits, pixels, rewritten):
    model, folder = peft_trained(target_modules=ALL_LINEAR)
    rewritten(folder, {"target_modules": "all-linear"})
    assert torch.allclose(imported_logits(folder), logits(model, pixels), atol=1e-5)


def test_a_raw_pissa_becomes_a_plain_lora_that_peft_reads_too(peft_trained, backbone, logits, pixels, zipped, tmp_path):
    model, folder = peft_trained(init_lora_weights="pissa")
    adapter = adapters.read_file(zipped(folder), backbone)
    assert (adapter.variant, adapter.rank) == ("lora", 8)
    adapters.save(adapter, tmp_path / "plain")
    base = copy.deepcopy(backbone.model)
    base.classifier = torch.nn.Linear(base.classifier.in_features, len(CLASSES))
    plain = PeftModel.from_pretrained(base, tmp_path / "plain")
    assert torch.allclose(logits(plain, pixels), logits(model, pixels), atol=1e-5)


@pytest.mark.parametrize("rslora", [False, True])
def test_pefts_own_conversion_of_pissa_is_read_once_it_has_its_head(
    peft_trained, imported_logits, logits, pixels, tmp_path, rewritten, rslora
):
    def keep_start(model):
        model.peft_config["default"].init_lora_weights = True
        model.save_pretrained(tmp_path / "start")
        model.peft_config["default"].init_lora_weights = "pissa"

    model, raw = peft_trained(before=keep_start, init_lora_weights="pissa", use_rslora=rslora)
    expected = logits(model, pixels)
    head = {key: value for key, value in stored(raw).items() if "classifier" in key}
    (tmp_path / "plain").mkdir()
    model.save_pretrained(tmp_path / "plain", path_initial_model_for_weight_conversion=str(tmp_path / "start"))
    (tmp_path / "plain" / adapters.CLASSES).write_bytes((raw / adapters.CLASSES).read_bytes())
    rewritten(tmp_path / "plain", tensors=lambda old: old | head)  # PEFT's conversion leaves the head out
    assert torch.allclose(imported_logits(tmp_path / "plain"), expected, atol=1e-5)


def test_a_file_written_here_travels_alone(backbone, trained, tmp_path):
    adapter = adapters.from_model(trained(backbone), backbone.name, CLASSES)
    adapters.save(adapter, tmp_path)
    alone = adapters.read_file(tmp_path / adapters.WEIGHTS, backbone)
    assert (alone.rank, alone.alpha, alone.classes) == (adapter.rank, adapter.alpha, adapter.classes)
    assert all(torch.equal(alone.tensors[key], value) for key, value in adapter.tensors.items())


def test_where_nothing_names_the_classes_their_number_is_told_and_names_are_taken(peft_trained, backbone, zipped):
    _, folder = peft_trained()
    (folder / adapters.CLASSES).unlink()
    with pytest.raises(adapters.ClassNamesMissing, match="3 classes") as caught:
        adapters.read_file(zipped(folder), backbone)
    assert caught.value.count == 3
    assert adapters.read_file(zipped(folder), backbone, ["a", "b", "c"]).classes == ["a", "b", "c"]


def test_names_are_offered_from_a_data_set_with_as_many_classes():
    assert adapters.class_name_offers(10)["CIFAR-10"][0] == "airplane"
    assert adapters.class_name_offers(3) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init_lora_weights": "olora"}, "init_lora_weights = 'olora'"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"bias": "all"}, "bias"),
        ({"lora_bias": True}, "lora_bias"),
        ({"modules_to_save": ["classifier", "layernorm"]}, "modules_to_save names 'layernorm'"),
        ({"modules_to_save": None}, "without its classifier"),
        ({"init_lora_weights": "pissa", "rank_pattern": {"v_proj": 2}}, "PiSSA together"),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_refused_by_its_name(peft_trained, backbone, zipped, options, words):
    _, folder = peft_trained(**options)
    with pytest.raises(adapters.AdapterError, match=words):
        adapters.read_file(zipped(folder), backbone)


def test_old_names_that_peft_would_silently_ignore_are_not_lost(
    peft_trained, backbone, rewritten, imported_logits, logits, pixels
):
    """PEFT loads old keys under new targets with B = 0; here either the numbers arrive or the file is refused."""
    model, folder = peft_trained()
    bare = copy.deepcopy(backbone.model)
    bare.classifier = copy.deepcopy(model.base_model.model.classifier.modules_to_save["default"])
    difference = (imported_logits(folder) - logits(bare, pixels)).abs().max()
    old_names(folder, rewritten)
    rewritten(folder, {"target_modules": ["q_proj", "v_proj"]})
    assert torch.allclose(imported_logits(folder), logits(model, pixels), atol=1e-5)
    assert difference > 1e-3


def stored(folder):
    return safetensors.torch.load_file(folder / adapters.WEIGHTS)
