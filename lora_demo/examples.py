"""Cut the Classify tab's example images out of the bundled sheets: `python -m lora_demo.examples`.

Four test images of CIFAR-10, never trained on, and two photos that show none of the ten classes.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ASSETS = Path(__file__).resolve().parents[1] / "assets"
FOLDER = ASSETS / "examples"
OF_CLASS = {"ship": 1, "cat": 1, "frog": 2, "truck": 2}  # place in the class's test sheet
OF_NO_CLASS = {"teapot": (160, 2), "espresso": (193, 3)}  # backbone's class, place among its five images
TINY_PER_ROW, TINY_PER_CLASS = 50, 5


def tile(sheet: Image.Image, index: int, per_row: int, size: int) -> Image.Image:
    """Tile number `index` (row by row) of a sheet of square tiles of `size` pixels."""
    left, top = index % per_row * size, index // per_row * size
    return sheet.convert("RGB").crop((left, top, left + size, top + size))


def main() -> None:
    """Write the PNG files."""
    FOLDER.mkdir(exist_ok=True)
    for name, index in OF_CLASS.items():
        with Image.open(ASSETS / "cifar10" / "test" / f"{name}.png") as sheet:
            tile(sheet, index, 10, 32).save(FOLDER / f"{name}.png")
    with Image.open(ASSETS / "tiny-imagenet" / "val.jpg") as sheet:
        for name, (label, place) in OF_NO_CLASS.items():
            tile(sheet, label * TINY_PER_CLASS + place, TINY_PER_ROW, 64).save(FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
