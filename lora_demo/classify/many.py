"""Many images at once: a row for each, and the table as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lora_demo import images
from lora_demo.classify.classifier import ClassifyError, load, resized
from lora_demo.classify.held_out import belief
from lora_demo.records import Record

MAX_IMAGES = 200
THUMBNAIL = 96  # pixels of the longer side
COLUMNS = ("file", "class", "probability", "calibrated", "second", "margin", "unlike anything in training", "problem")


@dataclass(frozen=True)
class Row:
    """What is said about one file: the most likely class and the next, or the sentence that says why nothing is.

    `margin` is the distance of the two probabilities; `calibrated` the first one's under the lane's temperature and `unlike`
    whether the image is unlike anything in training, both None where the run's held-out images are not here.
    """

    file: str
    thumbnail: Image.Image | None = None
    label: str | None = None
    probability: float | None = None
    calibrated: float | None = None
    second: str | None = None
    margin: float | None = None
    unlike: bool | None = None
    problem: str | None = None


def classify_many(record: Record, paths: Sequence[str | Path], lane: str = "lora") -> list[Row]:
    """A row for each file, in order; a file that is no image gets a row that says so.

    Raises `ClassifyError`: no file, over 200 of them, or the lane was not kept.
    """
    if not 0 < len(paths) <= MAX_IMAGES:
        raise ClassifyError(f"Between 1 and {MAX_IMAGES} images are classified at once, not {len(paths)}.")
    classifier = load(record, lane)
    rows: list[Row] = []
    seen: list[np.ndarray] = []
    for path in paths:
        try:
            image = images.open_image(str(path))
        except images.ImageError as error:
            rows.append(Row(Path(path).name, problem=str(error)))
            continue
        seen.append(np.array(resized(classifier.backbone, image)))
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        rows.append(Row(Path(path).name, image))
    if not seen:
        return rows
    features, logits = classifier.answers(torch.from_numpy(np.stack(seen)).permute(0, 3, 1, 2))
    known = belief(record, lane)
    top = logits.softmax(-1).topk(min(2, logits.shape[1]))
    calibrated = known.calibration.probabilities(logits).amax(-1).tolist() if known else [None] * len(seen)
    unlike = known.familiar.is_unlike(features).tolist() if known else [None] * len(seen)
    said = iter(zip(top.values.tolist(), top.indices.tolist(), calibrated, unlike, strict=True))
    return [row if row.problem else _told(row, classifier.classes, *next(said)) for row in rows]


def _told(row: Row, classes: list[str], values: list[float], order: list[int], calibrated, unlike) -> Row:
    second, margin = (classes[order[1]], values[0] - values[1]) if len(order) > 1 else (None, None)
    return Row(row.file, row.thumbnail, classes[order[0]], values[0], calibrated, second, margin, unlike)


def as_csv(rows: Sequence[Row]) -> str:
    """The table without its pictures, under a line of column names; numbers with four decimals.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row.file, row.label, row.probability, row.calibrated, row.second, row.margin, row.unlike, row.problem)
        writer.writerow([_cell(value) for value in cells])
    return text.getvalue()


def _cell(value: str | float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"'{value}" if value[:1] in "=+-@\t\r" else value
