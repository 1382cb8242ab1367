import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lora_demo.images import ImageError, open_image


def saved(tmp_path, image: Image.Image, name: str, **options) -> str:
    path = tmp_path / name
    image.save(path, **options)
    return str(path)


def test_exif_orientation_is_followed(tmp_path):
    image = Image.new("RGB", (20, 10), "red")
    exif = image.getexif()
    exif[274] = 6  # turned a quarter to the right
    assert open_image(saved(tmp_path, image, "a.jpg", exif=exif)).size == (10, 20)


def test_see_through_parts_are_white(tmp_path):
    assert open_image(saved(tmp_path, Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "a.png")).getpixel((0, 0)) == (
        255,
        255,
        255,
    )


def test_a_palette_with_transparency_is_white_there(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30] * 256)
    assert open_image(saved(tmp_path, image, "a.png", transparency=0)).getpixel((0, 0)) == (255, 255, 255)


def test_cmyk_comes_out_in_its_colours(tmp_path):
    red, green, blue = open_image(saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg")).getpixel(
        (4, 4)
    )
    assert red > 200
    assert max(green, blue) < 60


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    grey = np.asarray(open_image(saved(tmp_path, Image.fromarray(values), "a.png")))
    assert grey.min() == 0
    assert grey.max() == 255
    assert abs(int(np.median(grey)) - 127) < 3


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert open_image(path).getpixel((0, 0)) == (255, 0, 0)


def test_a_large_image_is_scaled_down(tmp_path):
    assert max(open_image(saved(tmp_path, Image.new("L", (3000, 30)), "a.png")).size) == 2000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n" + b"rubbish" * 10, "not an image"),
        ("text.jpg", b"hello", "not an image"),
        ("empty.png", b"", "not an image"),
        ("photo.heic", b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=words) as caught:
        open_image(str(tmp_path / name))
    assert str(tmp_path) not in str(caught.value)


def test_a_truncated_image_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.effect_noise((200, 200), 60).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError):
        open_image(str(path))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with pytest.raises(ImageError, match="at most"):
        open_image(saved(tmp_path, Image.new("1", (9000, 9000)), "a.png"))


def test_no_file_is_said(tmp_path):
    with pytest.raises(ImageError, match="no image yet"):
        open_image(None)


def png(size: tuple[int, int], bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG byte by byte: Pillow writes no 16-bit colours and no hostile chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


PHOTO = Image.linear_gradient("L").resize((40, 30))
ROW16 = b"\0" + np.array([65_535, 0, 0, 32_768] * 4, ">u2").tobytes()
FRAMES = [Image.new("RGBA", (6, 6), colour) for colour in ("red", "blue")]
TEXT_BOMB = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))

ODD = {
    **{f"{mode} as {kind}": encoded(PHOTO.convert(mode), kind) for mode, kind in itertools.product(
        ("1", "L", "LA", "P", "RGB", "RGBA"), ("PNG", "TIFF", "WEBP"))},
    "CMYK as TIFF": encoded(PHOTO.convert("CMYK"), "TIFF"),
    "YCbCr as JPEG": encoded(PHOTO.convert("YCbCr"), "JPEG"),
    "floats": encoded(PHOTO.convert("F"), "TIFF"),
    "fractions": encoded(Image.fromarray(np.asarray(PHOTO, np.float32) / 255), "TIFF"),
    "colours of 16 bits": png((4, 4), 16, 6, ROW16 * 4),
    "a turn that does not exist": encoded(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0c\0\0\0\0\0\0"),
    "exif that is rubbish": encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + b"\xff" * 50),
    "moving as PNG": encoded(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "moving as WebP": encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
    "a line": encoded(Image.new("L", (9_000, 1), 255), "PNG"),
    "a dot": encoded(Image.new("L", (1, 1), 255), "PNG"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
@pytest.mark.filterwarnings("error")
def test_what_is_only_odd_comes_out_in_8_bits_and_right(tmp_path, case):
    (tmp_path / "a").write_bytes(ODD[case])
    image = open_image(str(tmp_path / "a"))
    assert image.mode in ("L", "RGB")
    assert np.asarray(image).max() > 245  # nothing was lost in a scale
    if case.startswith("moving"):
        red, green, blue = image.getpixel((3, 3))
        assert red > 240
        assert max(green, blue) < 15


def test_a_dark_picture_of_16_bits_stays_dark(tmp_path):
    dark = Image.fromarray(np.full((8, 8), 255, np.uint16))
    assert open_image(saved(tmp_path, dark, "a.png")).getextrema() == (0, 0)


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_none_are_black(tmp_path):
    values = np.array([[np.nan, np.inf], [-np.inf, 255]], np.float32)
    assert np.asarray(open_image(saved(tmp_path, Image.fromarray(values), "a.tiff"))).tolist() == [[0, 0], [0, 255]]


HOSTILE = {
    "no pixels": png((0, 0), 8, 2, b""),
    "a size of billions": png((60_000, 60_000), 8, 2, b"\0"),
    "a text that unpacks to 80 MB": png((4, 4), 8, 0, bytes(20), TEXT_BOMB),
    "a page description that a program would run": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "a drawing that names a file": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a PDF": b"%PDF-1.4\n",
    "a zip": b"PK\x03\x04" + bytes(30),
    "half a JPEG": encoded(Image.effect_noise((90, 90), 80), "JPEG")[:900],
    "half a WebP": encoded(Image.effect_noise((90, 90), 80).convert("RGB"), "WEBP")[:900],
    "half a GIF": encoded(Image.effect_noise((90, 90), 80), "GIF")[:900],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_or_damaged_is_refused_in_a_sentence(tmp_path, case):
    (tmp_path / "a.png").write_bytes(HOSTILE[case])
    with pytest.raises(ImageError, match=r"^The .*\.$") as caught:
        open_image(str(tmp_path / "a.png"))
    assert str(tmp_path) not in str(caught.value)
