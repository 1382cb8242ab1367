"""What a run is asked to do: every setting declared once.

Form, command line, API and the sentences about bad values all come from the declarations here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lora_demo.errors import LabError

LANES = ("head", "lora", "full")
TARGETS = {"query_value": "query, value", "attention": "attention", "all_linear": "all linear"}
VARIANTS = {
    "lora": "LoRA",
    "rslora": "rsLoRA",
    "dora": "DoRA",
    "pissa": "PiSSA",
    "lora_plus": "LoRA+",
    "lora_fa": "LoRA-FA",
}


class SettingsError(LabError):
    """A setting is unknown or its value cannot be used; the sentence names it."""


def setting(default: Any, label: str, meaning: str, *, unit: str = "", minimum=None, maximum=None, choices=None):
    """A dataclass field that knows how to present and check itself."""
    described = {
        "label": label,
        "meaning": meaning,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices) if choices else None,
    }
    return dataclasses.field(default=default, metadata=described)


@dataclass(frozen=True)
class Settings:
    """One run's settings. Build from outside data with `Settings.parse`, which checks every value."""

    backbone: str = setting(
        "bundled",
        "Backbone",
        "bundled, a local folder, or a hub id of a transformers ViT (google/vit-base-patch16-224)",
    )
    data: str = setting(
        "bundled", "Data", "bundled (5,000 + 1,000 CIFAR-10 images), or a folder with torchvision's CIFAR-10"
    )
    lanes: tuple[str, ...] = setting(LANES, "Lanes", "who races: the head alone, LoRA, the full network", choices=LANES)
    steps: int = setting(100, "Steps", "optimizer steps of each lane", unit="steps", minimum=1, maximum=10_000)
    seconds: float | None = setting(
        None,
        "Time budget",
        "the run ends within this time: a short probe sets the steps; empty or 0: as many as asked",
        unit="seconds",
        minimum=10,
        maximum=3600,
    )
    batch_size: int = setting(32, "Batch size", "images in a step", unit="images", minimum=1, maximum=512)
    rank: int = setting(8, "Rank r", "directions the update BA can use", minimum=1, maximum=256)
    alpha: float | None = setting(
        16.0, "Alpha", "BA is scaled by alpha / r; empty or 0: alpha = r", minimum=0.01, maximum=1024
    )
    targets: str = setting("query_value", "Adapted layers", "which linear layers get a BA", choices=TARGETS)
    variant: str = setting("lora", "Variant", "how BA starts, is scaled and learns", choices=VARIANTS)
    dropout: float = setting(
        0.0, "LoRA dropout", "share of A's inputs dropped while training", minimum=0.0, maximum=0.9
    )
    learning_rate_head: float = setting(
        1e-2, "Rate of the head", "peak learning rate of the new head, in every lane", minimum=1e-7, maximum=10
    )
    learning_rate_lora: float | None = setting(
        None,
        "Rate of LoRA",
        "peak learning rate of A and B; empty or 0: 0.002 for query and value, 0.001 when more is adapted",
        minimum=1e-7,
        maximum=10,
    )
    learning_rate_full: float = setting(
        1e-4, "Rate of full", "peak learning rate of all weights but the head's", minimum=1e-7, maximum=10
    )
    optimizer: str = setting(
        "adamw", "Optimizer", "AdamW, Adam as in the notebook, or SGD", choices=("adamw", "adam", "sgd")
    )
    schedule: str = setting(
        "cosine",
        "Schedule",
        "6 % warm-up then a cosine to zero; constant; or rising, from 1/100 to 100 times, to find what breaks a lane",
        choices=("cosine", "constant", "rising"),
    )
    freeze_head: bool = setting(False, "Freeze LoRA's head", "leave LoRA's new head random, as the notebook does")
    dtype: str = setting(
        "auto", "Precision", "auto: bfloat16 where it is faster", choices=("auto", "float32", "bfloat16")
    )
    evaluate_every: int = setting(
        20, "Look every", "steps between looks at held-out images", unit="steps", minimum=1, maximum=10_000
    )
    patience: int = setting(
        0,
        "Early stop",
        "looks in a row without a better held-out loss before a lane stops and takes its best weights back; 0: never",
        unit="looks",
        minimum=0,
        maximum=100,
    )
    seed: int = setting(0, "Seed", "of the head, A, the order of images and their flips", minimum=0, maximum=2**31 - 1)
    seeds: int = setting(
        1, "Seeds", "starts raced side by side, from this seed on: their spread is a band", minimum=1, maximum=5
    )

    @classmethod
    def parse(cls, values: Mapping[str, Any] | None) -> Settings:
        """Settings from a mapping of names to values; what is missing takes its default.

        Raises `SettingsError`: a name that is no setting, a value of the wrong type or outside its limits.
        """
        if not isinstance(values, Mapping):
            raise SettingsError("Settings are a dictionary of names and values, such as {'rank': 4}.")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = [name for name in values if name not in fields]
        if unknown:
            raise SettingsError(f"There is no setting {unknown[0]!r}; the settings are {', '.join(fields)}.")
        return cls(**{name: _checked(fields[name], value) for name, value in values.items()})

    @classmethod
    def from_yaml(cls, text: str, name: str = "This text") -> Settings:
        """Settings from a YAML (or JSON) text, as `as_yaml` writes it and the headless command reads it.

        Raises `SettingsError`: no YAML, no mapping, or a value that cannot be used; `name` says what was read.
        """
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
            raise SettingsError(f"{name} cannot be read as a YAML file of settings{where}.") from None
        except ValueError as error:  # such as a date that is none
            raise SettingsError(f"{name} cannot be read as a YAML file of settings: {error}.") from None
        if isinstance(values, Mapping):  # YAML 1.1 takes 1e-3 for a word
            values = {key: _number(value) for key, value in values.items()}
        return cls.parse({} if values is None else values)

    @classmethod
    def from_file(cls, path: Path | None) -> Settings:
        """Settings from a YAML (or JSON) file, the defaults without one; raises `SettingsError` where it cannot be read."""
        if path is None:
            return cls()
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{str(path)!r} cannot be read as a YAML file of settings.") from None
        return cls.from_yaml(text, repr(str(path)))

    def as_yaml(self) -> str:
        """What differs from the defaults, one setting a line with its meaning behind it."""
        lines = []
        for field in dataclasses.fields(self):
            value = self.as_dict()[field.name]
            if value != (list(field.default) if field.name == "lanes" else field.default):
                line = yaml.safe_dump({field.name: value}, default_flow_style=field.name == "lanes").strip()
                lines.append(f"{line.strip('{}')}  # {field.metadata['meaning']}")
        return "\n".join(lines or ["{}  # the defaults"]) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; `Settings.parse` reads them back."""
        return {**dataclasses.asdict(self), "lanes": list(self.lanes)}

    def learning_rate(self, lane: str) -> float:
        """The peak rate of what `lane` trains beside the head; the head's own for the head lane."""
        if lane == "head":
            return self.learning_rate_head
        if lane == "full":
            return self.learning_rate_full
        if self.learning_rate_lora is not None:
            return self.learning_rate_lora
        return 2e-3 if self.targets == "query_value" else 1e-3  # assets/backbone/README.md: found on held-out images


def rising(step: int, steps: int) -> float:
    """Share of the rate at a step (from 0) of the rising schedule: from 1/100 to 100 by a constant factor a step."""
    return 0.01 * 10_000 ** (step / max(1, steps - 1))


def _number(value: Any) -> Any:
    """A number where `value` is one in words, else `value`."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _checked(field: dataclasses.Field, value: Any) -> Any:
    """`value` in the field's own type and within its limits, or a `SettingsError` that says what would do."""
    described, name = field.metadata, field.name
    if value is None and "None" in field.type:
        return None
    if name == "lanes":
        lanes = [value] if isinstance(value, str) else value
        if not isinstance(lanes, list | tuple) or not lanes or any(lane not in LANES for lane in lanes):
            raise SettingsError(f"Setting 'lanes' must name at least one of {', '.join(LANES)}, not {value!r}.")
        return tuple(lane for lane in LANES if lane in lanes)
    if described["choices"]:
        if value not in described["choices"]:
            raise SettingsError(f"Setting '{name}' must be one of {', '.join(described['choices'])}, not {value!r}.")
        return value
    if field.type == "str":
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"Setting '{name}' must be a name or a folder, not {value!r}.")
        return value.strip()
    if field.type == "bool":
        if not isinstance(value, bool):
            raise SettingsError(f"Setting '{name}' must be true or false, not {value!r}.")
        return value
    whole = field.type == "int"
    low, high = described["minimum"], described["maximum"]
    wanted = (
        f"Setting '{name}' must be {'a whole number' if whole else 'a number'} from {low:,} to {high:,}, not {value!r}."
    )
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(wanted)
    if (whole and value != int(value)) or not low <= value <= high:
        raise SettingsError(wanted)
    return int(value) if whole else float(value)
