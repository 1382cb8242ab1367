"""A lane of a run, ready to answer."""

from __future__ import annotations

import copy
import functools
import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from lora_demo import adapters, backbones, lora
from lora_demo.class_token import only_class_token
from lora_demo.classify.dials import MAX_SCALE, Dial, Dialled
from lora_demo.errors import LabError
from lora_demo.records import Record

BATCH = 50  # images in a forward pass: larger ones leave the cache
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

    @functools.cached_property
    def dialled(self) -> Dialled:
        """The same model with sliders; raises `DialError` where the lane has no adapter."""
        return Dialled(self.model)

    @functools.cached_property
    def base(self) -> nn.Module:
        """The frozen backbone under this lane's head, made without the adapter; weights are shared."""
        memo = {id(p): p for p in (*self.backbone.model.parameters(), *self.model.classifier.parameters())}
        model = copy.deepcopy(self.backbone.model, memo)
        model.classifier = copy.deepcopy(self.model.classifier, memo)
        return model.eval()

    def difference_at_zero(self, pixels: Tensor) -> float:
        """The largest difference between `base`'s logits for [n, 3, h, w] and those with the scale's slider at 0: it is 0."""
        with torch.inference_mode():
            base = self.base(pixel_values=pixels).logits
        return (self.dialled.logits(pixels, [Dial(0.0)] * len(pixels)) - base).abs().max().item()

    def logits(self, pixels: Tensor, scale: float = 1.0) -> Tensor:
        """[n, 3, h, w] -> [n, classes], the adapter's change multiplied by `scale`.

        At 0 this is the frozen backbone under the run's head, bit for bit; lanes without an adapter have no scale.
        """
        layers = lora.adapted_layers(self.model).values()
        with self._lock, torch.inference_mode():
            for layer in layers:
                layer.strength = scale
            return self.model(pixel_values=pixels).logits

    @functools.cached_property
    def _quick(self) -> nn.Module:
        """The model as trained for many images: merged, the last layer for the class token alone; weights are shared."""
        model = copy.deepcopy(self.model, {id(p): p for p in self.model.parameters()})
        for layer in lora.adapted_layers(model).values():
            layer.strength = 1.0
        lora.merge(model)
        only_class_token(model)
        return model

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images [n, 3, h, w] uint8 -> features [n, width], what the head sees of each, and logits [n, classes].

        As trained; equal to `logits` up to rounding.
        """
        features = []
        with torch.inference_mode():
            for some in images.split(BATCH):
                features.append(self._quick.vit(pixel_values=self.backbone.pixels(some)).last_hidden_state[:, 0])
            return torch.cat(features), self.model.classifier(torch.cat(features))

    def probabilities(self, image: Image.Image, scale: float = 1.0, rank: int | None = None) -> dict[str, float]:
        """Softmax over the classes, most likely first; `rank` directions of the adapter kept, all of them without it."""
        pixels = seen(self.backbone, image)
        logits = self.logits(pixels, scale) if rank is None else self.dialled.logits(pixels, [Dial(scale, rank)])
        values = logits.softmax(-1)[0].tolist()
        return dict(sorted(zip(self.classes, values, strict=True), key=lambda item: -item[1]))


def load(record: Record, lane: str = "lora") -> Classifier:
    """The classifier of one lane of a run; kept for the next question. Raises `ClassifyError` where it was not kept."""
    return _load(record, lane, weights_id(record, lane))


def weights_id(record: Record, lane: str) -> str:
    """16 hexadecimal digits that change whenever the lane's weights do, as they do while a run is paused and goes on.

    Raises `ClassifyError` where the lane was not kept.
    """
    if lane not in record.lanes:
        raise ClassifyError(
            f"Run {record.name!r} kept no weights of its {lane} lane: it was stopped too early, or did not race."
        )
    file = {"lora": Path("adapter", adapters.WEIGHTS)}.get(lane, Path(f"{lane}.safetensors"))
    about = (record.folder / file).stat()
    return _digest(record.folder / file, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=100)
def _digest(path: Path, changed: int, size: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


@functools.lru_cache(maxsize=MODELS_KEPT)
def _load(record: Record, lane: str, weights: str) -> Classifier:
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
        raise ClassifyError(f"The scale must be a number from 0 to {MAX_SCALE:g}, not {scale!r}.")
    return float(scale)


def seen(backbone: backbones.Backbone, image: Image.Image) -> Tensor:
    """The image as the network sees it, [1, 3, h, w]: resized as the backbone's preprocessor_config.json says, normalised."""
    return backbone.pixels(torch.from_numpy(np.array(resized(backbone, image))).permute(2, 0, 1)[None])


def resized(backbone: backbones.Backbone, image: Image.Image) -> Image.Image:
    """The image in the backbone's size: squeezed, not cropped, as transformers' ViTImageProcessor does."""
    height, width = backbone.image_size
    return image.convert("RGB").resize((width, height), Image.Resampling[backbone.resampling.upper()])


def compare(
    record: Record, image: Image.Image, scale: float = 1.0, rank: int | None = None
) -> dict[str, dict[str, float]]:
    """Each kept lane's probabilities for the image; `scale` and `rank` are for LoRA's lane."""
    sliders = {"lora": (scale, rank)}
    return {lane: load(record, lane).probabilities(image, *sliders.get(lane, ())) for lane in record.lanes}
