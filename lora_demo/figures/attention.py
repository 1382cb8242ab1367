"""Where a network looks, laid over the image: what it looks at stays bright, the rest goes dark."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 320  # pixels of the longer side
DARKEST = 0.25  # share of its light that the least looked at patch keeps


def spotlight(image: Image.Image, shares: np.ndarray, low: float, high: float) -> Image.Image:
    """`image` lit by `shares` [rows, columns] of its patches: `high` or more is fully lit, `low` or less is darkest."""
    scale = SIDE / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    share = np.clip((shares - low) / ((high - low) or 1), 0, 1)
    light = Image.fromarray((255 * share).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    lit = DARKEST + (1 - DARKEST) * np.asarray(light, dtype=np.float32)[:, :, None] / 255
    return Image.fromarray((np.asarray(image.resize(size, Image.Resampling.BICUBIC)) * lit).astype(np.uint8))
