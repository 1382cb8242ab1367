"""Bring in an adapter that somebody else trained with PEFT: checked as hostile, converted, and tried on the backbone."""

from __future__ import annotations

import copy
from pathlib import Path, PurePath

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_demo import backbones, datasets
from lora_demo.adapters import archive, peft_config
from lora_demo.adapters.adapter import Adapter, AdapterError, apply, from_model
from lora_demo.adapters.folder import CLASSES, CONFIG, PREFIX, WEIGHTS
from lora_demo.adapters.layer_names import new_name
from lora_demo.adapters.untrusted import MAX_BYTES, PICKLES, quoted, read_json, read_safetensors

MAX_CLASSES = 1_000
MAX_NAME = 100  # signs in a class's name


class ClassNamesMissing(AdapterError):
    """The adapter is sound, but nothing says what its `count` classes are called: ask, and read it again with `classes`."""

    def __init__(self, count: int):
        super().__init__(f"The adapter tells {count} classes apart, but no {CLASSES} beside it names them.")
        self.count = count


def read_file(path: str | Path, backbone: backbones.Backbone, classes: list[str] | None = None) -> Adapter:
    """The adapter in a .zip of a PEFT folder or in a single .safetensors, for `backbone`, in plain LoRA, rsLoRA or DoRA form.

    Args:
        classes: names for its classes, in order, where no `config.json` (`id2label`) came with it.

    Nothing is fetched, nothing is run, nothing is written. A raw PiSSA is converted to a plain LoRA of rank 2r. Where layers have
    ranks or alphas of their own, all are padded with zeros to the largest rank and share one scaling; the change is the same.

    Raises `AdapterError`, in one sentence, for anything that is not exactly such an adapter; `ClassNamesMissing` where only the
    names are missing.
    """
    files = _files(Path(path))
    tensors, metadata = read_safetensors(files[WEIGHTS], WEIGHTS)
    for name in (CONFIG, CLASSES):  # a file written here repeats both, so that it can travel alone
        if name not in files and name in metadata:
            files[name] = metadata[name].encode()
    if CONFIG not in files:
        raise AdapterError(f"The file does not say its alpha: send it in a zip, together with its {CONFIG}.")
    config = peft_config.parse(read_json(files[CONFIG], CONFIG))
    _check_backbone(config.backbone, backbone)
    adapter = _assembled(config, _renamed(tensors), backbone)
    names = classes if classes is not None else _id2label(files.get(CLASSES))
    count = len(adapter.classes)
    if names is None:
        raise ClassNamesMissing(count)
    return Adapter(**{**vars(adapter), "classes": _checked_classes(names, count)})


def class_name_offers(count: int, data: list[datasets.Data] | None = None) -> dict[str, list[str]]:
    """Lists of `count` class names to offer for an adapter without any: CIFAR-10's, and those of `data`, by name."""
    known = {"CIFAR-10": list(datasets.CLASSES)} | {one.name: one.classes for one in data or []}
    return {name: names for name, names in known.items() if len(names) == count}


def _files(path: Path) -> dict[str, bytes]:
    """The adapter's files in memory; the size is looked at before anything is read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        raise AdapterError("There is no file to import.") from None
    if size > MAX_BYTES:
        raise AdapterError(f"The file has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    if path.name.lower().endswith(PICKLES):
        raise AdapterError(f"A {path.suffix} file is a pickle, which can run code; save the adapter as safetensors.")
    if path.suffix.lower() == ".safetensors":
        return {WEIGHTS: path.read_bytes()}
    if start.startswith(b"PK"):
        return archive.read_zip(path)
    raise AdapterError("An adapter is a .zip of a PEFT folder or a .safetensors file; this is neither.")


def _check_backbone(claimed: str, backbone: backbones.Backbone) -> None:
    """An adapter only fits the weights it was trained on; a path is compared by its last part."""
    own = backbones.BUNDLED.name if backbone.name == "bundled" else PurePath(backbone.name).name
    last = claimed.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if claimed and claimed != backbone.name and last != own:
        raise AdapterError(
            f"The adapter was trained on the backbone {quoted(last)}; this one is {quoted(backbone.name)}."
        )


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under transformers 5's names without PEFT's prefix."""
    if foreign := [key for key in tensors if not key.startswith(PREFIX)]:
        raise AdapterError(f"The adapter holds {quoted(foreign[0])}, which is no key of a PEFT adapter.")
    renamed = {new_name(key.removeprefix(PREFIX)): value for key, value in tensors.items()}
    if len(renamed) < len(tensors):
        raise AdapterError("The adapter holds a layer twice, by its old and by its new name.")
    return renamed


def _assembled(config: peft_config.PeftConfig, tensors: dict[str, Tensor], backbone: backbones.Backbone) -> Adapter:
    """The adapter, tried on a copy of the backbone; its classes are numbered still."""
    head = tensors.get("classifier.weight")
    if head is None or head.dim() != 2 or "classifier.bias" not in tensors:
        raise AdapterError(
            "The adapter comes without its classifier ('classifier.weight' and 'classifier.bias'): train it with "
            "modules_to_save=['classifier']."
        )
    if len(head) > MAX_CLASSES:
        raise AdapterError(f"The adapter tells {len(head):,} classes apart; at most {MAX_CLASSES:,} can be shown.")
    linears = [name for name, module in backbone.model.named_modules() if isinstance(module, nn.Linear)]
    expected = peft_config.adapted_layers(config, linears)
    found = {key.removesuffix(".lora_A.weight") for key in tensors if key.endswith(".lora_A.weight")}
    if missing := sorted(expected - found):
        raise AdapterError(f"The adapter should change {missing[0]!r}, but holds no numbers for it.")
    if extra := sorted(found & set(linears) - expected):
        raise AdapterError(f"The adapter holds numbers for {extra[0]!r}, which its {CONFIG} does not name.")
    rank = max([config.rank_of(name) for name in found & expected], default=config.rank)
    plain = not config.rank_pattern and not config.alpha_pattern
    if config.rslora and plain and not config.dora and not config.pissa:
        variant, alpha = "rslora", config.alpha
    else:
        variant = "dora" if config.dora else "pissa" if config.pissa else "lora"
        scaling = max([config.scaling_of(name) for name in found & expected], default=1.0)
        alpha = config.alpha if plain and not config.rslora else scaling * rank
        if not plain:
            tensors = tensors | _padded(config, found & expected, tensors, rank, scaling)
    adapter = Adapter(rank, alpha, variant, backbone.name, [str(i) for i in range(len(head))], tensors)
    model = copy.deepcopy(backbone.model)
    apply(adapter, model)
    return from_model(model, backbone.name, adapter.classes) if config.pissa else adapter


def _padded(
    config: peft_config.PeftConfig, layers: set[str], tensors: dict[str, Tensor], rank: int, scaling: float
) -> dict[str, Tensor]:
    """A and B of `layers` with zeros up to `rank`, and B times what its layer's scaling is of the common one."""
    padded = {}
    for name in layers:
        A, B = tensors[f"{name}.lora_A.weight"], tensors.get(f"{name}.lora_B.weight", torch.empty(0))
        own = config.rank_of(name)
        if A.dim() != 2 or B.dim() != 2 or len(A) != own or B.shape[1] != own:
            raise AdapterError(
                f"A and B of {name!r} have shapes {list(A.shape)} and {list(B.shape)}; rank {own} was named."
            )
        padded[f"{name}.lora_A.weight"] = F.pad(A, (0, 0, 0, rank - own))
        padded[f"{name}.lora_B.weight"] = F.pad(B * (config.scaling_of(name) / scaling), (0, rank - own))
    return padded


def _id2label(data: bytes | None) -> list[str] | None:
    """The class names that a `config.json` gives, in order of their numbers; None where there are none."""
    labels = read_json(data, CLASSES).get("id2label") if data is not None else None
    if labels is None:
        return None
    if not isinstance(labels, dict) or set(labels) != {str(i) for i in range(len(labels))}:
        raise AdapterError(f"id2label in {CLASSES} must number the classes from 0 on, without a gap.")
    return [labels[str(i)] for i in range(len(labels))]


def _checked_classes(names: list[str], count: int) -> list[str]:
    if len(names) != count:
        raise AdapterError(f"The adapter tells {count} classes apart, but {len(names)} names were given.")
    if not all(isinstance(name, str) and name.strip() and name.isprintable() for name in names):
        raise AdapterError("Every class needs a name of printable signs.")
    names = [name.strip() for name in names]
    if long := [name for name in names if len(name) > MAX_NAME]:
        raise AdapterError(f"The class name {quoted(long[0])} is longer than {MAX_NAME} signs.")
    if len(set(names)) < count:
        raise AdapterError("Two classes have the same name.")
    return names
