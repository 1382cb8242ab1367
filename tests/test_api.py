"""The named endpoints, through the client a program would use."""

import zipfile

import numpy as np
import pytest
import safetensors.numpy
from gradio_client import Client, handle_file
from PIL import Image

from lora_demo.ui.page import FRONT

IMAGES = FRONT.parent / "examples"
ADAPTERS = {"/adapters", "/import_adapter", "/export_adapter"}


@pytest.fixture
def client(app_url):
    return Client(app_url, verbose=False)


def train(client, settings: dict) -> list[dict]:
    job = client.submit(settings, api_name="/train")
    events = list(job)
    job.result()  # raises what went wrong
    return events


def test_only_the_documented_endpoints_are_named(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    others = {"/analyze_matrix", "/low_rank", "/compress_image", "/train", "/classify", "/xray", "/truncate"}
    assert others | ADAPTERS == named.keys()


@pytest.mark.parametrize(
    ("text", "rank"), [("1 2 3\n4 5 6\n5 7 9", 2), ("1 2 3\n4 0 6\n7 8 9", 3), ("2 4\n1 2\n3 6", 1), ("0 0\n0 0", 0)]
)
def test_a_matrix_is_analysed(client, text, rank):
    answer = client.predict(matrix=text, tolerance=None, api_name="/analyze_matrix")
    assert answer["rank"] == answer["exact_rank"] == rank
    assert len(answer["singular_values"]) == min(answer["shape"])


def test_a_tolerance_decides_the_numerical_rank(client):
    assert client.predict("1 0\n0 0.001", 0.01, api_name="/analyze_matrix")["rank"] == 1
    assert client.predict("1 0\n0 0.001", api_name="/analyze_matrix")["rank"] == 2


@pytest.mark.parametrize(("text", "words"), [("1 2\n3", "[Rr]ow 2"), ("", "."), ("1 x\n2 3", "x")])
def test_a_bad_matrix_gets_a_sentence(client, text, words):
    with pytest.raises(Exception, match=words) as caught:
        client.predict(text, None, api_name="/analyze_matrix")
    assert "Traceback" not in str(caught.value)


def test_a_low_rank_approximation_is_the_best_there_is(client):
    answer = client.predict("1 2 3\n4 5 6\n5 7 9", 1, api_name="/low_rank")
    A = np.array([[1, 2, 3], [4, 5, 6], [5, 7, 9.0]])
    s = np.linalg.svd(A, compute_uv=False)
    kept = np.array(answer["approximation"])
    assert np.allclose(np.array(answer["Y"]) @ np.array(answer["Z"]).T, kept)
    assert np.isclose(answer["spectral_error"], s[1])
    assert np.isclose(np.linalg.norm(A - kept), answer["frobenius_error"])


@pytest.mark.parametrize("k", [4, -1, 1.5])
def test_a_rank_that_is_not_possible_gets_a_sentence(client, k):
    with pytest.raises(Exception, match=r"[Rr]ank|whole number"):
        client.predict("1 2 3\n4 5 6\n5 7 9", k, api_name="/low_rank")


def test_a_photo_is_compressed(client, tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_mandelbrot((120, 90), (-2, -1, 1, 1), 50).save(path)
    picture, figures = client.predict(handle_file(path), 5, api_name="/compress_image")
    kept, original = (np.asarray(Image.open(p).convert("L"), dtype=float) for p in (picture, path))
    assert figures["stored"] == 5 * (120 + 90)
    assert figures["original"] == 120 * 90
    assert np.isclose(figures["psnr"], 10 * np.log10(255**2 / np.mean((kept - original) ** 2)), atol=0.01)


def test_a_run_streams_its_events_and_its_adapter_classifies(client, tiny_settings):
    before = client.predict(handle_file(IMAGES / "ship.png"), None, 1, api_name="/classify")
    assert before["adapter"] == "reference"
    assert before["label"] in before["probabilities"]

    events = train(client, tiny_settings)
    kinds = [event["kind"] for event in events]
    assert kinds.count("step") == 4
    finished = events[-1]
    assert finished["kind"] == "finished"
    assert not finished["stopped"]
    for lane in ("head", "lora", "full"):
        figures = finished["lanes"][lane]
        assert 0 <= figures["accuracy"] <= 1
        assert {"loss", "seconds", "images_per_second", "trainable_parameters", "checkpoint_bytes"} <= figures.keys()

    mine = client.predict(handle_file(IMAGES / "ship.png"), None, 1, api_name="/classify")
    assert mine["adapter"] == finished["run_id"]
    assert set(mine["probabilities"]) == {"dark", "bright"}
    named = client.predict(handle_file(IMAGES / "ship.png"), "reference", 1, api_name="/classify")
    assert named["probabilities"] == before["probabilities"]


def test_another_client_starts_with_the_bundled_adapter(app_url, client, tiny_settings):
    train(client, {**tiny_settings, "steps": 1})
    stranger = Client(app_url, verbose=False)
    assert stranger.predict(handle_file(IMAGES / "cat.png"), None, 1, api_name="/classify")["adapter"] == "reference"


def test_the_strength_moves_the_answer_from_the_frozen_backbones(client):
    frozen, trained = (
        client.predict(handle_file(IMAGES / "cat.png"), "reference", scale, api_name="/classify") for scale in (0, 1)
    )
    assert frozen["probabilities"] != trained["probabilities"]


@pytest.mark.parametrize("settings", [{"steps": 0}, {"steps": 1_000_000}, {"rnak": 8}, {"targets": "all"}])
def test_a_bad_setting_is_named(client, settings):
    with pytest.raises(Exception, match=next(iter(settings))):
        train(client, settings)


@pytest.mark.parametrize(
    ("image", "adapter", "scale", "words"),
    [
        ("ship.png", "../../etc", 1, "no run"),
        ("ship.png", "reference", 3, "scale"),
        ("broken.png", None, 1, "not an image"),
    ],
)
def test_a_bad_question_gets_a_sentence(client, tmp_path, image, adapter, scale, words):
    path = IMAGES / image
    if not path.exists():
        path = tmp_path / image
        path.write_bytes(b"no picture at all")
    with pytest.raises(Exception, match=words) as caught:
        client.predict(handle_file(path), adapter, scale, api_name="/classify")
    assert "/" not in str(caught.value).replace("../../etc", "")


def ask(client, *values, image="ship.png"):
    return client.predict(handle_file(IMAGES / image), *values, api_name="/classify")


def test_lanes_and_rank_are_optional_and_leave_the_answer_as_it_was(client):
    plain, whole = ask(client, "reference", 1), ask(client, "reference", 1, None, True)
    assert plain.keys() == {"label", "probabilities", "adapter", "scale"}
    lanes = whole.pop("lanes")
    assert whole == plain
    assert lanes.keys() == {"head", "lora", "full"}
    assert lanes["lora"]["probabilities"] == plain["probabilities"]
    for lane in lanes.values():
        assert lane.keys() == {"label", "probabilities", "calibrated"}
        assert sum(lane["probabilities"].values()) == pytest.approx(1)
        assert sum(lane["calibrated"].values()) == pytest.approx(1)
        assert lane["label"] == max(lane["calibrated"], key=lane["calibrated"].get)
    assert ask(client, "reference", 1, 0)["probabilities"] == pytest.approx(
        ask(client, "reference", 0)["probabilities"], abs=1e-5
    )
    assert ask(client, "reference", 1, 2)["probabilities"] != plain["probabilities"]


@pytest.mark.parametrize("rank", [-1, 1.5])
def test_a_rank_that_cannot_be_kept_gets_a_sentence(client, rank):
    with pytest.raises(Exception, match="rank kept"):
        ask(client, "reference", 1, rank)


def test_an_adapter_goes_out_and_comes_back_as_the_same(client):
    path = client.predict("reference", api_name="/export_adapter")
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= set(zipfile.ZipFile(path).namelist())
    brought = client.predict(handle_file(path), api_name="/import_adapter")
    mine = ask(client, brought["name"], 1, None, True)
    assert mine["probabilities"] == ask(client, "reference", 1)["probabilities"]
    assert mine["lanes"]["lora"]["calibrated"] is None
    listed = {one["id"]: one for one in client.predict(api_name="/adapters")}
    assert list(listed) == [brought["name"], "reference"]
    assert listed["reference"]["kind"] == "bundled"
    again = client.predict(brought["name"], api_name="/export_adapter")
    first, second = (
        safetensors.numpy.load(zipfile.ZipFile(file).read("adapter_model.safetensors")) for file in (path, again)
    )
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_classes_are_asked_for_where_nothing_names_them(client, tmp_path):
    path = client.predict("reference", api_name="/export_adapter")
    nameless = tmp_path / "nameless.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(nameless, "w") as new:
        tensors = safetensors.numpy.load(old.read("adapter_model.safetensors"))
        new.writestr("adapter_model.safetensors", safetensors.numpy.save(tensors))
        new.writestr("adapter_config.json", old.read("adapter_config.json"))
    with pytest.raises(Exception, match="10 classes apart"):
        client.predict(handle_file(nameless), api_name="/import_adapter")
    names = [f"thing {i}" for i in range(10)]
    brought = client.predict(handle_file(nameless), names, api_name="/import_adapter")
    assert set(ask(client, brought["name"], 1)["probabilities"]) == set(names)


def test_nobody_elses_adapter_is_listed_used_or_taken(app_url, client, tiny_settings):
    run = train(client, {**tiny_settings, "steps": 1})[-1]["run_id"]
    path = client.predict(run, api_name="/export_adapter")
    stranger = Client(app_url, verbose=False)
    brought = client.predict(
        handle_file(client.predict("reference", api_name="/export_adapter")), api_name="/import_adapter"
    )["name"]
    assert path.endswith(".zip")
    assert [one["id"] for one in client.predict(api_name="/adapters")] == [run, brought, "reference"]
    assert [one["id"] for one in stranger.predict(api_name="/adapters")] == ["reference"]
    for name in (run, brought):
        with pytest.raises(Exception, match="no run"):
            stranger.predict(name, api_name="/export_adapter")
        with pytest.raises(Exception, match="no run"):
            ask(stranger, name, 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.zip", b"PK nothing", "no zip"),
        ("a.safetensors", b"\0" * 7, "cut short"),
        ("a.bin", b"\x80\x04", "pickle"),
        ("a.txt", b"hello", "neither"),
    ],
)
def test_a_file_that_is_no_adapter_gets_a_sentence(client, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match=words) as caught:
        client.predict(handle_file(tmp_path / name), api_name="/import_adapter")
    assert str(tmp_path) not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_what_training_changed_is_told_layer_by_layer(client):
    answer = client.predict("reference", api_name="/xray")
    assert answer["lanes"] == ["lora", "full"]
    layers = {layer["name"]: layer for layer in answer["layers"]}
    assert len(layers) == 36
    query, fc1 = (layers[f"vit.layers.3.{name}"] for name in ("attention.q_proj", "mlp.fc1"))
    assert (len(query["lora"]), len(query["full"]), fc1["lora"]) == (8, 192, [])
    energy = np.cumsum(np.array(query["full"]) ** 2)
    assert query["rank_90"]["full"] == np.searchsorted(energy, 0.9 * energy[-1]) + 1
    assert len(query["overlap"]["lora, full"]["phi"]) == 8
    assert query["intruders"].keys() == {"lora", "full"}


def test_a_run_is_asked_again_with_its_changes_cut(client):
    accuracy = client.predict("reference", 4, api_name="/truncate")["accuracy"]
    assert accuracy.keys() == {"lora", "full"}
    assert all(0.5 < value < 1 for value in accuracy.values())


@pytest.mark.parametrize(
    ("run", "k", "words"), [("nobody", 4, "nobody"), ("reference", -1, "-1"), ("reference", 1.5, "1.5")]
)
def test_what_cannot_be_cut_gets_a_sentence(client, run, k, words):
    with pytest.raises(Exception, match=words) as caught:
        client.predict(run, k, api_name="/truncate")
    assert "Traceback" not in str(caught.value)
