"""A photo as a matrix a channel: the best rank-k picture, its PSNR and what it stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from lora_demo.images import open_image
from lora_demo.matrices.matrix import MatrixError

MAX_PHOTO_SIDE = 2_000  # pixels; larger photos are scaled down
SKETCH_RANK = 128  # layers that the first, randomised SVD of a big photo finds
_EXACT_AT_ONCE = 400  # pixels on the shorter side up to which the exact SVD is the first


@dataclass(frozen=True, eq=False)
class Photo:
    """pixels: uint8 [h, w, c], c = 1 (grey) or 3 (red, green, blue); note: what was done to it on the way, or ""."""

    pixels: np.ndarray
    note: str = ""

    @property
    def max_rank(self) -> int:
        """min(h, w)."""
        return min(self.pixels.shape[:2])

    def decompose(self) -> PhotoSVD:
        """The first SVD to show: exact for a small photo, randomised for a big one (its `method` says which)."""
        return self.exact() if self.max_rank <= _EXACT_AT_ONCE else self.sketch()

    def exact(self) -> PhotoSVD:
        """The SVD of each channel, in single precision: all min(h, w) layers. Seconds for a big photo."""
        parts = [np.linalg.svd(channel, full_matrices=False) for channel in self._channels()]
        return PhotoSVD(self, "exact", [u * s for u, s, _ in parts], [vt for _, _, vt in parts])

    def sketch(self, rank: int = SKETCH_RANK, seed: int = 0) -> PhotoSVD:
        """The first `rank` layers of each channel by a randomised SVD."""
        rng = np.random.default_rng(seed)
        parts = [randomised_svd(channel, min(rank, self.max_rank), rng) for channel in self._channels()]
        return PhotoSVD(self, "randomised", [u * s for u, s, _ in parts], [vt for _, _, vt in parts])

    def _channels(self) -> list[np.ndarray]:
        return [self.pixels[:, :, c].astype(np.float32) for c in range(self.pixels.shape[2])]


@dataclass(frozen=True, eq=False)
class PhotoSVD:
    """The layers of a photo's channels; method is "exact" or "randomised". y[c] [h, q] carries s, zt[c] is [q, w]."""

    photo: Photo
    method: str
    y: list[np.ndarray]
    zt: list[np.ndarray]

    @property
    def max_rank(self) -> int:
        """How many layers there are to show: all for the exact SVD, the first SKETCH_RANK for the randomised one."""
        return self.zt[0].shape[0]

    def at(self, k: int) -> CompressedPhoto:
        """The picture of rank k in each channel, 0 <= k <= max_rank; raises MatrixError outside."""
        if not 0 <= k <= self.max_rank:
            raise MatrixError(f"rank {k} is not possible here: choose from 0 to {self.max_rank}")
        pixels = self.photo.pixels
        image = np.empty_like(pixels)
        squared_error = 0.0
        for c, (y, zt) in enumerate(zip(self.y, self.zt, strict=True)):
            channel = y[:, :k] @ zt[:k]
            np.rint(channel, out=channel)
            np.clip(channel, 0, 255, out=channel)
            image[:, :, c] = channel
            channel -= pixels[:, :, c]
            squared_error += float(np.vdot(channel, channel))
        h, w, channels = pixels.shape
        mean_squared_error = squared_error / pixels.size
        psnr = 10 * np.log10(255**2 / mean_squared_error) if mean_squared_error else np.inf
        return CompressedPhoto(k, image, float(psnr), channels * k * (h + w), pixels.size)


@dataclass(frozen=True, eq=False)
class CompressedPhoto:
    """The rank-k picture: image uint8 [h, w, c]; psnr in dB = 10 log10(255² / MSE), infinite without error.

    stored = c k (h + w) numbers in two factors a channel, against original = c h w.
    """

    k: int
    image: np.ndarray
    psnr: float
    stored: int
    original: int


def open_photo(path: str, grey: bool = False) -> Photo:
    """The photo in an image file, at most 2,000 pixels a side; raises `images.ImageError` where there is none to read."""
    image = open_image(path, MAX_PHOTO_SIDE)
    with Image.open(path) as opened:
        scaled = max(opened.size) > MAX_PHOTO_SIDE
    pixels = np.asarray(image.convert("L") if grey else image)
    return photo_from_array(pixels, f"Scaled down to {image.width} × {image.height} pixels." if scaled else "")


def photo_from_array(pixels: np.ndarray, note: str = "") -> Photo:
    """The photo of uint8 pixels [h, w] or [h, w, 1 or 3]; raises MatrixError for anything else."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise MatrixError("a photo is an array of bytes, height × width or height × width × 3")
    if max(pixels.shape[:2]) > MAX_PHOTO_SIDE:
        raise MatrixError(
            f"the photo is {pixels.shape[1]} × {pixels.shape[0]}; at most {MAX_PHOTO_SIDE} a side are read"
        )
    return Photo(pixels, note)


def randomised_svd(a: np.ndarray, rank: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u [m, rank], s [rank], vt [rank, n] of a [m, n]: Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1.

    Ten extra directions and one power iteration: spectra of photos fall fast, and the error is then within a few
    percent of the best.
    """
    width = min(rank + 10, *a.shape)
    q = np.linalg.qr(a @ rng.standard_normal((a.shape[1], width), dtype=np.float32))[0]
    q = np.linalg.qr(a.T @ q)[0]
    q = np.linalg.qr(a @ q)[0]
    u, s, vt = np.linalg.svd(q.T @ a, full_matrices=False)
    return (q @ u)[:, :rank], s[:rank], vt[:rank]
