"""LoRA: train a low-rank change of a frozen weight.

A linear layer maps x [..., in] to W0 x + b. LoRA freezes W0 [out, in] and trains A [r, in] and B [out, r] instead:

    h = W0 x + b + (alpha / r) B A x        (Hu et al. 2021, arXiv 2106.09685, equation 3)

B starts at zero, so training starts at the base model exactly. `variants` holds what later papers change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lora_demo.errors import LabError
from lora_demo.low_rank_product import LowRankLinear
from lora_demo.variants import VARIANTS

INITS = ("kaiming", "gaussian")

# Patterns for `inject`. They fit the names of transformers 5 (`vit.layers.0.attention.q_proj`, `mlp.fc1`) and of
# transformers 4 (`vit.encoder.layer.0.attention.attention.query`, `intermediate.dense`); the head is in no numbered layer.
TARGETS: dict[str, str] = {
    "query_value": r"\.(q_proj|v_proj|query|value)$",
    "attention": r"\.(attention|self_attn|attn)\.",
    "all_linear": r"\b(layers?|blocks?)\.\d+\.",
}


class LoRAError(LabError):
    """A rank, a variant or a pattern that cannot be used."""


class LoRALinear(nn.Module):
    """A frozen linear layer with a trained low-rank change: x [..., in] -> h [..., out].

    Args:
        base: the layer to adapt; its weight W0 [out, in] and bias [out] are kept, frozen, and never written to.
        rank: r, at least 1 and at most min(in, out).
        alpha: numerator of the scaling; r where not given, so that the scaling is 1.
        variant: a key of `VARIANTS`.
        dropout: chance that an input of the low-rank path is dropped in training.
        init: how A is drawn: "kaiming" is U(-1/sqrt(in), 1/sqrt(in)), as loralib and PEFT; "gaussian" is N(0, 1/r^2).
        generator: source of A's random numbers, for a start that can be repeated.

    Attributes:
        weight, bias: W0 and b, frozen. lora_A [r, in], lora_B [out, r]: trained, fp32 even where W0 is bf16.
        scaling: alpha / r (rsLoRA: alpha / sqrt(r)).
        strength: W = W0 + strength (W_trained - W0): 0 is the base layer, 1 the layer as trained.

    Raises:
        LoRAError: for a rank, variant, init, alpha or dropout that cannot be used.
    """

    def __init__(
        self,
        base: nn.Linear,
        rank: int,
        alpha: float | None = None,
        *,
        variant: str = "lora",
        dropout: float = 0.0,
        init: str = "kaiming",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(base, rank, alpha, variant, dropout, init)
        self.in_features, self.out_features, self.rank = base.in_features, base.out_features, rank
        self.alpha = float(rank if alpha is None else alpha)
        self.variant, self._variant = variant, VARIANTS[variant]
        self.scaling = self._variant.scaling(self.alpha, rank)
        self.strength = 1.0
        self.dropout = dropout

        self._base_requires_grad = [p.requires_grad for p in base.parameters(recurse=False)]
        self.weight = nn.Parameter(base.weight.detach(), requires_grad=False)
        self.bias = None if base.bias is None else nn.Parameter(base.bias.detach(), requires_grad=False)
        self.register_buffer("base_weight", None, persistent=False)  # W0 while merged

        dtype = torch.promote_types(base.weight.dtype, torch.float32)
        A = torch.empty(rank, self.in_features, dtype=dtype, device=generator.device if generator else None)
        if init == "kaiming":
            nn.init.kaiming_uniform_(A, a=math.sqrt(5), generator=generator)
        else:
            nn.init.normal_(A, std=1 / rank, generator=generator)
        self.lora_A = nn.Parameter(A.to(base.weight.device), requires_grad=self._variant.trains_A)
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, dtype=dtype, device=base.weight.device))
        self._variant.start(self)
        self.train(base.training)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., in] -> h [..., out]: h = W0 x + b + scaling B A x.

        Computed as (W0 + scaling B A) x + b: W is small beside x, so to form it anew each time costs less than to add a
        second product to h. Only dropout, which the low-rank path has and W0 has not, needs the two apart.
        """
        if self.merged or self.strength == 0.0:
            return F.linear(x, self.weight, self.bias)
        if self.dropout and self.training:
            change = self._linear(F.dropout(x, self.dropout), self.delta_weight, None)
            return F.linear(x, self.weight, self.bias) + change
        return self._linear(x, self.adapted_weight, self.bias)

    def _linear(self, x: Tensor, form_weight: Callable[[], Tensor], bias: Tensor | None) -> Tensor:
        """x W^T + bias, differentiable in what is trained, where W is W0 + change or the change alone."""
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        if not (self._variant.is_low_rank and torch.is_grad_enabled()):
            return F.linear(x, form_weight().to(dtype), bias)
        with torch.no_grad():
            W = form_weight().to(dtype)
        return LowRankLinear.apply(x.to(dtype), W, bias, self.lora_A, self.lora_B, self.strength * self.scaling)

    def adapted_weight(self) -> Tensor:
        """W = W0 + strength (W_trained - W0), [out, in]."""
        return torch.add(self.weight, self._variant.change(self), alpha=self.strength)

    def delta_weight(self) -> Tensor:
        """The change from W0 at the present strength, [out, in]."""
        return self.strength * self._variant.change(self)

    @property
    def merged(self) -> bool:
        """Whether `weight` holds W0 plus the change rather than W0."""
        return self.base_weight is not None

    @torch.no_grad()
    def merge(self) -> None:
        """Add the change to `weight` at the present strength: the layer then costs what the base layer costs."""
        if not self.merged:
            merged = self.adapted_weight().to(self.weight.dtype)
            self.base_weight, self.weight = self.weight.data, nn.Parameter(merged, requires_grad=False)

    def unmerge(self) -> None:
        """Bring W0 back, bit for bit: it was kept, not recomputed."""
        if self.merged:
            self.weight, self.base_weight = nn.Parameter(self.base_weight, requires_grad=False), None

    def adapter_parameters(self) -> Iterator[nn.Parameter]:
        """What is trained here: A (not in LoRA-FA), B and, in DoRA, the magnitude."""
        if self._variant.trains_A:
            yield self.lora_A
        yield self.lora_B
        if hasattr(self, "magnitude"):
            yield self.magnitude

    def to_linear(self) -> nn.Linear:
        """The base layer as it was: the same W0 and bias, bit for bit."""
        self.unmerge()
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        names = ["weight"] if self.bias is None else ["weight", "bias"]
        for name, requires_grad in zip(names, self._base_requires_grad, strict=True):
            setattr(linear, name, nn.Parameter(getattr(self, name).data, requires_grad=requires_grad))
        return linear.train(self.training)

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, r={self.rank}, alpha={self.alpha:g}, {self.variant}"


def _check(base: nn.Linear, rank: int, alpha: float | None, variant: str, dropout: float, init: str) -> None:
    largest = min(base.in_features, base.out_features)
    if not 1 <= rank <= largest:
        raise LoRAError(
            f"Rank {rank} does not fit a layer of {base.in_features} -> {base.out_features}: 1 to {largest} do."
        )
    if alpha is not None and not (math.isfinite(alpha) and alpha > 0):
        raise LoRAError(f"alpha must be a positive number, not {alpha}.")
    if variant not in VARIANTS:
        raise LoRAError(f"There is no variant {variant!r}; there are {', '.join(VARIANTS)}.")
    if not 0 <= dropout < 1:
        raise LoRAError(f"Dropout must be at least 0 and below 1, not {dropout}.")
    if init not in INITS:
        raise LoRAError(f"A cannot be drawn as {init!r}; it can as {' or '.join(INITS)}.")


def inject(
    model: nn.Module,
    pattern: str,
    rank: int,
    alpha: float | None = None,
    *,
    variant: str = "lora",
    dropout: float = 0.0,
    init: str = "kaiming",
    generator: torch.Generator | None = None,
) -> list[str]:
    """Put a `LoRALinear` in place of every `nn.Linear` whose qualified name matches (`re.search`); return the names.

    The model's output does not change by a bit. What else in the model trains is left alone: see
    `mark_only_adapters_as_trainable`.

    Raises:
        LoRAError: where the pattern is no regular expression, or matches no linear layer.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise LoRAError(f"The pattern {pattern!r} is not a regular expression: {error}.") from error
    linears = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}
    names = [name for name in linears if wanted.search(name)]
    if not names:
        kinds = dict.fromkeys(re.sub(r"\d+", "N", name) for name in linears)
        raise LoRAError(f"The pattern {pattern!r} matches no linear layer; there are {', '.join(kinds) or 'none'}.")
    options = {"variant": variant, "dropout": dropout, "init": init, "generator": generator}
    adapted = {name: LoRALinear(linears[name], rank, alpha, **options) for name in names}
    for name, layer in adapted.items():  # only once all of them could be built: a refusal leaves the model as it was
        model.set_submodule(name, layer)
    return names


def eject(model: nn.Module) -> list[str]:
    """Put plain linear layers back, W0 and bias bit for bit; return their names."""
    adapted = adapted_layers(model)
    for name, layer in adapted.items():
        model.set_submodule(name, layer.to_linear())
    return list(adapted)


def adapted_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers of a model by qualified name, in the model's order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def merge(model: nn.Module) -> None:
    """`LoRALinear.merge` on every adapted layer."""
    for layer in adapted_layers(model).values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """`LoRALinear.unmerge` on every adapted layer."""
    for layer in adapted_layers(model).values():
        layer.unmerge()


def mark_only_adapters_as_trainable(model: nn.Module, also: Iterable[nn.Module] = ()) -> None:
    """Freeze everything in `model` but the adapters and the modules in `also` (a new classification head)."""
    model.requires_grad_(False)
    for layer in adapted_layers(model).values():
        for parameter in layer.adapter_parameters():
            parameter.requires_grad_(True)
    for module in also:
        module.requires_grad_(True)


def trainable_parameters(model: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def parameter_groups(
    model: nn.Module, learning_rate: float, *, ratio: float | None = None, head_learning_rate: float | None = None
) -> list[dict]:
    """Groups for a torch optimizer: A and magnitude at `learning_rate`, B at `ratio` times that, the head at its own.

    Args:
        ratio: rate of B over that of A; where not given the variant says (LoRA+: 16, arXiv 2402.12354; the others: 1).
        head_learning_rate: for what trains outside the adapters; `learning_rate` where not given.
    """
    rates: dict[nn.Parameter, float] = {}
    for layer in adapted_layers(model).values():
        rates |= dict.fromkeys(layer.adapter_parameters(), learning_rate)
        rates[layer.lora_B] = learning_rate * (layer._variant.ratio if ratio is None else ratio)
    groups: dict[float, list[nn.Parameter]] = {}
    other = learning_rate if head_learning_rate is None else head_learning_rate
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(parameter, other), []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]


def extract(delta: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The B [out, r] and A [r, in] whose product is nearest a dense change [out, in]: its truncated SVD.

    Eckart and Young 1936: what is left over has Frobenius norm sqrt(sum of the squared singular values beyond r).
    """
    U, S, Vh = torch.linalg.svd(delta, full_matrices=False)
    root = S[:rank].sqrt()
    return U[:, :rank] * root, root[:, None] * Vh[:rank]


def spectrum(lora_B: Tensor, lora_A: Tensor, scaling: float) -> Tensor:
    """Singular values [r] of scaling * B A, largest first, from two thin QRs and an r x r core: B A is never formed."""
    R_B = torch.linalg.qr(lora_B, mode="r").R
    R_A = torch.linalg.qr(lora_A.T, mode="r").R
    return abs(scaling) * torch.linalg.svdvals(R_B @ R_A.T)
