"""Labelled images in three splits: train on the first, choose by the second, measure once on the third."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lora_demo.errors import LabError

BUNDLED = Path(__file__).resolve().parents[1] / "assets" / "cifar10"
TILE = 32  # pixels, both ways
PER_ROW = {"train": 25, "test": 10}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VALIDATION_PER_CLASS = 50


class DataError(LabError):
    """A data set cannot be found or read."""


@dataclass(frozen=True)
class Split:
    """`images` [n, 3, height, width] uint8 and their `labels` [n] int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index) -> Split:
        return Split(self.images[index], self.labels[index])

    def batches(self, size: int) -> Iterator[Split]:
        """The split in order, `size` images at a time; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


@dataclass(frozen=True)
class Data:
    """`train` to learn from, `validation` to choose by (never trained on), `test` to measure once, at the end."""

    name: str
    classes: list[str]
    train: Split
    validation: Split
    test: Split


def load(name: str = "bundled") -> Data:
    """The data set called `name`: "bundled", or a folder that holds torchvision's CIFAR-10 (`cifar-10-batches-py`).

    The last 50 training images of each class (a tenth, where a class has fewer than 500) become the validation split. Raises
    `DataError` where the folder does not hold it; nothing is downloaded.
    """
    if name == "bundled":
        return _bundled()
    train, test, classes = read_cifar10(name)
    train, validation = _split_off_validation(train)
    return Data(name, classes, train, validation, test)


@functools.cache
def _bundled() -> Data:
    """Read once, 18 MB; the fork server has it before the first worker needs it (preloaded.py)."""
    train, validation = _split_off_validation(read_sheets("train"))
    return Data("bundled", list(CLASSES), train, validation, read_sheets("test"))


def order(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of indices [batch_size]: every image once before any comes again, in a new order each time."""
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < batch_size:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def mirrored(count: int, generator: torch.Generator) -> Tensor:
    """Which of `count` images are to be mirrored, [count] bool: half of them, by chance."""
    return torch.rand(count, generator=generator) < 0.5


def flipped(images: Tensor, mirror: Tensor) -> Tensor:
    """`images` [n, 3, h, w], those that `mirror` [n] names mirrored left to right."""
    return torch.where(mirror.view(-1, 1, 1, 1), images.flip(-1), images)


def read_sheets(split: str) -> Split:
    """Bundled CIFAR-10: one PNG a class, tiles of 32 x 32, row by row (assets/README.md)."""
    images, labels = [], []
    for label, name in enumerate(CLASSES):
        with Image.open(BUNDLED / split / f"{name}.png") as sheet:
            pixels = torch.from_numpy(np.array(sheet.convert("RGB")))
        rows = pixels.shape[0] // TILE
        tiles = pixels.view(rows, TILE, PER_ROW[split], TILE, 3).permute(0, 2, 4, 1, 3)
        images.append(tiles.reshape(-1, 3, TILE, TILE))
        labels.append(torch.full((len(images[-1]),), label))
    return Split(torch.cat(images), torch.cat(labels))


def read_cifar10(folder: str) -> tuple[Split, Split, list[str]]:
    """CIFAR-10 as torchvision keeps it: batches of pickled uint8 rows [n, 3072], channels first."""
    batches = Path(folder) / "cifar-10-batches-py"
    try:
        train = _read_batches(sorted(batches.glob("data_batch_*")))
        test = _read_batches([batches / "test_batch"])
        classes = [str(name) for name in _unpickled(batches / "batches.meta")["label_names"]]
    except (OSError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError):
        raise DataError(
            f"There is no data set {folder!r}: give 'bundled', or a folder that holds torchvision's CIFAR-10 (a folder "
            "cifar-10-batches-py with data_batch_1 and so on, test_batch and batches.meta)."
        ) from None
    labels = torch.cat([train.labels, test.labels])
    if labels.min() < 0 or labels.max() >= len(classes):
        raise DataError(f"Data set {folder!r} has labels outside its {len(classes)} classes.")
    return train, test, classes


def _read_batches(paths: list[Path]) -> Split:
    batches = [_unpickled(path) for path in paths]
    pixels = np.concatenate([np.asarray(batch["data"], dtype=np.uint8) for batch in batches])
    labels = torch.tensor([int(label) for batch in batches for label in batch["labels"]])
    return Split(torch.from_numpy(pixels.reshape(len(labels), 3, TILE, TILE)), labels)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numbers, strings and NumPy arrays; anything else a pickle could call is refused."""

    ALLOWED = frozenset({"_reconstruct", "_frombuffer", "scalar", "ndarray", "dtype", "encode"})

    def find_class(self, module: str, name: str):
        if module.split(".")[0] in ("numpy", "_codecs") and name in self.ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a data set")


def _unpickled(path: Path) -> dict:
    with path.open("rb") as file:
        return _ArraysOnly(file, encoding="latin1").load()


def _split_off_validation(split: Split) -> tuple[Split, Split]:
    held_out = torch.zeros(len(split), dtype=torch.bool)
    for label in split.labels.unique():
        of_class = (split.labels == label).nonzero().flatten()
        count = min(VALIDATION_PER_CLASS, max(1, len(of_class) // 10))
        held_out[of_class[-count:]] = True
    return split[~held_out], split[held_out]
