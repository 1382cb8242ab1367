"""A person's image file, opened the same way everywhere: the right way up, on white, in 8 bits, or refused in a sentence."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lora_demo.errors import LabError

MAX_PIXELS = 50_000_000  # of a file: a bomb is refused before it is unpacked
MAX_SIDE = 2_000  # pixels; larger images are scaled down
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"hevc", b"hevx", b"msf1")
# All else is left unopened: for an EPS, Pillow would run a program. WebP and AVIF are in most builds of Pillow, not in all.
Image.init()
FORMATS = [
    kind for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM") if kind in Image.OPEN
]


class ImageError(LabError):
    """A file is no image, is damaged, or is too large."""


def open_image(path: str | None, max_side: int = MAX_SIDE) -> Image.Image:
    """The image in the file: grey ("L") or "RGB", turned as its EXIF orientation says, see-through parts on white.

    Of an animation the first frame; 16 bits scaled to 8; at most `max_side` pixels a side. Raises `ImageError` where there is no
    file, it is no image, is damaged, or would unpack to more than 50 million pixels.
    """
    if not path:
        raise ImageError("There is no image yet: upload one, take one, or pick an example.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise ImageError(
                        f"The image has {opened.width} × {opened.height} pixels; at most {MAX_PIXELS:,} are read."
                    )
                opened.draft("RGB", (max_side, max_side))  # a JPEG is unpacked no larger than needed
                image = ImageOps.exif_transpose(opened)
                image.thumbnail((max_side, max_side))
                return _flattened(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"The image would unpack to more than {MAX_PIXELS:,} pixels.") from None
    except ImageError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise ImageError(_what_is_wrong(Path(path))) from None


def _what_is_wrong(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError:
        start = b""
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        return "HEIC photos cannot be read here: export the photo as JPEG (on a phone, share it as 'most compatible')."
    return "The file is not an image that can be read; JPEG, PNG, WebP, GIF, BMP and TIFF are."


def _flattened(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return _to_bytes(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _to_bytes(image: Image.Image) -> Image.Image:
    """Grey in 8 bits; more bits are scaled, for Pillow's own conversion would clip them to white. What is no number is black."""
    if image.mode in ("1", "L"):
        return image.convert("L")
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    scales = (65_535,) if image.mode.startswith("I;16") else (1, 255, 65_535)  # 32 bits do not say what white is
    top = next((top for top in scales if values.max() <= top), values.max())
    return Image.fromarray(np.clip(values / top * 255, 0, 255).astype(np.uint8))
