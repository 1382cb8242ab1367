"""LoRA's three promises (Hu et al. 2021, section 1), measured on this machine with the bundled backbone.

Cheap to switch tasks, cheap to train, no slower once merged. What is timed side by side is timed in turns, and medians are
compared: a shared machine is not equally fast all the time.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import nn

from lora_demo import backbones, lora
from lora_demo.datasets import CLASSES
from lora_demo.events import Measured
from lora_demo.settings import Settings
from lora_demo.training import Race

FEWEST_ROUNDS, MOST_ROUNDS = 5, 25
BUDGET = 3.0  # seconds of rounds, on a machine where that is more than the fewest


@dataclass(frozen=True)
class Switch:
    """What goes over the disk, in bytes, and the seconds from the file's bytes to a model ready for the other task."""

    adapter_bytes: int
    model_bytes: int
    adapter_seconds: float
    model_seconds: float


@dataclass(frozen=True)
class Memory:
    """Bytes one lane of a race holds while it trains, counted."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All four."""
        return self.weights + self.gradients + self.optimizer + self.activations

    @property
    def without_activations(self) -> int:
        """What does not grow with the batch."""
        return self.total - self.activations


@dataclass(frozen=True)
class Latency:
    """Median seconds of a forward pass of the bare backbone, with A and B beside it, and with them merged into it.

    `noise`, in seconds: how far the bare backbone's times scatter, or how far it is from itself measured a second time.
    """

    base: float
    unmerged: float
    merged: float
    noise: float


def measure_switch(settings: Settings) -> Switch:
    """Load another task's adapter and head into a LoRA model, and another task's whole model into a plain one."""
    adapted = _adapted_model(settings)
    plain = _base_model(settings)
    small = {name: p.detach() for name, p in adapted.named_parameters() if p.requires_grad}
    whole = dict(plain.state_dict())
    small_file, whole_file = (safetensors.torch.save(tensors) for tensors in (small, whole))

    def load(model: nn.Module, file: bytes) -> None:
        model.load_state_dict(safetensors.torch.load(file), strict=False)

    seconds = _medians({"small": lambda: load(adapted, small_file), "whole": lambda: load(plain, whole_file)})
    return Switch(len(small_file), len(whole_file), seconds["small"], seconds["whole"])


def measure_memory(settings: Settings) -> dict[str, Memory]:
    """One real step of full fine-tuning and one of LoRA, counted by the race itself; by lane."""
    race = Race(settings)
    counted = next(event for event in race.run() if isinstance(event, Measured)).lanes
    return {
        name: Memory(
            weights=sum(p.numel() * p.element_size() for p in lane.model.parameters()),
            gradients=counted[name]["gradient_bytes"],
            optimizer=counted[name]["optimizer_bytes"],
            activations=counted[name]["saved_activation_bytes"],
        )
        for name, lane in race.lanes.items()
    }


def measure_latency(settings: Settings) -> Latency:
    """Forward passes of `settings.batch_size` images without gradients, in fp32."""
    base, adapted = _base_model(settings), _adapted_model(settings)
    merged = copy.deepcopy(adapted)
    lora.merge(merged)
    height, width = backbones.load(settings.backbone).image_size
    images = torch.rand(settings.batch_size, 3, height, width)
    models = {"base": base, "unmerged": adapted, "merged": merged, "again": base}
    times = _times({name: _forward(model, images) for name, model in models.items()})
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    scatter = statistics.median(abs(taken - medians["base"]) for taken in times["base"])
    noise = max(scatter, abs(medians.pop("again") - medians["base"]))
    return Latency(**medians, noise=noise)


def _base_model(settings: Settings) -> nn.Module:
    """The backbone with a new head."""
    backbone = backbones.load(settings.backbone)
    backbone.model.classifier = backbone.new_head(list(CLASSES), torch.Generator().manual_seed(settings.seed))
    return backbone.model.eval()


def _adapted_model(settings: Settings) -> nn.Module:
    """The same with LoRA whose B is no longer zero."""
    model = _base_model(settings)
    generator = torch.Generator().manual_seed(settings.seed)
    lora.inject(model, lora.TARGETS[settings.targets], settings.rank, settings.alpha, generator=generator)
    lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    for layer in lora.adapted_layers(model).values():
        nn.init.normal_(layer.lora_B, std=0.01, generator=generator)
    return model


def _forward(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    def forward() -> None:
        with torch.inference_mode():
            model(pixel_values=images)

    return forward


def _times(tasks: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Seconds of every run of every task, taken in turns, after one run of each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    begun = time.perf_counter()
    for done in range(MOST_ROUNDS):
        if done >= FEWEST_ROUNDS and time.perf_counter() - begun > BUDGET:
            break
        order = list(tasks.items())
        for name, task in order[done % len(order) :] + order[: done % len(order)]:  # nobody is always first
            start = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - start)
    return times


def _medians(tasks: dict[str, Callable[[], None]]) -> dict[str, float]:
    return {name: statistics.median(taken) for name, taken in _times(tasks).items()}
