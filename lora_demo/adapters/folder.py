"""The project's own adapter folders, which are PEFT's.

A folder holds `adapter_config.json` and `adapter_model.safetensors`. The keys are PEFT's on transformers 5:
`base_model.model.vit.layers.0.attention.q_proj.lora_A.weight`, `...lora_B.weight`, for DoRA `...lora_magnitude_vector`, and the
head as `base_model.model.classifier.{weight,bias}`. Class names go into a `config.json` beside them (`id2label`). The weights'
metadata repeats both, so that the one file can travel alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from lora_demo.adapters.adapter import Adapter, AdapterError

PREFIX = "base_model.model."
CONFIG, WEIGHTS, CLASSES = "adapter_config.json", "adapter_model.safetensors", "config.json"


def save(adapter: Adapter, folder: Path) -> None:
    """Write `adapter` into `folder`, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files(adapter).items():
        (folder / name).write_bytes(content)


def files(adapter: Adapter) -> dict[str, bytes]:
    """The three files of an adapter's folder, by name."""
    config, labels = peft_config(adapter), {str(i): name for i, name in enumerate(adapter.classes)}
    metadata = {"format": "pt", CONFIG: json.dumps(config), CLASSES: json.dumps({"id2label": labels})}
    tensors = {PREFIX + key: value for key, value in adapter.tensors.items()}
    return {
        CONFIG: (json.dumps(config, indent=2) + "\n").encode(),
        CLASSES: (json.dumps({"id2label": labels}, indent=2) + "\n").encode(),
        WEIGHTS: safetensors.torch.save(tensors, metadata=metadata),
    }


def peft_config(adapter: Adapter) -> dict[str, Any]:
    """`adapter_config.json`: only what PEFT knows, for it ignores no key silently."""
    return {
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


def load(folder: Path) -> Adapter:
    """Read an adapter that `save` wrote. Raises `AdapterError` where a file is missing or damaged.

    For the project's own folders; what a person brings goes through `importing.read_file`.
    """
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
