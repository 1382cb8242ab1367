"""An adapter as a zip of the folder that PEFT loads."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lora_demo import adapters
from lora_demo.adapters import folder
from lora_demo.exports.model_card import model_card
from lora_demo.records import Record


def peft_zip(record: Record, path: Path, title: str) -> Path:
    """Write the adapter of `record` and its model card into a zip at `path`; returns `path`.

    The files are written anew from what was read, so that nothing else from the record's folder comes along. Raises
    `AdapterError` where the record holds no adapter.
    """
    adapter = adapters.load(record.folder / "adapter")
    files = folder.files(adapter) | {"README.md": model_card(adapter, record, title).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
