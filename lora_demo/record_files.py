"""A run record as files to take home: its curves as CSV, the whole folder as a zip."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

from lora_demo import events
from lora_demo.records import STATE, Record

COLUMNS = ("lane", "step", "images", "seconds", "training_loss", "held_out_loss", "held_out_accuracy")


def csv_file(record: Record, path: Path) -> Path:
    """Every step of every lane, a row each: `COLUMNS`; what was not measured at a step is empty. Seconds are the lane's own."""
    rows: dict[tuple[str, int], dict] = {}
    batch = record.settings.batch_size
    for event in record.events():
        if isinstance(event, events.Step):
            for lane, loss in event.losses.items():
                rows[lane, event.step] = {
                    "lane": lane, "step": event.step, "images": event.step * batch, "seconds": round(event.seconds[lane], 4),
                    "training_loss": loss,
                }  # fmt: skip
        if isinstance(event, events.Evaluated):
            for lane, figures in event.lanes.items():
                if (lane, event.step) in rows:
                    rows[lane, event.step] |= {
                        "held_out_loss": figures["loss"],
                        "held_out_accuracy": figures["accuracy"],
                    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows.values())
    return path


def zip_file(record: Record, path: Path) -> Path:
    """The record's folder as it is, without what only serves to continue the run."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(record.folder.rglob("*")):
            if file.is_file() and file.name != STATE:
                archive.write(file, Path(record.name[:12]) / file.relative_to(record.folder))
    return path
