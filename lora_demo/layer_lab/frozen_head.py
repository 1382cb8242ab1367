"""What a frozen random head costs, as in the notebook: two short LoRA runs that differ in nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from lora_demo import runs
from lora_demo.events import Evaluated, Event, Failed, Step
from lora_demo.looks import INTERIM_IMAGES
from lora_demo.settings import Settings

STEPS = 30
IMAGES = INTERIM_IMAGES
SHORT = Settings(lanes=("lora",), steps=STEPS, evaluate_every=STEPS)
OWNER = "frozen head"  # no browser session's, so that these runs are nobody's latest adapter


@dataclass
class Progress:
    """One run so far: the loss of each step, and the share of `IMAGES` held-out images it got right at the end."""

    losses: list[float] = field(default_factory=list)
    accuracy: float | None = None

    def hear(self, event: Event) -> None:
        """Take in one event of the run; raises `RunError` with the sentence of a run that failed."""
        if isinstance(event, Step):
            self.losses.append(event.losses["lora"])
        elif isinstance(event, Evaluated):
            self.accuracy = event.lanes["lora"]["accuracy"]
        elif isinstance(event, Failed):
            raise runs.RunError(event.message)


async def compare(settings: Settings = SHORT) -> AsyncIterator[dict[str, Progress]]:
    """Train with the head "trained", then "frozen", alike in all else; yields both whenever there is news."""
    both = {"trained": Progress(), "frozen": Progress()}
    for name, progress in both.items():
        run = runs.start(dataclasses.replace(settings, freeze_head=name == "frozen"), OWNER)
        try:
            async for news in runs.follow(run):
                for event in news:
                    progress.hear(event)
                if progress.accuracy is not None:
                    run.stop()  # the test images are not needed
                yield both
        finally:
            run.stop()
