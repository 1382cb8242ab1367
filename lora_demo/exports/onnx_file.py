"""A lane as one ONNX file, for a runtime without Python, torch or transformers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from lora_demo import classify
from lora_demo.exports.merged import merged_model
from lora_demo.records import Record

OPSET = 17


class _Logits(nn.Module):
    """A model's logits as a plain tensor."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.model(pixel_values=pixel_values).logits


def onnx_file(record: Record, path: Path, lane: str = "lora") -> Path:
    """Write one lane of `record`, merged, as ONNX to `path`; returns `path`.

    Input `pixel_values` [n, 3, h, w] fp32, resized and normalised as the metadata says; output `logits` [n, classes]. The
    metadata holds `labels` (a JSON list), `image_size` (height, width), `mean`, `std` and `resampling`. Raises `ClassifyError`
    where the lane was not kept.

    torch's exporter by tracing takes 0.6 s for the bundled backbone and needs nothing but torch; the newer one (`dynamo=True`)
    takes 8 s and needs onnxscript, for the same logits.
    """
    classifier = classify.load(record, lane)
    backbone, model = classifier.backbone, merged_model(classifier)
    model.set_attn_implementation("eager")  # plain products, which every runtime has
    dynamic = {"pixel_values": {0: "n"}, "logits": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of checks of the input's shape, which is fixed here
        torch.onnx.export(
            _Logits(model), (torch.zeros(2, 3, *backbone.image_size),), path, dynamo=False, opset_version=OPSET,
            input_names=["pixel_values"], output_names=["logits"], dynamic_axes=dynamic,
        )  # fmt: skip
    written = onnx.load(path)
    about = {
        "labels": classifier.classes,
        "image_size": backbone.image_size,
        "mean": backbone.mean,
        "std": backbone.std,
        "resampling": backbone.resampling,
    }
    onnx.helper.set_model_props(written, {name: json.dumps(value) for name, value in about.items()})
    onnx.save(written, path)
    return path
