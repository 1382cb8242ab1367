"""Adapters to test with: trained here, or by PEFT."""

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from peft import LoraConfig, get_peft_model

from lora_demo import adapters, backbones, lora
from lora_demo.adapters import folder

CLASSES = ["dark", "bright", "other"]


@pytest.fixture(scope="session")
def backbone(tiny_backbone) -> backbones.Backbone:
    return backbones.load(tiny_backbone)


@pytest.fixture(scope="session")
def pixels(backbone) -> torch.Tensor:
    return torch.randn(4, 3, *backbone.image_size, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="session")
def logits() -> Callable:
    """model, pixels -> logits."""

    def answer(model, pixels):
        with torch.inference_mode():
            return model.eval()(pixel_values=pixels).logits

    return answer


@pytest.fixture(scope="session")
def trained() -> Callable:
    """backbone -> a model with an adapter whose every number is random, as if it had been trained."""

    def train(backbone, variant="lora", targets="query_value", alpha=6):
        model = copy.deepcopy(backbone.model)
        model.classifier = backbone.new_head(CLASSES, torch.Generator().manual_seed(5))
        lora.inject(model, lora.TARGETS[targets], 4, alpha, variant=variant, generator=torch.Generator().manual_seed(1))
        _disturb(p for layer in lora.adapted_layers(model).values() for p in layer.adapter_parameters())
        return model.eval()

    return train


@pytest.fixture
def peft_trained(backbone, tmp_path) -> Callable:
    """LoraConfig's arguments -> (PEFT's model, as if trained, and the folder it saved); `before` sees the model untrained."""

    def train(before=lambda model: None, **options):
        base = copy.deepcopy(backbone.model)
        base.classifier = backbone.new_head(CLASSES, torch.Generator().manual_seed(5))
        base.name_or_path = backbone.name
        torch.manual_seed(1)
        options = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"], **options}
        model = get_peft_model(base, LoraConfig(**{"modules_to_save": ["classifier"], **options}))
        before(model)
        _disturb(p for p in model.parameters() if p.requires_grad)
        model.save_pretrained(tmp_path / "peft")
        (tmp_path / "peft" / adapters.CLASSES).write_text(json.dumps({"id2label": dict(enumerate(CLASSES))}))
        return model.eval(), tmp_path / "peft"

    return train


@pytest.fixture
def zipped(tmp_path) -> Callable:
    """folder -> a zip with the files in it."""

    def pack(folder: Path, inside: str = "") -> Path:
        path = tmp_path / "adapter.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, inside + str(file.relative_to(folder)))
        return path

    return pack


@pytest.fixture
def rewritten() -> Callable:
    """Change a PEFT folder: `config` is merged into its configuration, `tensors` makes new tensors of the old."""

    def change(folder: Path, config=None, tensors=lambda old: old) -> None:
        path = folder / adapters.CONFIG
        path.write_text(json.dumps(json.loads(path.read_text()) | (config or {})))
        old = safetensors.torch.load_file(folder / adapters.WEIGHTS)
        safetensors.torch.save_file(tensors(old), folder / adapters.WEIGHTS, metadata={"format": "pt"})

    return change


@pytest.fixture(scope="session")
def good(backbone, trained) -> dict[str, bytes]:
    """The files of a sound adapter; its weights do not repeat its configuration, so that what is beside them counts."""
    files = folder.files(adapters.from_model(trained(backbone), backbone.name, CLASSES))
    return files | {adapters.WEIGHTS: safetensors.torch.save(safetensors.torch.load(files[adapters.WEIGHTS]))}


@pytest.fixture
def packed(tmp_path) -> Callable:
    """The files of an adapter, by name -> a zip of them."""

    def pack(files, method=zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / "packed.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return pack


@pytest.fixture
def refused(backbone) -> Callable:
    """path, words -> the file is refused in one sentence with these words and without a path of this machine."""

    def check(path, words) -> None:
        with pytest.raises(adapters.AdapterError, match=words) as caught:
            adapters.read_file(path, backbone)
        sentence = str(caught.value)
        assert str(path.parent) not in sentence
        assert len(sentence) < 400
        assert sentence.isprintable()  # no line break, no terminal's control sign

    return check


def _disturb(parameters) -> None:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in parameters:
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
