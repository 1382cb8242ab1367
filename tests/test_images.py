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
