"""One way to fine-tune: a model, what of it learns, and a clock that counts only the lane's own work."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from lora_demo import lora
from lora_demo.settings import Settings, rising

WARM_UP_STEPS = 3  # left out of the speed: the first steps allocate and build caches
WARM_UP_SHARE = 0.06  # of the steps, for the learning rate
LARGEST_KEPT = 8  # singular values of a layer that are told while training
EXACT_UP_TO = 256  # a dense change with a longer short side gets a randomised SVD: only its head is told
ATTENTION_FLOPS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda dh, q, k, v, *_, **__: sdpa_backward_flop_count(dh, q, k, v)
    ),
}  # torch's counter knows the GPU's fused attentions alone


class Lane:
    """A model that learns: `model` must have been made ready by `prepare`, which also gives the `groups`."""

    def __init__(self, name: str, model: nn.Module, groups: list[dict], settings: Settings, dtype: torch.dtype):
        self.name = name
        self.model = model
        self.dtype = dtype
        self.device = next(model.parameters()).device
        self.optimizer = _optimizer(settings, groups)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.step_seconds: list[float] = []
        self.seconds = 0.0  # their sum
        self.measured: dict[str, float] = {}
        self.validation: dict | None = None
        self.test: dict | None = None
        self.best: tuple[float, dict[str, Tensor], dict | None] | None = None

    def train_step(self, pixels: Tensor, labels: Tensor, share: float = 1.0) -> float:
        """One forward, backward and optimizer step on `pixels` [n, 3, h, w] at `share` of the peak rates; the loss before it."""
        self.model.train()
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        start = time.perf_counter()
        value = self._step(pixels, labels)
        self.step_seconds.append(time.perf_counter() - start)
        self.seconds += self.step_seconds[-1]
        return value

    def _step(self, pixels: Tensor, labels: Tensor) -> float:
        if self.step_seconds and not self.measured:
            return self._measured_step(pixels, labels)
        loss = self._loss(pixels, labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()  # also waits for a GPU to be done

    def _measured_step(self, pixels: Tensor, labels: Tensor) -> float:
        """The second step also counts what a step costs, which takes a little time: the first is to be on screen soon."""
        flops, saved = FlopCounterMode(display=False, custom_mapping=ATTENTION_FLOPS), _CountSavedTensors(self.model)
        with ExitStack() as counting:
            counting.enter_context(flops)
            with saved:
                loss = self._loss(pixels, labels)
            loss.backward()
        gradients = sum(p.grad.nbytes for p in self.model.parameters() if p.grad is not None)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.measured = {
            "gradient_bytes": gradients,
            "optimizer_bytes": _optimizer_bytes(self.optimizer),
            "saved_activation_bytes": saved.bytes,
            "flops": flops.get_total_flops(),
        }
        return loss.item()

    def _loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(pixels).float(), labels)

    def logits(self, pixels: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, classes], computed in the lane's number format."""
        with self._format():
            return self.model(pixel_values=pixels).logits

    def features(self, pixels: Tensor) -> Tensor:
        """[n, 3, h, w] -> [n, width]: the class token as the head reads it."""
        with self._format():
            return self.model.vit(pixels).last_hidden_state[:, 0]

    def _format(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def set_rates(self, settings: Settings) -> None:
        """Go on at the rates of `settings`; what the optimizer remembers of each parameter stays."""
        state = self.optimizer.state
        self.optimizer = _optimizer(settings, groups(self.name, self.model, settings))
        self.optimizer.state.update(state)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]

    def state(self) -> dict:
        """What it takes to go on: the trained weights and what the optimizer remembers, both by name."""
        return {
            "weights": {name: p.detach().cpu() for name, p in self.trained.items()},
            "optimizer": {
                name: self.optimizer.state[p] for name, p in self.trained.items() if p in self.optimizer.state
            },
        }

    def go_on_from(self, state: dict) -> None:
        """Take up a `state` of the same settings."""
        self.load(state["weights"])
        for name, parameter in self.trained.items():
            if name in state["optimizer"]:
                self.optimizer.state[parameter] = {k: v.to(self.device) for k, v in state["optimizer"][name].items()}

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by qualified name."""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def checkpoint(self) -> dict[str, Tensor]:
        """The tensors a user would keep of this lane: what was trained, in fp32; of full fine-tuning that is every weight."""
        return {n: p.detach().float().cpu().contiguous() for n, p in self.trained.items()}

    def keep_best(self, loss: float) -> bool:
        """Remember the weights where `loss`, on held-out images, is the lowest so far; whether it is."""
        better = self.best is None or loss < self.best[0]
        if better:
            self.best = loss, {name: p.detach().clone() for name, p in self.trained.items()}, self.validation
        return better

    def take_best(self) -> None:
        """Go back to the weights of `keep_best`, and to what was validated of them, where there are any."""
        if self.best:
            _, weights, self.validation = self.best
            self.load(weights)

    @torch.no_grad()
    def load(self, weights: dict[str, Tensor]) -> None:
        """Set what is trained to `weights`, by name."""
        for name, parameter in self.trained.items():
            parameter.copy_(weights[name])

    @torch.no_grad()
    def spectra(self, start: dict[str, Tensor]) -> dict[str, list[float]]:
        """Largest singular values of each layer's change: of LoRA's s B A, and of every matrix of full less `start`'s.

        s B A is never formed: two thin QRs and an r x r core (`lora.spectrum`). A large dense change gets a randomised SVD. Empty
        once a weight is no longer a number.
        """
        if not all(p.isfinite().all() for p in self.trained.values()):
            return {}
        if self.name == "lora":
            values = {name: _lora_spectrum(layer) for name, layer in lora.adapted_layers(self.model).items()}
        else:
            weights = {n: p for n, p in self.trained.items() if n.endswith(".weight") and p.dim() == 2}
            weights = {n: p for n, p in weights.items() if n in start and ".layers." in n}
            values = {n.removesuffix(".weight"): _dense_spectrum(p - start[n].to(p.device)) for n, p in weights.items()}
        return {name: [float(f"{s:.3g}") for s in found[:LARGEST_KEPT].tolist()] for name, found in values.items()}

    def summary(self) -> dict:
        """What was measured: accuracy and loss on test images (None if stopped before), size, memory and speed.

        Bytes are counted, not estimated: `gradient_bytes` and `optimizer_bytes` of the trained parameters, `checkpoint_bytes`
        the length of the safetensors file a user would keep (adapter and head for LoRA, the whole model for full),
        `saved_activation_bytes` what autograd kept of a batch beside the parameters; `flops` those of one whole step. The latter
        four are counted during the second step.
        """
        timed = self.step_seconds[WARM_UP_STEPS:] or self.step_seconds
        return {
            **(self.test or {"accuracy": None, "loss": None}),
            "validation": self.validation,
            "trainable_parameters": sum(p.numel() for p in self.trained.values()),
            "total_parameters": sum(p.numel() for p in self.model.parameters()),
            **self.measured,
            "checkpoint_bytes": len(safetensors.torch.save(self.checkpoint())),
            "seconds": self.seconds,
            "step_seconds": statistics.median(timed) if timed else None,
        }


def prepare(name: str, model: nn.Module, settings: Settings, seed: int, dtype: torch.dtype) -> list[dict]:
    """Make `model` ready for lane `name`: inject, freeze, what is frozen in `dtype`; returns the optimizer's parameter groups.

    The head learns at the head's rate in every lane; LoRA may leave it frozen, as the notebook does.
    """
    if name == "head":
        lora.mark_only_adapters_as_trainable(model, also=[model.classifier])
    if name == "lora":
        lora.inject(
            model,
            lora.TARGETS[settings.targets],
            settings.rank,
            settings.alpha,
            variant=settings.variant,
            dropout=settings.dropout,
            generator=torch.Generator().manual_seed(seed),
        )
        lora.mark_only_adapters_as_trainable(model, also=[] if settings.freeze_head else [model.classifier])
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    return groups(name, model, settings)


def groups(name: str, model: nn.Module, settings: Settings) -> list[dict]:
    """The optimizer's parameter groups of a lane, at the peak rates of `settings`."""
    rate, head_rate = settings.learning_rate(name), settings.learning_rate_head
    if name == "lora":
        return lora.parameter_groups(model, rate, head_learning_rate=head_rate)
    head = {"params": list(model.classifier.parameters()), "lr": head_rate}
    if name == "head":
        return [head]
    return [head, {"params": [p for n, p in model.named_parameters() if not n.startswith("classifier.")], "lr": rate}]


def schedule(kind: str, steps: int) -> Callable[[int], float]:
    """Share of the peak rate at a step (from 0) of `steps`: warm-up then a cosine to zero, 1 throughout, or ever more."""
    warm_up = max(1, round(WARM_UP_SHARE * steps))

    def share(step: int) -> float:
        if kind == "constant":
            return 1.0
        if kind == "rising":
            return rising(step, steps)
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return share


def copied(model: nn.Module, head: nn.Linear) -> nn.Module:
    """A copy of a backbone's model under a copy of `head`."""
    model = copy.deepcopy(model)
    model.classifier = copy.deepcopy(head)
    return model


def _optimizer(settings: Settings, groups: list[dict]) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}[settings.optimizer]
    options = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
    # Fused, one pass over each tensor instead of about ten: a third of the time for 2.7 M parameters on two cores.
    return kind(groups, fused=True, **options)


def _optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    tensors = (v for state in optimizer.state.values() for v in state.values() if isinstance(v, Tensor) and v.dim())
    return sum(t.nbytes for t in tensors)


def _lora_spectrum(layer: lora.LoRALinear) -> Tensor:
    A, B = layer.lora_A.float(), layer.lora_B.float()
    if layer.variant == "dora":
        return _dense_spectrum(layer.delta_weight())
    if layer.variant == "pissa":
        A, B = torch.cat([A, -layer.initial_A]), torch.cat([B, layer.initial_B], dim=1)
    return lora.spectrum(B, A, layer.scaling)


def _dense_spectrum(change: Tensor) -> Tensor:
    if min(change.shape) <= EXACT_UP_TO:
        return torch.linalg.svdvals(change.float())
    return torch.svd_lowrank(change.float(), q=2 * LARGEST_KEPT, niter=2)[1]


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
