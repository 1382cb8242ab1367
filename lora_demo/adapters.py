"""Adapter files in PEFT's format: written so that PEFT loads them, read so that nothing loads silently wrong.

A folder holds `adapter_config.json` and `adapter_model.safetensors`. The keys are PEFT's on transformers 5:
`base_model.model.vit.layers.0.attention.q_proj.lora_A.weight`, `...lora_B.weight`, for DoRA `...lora_magnitude_vector`, and the
head as `base_model.model.classifier.{weight,bias}`. Class names go into a `config.json` beside them (`id2label`).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from lora_demo import lora
from lora_demo.errors import LabError

PREFIX = "base_model.model."
CONFIG, WEIGHTS, CLASSES = "adapter_config.json", "adapter_model.safetensors", "config.json"


class AdapterError(LabError):
    """An adapter file is incomplete, does not fit the backbone, or is not what it says."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA of plain, rsLoRA or DoRA form and the head trained with it.

    `tensors` holds, by PEFT's key without its prefix, A [r, in], B [out, r], magnitudes [out], and the head's weight and bias.
    """

    rank: int
    alpha: float
    variant: str
    backbone: str
    classes: list[str]
    tensors: dict[str, Tensor]

    @property
    def layers(self) -> list[str]:
        """Qualified names of the adapted layers, in the file's order."""
        return [key.removesuffix(".lora_A.weight") for key in self.tensors if key.endswith(".lora_A.weight")]


def from_model(model: nn.Module, backbone: str, classes: list[str]) -> Adapter:
    """The adapter that `model`, injected by `lora.inject`, holds now; tensors are copied, in fp32.

    LoRA+ and LoRA-FA train in another way but end as a plain LoRA. PiSSA's change s (B A - B0 A0) is written as a plain LoRA of
    rank 2r, [B, B0] [A, -A0], whose alpha is doubled so that the scaling stays (PEFT's own conversion does the same).
    """
    layers = lora.adapted_layers(model)
    first = next(iter(layers.values()))
    pissa = first.variant == "pissa"
    tensors = {}
    for name, layer in layers.items():
        A, B = layer.lora_A, layer.lora_B
        if pissa:
            A, B = torch.cat([A, -layer.initial_A]), torch.cat([B, layer.initial_B], dim=1)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = A, B
        if layer.variant == "dora":
            tensors[f"{name}.lora_magnitude_vector"] = layer.magnitude
    tensors |= {f"classifier.{key}": value for key, value in model.classifier.state_dict().items()}
    return Adapter(
        rank=first.rank * (2 if pissa else 1),
        alpha=first.alpha * (2 if pissa else 1),
        variant=first.variant if first.variant in ("rslora", "dora") else "lora",
        backbone=backbone,
        classes=list(classes),
        tensors={key: value.detach().float().cpu().clone().contiguous() for key, value in tensors.items()},
    )


def save(adapter: Adapter, folder: Path) -> None:
    """Write `adapter` into `folder`, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": adapter.backbone,
        "r": adapter.rank,
        "lora_alpha": int(adapter.alpha) if adapter.alpha == int(adapter.alpha) else adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": adapter.layers,
        "modules_to_save": ["classifier"],
        "use_rslora": adapter.variant == "rslora",
        "use_dora": adapter.variant == "dora",
        "inference_mode": True,
        "task_type": None,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    labels = {"id2label": {str(i): name for i, name in enumerate(adapter.classes)}}
    (folder / CLASSES).write_text(json.dumps(labels, indent=2) + "\n")
    tensors = {PREFIX + key: value for key, value in adapter.tensors.items()}
    safetensors.torch.save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def load(folder: Path) -> Adapter:
    """Read the adapter in `folder`. Raises `AdapterError` where a file is missing or says what cannot be."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        labels = json.loads((folder / CLASSES).read_text())["id2label"]
        stored = safetensors.torch.load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError):
        raise AdapterError(
            f"The adapter {folder.name!r} is incomplete: it needs {CONFIG}, {CLASSES} and {WEIGHTS}."
        ) from None
    foreign = [key for key in stored if not key.startswith(PREFIX)]
    if foreign:
        raise AdapterError(f"The adapter {folder.name!r} holds {foreign[0]!r}, which is no key of a PEFT adapter.")
    variant = "dora" if config.get("use_dora") else "rslora" if config.get("use_rslora") else "lora"
    return Adapter(
        rank=int(config["r"]),
        alpha=float(config["lora_alpha"]),
        variant=variant,
        backbone=str(config.get("base_model_name_or_path", "")),
        classes=[labels[str(i)] for i in range(len(labels))],
        tensors={key.removeprefix(PREFIX): value for key, value in stored.items()},
    )


def apply(adapter: Adapter, model: nn.Module) -> None:
    """Inject `adapter` and its head into `model`, a transformers ViT with the names of version 5.

    Raises `AdapterError`: a layer the model lacks, a key missing or left over, a wrong shape. Nothing is ever half applied: the
    keys are checked against the injected model before any value is copied.
    """
    linears = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    absent = [name for name in adapter.layers if name not in linears]
    if absent or not adapter.layers:
        raise AdapterError(
            f"The adapter does not fit this backbone: it has no layer {absent[0] if absent else 'adapted at all'}."
        )
    width = model.classifier.in_features
    model.classifier = nn.Linear(width, len(adapter.classes))
    pattern = "^(" + "|".join(name.replace(".", r"\.") for name in adapter.layers) + ")$"
    lora.inject(model, pattern, adapter.rank, adapter.alpha, variant=adapter.variant)
    wanted = _targets(model)
    wrong = sorted(wanted.keys() ^ adapter.tensors.keys())
    if wrong:
        problem = "lacks" if wrong[0] in wanted else "holds, but the model has no place for,"
        raise AdapterError(f"The adapter {problem} {wrong[0]!r}.")
    for key, parameter in wanted.items():
        value = adapter.tensors[key]
        if value.shape != parameter.shape:
            raise AdapterError(f"{key!r} has shape {list(value.shape)}; this backbone needs {list(parameter.shape)}.")
        if not math.isfinite(value.abs().max()):
            raise AdapterError(f"{key!r} holds values that are no numbers.")
    with torch.no_grad():
        for key, parameter in wanted.items():
            parameter.copy_(adapter.tensors[key])


def _targets(model: nn.Module) -> dict[str, nn.Parameter]:
    """Where each key of an adapter goes in an injected model."""
    targets = {f"classifier.{key}": value for key, value in model.classifier.named_parameters()}
    for name, layer in lora.adapted_layers(model).items():
        targets[f"{name}.lora_A.weight"], targets[f"{name}.lora_B.weight"] = layer.lora_A, layer.lora_B
        if layer.variant == "dora":
            targets[f"{name}.lora_magnitude_vector"] = layer.magnitude
    return targets
