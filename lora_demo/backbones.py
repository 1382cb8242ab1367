"""Which backbones there are, and how each is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, logging
from transformers.models.vit import ViTForImageClassification

from lora_demo.errors import LabError

logging.disable_progress_bar()
logging.set_verbosity_error()  # a missing head is no news here: every lane gets a new one

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "backbone"
PROCESSOR_DEFAULTS = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # PIL's numbers, as preprocessor_config.json writes them


class BackboneError(LabError):
    """A backbone cannot be found or is no ViT we can adapt."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained ViT and how it wants its images.

    `model` is in fp32 with the head it came with; `image_size` in pixels (height, width); `mean` and `std` per channel.
    """

    name: str
    model: ViTForImageClassification
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resampling: str

    @property
    def tokens(self) -> int:
        """Tokens in a sequence: one a patch and the class token."""
        return self.model.vit.embeddings.position_embeddings.shape[1]

    def pixels(self, images: Tensor) -> Tensor:
        """Images as the network sees them: [n, 3, height, width] uint8 -> [n, 3, *image_size] fp32, resized and normalised."""
        images = images.float() / 255
        if tuple(images.shape[-2:]) != self.image_size:
            smooth = {"align_corners": False, "antialias": True} if self.resampling != "nearest" else {}
            images = F.interpolate(images, self.image_size, mode=self.resampling, **smooth)
        mean, std = (torch.tensor(v, device=images.device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (images.clamp(0, 1) - mean) / std

    def new_head(self, classes: list[str], generator: torch.Generator) -> nn.Linear:
        """A fresh head [classes, width]: N(0, 0.02²) as ViT's own, zero bias."""
        head = nn.Linear(self.model.config.hidden_size, len(classes))
        with torch.no_grad():
            head.weight.normal_(0, 0.02, generator=generator)
            head.bias.zero_()
        return head


def load(name: str = "bundled") -> Backbone:
    """The backbone called `name`: "bundled", a local folder, or a hub id of a transformers ViT.

    Weights are read from safetensors alone, never from pickle. Raises `BackboneError` where there is no such model, it is not a
    ViT, or its file does not hold every weight.
    """
    source = str(BUNDLED) if name == "bundled" else name
    try:
        kind = PretrainedConfig.get_config_dict(source)[0].get("model_type")
        if kind != "vit":
            raise BackboneError(f"Backbone {name!r} is of kind {kind!r}; only 'vit' can be adapted here.")
        # In float32 from the start: transformers sets the process's default format to the file's while it builds the model, and
        # what another thread builds meanwhile would come out in half precision.
        model, report = ViTForImageClassification.from_pretrained(
            source, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        processor, _ = PretrainedConfig.get_config_dict(source, _configuration_file="preprocessor_config.json")
    except OSError:
        raise BackboneError(
            f"There is no backbone {name!r}: it is no folder with a transformers ViT in safetensors, and no model of that "
            "name is in the local cache or could be fetched from the hub."
        ) from None
    absent = [key for key in report["missing_keys"] if not key.startswith("classifier.")]
    if absent:
        raise BackboneError(f"Backbone {name!r} lacks weights: {', '.join(sorted(absent)[:3])}.")
    processor = {**PROCESSOR_DEFAULTS, **processor}
    size = model.config.image_size
    return Backbone(
        name=name,
        model=model.eval(),
        image_size=(size, size) if isinstance(size, int) else tuple(size),
        mean=tuple(processor["image_mean"]),
        std=tuple(processor["image_std"]),
        resampling=RESAMPLING.get(processor["resample"], "bilinear"),
    )
