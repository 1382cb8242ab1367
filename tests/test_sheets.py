import numpy as np
import torch
from PIL import Image

from lora_demo import datasets, examples, sheets


def test_a_sheet_made_again_is_the_bundled_one():
    data = datasets.read_sheets("test")
    ships = data.images[data.labels == datasets.CLASSES.index("ship")]
    bundled = Image.open(datasets.BUNDLED / "test" / "ship.png").convert("RGB")
    assert np.array_equal(np.array(sheets.sheet(ships, 10)), np.array(bundled))


def test_sheets_are_written_from_torchvisions_files(tiny_cifar, tmp_path, monkeypatch):
    monkeypatch.setattr(sheets, "PER_CLASS", {"train": 25, "test": 10})
    sheets.write_cifar10(sheets.Path(tiny_cifar), tmp_path)
    train, test, _ = datasets.read_cifar10(tiny_cifar)
    sheet = Image.open(tmp_path / "test" / "bright.png")
    assert sheet.size == (320, 32)
    third = np.array(examples.tile(sheet, 2, 10, 32)).transpose(2, 0, 1)
    assert np.array_equal(third, test.images[test.labels == 1][2].numpy())
    assert Image.open(tmp_path / "train" / "dark.png").size == (800, 32)
    assert len(train) == 60


def test_the_tiny_imagenet_sheet_keeps_the_order_of_the_backbones_classes(tmp_path, monkeypatch):
    folder = tmp_path / "tiny"
    (folder / "val" / "images").mkdir(parents=True)
    labels = sheets.json.loads((sheets.backbones.BUNDLED / "config.json").read_text())["id2label"]
    words, lines = [], []
    for i, name in labels.items():
        words.append(f"n{i}\t{name}, something else")
        for j in range(2):
            file = f"val_{i}_{j}.JPEG"
            Image.new("RGB", (64, 64), (int(i), 50 * j, 0)).save(folder / "val" / "images" / file, quality=100)
            lines.append(f"{file}\tn{i}\t0\t0\t63\t63")
    (folder / "words.txt").write_text("\n".join(words))
    (folder / "val" / "val_annotations.txt").write_text("\n".join(reversed(lines)))
    monkeypatch.setattr(examples, "TINY_PER_CLASS", 2)
    sheets.write_tiny_imagenet(folder, tmp_path / "out")
    sheet = Image.open(tmp_path / "out" / "val.jpg")
    assert sheet.size == (50 * 64, 8 * 64)
    for label in (0, 77, 199):
        for place in range(2):
            middle = torch.tensor(examples.tile(sheet, label * 2 + place, 50, 64).getpixel((32, 32)))
            assert (middle - torch.tensor([label, 50 * place, 0])).abs().max() < 8
