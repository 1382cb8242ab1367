"""`adapter_config.json` as PEFT writes it: what of it is understood, what does no harm, and what is refused by its name."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import regex  # unlike `re` it can be given a time limit, and the patterns here are a stranger's

from lora_demo.adapters.adapter import AdapterError
from lora_demo.adapters.layer_names import both_names
from lora_demo.adapters.untrusted import quoted

MAX_RANK = 256
MAX_PATTERNS = 200
MAX_PATTERN_LENGTH = 1_000
PATTERN_SECONDS = 2.0  # for all patterns of one adapter; sound ones take milliseconds

# What trained the adapter, or says where it came from; nothing here changes what a finished adapter computes. `auto_mapping`
# names a class to import and `base_model_name_or_path` a place to fetch from: neither is done.
HARMLESS = {
    *("auto_mapping", "base_model_name_or_path", "eva_config", "fan_in_fan_out", "inference_mode", "lora_dropout"),
    *("megatron_core", "peft_type", "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type"),
}
# These leave the backbone's weights as they are; olora, corda, loftq and others start by changing them.
INITS = (True, False, None, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class PeftConfig:
    """A LoRA that can be put together from the numbers in its file. `targets` is PEFT's `target_modules`."""

    rank: int
    alpha: float
    rslora: bool
    dora: bool
    pissa: bool
    backbone: str
    targets: str | list[str]
    excluded: str | list[str]
    indices: list[int]
    rank_pattern: dict[str, int]
    alpha_pattern: dict[str, float]
    _deadline: float = field(default_factory=lambda: time.monotonic() + PATTERN_SECONDS)

    def adapts(self, layer: str) -> bool:
        """Whether PEFT would adapt `layer`, a linear layer by its name in transformers 5, under that or its older name."""
        if self.indices and int(layer.split("layers.")[-1].split(".")[0]) not in self.indices:
            return False
        return any(
            self._named(self.targets, name) and not self._named(self.excluded, name) for name in both_names(layer)
        )

    def rank_of(self, layer: str) -> int:
        """r of one layer: the first key of `rank_pattern` that fits, else `rank`."""
        return self._first_fit(self.rank_pattern, layer, self.rank)

    def scaling_of(self, layer: str) -> float:
        """alpha / r of one layer, or alpha / sqrt(r) in rsLoRA."""
        rank = self.rank_of(layer)
        return self._first_fit(self.alpha_pattern, layer, self.alpha) / (math.sqrt(rank) if self.rslora else rank)

    def _named(self, names: str | list[str], layer: str) -> bool:
        """PEFT's rule: one text is "all-linear" or a pattern for the whole name, a list holds whole names or their ends."""
        if isinstance(names, str):
            return names.lower() == "all-linear" or self._fits(names, layer)
        return any(layer == name or layer.endswith(f".{name}") for name in names)

    def _first_fit(self, patterns: dict[str, Any], layer: str, default: Any) -> Any:
        """PEFT's `get_pattern_key`: a pattern fits the whole name or its end, from a dot on."""
        names = both_names(layer)
        return next((v for p, v in patterns.items() if any(self._fits(rf"(.*\.)?({p})", n) for n in names)), default)

    def _fits(self, pattern: str, name: str) -> bool:
        left = max(1e-3, self._deadline - time.monotonic())
        try:
            return regex.fullmatch(pattern, name, timeout=left, concurrent=True) is not None
        except TimeoutError:
            raise AdapterError(f"The pattern {quoted(pattern)} takes too long to match.") from None


def parse(config: dict[str, Any]) -> PeftConfig:
    """Check every key of an adapter's configuration. Raises `AdapterError`, which names the key that cannot be used."""
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"The adapter is of type {quoted(config.get('peft_type'))}; only 'LORA' can be used here.")
    left = {key: value for key, value in config.items() if key not in HARMLESS}
    start = left.pop("init_lora_weights", True)
    if start != "pissa" and (isinstance(start, int) != isinstance(start, bool) or start not in INITS):
        raise AdapterError(
            f"init_lora_weights = {quoted(start)} changes the backbone's own weights; convert the adapter to a plain LoRA "
            "with PEFT's save_pretrained(path_initial_model_for_weight_conversion=...)."
        )
    if left.pop("bias", "none") != "none":
        raise AdapterError(
            "The adapter also trained biases (bias is not 'none'); only A, B and the head can be used here."
        )
    _check_saved_modules(left.pop("modules_to_save", None))
    if (layers := left.pop("layers_pattern", None)) not in (None, [], "", "layer", "layers", ["layer"], ["layers"]):
        raise AdapterError(f"layers_pattern = {quoted(layers)} names no layers of a ViT.")
    parsed = PeftConfig(
        rank=_rank(left.pop("r", 8), "r"),
        alpha=_alpha(left.pop("lora_alpha", 8), "lora_alpha"),
        rslora=_flag(left, "use_rslora"),
        dora=_flag(left, "use_dora"),
        pissa=start == "pissa",
        backbone=str(config.get("base_model_name_or_path") or ""),
        targets=_names(left.pop("target_modules", None), "target_modules"),
        excluded=_names(left.pop("exclude_modules", None), "exclude_modules"),
        indices=_indices(left.pop("layers_to_transform", None)),
        rank_pattern=_patterns(left.pop("rank_pattern", None), "rank_pattern", _rank),
        alpha_pattern=_patterns(left.pop("alpha_pattern", None), "alpha_pattern", _alpha),
    )
    if set_ := [key for key, value in left.items() if value]:
        raise AdapterError(f"The adapter uses {quoted(set_[0])}, which cannot be used here.")
    if not parsed.targets:
        raise AdapterError("The adapter's target_modules names no layers.")
    if parsed.pissa and (parsed.dora or parsed.rank_pattern or parsed.alpha_pattern):
        raise AdapterError("PiSSA together with DoRA or with a rank or alpha pattern cannot be used here.")
    return parsed


def _check_saved_modules(modules: object) -> None:
    """PEFT names a classifier "classifier" or "score" and looks for both."""
    others = [name for name in (modules if isinstance(modules, list) else [modules]) if name]
    if foreign := [name for name in others if name not in ("classifier", "score")]:
        raise AdapterError(
            f"modules_to_save names {quoted(foreign[0])}; beside A and B only the classifier can be used."
        )


def _rank(value: object, name: str) -> int:
    if type(value) is not int or not 1 <= value <= MAX_RANK:
        raise AdapterError(f"{name} must be a whole number from 1 to {MAX_RANK}, not {quoted(value)}.")
    return value


def _alpha(value: object, name: str) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e6:
        raise AdapterError(f"{name} must be a positive number below a million, not {quoted(value)}.")
    return float(value)


def _flag(config: dict[str, Any], name: str) -> bool:
    if type(value := config.pop(name, False)) is not bool:
        raise AdapterError(f"{name} must be true or false, not {quoted(value)}.")
    return value


def _names(value: object, name: str) -> str | list[str]:
    value = value or []
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or len(words) > MAX_PATTERNS or not all(isinstance(word, str) for word in words):
        raise AdapterError(f"{name} must be a list of layers' names or one pattern.")
    if isinstance(value, str):
        _check_pattern(value, name)
    return value


def _indices(value: object) -> list[int]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(index) is int and index >= 0 for index in values):
        raise AdapterError("layers_to_transform must hold the numbers of layers.")
    return values


def _patterns(value: object, name: str, check) -> dict[str, Any]:
    value = value or {}
    if not isinstance(value, dict) or len(value) > MAX_PATTERNS:
        raise AdapterError(f"{name} must map at most {MAX_PATTERNS} patterns to numbers.")
    for pattern in value:
        _check_pattern(pattern, name)
    return {pattern: check(number, f"{name}[{quoted(pattern)}]") for pattern, number in value.items()}


def _check_pattern(pattern: str, name: str) -> None:
    try:
        if len(pattern) <= MAX_PATTERN_LENGTH and regex.compile(pattern):
            return
    except (regex.error, RecursionError, OverflowError, MemoryError):
        pass
    raise AdapterError(f"{name}: {quoted(pattern)} is no pattern that can be used.")


def adapted_layers(config: PeftConfig, linears: Iterable[str]) -> set[str]:
    """Which of `linears`, a backbone's linear layers, PEFT would adapt; the classifier never."""
    return {name for name in linears if name != "classifier" and config.adapts(name)}
