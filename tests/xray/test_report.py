import json
import shutil

import numpy as np
import pytest

from lora_demo import classify, records
from lora_demo.xray import report
from lora_demo.xray.changes import XRayError, read
from lora_demo.xray.subspaces import overlap


@pytest.fixture
def rewritten(record, tmp_path):
    """A copy of the record with its full lane's file changed by a function of its tensors."""

    def copy(change, lane="full"):
        import safetensors.torch

        folder = tmp_path / "copy"
        shutil.copytree(record.folder, folder)
        file = folder / "full.safetensors" if lane == "full" else folder / "adapter" / "adapter_model.safetensors"
        safetensors.torch.save_file({n: change(n, v) for n, v in safetensors.torch.load_file(file).items()}, file)
        return records.Record(folder)

    return copy


def test_layers_come_one_by_one_in_the_models_order_with_what_changed_them(record):
    layers = list(report.examine(record))
    assert [found.layer.name for found in layers] == list(read(record).layers)
    assert {tuple(found.changes) for found in layers if found.layer.kind in ("query", "value")} == {("lora", "full")}
    assert {tuple(found.changes) for found in layers if found.layer.kind in ("key", "output", "fc1", "fc2")} == {
        ("full",)
    }


def test_spectra_are_those_of_the_differences_between_trained_and_frozen_weights(record):
    name = "vit.layers.1.attention.v_proj"
    found, W0 = report.examine_layer(record, name), read(record).frozen(name).numpy()
    np.testing.assert_allclose(found.frozen, np.linalg.svd(W0, compute_uv=False), rtol=1e-4, atol=1e-6)
    for lane in ("lora", "full"):
        module = classify.load(record, lane).model.get_submodule(name)
        trained = (module.adapted_weight() if lane == "lora" else module.weight).detach().numpy()
        values = np.linalg.svd(trained - W0, compute_uv=False)
        mine = found.changes[lane]
        np.testing.assert_allclose(mine.singular_values, values[: mine.rank], rtol=1e-3, atol=1e-6)
        assert mine.size == pytest.approx(np.linalg.norm(trained - W0) / np.linalg.norm(W0), rel=1e-3)


def test_the_overlap_of_lora_and_full_is_that_of_their_input_directions(record):
    name = "vit.layers.0.attention.q_proj"
    found, weights = report.examine_layer(record, name).overlap("lora", "full"), read(record)
    V1, V2 = (weights.lane(lane).changes[name].svd.Vh for lane in ("lora", "full"))
    strong = found.phi.shape[1]  # full's weakest direction may be no more than rounding
    assert strong in (31, 32)
    np.testing.assert_allclose(found.phi, overlap(V1, V2[:strong]))
    assert found.phi[-1, -1] > 0.9  # nearly every direction there is holds whatever LoRA uses


def test_a_run_shares_every_direction_with_itself_and_with_a_seed_that_is_a_copy(record):
    shutil.copytree(record.folder / "adapter", record.folder / "seeds" / "1" / "adapter")
    for found in report.xray(record, other=record).layers:
        if "lora" in found.changes:
            for label in ("lora, seed 1", f"lora, run {record.name}"):
                np.testing.assert_allclose(found.overlap("lora", label).diagonal, 1, atol=1e-5)


def test_an_untouched_weight_has_no_change_no_rank_and_no_directions(rewritten):
    untouched = rewritten(lambda name, value: value * 0)
    for found in report.examine(untouched):
        full = found.changes["full"]
        assert (full.rank_90, full.size, full.intruders.count, full.amplification) == (0, 0, 0, None)
        assert found.overlap("lora", "full") is None


def test_sizes_are_a_table_of_kinds_and_depths_with_gaps_where_nothing_changed(record):
    found = report.xray(record)
    assert found.kinds == ["query", "key", "value", "output", "fc1", "fc2"]
    lora, full = found.sizes("lora"), found.sizes("full")
    assert lora.shape == full.shape == (6, 2)
    assert np.isnan(lora).sum() == 8
    assert not np.isnan(full).any()
    assert lora[2, 1] == found.layer("vit.layers.1.attention.v_proj").changes["lora"].size


def test_the_answer_is_plain_json_with_what_the_api_promises(record):
    answer = json.loads(json.dumps(report.xray(record).as_dict()))
    layer = answer["layers"][0]
    assert {"name", "lora", "full", "rank_90", "overlap", "intruders"} <= layer.keys()
    assert len(layer["lora"]) == 2
    assert len(layer["full"]) == 32
    assert answer["layers"][1]["lora"] == []  # the key is not adapted
    assert layer["overlap"]["lora, full"]["random"] == [1 / 32, 2 / 32]
    assert answer["intruders"]["full"]["of"] == 120


def test_a_head_alone_changed_no_layer(trained):
    assert report.xray(trained(lanes=["head"])).layers == ()


def test_runs_on_other_backbones_and_unknown_layers_are_refused(record):
    with pytest.raises(XRayError, match="backbones differ"):
        report.xray(record, other=records.bundled()["reference"])
    with pytest.raises(XRayError, match="no linear layer"):
        report.examine_layer(record, "classifier")
    with pytest.raises(XRayError, match="no layer"):
        report.xray(record).layer("vit.nowhere")


def test_the_bundled_run_shows_a_change_of_low_rank_that_is_full_finetunings_own():
    name = "vit.layers.0.attention.q_proj"
    found = report.examine_layer(records.bundled()["reference"], name)
    assert found.changes["lora"].rank == 8
    assert found.changes["full"].rank_90 < 20 < len(found.frozen)
    shared = found.overlap("lora", "full")
    assert (shared.diagonal > 2 * np.diagonal(shared.random)).all()
