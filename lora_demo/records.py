"""A run record: the folder in which a run keeps what it was asked, what happened, and what it trained.

    settings.json       the settings it was started with
    events.jsonl        every event, one JSON object a line
    versions.json       of the libraries that made it
    pictures.png        the few images that every look answers for, side by side
    adapter/            LoRA's lane, in PEFT's format; seeds/1/adapter and so on where there were more seeds
    head.safetensors    the head lane's head
    full.safetensors    the full lane: its head, and the change of every other weight from the backbone's
    state.pt            what it takes to continue: all lanes' weights and optimizers; deleted after an hour

A live run, a bundled recorded run and a run of the command line leave the same folder, so every view works on each of them.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lora_demo import events
from lora_demo.errors import LabError
from lora_demo.settings import Settings

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "runs"
STATE = "state.pt"
LIBRARIES = ("torch", "torchvision", "transformers", "safetensors", "numpy")


class RecordError(LabError):
    """There is no such run record, or it is incomplete."""


@dataclass(frozen=True)
class Record:
    """A run record on disk."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def create(self, settings: Settings) -> None:
        """Make the folder, with the settings and the versions."""
        self.folder.mkdir(parents=True)
        versions = {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in LIBRARIES}
        (self.folder / "settings.json").write_text(json.dumps(settings.as_dict(), indent=2) + "\n")
        (self.folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
        (self.folder / "events.jsonl").touch()

    def append(self, event: events.Event) -> None:
        """Add one line to events.jsonl."""
        line = json.dumps(events.to_dict(event)) + "\n"
        with (self.folder / "events.jsonl").open("ab", buffering=0) as file:
            file.write(line.encode())  # in one piece: a worker may be killed at any time

    def events(self) -> Iterator[events.Event]:
        """The events so far, in order."""
        try:
            lines = (self.folder / "events.jsonl").read_text().splitlines()
        except OSError:
            raise RecordError(f"There is no run record {self.name!r}.") from None
        for line in lines:
            yield events.from_dict(json.loads(line))

    @property
    def settings(self) -> Settings:
        try:
            return Settings.parse(json.loads((self.folder / "settings.json").read_text()))
        except OSError:
            raise RecordError(f"There is no run record {self.name!r}.") from None

    @property
    def lanes(self) -> list[str]:
        """The lanes whose weights are kept here."""
        files = {"head": "head.safetensors", "lora": "adapter", "full": "full.safetensors"}
        return [lane for lane, file in files.items() if (self.folder / file).exists()]

    def save_lanes(self, race) -> None:
        """Keep what every lane of a `training.Race` has trained so far."""
        import safetensors.torch  # here: reading a record's events needs no torch

        from lora_demo import adapters

        for seed, lanes in enumerate(race.replicas):
            folder = self.folder / "seeds" / str(seed) if seed else self.folder
            if "lora" in lanes:
                adapter = adapters.from_model(lanes["lora"].model, race.settings.backbone, race.data.classes)
                adapters.save(adapter, folder / "adapter")
        for name, lane in race.lanes.items():
            if name != "lora":
                state, start = lane.checkpoint(), race.backbone.model.state_dict()
                if name == "full":
                    state = {k: v if k.startswith("classifier.") else v - start[k] for k, v in state.items()}
                safetensors.torch.save_file(state, self.folder / f"{name}.safetensors")

    def save_pictures(self, race) -> None:
        """Keep the few images that every look answers for."""
        images = race.looks.splits["validation"][race.looks.pictures].images
        strip = images.permute(2, 0, 3, 1).flatten(1, 2)  # [n, 3, h, w] -> [h, n * w, 3]
        Image.fromarray(strip.contiguous().numpy()).save(self.folder / "pictures.png")

    def pictures(self) -> bytes | None:
        """The few images side by side, as a PNG; None where a record has none."""
        path = self.folder / "pictures.png"
        return path.read_bytes() if path.exists() else None

    def save_state(self, race) -> None:
        """Keep what it takes to continue."""
        import torch

        torch.save(race.state(), self.folder / STATE)

    @property
    def can_continue(self) -> bool:
        return (self.folder / STATE).exists()

    def past(self):
        """The `training.Past` with which another run goes on where this one ended; raises `RecordError` where it cannot."""
        import torch

        from lora_demo.training import Past

        if not self.can_continue:
            raise RecordError(
                "This run cannot be continued: its optimizers' state is kept for an hour, where it ran to its end."
            )
        told = [
            event
            for event in self.events()
            if event.kind not in ("queued", "prepared", "finished", "failed")
            and not (event.kind == "changed" and event.what in ("paused", "resumed"))  # pauses shaped nothing
        ]
        return Past(told, torch.load(self.folder / STATE, weights_only=True))


def bundled() -> dict[str, Record]:
    """The recorded runs that come with the project, by name."""
    return (
        {folder.name: Record(folder) for folder in sorted(BUNDLED.iterdir()) if folder.is_dir()}
        if BUNDLED.exists()
        else {}
    )
