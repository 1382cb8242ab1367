"""An adapter in memory: taken from a trained model, and put into another one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lora_demo import lora
from lora_demo.errors import LabError


class AdapterError(LabError):
    """An adapter file is incomplete, does not fit the backbone, or is not what it says."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA, rsLoRA or DoRA and the head trained with it.

    `tensors` holds, by PEFT's key without its prefix, A [r, in], B [out, r], magnitudes [out], and the head's weight and bias.
    The variant "pissa" is PEFT's raw form, whose start has to be computed anew; `from_model` never writes it.
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

    @property
    def parameters(self) -> int:
        """How many numbers it holds, the head's among them."""
        return sum(tensor.numel() for tensor in self.tensors.values())


def from_model(model: nn.Module, backbone: str, classes: list[str]) -> Adapter:
    """The adapter that `model`, injected by `lora.inject`, holds now; tensors are copied, in fp32.

    LoRA+ and LoRA-FA train in another way but end as a plain LoRA. PiSSA's change s (B A - B0 A0) is written as a plain LoRA of
    rank 2r, [B, B0] [A, -A0], whose alpha is doubled so that the scaling stays (PEFT's own conversion does the same); where a
    layer has no rank 2r, as that of its SVD at full rank.
    """
    layers = lora.adapted_layers(model)
    first = next(iter(layers.values()))
    pissa = first.variant == "pissa"
    rank = (
        min([2 * first.rank, *(side for layer in layers.values() for side in layer.weight.shape)])
        if pissa
        else first.rank
    )
    tensors = {}
    for name, layer in layers.items():
        A, B = layer.lora_A, layer.lora_B
        if pissa and rank == 2 * first.rank:
            A, B = torch.cat([A, -layer.initial_A]), torch.cat([B, layer.initial_B], dim=1)
        elif pissa:
            B, A = lora.extract(B @ A - layer.initial_B @ layer.initial_A, rank)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = A, B
        if layer.variant == "dora":
            tensors[f"{name}.lora_magnitude_vector"] = layer.magnitude
    tensors |= {f"classifier.{key}": value for key, value in model.classifier.state_dict().items()}
    return Adapter(
        rank=rank,
        alpha=first.alpha * rank / first.rank,
        variant=first.variant if first.variant in ("rslora", "dora") else "lora",
        backbone=backbone,
        classes=list(classes),
        tensors={key: value.detach().float().cpu().clone().contiguous() for key, value in tensors.items()},
    )


def apply(adapter: Adapter, model: nn.Module) -> None:
    """Inject `adapter` and its head into `model`, a transformers ViT with the names of version 5.

    Raises `AdapterError`: a layer the model lacks, a key missing or left over, a wrong shape, a value that is no number. All of
    it is checked before the model is touched.
    """
    shapes = _shapes(adapter, model)
    wrong = sorted(shapes.keys() ^ adapter.tensors.keys())
    if wrong:
        problem = "lacks" if wrong[0] in shapes else "holds, but the model has no place for,"
        raise AdapterError(f"The adapter {problem} {wrong[0][:100]!r}.")
    for key, shape in shapes.items():
        value = adapter.tensors[key]
        if list(value.shape) != shape:
            raise AdapterError(f"{key!r} has shape {list(value.shape)}; this backbone needs {shape}.")
        if not value.isfinite().all():
            raise AdapterError(f"{key!r} holds values that are no numbers.")
    pattern = "^(" + "|".join(map(re.escape, adapter.layers)) + ")$"
    lora.inject(model, pattern, adapter.rank, adapter.alpha, variant=adapter.variant)
    model.classifier = nn.Linear(model.classifier.in_features, len(adapter.classes))
    with torch.no_grad():
        for key, parameter in _parameters(model).items():
            parameter.copy_(adapter.tensors[key])


def _shapes(adapter: Adapter, model: nn.Module) -> dict[str, list[int]]:
    """The keys that `adapter` must hold to fit `model`, and their shapes."""
    linears = {name: m for name, m in model.named_modules() if type(m) is nn.Linear and name != "classifier"}
    absent = [name for name in adapter.layers if name not in linears]
    if absent or not adapter.layers:
        lacking = f"it has no layer {absent[0][:100]!r}" if absent else "no layer is adapted at all"
        raise AdapterError(f"The adapter does not fit this backbone: {lacking}.")
    count = len(adapter.classes)
    shapes = {"classifier.weight": [count, model.classifier.in_features], "classifier.bias": [count]}
    for name in adapter.layers:
        shapes[f"{name}.lora_A.weight"] = [adapter.rank, linears[name].in_features]
        shapes[f"{name}.lora_B.weight"] = [linears[name].out_features, adapter.rank]
        if adapter.variant == "dora":
            shapes[f"{name}.lora_magnitude_vector"] = [linears[name].out_features]
    return shapes


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Where each key of an adapter goes in an injected model."""
    parameters = {f"classifier.{key}": value for key, value in model.classifier.named_parameters()}
    for name, layer in lora.adapted_layers(model).items():
        parameters[f"{name}.lora_A.weight"], parameters[f"{name}.lora_B.weight"] = layer.lora_A, layer.lora_B
        if layer.variant == "dora":
            parameters[f"{name}.lora_magnitude_vector"] = layer.magnitude
    return parameters
