"""A lane as a whole model of transformers: the adapter merged into the weights, the head and its class names with it."""

from __future__ import annotations

import copy
import json
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import nn
from transformers.models.vit import ViTForImageClassification

from lora_demo import backbones, classify, lora
from lora_demo.records import Record


def merged_model(classifier: classify.Classifier) -> ViTForImageClassification:
    """A copy of the classifier's model in plain linear layers: W = W_merged as trained, whatever the sliders say.

    It is written in fp32; logits differ from the adapted model's by rounding alone.
    """
    model = copy.deepcopy(classifier.model)
    for name, layer in lora.adapted_layers(model).items():
        layer.strength = 1.0
        weight = layer.adapted_weight().detach()
        linear = layer.to_linear()
        linear.weight = nn.Parameter(weight)
        model.set_submodule(name, linear)
    model.requires_grad_(True)
    model.config.num_labels = len(classifier.classes)  # before the names, which it would number anew
    model.config.id2label = dict(enumerate(classifier.classes))
    model.config.label2id = {name: i for i, name in enumerate(classifier.classes)}
    model.config.name_or_path = ""  # where the backbone lay on this machine is nobody's business
    model.config.dtype = torch.float32
    return model.eval()


def preprocessor_config(backbone: backbones.Backbone) -> dict:
    """How the backbone wants its images, as transformers' ViTImageProcessor reads it."""
    height, width = backbone.image_size
    resample = next(number for number, name in backbones.RESAMPLING.items() if name == backbone.resampling)
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": resample,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(backbone.mean),
        "image_std": list(backbone.std),
    }


def merged_zip(record: Record, path: Path, lane: str = "lora") -> Path:
    """Write one lane of `record` as a transformers folder into a zip at `path`; returns `path`.

    `ViTForImageClassification.from_pretrained` and `AutoImageProcessor.from_pretrained` read it once it is unpacked. Raises
    `ClassifyError` where the lane was not kept.
    """
    classifier = classify.load(record, lane)
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(path, "w") as archive:
        folder = Path(name)
        merged_model(classifier).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_config(classifier.backbone), indent=2))
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path
