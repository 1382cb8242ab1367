import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from lora_demo import datasets


def test_the_bundled_sheets_decode_to_three_balanced_splits():
    data = datasets.load("bundled")
    assert (len(data.train), len(data.validation), len(data.test)) == (4500, 500, 1000)
    assert data.train.images.shape == (4500, 3, 32, 32)
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.bincount().tolist() == [450] * 10
    assert data.validation.labels.bincount().tolist() == [50] * 10
    assert data.test.labels.bincount().tolist() == [100] * 10


def test_a_tile_is_the_image_at_its_place_in_the_sheet(sheets):
    data = datasets.load("bundled")
    sheet = np.array(Image.open(sheets / "test" / "frog.png").convert("RGB"))
    row, column = 3, 7  # image 37 of the class
    expected = sheet[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32].transpose(2, 0, 1)
    frogs = data.test.images[data.test.labels == data.classes.index("frog")]
    assert np.array_equal(frogs[37].numpy(), expected)


def test_the_last_images_of_a_class_are_held_out(sheets):
    data = datasets.load("bundled")
    sheet = np.array(Image.open(sheets / "train" / "ship.png").convert("RGB"))
    last = sheet[-32:, -32:].transpose(2, 0, 1)
    ships = data.validation.images[data.validation.labels == data.classes.index("ship")]
    assert np.array_equal(ships[-1].numpy(), last)


def test_a_folder_of_torchvisions_cifar_is_read(tiny_cifar):
    data = datasets.load(tiny_cifar)
    assert data.classes == ["dark", "bright"]
    assert (len(data.train), len(data.validation), len(data.test)) == (54, 6, 20)
    bright = data.test.images[data.test.labels == 1].float().mean()
    dark = data.test.images[data.test.labels == 0].float().mean()
    assert bright > dark + 100


def test_channels_come_first_as_in_the_files(tmp_path):
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    red = np.concatenate([np.full(1024, 255), np.zeros(2048)]).astype(np.uint8)
    for name in ("data_batch_1", "test_batch"):
        (batches / name).write_bytes(pickle.dumps({"data": np.stack([red] * 4), "labels": [0, 0, 1, 1]}))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a", "b"]}))
    image = datasets.load(str(tmp_path)).test.images[0]
    assert image[0].min() == 255
    assert image[1:].max() == 0


@pytest.mark.parametrize("name", ["nowhere", "", "assets"])
def test_a_folder_without_it_is_refused(name):
    with pytest.raises(datasets.DataError, match="data set"):
        datasets.load(name)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (type(marker).touch, (marker,))

    for name in ("data_batch_1", "test_batch", "batches.meta"):
        (batches / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(datasets.DataError):
        datasets.load(str(tmp_path))
    assert not marker.exists()


def test_every_image_comes_once_before_any_comes_again():
    batches = datasets.order(10, 4, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(batches) for _ in range(5)])
    assert sorted(drawn[:10].tolist()) == list(range(10))
    assert sorted(drawn[10:].tolist()) == list(range(10))


def test_a_flip_mirrors_left_and_right_only_and_only_what_is_named():
    images = torch.arange(4 * 3 * 2 * 2).view(4, 3, 2, 2)
    flipped = datasets.flipped(images, torch.tensor([True, False, True, False]))
    assert np.array_equal(flipped[::2].numpy(), images[::2].numpy()[..., ::-1])
    assert torch.equal(flipped[1::2], images[1::2])


def test_half_of_the_images_are_mirrored_by_a_chance_that_repeats():
    mirror = datasets.mirrored(2000, torch.Generator().manual_seed(0))
    assert mirror.dtype == torch.bool
    assert 900 < mirror.sum() < 1100
    assert torch.equal(mirror, datasets.mirrored(2000, torch.Generator().manual_seed(0)))
    assert not torch.equal(mirror, datasets.mirrored(2000, torch.Generator().manual_seed(1)))
