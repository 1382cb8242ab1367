"""Many small images as one picture: a contact sheet that travels once, and tiles that show their part of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PIL import Image, ImageOps

from lora_demo.figures.matrix import data_url

PER_ROW = 16


def sheet(images: Sequence[Image.Image], side: int) -> str:
    """A CSS style that holds the images, each cut to a square of `side` pixels, as one JPEG for the `tile`s inside."""
    rows = max(1, -(-len(images) // PER_ROW))
    whole = Image.new("RGB", (PER_ROW * side, rows * side), "grey")
    for i, image in enumerate(images):
        whole.paste(ImageOps.fit(image.convert("RGB"), (side, side)), (i % PER_ROW * side, i // PER_ROW * side))
    return f"--sheet:url({data_url(whole, 'jpeg', quality=88)});--rows:{rows};--per-row:{PER_ROW}"


def tile(index: int, count: int, words: str) -> str:
    """The tile of image number `index` of `count`, described by `words`; it stands inside an element with the sheet's style."""
    rows = max(1, -(-count // PER_ROW))
    x, y = index % PER_ROW / (PER_ROW - 1), (index // PER_ROW) / max(1, rows - 1)
    return (
        f'<i class="tile" role="img" aria-label="{escape(words, quote=True)}" '
        f'style="background-position:{100 * x:.3f}% {100 * y:.3f}%"></i>'
    )


def captioned(images: Sequence[Image.Image], captions: Sequence[str], side: int) -> str:
    """The images in rows, each with its caption (text, not HTML) under it."""
    inside = "".join(
        f"<figure>{tile(i, len(images), words)}<figcaption>{escape(words)}</figcaption></figure>"
        for i, words in enumerate(captions)
    )
    return f'<div class="tiles" style="{sheet(images, side)}">{inside}</div>'
