"""What all tests share: no network, runs in a folder of their own, a quiet number of threads."""

import os
import tempfile

# Before anything imports the project: its settings are read from the environment once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["LORA_LAB_RUNS"] = tempfile.mkdtemp(prefix="lora-lab-runs-")

import asyncio
import json
import pickle
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)  # small tensors: a second thread only waits


@pytest.fixture(scope="session")
def run_async():
    """Runs a coroutine to its end in a thread of its own: Playwright's event loop holds the main thread.

    A test whose time is up does not wait for it.
    """

    def run(coroutine):
        found = Future()

        def work() -> None:
            try:
                found.set_result(asyncio.run(coroutine))
            except BaseException as error:  # pytest's own outcomes too; raised again in the test
                found.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        return found.result()

    return run


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> str:
    """A folder with a random ViT of transformers: 2 layers, width 32, 32 x 32 pixels, its own 3 classes."""
    from transformers import ViTConfig, ViTForImageClassification

    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = ViTConfig(**shape, image_size=32, patch_size=8, num_labels=3)
    ViTForImageClassification(config).save_pretrained(folder)
    processor = {
        "size": {"height": 32, "width": 32},
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.4],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return str(folder)


@pytest.fixture(scope="session")
def tiny_cifar(tmp_path_factory) -> str:
    """A folder in the layout of torchvision's CIFAR-10: 60 training and 20 test images in two classes, dark and bright."""
    folder = tmp_path_factory.mktemp("data")
    batches = folder / "cifar-10-batches-py"
    batches.mkdir()
    rng = np.random.default_rng(0)

    def write(name: str, count: int) -> None:
        labels = [i % 2 for i in range(count)]
        brightness = np.array(labels)[:, None] * 120 + 40
        data = (brightness + rng.integers(0, 40, (count, 3072))).astype(np.uint8)
        (batches / name).write_bytes(pickle.dumps({"data": data, "labels": labels}))

    write("data_batch_1", 40)
    write("data_batch_2", 20)
    write("test_batch", 20)
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": ["dark", "bright"]}))
    return str(folder)


@pytest.fixture
def tiny_settings(tiny_backbone: str, tiny_cifar: str) -> dict:
    """Settings of a run that takes a second."""
    small = {"steps": 4, "batch_size": 8, "rank": 2, "evaluate_every": 2, "dtype": "float32"}
    return {"backbone": tiny_backbone, "data": tiny_cifar, **small}


@pytest.fixture
def run_race():
    """Runs a race in this process to its end: `run_race(values, **options) -> (race, events)`."""
    from lora_demo.settings import Settings
    from lora_demo.training import Race

    def run(values: dict, **options) -> tuple:
        race = Race(Settings.parse(values), **options)
        return race, list(race.run())

    return run


@pytest.fixture(scope="session")
def sheets() -> Path:
    """Where the bundled CIFAR-10 sheets are."""
    return ROOT / "assets" / "cifar10"


@pytest.fixture(scope="session")
def app_url(tmp_path_factory) -> str:
    """The address of the app, started as a person starts it and ended with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log"
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "LORA_LAB_RUNS": str(log.parent / "runs")}
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, f"the app ended: {log.read_text()}"
                assert time.monotonic() < deadline, f"the app did not come up: {log.read_text()}"
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()
