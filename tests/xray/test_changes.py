import shutil

import pytest
import torch

from lora_demo import classify
from lora_demo.matrices import exact_rank, from_array
from lora_demo.records import Record
from lora_demo.settings import Settings
from lora_demo.xray.changes import Dense, Layer, LowRank, XRayError, read


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora", "pissa"])
@pytest.mark.parametrize("lane", ["lora", "full"])
def test_the_weights_are_those_of_the_lane_as_it_answers_bit_for_bit(trained, variant, lane):
    record = trained(variant=variant, targets="all_linear")
    model = classify.load(record, lane).model
    weights = read(record)
    found = weights.trained(lane)
    assert set(weights.layers) <= {name.removesuffix(".weight") for name in found}
    with torch.no_grad():
        for name, value in found.items():
            module = model.get_submodule(name.rpartition(".")[0])
            theirs = module.adapted_weight() if hasattr(module, "adapted_weight") else model.get_parameter(name)
            assert torch.equal(value, theirs), name


def test_low_rank_changes_stay_factors_and_others_are_dense(trained):
    kinds = {variant: type(next(iter(read(trained(variant=variant)).lane("lora").changes.values())))
             for variant in ("lora", "rslora", "pissa", "dora")}  # fmt: skip
    assert kinds == {"lora": LowRank, "rslora": LowRank, "pissa": LowRank, "dora": Dense}


def test_every_layer_has_its_depth_and_kind(record):
    layers = read(record).layers
    assert layers["vit.layers.1.mlp.fc2"] == Layer("vit.layers.1.mlp.fc2", 1, "fc2")
    assert layers["vit.layers.0.attention.v_proj"].label == "value, layer 0"
    assert len(layers) == 12
    assert list(read(record).lane("lora").changes) == [
        n for n, found in layers.items() if found.kind in ("query", "value")
    ]


def test_a_cut_change_is_the_nearest_of_its_rank_and_the_rest_stays_as_trained(record):
    weights, name = read(record), "vit.layers.0.mlp.fc1.weight"
    change = weights.lane("full").changes["vit.layers.0.mlp.fc1"].dense()
    U, S, Vh = torch.linalg.svd(change.double(), full_matrices=False)
    expected = weights.frozen("vit.layers.0.mlp.fc1") + (U[:, :2] * S[:2]) @ Vh[:2]
    assert torch.allclose(weights.trained("full", 2)[name].double(), expected, atol=1e-6)
    whole, cut = weights.trained("full"), weights.trained("full", 0)
    assert torch.equal(cut[name], weights.frozen("vit.layers.0.mlp.fc1"))
    for kept in ("classifier.weight", "vit.layers.0.mlp.fc1.bias", "vit.layernorm.weight"):
        assert torch.equal(cut[kept], whole[kept])


def test_a_product_of_factors_keeps_its_rank_exactly_in_doubles(record):
    lora, full = (read(record).lane(lane).changes["vit.layers.0.attention.q_proj"] for lane in ("lora", "full"))
    doubles = lora.in_doubles()
    assert exact_rank(from_array(doubles.numpy())).rank == 2
    assert torch.allclose(doubles.float(), lora.dense(), rtol=0, atol=1e-6 * float(lora.dense().abs().max()))
    assert full.in_doubles().equal(full.matrix.double())


def test_one_layer_can_be_cut_alone(record):
    weights, layer = read(record), "vit.layers.1.attention.q_proj"
    whole, cut = weights.trained("lora"), weights.trained("lora", 0, layer)
    differing = [name for name in whole if not torch.equal(whole[name], cut[name])]
    assert differing == [f"{layer}.weight"]


def test_adapters_of_further_seeds_are_read_where_they_are(record):
    assert read(record).seeds == {}
    shutil.copytree(record.folder / "adapter", record.folder / "seeds" / "7" / "adapter")
    seeds = read(record).seeds
    assert list(seeds) == [7]
    assert seeds[7].changes.keys() == read(record).lane("lora").changes.keys()


def test_what_is_not_there_is_refused_in_a_sentence(record, tiny_settings, tmp_path):
    empty = Record(tmp_path / "empty")
    empty.create(Settings.parse(tiny_settings))
    with pytest.raises(XRayError, match="kept no weights"):
        read(empty)
    with pytest.raises(XRayError, match=r"no linear layer 'vit\.nowhere'"):
        read(record).frozen("vit.nowhere")
    with pytest.raises(XRayError, match="it kept head, lora, full"):
        read(record).lane("half")
