"""A run record: the folder in which a run keeps what it was asked, what happened, and what it trained.

    settings.json       the settings it was started with
    events.jsonl        every event, one JSON object a line
    versions.json       of the libraries that made it
    adapter/            LoRA's lane, in PEFT's format
    head.safetensors    the head lane's head
    full.safetensors    the full lane: its head, and the change of every other weight from the backbone's

A live run, a bundled recorded run and a run of the command line leave the same folder, so every view works on each of them.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lora_demo import events
from lora_demo.errors import LabError
from lora_demo.settings import Settings

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "runs"
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
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps(events.to_dict(event)) + "\n")

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
        """Keep what every lane of a `training.Race` has trained."""
        import safetensors.torch  # here: reading a record's events needs no torch

        from lora_demo import adapters

        for name, lane in race.lanes.items():
            if name == "lora":
                adapters.save(
                    adapters.from_model(lane.model, race.settings.backbone, race.data.classes), self.folder / "adapter"
                )
                continue
            state = lane.checkpoint()
            if name == "full":
                start = race.backbone.model.state_dict()
                state = {k: v if k.startswith("classifier.") else v - start[k] for k, v in state.items()}
            safetensors.torch.save_file(state, self.folder / f"{name}.safetensors")


def bundled() -> dict[str, Record]:
    """The recorded runs that come with the project, by name."""
    return (
        {folder.name: Record(folder) for folder in sorted(BUNDLED.iterdir()) if folder.is_dir()}
        if BUNDLED.exists()
        else {}
    )
