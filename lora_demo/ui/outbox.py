"""Files made to be taken home: in a folder of this process, deleted by age and at its end."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import time
from pathlib import Path

from lora_demo import runs

EVERY_SECONDS = 600
UPLOAD_HOURS = float(os.environ.get("LORA_LAB_UPLOAD_HOURS", "2"))  # that an uploaded file stays, and one handed over
DELETE_CACHE = (EVERY_SECONDS, int(UPLOAD_HOURS * 3600))  # Gradio's: how often to look, and from what age to delete


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="lora-lab-files-")


def new_file(name: str) -> Path:
    """The path of a file to be written, in a fresh folder so that it can bear its own name."""
    return Path(tempfile.mkdtemp(dir=_folder().name)) / name


def forget_old() -> None:
    """Delete the files older than an upload may be."""
    for folder in Path(_folder().name).iterdir():
        if time.time() - folder.stat().st_mtime > UPLOAD_HOURS * 3600:
            shutil.rmtree(folder, ignore_errors=True)


def forget_old_for_ever() -> None:
    """Every ten minutes, whether anybody comes or not: delete run folders and files that are too old."""
    while True:
        runs.forget_old()
        forget_old()
        time.sleep(EVERY_SECONDS)
