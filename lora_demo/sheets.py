"""Make the bundled image sheets again from downloaded data.

    python -m lora_demo.sheets cifar10 FOLDER OUT          FOLDER holds cifar-10-batches-py
    python -m lora_demo.sheets tiny-imagenet FOLDER OUT    FOLDER holds val/val_annotations.txt, val/images and words.txt

A sheet is the images as tiles, row by row, without gaps, so that a test can find an image by its place.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from lora_demo import backbones, datasets, examples

PER_CLASS = {"train": 500, "test": 100}


def sheet(tiles: Tensor, per_row: int) -> Image.Image:
    """[n, 3, size, size] uint8, n a multiple of `per_row` -> one image, row by row."""
    count, _, size, _ = tiles.shape
    rows = tiles.view(count // per_row, per_row, 3, size, size).permute(0, 3, 1, 4, 2)
    return Image.fromarray(rows.reshape(count // per_row * size, per_row * size, 3).numpy())


def write_cifar10(folder: Path, out: Path) -> None:
    """One PNG a class and split: the first 500 training and 100 test images of the class, in the data set's order."""
    train, test, classes = datasets.read_cifar10(str(folder))
    for name, split in (("train", train), ("test", test)):
        (out / name).mkdir(parents=True, exist_ok=True)
        for label, of_class in enumerate(classes):
            tiles = split.images[split.labels == label][: PER_CLASS[name]]
            sheet(tiles, datasets.PER_ROW[name]).save(out / name / f"{of_class}.png", optimize=True)


def write_tiny_imagenet(folder: Path, out: Path) -> None:
    """One JPEG: the first five validation images of each of the backbone's classes, in the order of its `id2label`."""
    words = dict(line.split("\t", 1) for line in (folder / "words.txt").read_text().splitlines())
    images: dict[str, list[str]] = {}
    for line in (folder / "val" / "val_annotations.txt").read_text().splitlines():
        file, synset, *_ = line.split("\t")
        images.setdefault(words[synset].split(",")[0], []).append(file)
    labels = json.loads((backbones.BUNDLED / "config.json").read_text())["id2label"]
    size, per_row = 64, examples.TINY_PER_ROW
    names = [name for i in range(len(labels)) for name in sorted(images[labels[str(i)]])[: examples.TINY_PER_CLASS]]
    pixels = [np.array(Image.open(folder / "val" / "images" / name).convert("RGB")) for name in names]
    rows = np.stack(pixels).reshape(-1, per_row, size, size, 3).transpose(0, 2, 1, 3, 4)
    out.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(rows.reshape(-1, per_row * size, 3))
    picture.save(out / "val.jpg", quality=92, subsampling="4:4:4")


def main() -> None:
    """Write the sheets that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=("cifar10", "tiny-imagenet"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    write = write_cifar10 if arguments.data == "cifar10" else write_tiny_imagenet
    write(arguments.folder, arguments.out)


if __name__ == "__main__":
    main()
