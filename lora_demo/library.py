"""A session's adapters: those of its runs, those it has imported, and the bundled ones. Nobody else's are listed or found.

An imported adapter is a run record without events, so that everything that reads records reads it too, and it is deleted by age
with them. What a person calls an adapter stands in the record's `library.json`, beside a digest of whose it is; the owner's
secret itself is not written down.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_demo import runs
from lora_demo.errors import LabError
from lora_demo.events import kept_accuracy
from lora_demo.records import Record, bundled
from lora_demo.settings import TARGETS, VARIANTS, Settings

ABOUT = "library.json"
MAX_IMPORTS = int(os.environ.get("LORA_LAB_MAX_IMPORTS", "20"))  # of one session
MAX_NAME = 60  # signs
KINDS = ("run", "imported", "bundled")


class LibraryError(LabError):
    """There is no such adapter in this session's library, or it may not be changed so."""


@dataclass(frozen=True)
class Entry:
    """One adapter: `id` is what everything else calls it, a 128-bit secret or a bundled run's name; `name` what a person does."""

    id: str
    name: str
    kind: str
    record: Record


def entries(owner: str, own_runs: Iterable[Record]) -> list[Entry]:
    """The adapters of a session: its runs' newest first, its imports newest first, then the bundled ones.

    `own_runs` are the records of the runs it started that are over, newest first; those without an adapter are left out.
    """
    of_runs = [Entry(r.name, _name(r) or _run_name(r), "run", r) for r in own_runs if "lora" in r.lanes]
    imported = [Entry(r.name, _name(r), "imported", r) for r in _imported(owner)]
    provided = [Entry(name, f"recorded {name}", "bundled", r) for name, r in bundled().items() if "lora" in r.lanes]
    return [*of_runs, *imported, *provided]


def find(id: str, owner: str, own_runs: Iterable[Record]) -> Entry:
    """The session's adapter with this id, or the bundled one of this name. Raises `LibraryError` for anybody else's."""
    for entry in entries(owner, own_runs):
        if entry.id == id:
            return entry
    raise LibraryError("There is no such adapter in this session's library.")


def import_file(
    path: str | Path, owner: str, name: str = "", backbone: str = "bundled", classes: list[str] | None = None
) -> Entry:
    """Take in an adapter that PEFT wrote, a .zip or a .safetensors; `name` is what a person calls it; without, its file's name.

    Raises `LibraryError` where the session has too many, `AdapterError` where the file is not exactly such an adapter for this
    backbone, `adapters.ClassNamesMissing` where it needs `classes`. Nothing is kept of a file that is refused.
    """
    from lora_demo import adapters, backbones  # here: a page that only lists needs no torch

    name = _checked(name or _of_file(path))
    runs.forget_old()
    if len(_imported(owner)) >= MAX_IMPORTS:
        raise LibraryError(f"This session has imported {MAX_IMPORTS} adapters; delete one first.")
    adapter = adapters.read_file(path, backbones.load(backbone), classes)
    record = Record(runs.FOLDER / secrets.token_hex(16))
    values = {"backbone": backbone, "lanes": ["lora"], "variant": adapter.variant, "rank": min(adapter.rank, 256)}
    record.create(Settings.parse(values | {"alpha": min(adapter.alpha, 1024.0)}))
    adapters.save(adapter, record.folder / "adapter")
    _write(record, {"name": name, "owner": _digest(owner)})
    return Entry(record.name, name, "imported", record)


def rename(id: str, name: str, owner: str, own_runs: Iterable[Record]) -> Entry:
    """Call an adapter something else. Raises `LibraryError`: not this session's, bundled, or no name."""
    entry = _changeable(id, owner, own_runs)
    name = _checked(name)
    _write(entry.record, _about(entry.record) | {"name": name})
    return Entry(entry.id, name, entry.kind, entry.record)


def delete(id: str, owner: str, own_runs: Iterable[Record]) -> None:
    """Delete an adapter with all of its record, a run's events included.

    Raises `LibraryError`: not this session's, or bundled.
    """
    shutil.rmtree(_changeable(id, owner, own_runs).record.folder)


def compare(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """For each adapter what it is (from its own files) and what its run measured; None where nothing was."""
    return [_facts(entry) for entry in entries]


def _facts(entry: Entry) -> dict[str, Any]:
    folder = entry.record.folder / "adapter"
    config = json.loads((folder / "adapter_config.json").read_text())
    labels = json.loads((folder / "config.json").read_text())["id2label"]
    events = {event.kind: event for event in entry.record.events() if event.kind in ("prepared", "finished")}
    measured = getattr(events.get("finished"), "lanes", {}).get("lora", {})
    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind,
        "backbone": config["base_model_name_or_path"],
        "data": events["prepared"].settings["data"] if "prepared" in events else None,
        "variant": "dora" if config["use_dora"] else "rslora" if config["use_rslora"] else "lora",
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "layers": len(config["target_modules"]),
        "classes": len(labels),
        "steps": events["finished"].step if "finished" in events else None,
        "accuracy": kept_accuracy(measured),
        "bytes": (folder / "adapter_model.safetensors").stat().st_size,
    }


def _imported(owner: str) -> list[Record]:
    """The records this session has imported, newest first."""
    if not runs.FOLDER.is_dir():
        return []
    records = [Record(folder) for folder in runs.FOLDER.iterdir() if re.fullmatch(r"[0-9a-f]{32}", folder.name)]
    mine = [record for record in records if _about(record).get("owner") == _digest(owner)]
    return sorted(mine, key=lambda record: record.folder.stat().st_mtime_ns, reverse=True)


def _changeable(id: str, owner: str, own_runs: Iterable[Record]) -> Entry:
    entry = find(id, owner, own_runs)
    if entry.kind == "bundled":
        raise LibraryError("A bundled adapter can be neither renamed nor deleted.")
    return entry


def _run_name(record: Record) -> str:
    """ "LoRA r 8 on query, value"."""
    settings = record.settings
    return f"{VARIANTS[settings.variant]} r {settings.rank} on {TARGETS.get(settings.targets, settings.targets)}"


def _of_file(path: str | Path) -> str:
    return "".join(sign for sign in Path(path).stem if sign.isprintable()).strip()[:MAX_NAME] or "imported"


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise LibraryError(f"A name has 1 to {MAX_NAME} printable signs.")
    return name


def _digest(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()


def _name(record: Record) -> str:
    return _about(record).get("name", "")


def _about(record: Record) -> dict[str, str]:
    try:
        return json.loads((record.folder / ABOUT).read_text())
    except OSError:
        return {}


def _write(record: Record, about: dict[str, str]) -> None:
    (record.folder / ABOUT).write_text(json.dumps(about) + "\n")
