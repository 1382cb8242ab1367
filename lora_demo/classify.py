"""What a trained adapter, and the lanes it raced against, say about an image. Answers are computed in fp32."""

from __future__ import annotations

import copy
import functools
import threading
from dataclasses import dataclass, field

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from lora_demo import adapters, backbones, lora
from lora_demo.errors import LabError
from lora_demo.records import Record

MAX_SCALE = 2
MODELS_KEPT = 6  # of about 11 MB each with the bundled backbone


class ClassifyError(LabError):
    """A run has no weights to classify with, or a strength makes no sense."""


@dataclass
class Classifier:
    """A lane of a run, ready to answer: its model in fp32, its class names, and how its backbone wants images."""

    backbone: backbones.Backbone
    model: nn.Module
    classes: list[str]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def logits(self, pixels: Tensor, scale: float = 1.0) -> Tensor:
        """[n, 3, h, w] -> [n, classes], the adapter's change multiplied by `scale`.

        At 0 this is the frozen backbone under the run's head, bit for bit; lanes without an adapter have no scale.
        """
        layers = lora.adapted_layers(self.model).values()
        with self._lock, torch.inference_mode():
            for layer in layers:
                layer.strength = scale
            return self.model(pixel_values=pixels).logits

    def probabilities(self, image: Image.Image, scale: float = 1.0) -> dict[str, float]:
        """Softmax over the classes, most likely first."""
        values = self.logits(seen(self.backbone, image), scale).softmax(-1)[0].tolist()
        return dict(sorted(zip(self.classes, values, strict=True), key=lambda item: -item[1]))


def load(record: Record, lane: str = "lora") -> Classifier:
    """The classifier of one lane of a run; kept for the next question. Raises `ClassifyError` where it was not kept."""
    if lane not in record.lanes:
        raise ClassifyError(
            f"Run {record.name!r} kept no weights of its {lane} lane: it was stopped too early, or did not race."
        )
    return _load(record, lane)


@functools.lru_cache(maxsize=MODELS_KEPT)
def _load(record: Record, lane: str) -> Classifier:
    backbone = _backbone(record.settings.backbone)
    model = copy.deepcopy(backbone.model)
    if lane == "lora":
        adapter = adapters.load(record.folder / "adapter")
        adapters.apply(adapter, model)
        return Classifier(backbone, model.eval(), adapter.classes)
    classes = next(event.classes for event in record.events() if event.kind == "prepared")
    change = safetensors.torch.load_file(record.folder / f"{lane}.safetensors")
    model.classifier = nn.Linear(model.classifier.in_features, len(classes))
    start = {name: value if not name.startswith("classifier.") else 0 for name, value in model.state_dict().items()}
    model.load_state_dict({name: value + change[name] if name in change else value for name, value in start.items()})
    return Classifier(backbone, model.eval(), list(classes))


@functools.lru_cache(maxsize=2)
def _backbone(name: str) -> backbones.Backbone:
    return backbones.load(name)


def checked_scale(scale: float | None) -> float:
    """A strength in [0, 2]; None means 1, as trained. Raises `ClassifyError` for anything else."""
    if scale is None:
        return 1.0
    if not isinstance(scale, int | float) or not 0 <= scale <= MAX_SCALE:
        raise ClassifyError(f"The scale must be a number from 0 to {MAX_SCALE}, not {scale!r}.")
    return float(scale)


def seen(backbone: backbones.Backbone, image: Image.Image) -> Tensor:
    """The image as the network sees it, [1, 3, h, w]: resized as the backbone's preprocessor_config.json says, normalised."""
    return backbone.pixels(torch.from_numpy(np.array(resized(backbone, image))).permute(2, 0, 1)[None])


def resized(backbone: backbones.Backbone, image: Image.Image) -> Image.Image:
    """The image in the backbone's size: squeezed, not cropped, as transformers' ViTImageProcessor does."""
    height, width = backbone.image_size
    return image.convert("RGB").resize((width, height), Image.Resampling[backbone.resampling.upper()])


def compare(record: Record, image: Image.Image, scale: float = 1.0) -> dict[str, dict[str, float]]:
    """Each kept lane's probabilities for the image; `scale` is for LoRA's lane."""
    return {lane: load(record, lane).probabilities(image, scale) for lane in record.lanes}
