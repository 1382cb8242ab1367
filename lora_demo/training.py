"""The race: head only, LoRA and full fine-tuning on the same batches in the same order.

    settings -> Race(settings).run() -> events

One generator of events; no user interface, no threads, no processes. Frozen weights are stored in the compute format, trained
ones stay in fp32 and are cast where they are used (torch.autocast), so that small updates are not rounded away.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_demo import backbones, datasets, lora, numerics
from lora_demo.errors import LabError
from lora_demo.events import Evaluated, Event, Finished, Prepared, Step
from lora_demo.settings import Settings

WARM_UP_STEPS = 3  # left out of the speed: the first steps allocate and build caches
WARM_UP_SHARE = 0.06  # of the steps, for the learning rate
INTERIM_IMAGES = 200  # of the validation images, looked at while training
EVALUATION_BATCH = 100


class TrainingError(LabError):
    """The settings cannot be trained with, or the run went wrong in a way that has a name."""


class Lane:
    """One way to fine-tune: a model, what of it learns, and a clock that counts only the lane's own work."""

    def __init__(self, name: str, model: nn.Module, groups: list[dict], settings: Settings, dtype: torch.dtype):
        self.name = name
        self.model = model
        self.dtype = dtype
        self.device = next(model.parameters()).device
        self.optimizer = _optimizer(settings, groups)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, _schedule(settings))
        self.step_seconds: list[float] = []
        self.saved_activation_bytes = 0
        self.validation: dict[str, float] | None = None
        self.test: dict[str, float] | None = None

    def train_step(self, pixels: Tensor, labels: Tensor) -> float:
        """One forward, backward and optimizer step on `pixels` [n, 3, h, w]; returns the loss before the step."""
        self.model.train()
        start = time.perf_counter()
        if self.step_seconds:
            loss = self._loss(pixels, labels)
        else:  # once: counting what autograd keeps for the backward pass costs a little time
            counter = _CountSavedTensors(self.model)
            with counter:
                loss = self._loss(pixels, labels)
            self.saved_activation_bytes = counter.bytes
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        value = loss.item()  # also waits for a GPU to be done
        self.step_seconds.append(time.perf_counter() - start)
        self.schedule.step()
        return value

    def _loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(pixels).float(), labels)

    def logits(self, pixels: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, classes], computed in the lane's number format."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.model(pixel_values=pixels).logits

    def summary(self) -> dict:
        """What was measured: accuracy and loss on test images (None if stopped before), size, memory and speed.

        Bytes are counted, not estimated: `gradient_bytes` and `optimizer_bytes` of the trained parameters, `checkpoint_bytes`
        the length of the safetensors file a user would keep (adapter and head for LoRA, the whole model for full),
        `saved_activation_bytes` what autograd kept of the first batch beside the parameters.
        """
        trained = [p for p in self.model.parameters() if p.requires_grad]
        timed = self.step_seconds[WARM_UP_STEPS:] or self.step_seconds
        step_seconds = statistics.median(timed) if timed else None
        return {
            **(self.test or {"accuracy": None, "loss": None}),
            "validation": self.validation,
            "trainable_parameters": sum(p.numel() for p in trained),
            "total_parameters": sum(p.numel() for p in self.model.parameters()),
            "gradient_bytes": sum(p.numel() * p.element_size() for p in trained),
            "optimizer_bytes": _optimizer_bytes(self.optimizer),
            "saved_activation_bytes": self.saved_activation_bytes,
            "checkpoint_bytes": len(safetensors.torch.save(self.checkpoint())),
            "seconds": sum(self.step_seconds),
            "step_seconds": step_seconds,
        }

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors a user would keep of this lane: what was trained, in fp32; of full fine-tuning that is every weight."""
        return {n: p.detach().float().cpu().contiguous() for n, p in self.model.named_parameters() if p.requires_grad}


class Race:
    """All lanes of one run. `run()` trains them; afterwards `lanes` holds the trained models.

    `should_stop` is asked between the lanes' steps and batches; once it says True the run ends with `finished`, stopped.
    """

    def __init__(self, settings: Settings, should_stop: Callable[[], bool] = lambda: False):
        self.settings = settings
        self.should_stop = should_stop
        self.lanes: dict[str, Lane] = {}

    def run(self) -> Iterator[Event]:
        """Train every lane and yield `prepared`, then `step` and `evaluated` events, then `finished`.

        Raises a `LabError` where backbone, data or settings do not fit together, or a loss is no longer a number.
        """
        settings = self.settings
        self.data = datasets.load(settings.data)
        self.backbone = backbones.load(settings.backbone)
        self.device = numerics.best_device()
        self._build_lanes()
        yield self._prepared()

        generator = torch.Generator().manual_seed(settings.seed)
        batches = datasets.order(len(self.data.train), settings.batch_size, generator)
        interim = self._interim_images()
        done = 0
        while done < settings.steps and not self.should_stop():
            batch = self.data.train[next(batches)]
            pixels = self.backbone.pixels(datasets.flipped(batch.images, generator)).to(self.device)
            losses = self._step(pixels, batch.labels.to(self.device))
            if losses is None:
                break
            done += 1
            yield Step(done, losses, {name: sum(lane.step_seconds) for name, lane in self.lanes.items()})
            if (done % settings.evaluate_every == 0 or done == settings.steps) and self._evaluate(
                interim, "validation"
            ):
                yield Evaluated(done, {name: lane.validation for name, lane in self.lanes.items()})

        stopped = not (done == settings.steps and self._evaluate(self.data.test, "test"))
        yield Finished(done, stopped, {name: self._summary(lane) for name, lane in self.lanes.items()})

    def _build_lanes(self) -> None:
        """Every lane starts from the same backbone under the same new head."""
        settings = self.settings
        self.dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}.get(settings.dtype)
        self.dtype = self.dtype or numerics.fast_dtype(self.device)
        attention = numerics.fast_attention(self.device, self.dtype, self.backbone.tokens)
        self.backbone.model.set_attn_implementation(attention)
        head = self.backbone.new_head(self.data.classes, torch.Generator().manual_seed(settings.seed))
        for name in settings.lanes:
            model = copy.deepcopy(self.backbone.model)
            model.classifier = copy.deepcopy(head)
            groups = _prepare(name, model, settings)
            for parameter in model.parameters():
                if not parameter.requires_grad:
                    parameter.data = parameter.data.to(self.dtype)
            self.lanes[name] = Lane(name, model.to(self.device), groups, settings, self.dtype)

    def _prepared(self) -> Prepared:
        counts = {
            name: {
                "trainable_parameters": lora.trainable_parameters(lane.model),
                "total_parameters": sum(p.numel() for p in lane.model.parameters()),
            }
            for name, lane in self.lanes.items()
        }
        images = {name: len(getattr(self.data, name)) for name in ("train", "validation", "test")}
        dtype = str(self.dtype).removeprefix("torch.")
        return Prepared(self.settings.as_dict(), counts, images, self.data.classes, self.device, dtype)

    def _step(self, pixels: Tensor, labels: Tensor) -> dict[str, float] | None:
        """One step of every lane on the same batch: its losses, or None where the run was stopped in between."""
        losses = {}
        for name, lane in self.lanes.items():
            if self.should_stop():
                return None
            losses[name] = lane.train_step(pixels, labels)
            if not math.isfinite(losses[name]):
                raise TrainingError(
                    f"The loss of the {name} lane is no longer a number after step {len(lane.step_seconds)}: its learning "
                    f"rate, {self.settings.learning_rate(name):g}, is too high; try a tenth of it."
                )
        return losses

    def _interim_images(self) -> datasets.Split:
        """The same validation images at every look, evenly spread over the classes (the split is sorted by class or shuffled)."""
        count = len(self.data.validation)
        by_class = torch.argsort(self.data.validation.labels, stable=True)
        return self.data.validation[by_class[torch.linspace(0, count - 1, min(INTERIM_IMAGES, count)).long()]]

    def _evaluate(self, split: datasets.Split, kind: str) -> bool:
        """Set every lane's `validation` or `test` figures from `split`; False where the run was stopped in between."""
        figures = {name: {"correct": 0, "loss": 0.0} for name in self.lanes}
        for batch in split.batches(EVALUATION_BATCH):
            pixels, labels = self.backbone.pixels(batch.images).to(self.device), batch.labels.to(self.device)
            for name, lane in self.lanes.items():
                if self.should_stop():
                    return False
                lane.model.eval()
                with torch.inference_mode():
                    logits = lane.logits(pixels).float()
                    figures[name]["correct"] += (logits.argmax(-1) == labels).sum().item()
                    figures[name]["loss"] += F.cross_entropy(logits, labels, reduction="sum").item()
        for name, lane in self.lanes.items():
            accuracy, loss = (figures[name][key] / len(split) for key in ("correct", "loss"))
            setattr(lane, kind, {"accuracy": accuracy, "loss": loss})
        return True

    def _summary(self, lane: Lane) -> dict:
        summary = lane.summary()
        per_second = self.settings.batch_size / summary["step_seconds"] if summary["step_seconds"] else None
        return {**summary, "images_per_second": per_second, "learning_rate": self.settings.learning_rate(lane.name)}


def _prepare(name: str, model: nn.Module, settings: Settings) -> list[dict]:
    """Make `model` ready for lane `name`: freeze, inject; returns the optimizer's parameter groups.

    The head learns at the head's rate in every lane; LoRA may leave it frozen, as the notebook does.
    """
    head = {"params": list(model.classifier.parameters()), "lr": settings.learning_rate_head}
    rate = settings.learning_rate(name)
    if name == "full":
        return [
            head,
            {"params": [p for n, p in model.named_parameters() if not n.startswith("classifier.")], "lr": rate},
        ]
    if name == "head":
        lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
        return [head]
    lora.inject(
        model,
        lora.TARGETS[settings.targets],
        settings.rank,
        settings.alpha,
        variant=settings.variant,
        dropout=settings.dropout,
        generator=torch.Generator().manual_seed(settings.seed),
    )
    lora.mark_only_adapters_as_trainable(model, also=[] if settings.freeze_head else [model.classifier])
    return lora.parameter_groups(model, rate, head_learning_rate=settings.learning_rate_head)


def _optimizer(settings: Settings, groups: list[dict]) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[settings.optimizer]
    options = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
    return kind(groups, **options)


def _schedule(settings: Settings) -> Callable[[int], float]:
    """Share of the peak rate at a step (from 0): linear warm-up, then a cosine to zero; or 1 throughout."""
    warm_up = max(1, round(WARM_UP_SHARE * settings.steps))

    def share(step: int) -> float:
        if settings.schedule == "constant":
            return 1.0
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, settings.steps - warm_up)))

    return share


def _optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    tensors = (v for state in optimizer.state.values() for v in state.values() if isinstance(v, Tensor) and v.dim())
    return sum(t.numel() * t.element_size() for t in tensors)


class _CountSavedTensors(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes autograd keeps for the backward pass, each storage once, the model's own parameters left out."""

    def __init__(self, model: nn.Module):
        self.bytes = 0
        self._seen = {p.untyped_storage().data_ptr() for p in model.parameters()}
        super().__init__(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor
