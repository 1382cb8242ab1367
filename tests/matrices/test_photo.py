"""A photo is read safely, and its rank-k pictures are the best there are."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lora_demo.errors import LabError
from lora_demo.matrices import MatrixError
from lora_demo.matrices.photo import open_photo, photo_from_array


def _scene(h=60, w=80, channels=3):
    y, x = np.mgrid[:h, :w] / max(h, w)
    layers = [127 + 80 * np.sin(9 * x * (c + 1)) * np.cos(5 * y) + 40 * (x > y) for c in range(channels)]
    noise = np.random.default_rng(0).standard_normal((h, w, channels))
    return np.clip(np.stack(layers, axis=2) + 6 * noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("k", [0, 1, 7, 60])
def test_the_picture_of_rank_k_is_the_truncated_svd_of_each_channel(k):
    pixels = _scene()
    compressed = photo_from_array(pixels).exact().at(k)
    for c in range(3):
        u, s, vt = np.linalg.svd(pixels[:, :, c].astype(float))
        best = np.clip(np.rint(u[:, :k] * s[:k] @ vt[:k]), 0, 255)
        assert np.abs(compressed.image[:, :, c] - best).max() <= 1
    assert compressed.stored == 3 * k * (60 + 80)
    assert compressed.original == 3 * 60 * 80


def test_psnr_follows_its_definition_and_is_infinite_without_error():
    pixels = _scene()
    svd = photo_from_array(pixels).exact()
    compressed = svd.at(5)
    mse = ((compressed.image.astype(float) - pixels) ** 2).mean()
    assert compressed.psnr == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-3)
    assert svd.at(60).psnr == np.inf


def test_the_randomised_svd_is_close_to_the_exact_one_and_says_its_name():
    photo = photo_from_array(_scene(450, 500, 1))
    first, exact = photo.decompose(), photo.exact()
    assert (first.method, exact.method) == ("randomised", "exact")
    assert (first.max_rank, exact.max_rank) == (128, 450)
    for k in (1, 10, 60):
        assert first.at(k).psnr > exact.at(k).psnr - 0.3


def test_a_small_photo_is_exact_at_once():
    assert photo_from_array(_scene()).decompose().method == "exact"


@pytest.mark.parametrize("k", [-1, 61])
def test_a_rank_beyond_the_layers_is_refused(k):
    with pytest.raises(MatrixError, match="choose from 0 to 60"):
        photo_from_array(_scene()).exact().at(k)


def test_the_orientation_of_the_camera_is_followed(tmp_path):
    image = Image.fromarray(_scene(20, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    pixels = open_photo(str(tmp_path / "a.png")).pixels
    assert (pixels == np.rot90(_scene(20, 40), -1)).all()


@pytest.mark.parametrize(("name", "size"), [("a.png", (2500, 100)), ("a.jpg", (100, 4500))])
def test_a_large_photo_is_scaled_down_and_says_so(tmp_path, name, size):
    Image.new("RGB", size, "red").save(tmp_path / name)
    photo = open_photo(str(tmp_path / name))
    assert max(photo.pixels.shape) == 2000
    assert photo.note == f"Scaled down to {photo.pixels.shape[1]} × {photo.pixels.shape[0]} pixels."


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (3, 2), 7), [7]),
        (Image.new("1", (3, 2), 1), [255]),
        (Image.new("P", (3, 2), 0), [0, 0, 0]),
        (Image.new("RGBA", (3, 2), (0, 0, 0, 0)), [255, 255, 255]),
        (Image.fromarray(np.full((2, 3), 65535, np.uint16)), [255]),
        (Image.new("CMYK", (3, 2), (0, 255, 255, 0)), [255, 0, 0]),
    ],
)
def test_every_kind_of_image_becomes_grey_or_colour(tmp_path, image, expected):
    path = str(tmp_path / ("a.tif" if image.mode == "CMYK" else "a.png"))
    image.save(path)
    pixels = open_photo(path).pixels
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == expected


def test_grey_can_be_asked_for(tmp_path):
    Image.fromarray(_scene()).save(tmp_path / "a.png")
    assert open_photo(str(tmp_path / "a.png"), grey=True).pixels.shape == (60, 80, 1)


def _png_that_promises(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        _png_that_promises(60_000, 60_000),
        _png_that_promises(9_000, 9_000),
        _png_that_promises(50, 50),
        b"GIF89a",
        b"",
        b"text",
    ],
)
def test_bombs_and_broken_files_are_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(LabError) as refusal:
        open_photo(str(path))
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8), np.zeros((2001, 1), np.uint8)],
)
def test_an_array_that_is_no_photo_is_refused(pixels):
    with pytest.raises(MatrixError):
        photo_from_array(pixels)
