"""Settings worth pressing a button for: a name, one line on what to look at, and the values that differ from the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lora_demo.settings import Settings


@dataclass(frozen=True)
class Preset:
    """A starting point for a run."""

    name: str
    meaning: str
    values: dict[str, Any]

    @property
    def settings(self) -> Settings:
        return Settings.parse(self.values)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("default", "100 steps, LoRA of rank 8 on query and value, every lane at its own best rate.", {}),
        Preset(
            "60 seconds on stage",
            "Ends within 60 seconds on this machine: a short probe sets the steps.",
            {"seconds": 55},
        ),
        Preset(
            "as in the notebook",
            "Rank 4, one epoch, the same rate of 3e-5 for both, and a random head that LoRA may not train: see what that costs.",
            {
                "lanes": ["lora", "full"],
                "rank": 4,
                "alpha": None,
                "batch_size": 16,
                "steps": 281,  # 4,500 training images, 16 at a time
                "learning_rate_head": 3e-5,
                "learning_rate_lora": 3e-5,
                "learning_rate_full": 3e-5,
                "optimizer": "adam",
                "schedule": "constant",
                "freeze_head": True,
            },
        ),
        Preset("rank 1", "One direction a layer: how much of the way does it go?", {"rank": 1}),
        Preset(
            "LoRA without regret",
            "Every linear layer adapted, at ten times full fine-tuning’s rate (Thinking Machines, 2025).",
            {"targets": "all_linear", "learning_rate_lora": 1e-3},
        ),
        Preset(
            "find the rate that breaks it",
            "Each lane’s rate rises from a hundredth to a hundred times its best: where does it break?",
            {"schedule": "rising"},
        ),
    )
}
