import csv
import io

import pytest
from PIL import Image

from lora_demo import classify, images, runs
from lora_demo.classify import many
from lora_demo.examples import FOLDER, OF_CLASS, OF_NO_CLASS
from lora_demo.records import Record
from lora_demo.settings import Settings


@pytest.fixture
def files(tmp_path):
    """Two images with a file between them that is none."""
    for name, brightness in (("dark.png", 60), ("light.png", 200)):
        Image.new("RGB", (40, 50), (brightness,) * 3).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"rubbish")
    return [tmp_path / name for name in ("dark.png", "broken.png", "light.png")]


def test_each_file_has_its_row_in_order_and_says_what_it_alone_would(record, files):
    rows = many.classify_many(record, files)
    assert [row.file for row in rows] == ["dark.png", "broken.png", "light.png"]
    for row, path in ((rows[0], files[0]), (rows[2], files[2])):
        (label, first), (second, next_one) = classify.load(record).probabilities(images.open_image(str(path))).items()
        assert (row.label, row.second) == (label, second)
        assert row.probability == pytest.approx(first, abs=1e-5)
        assert row.margin == pytest.approx(first - next_one, abs=1e-5)
        assert 0 < row.calibrated <= 1
        assert row.unlike in (True, False)
        assert max(row.thumbnail.size) <= many.THUMBNAIL
    assert "not an image" in rows[1].problem
    assert rows[1].label is None


def test_photos_of_no_class_are_marked_in_the_table():
    names = [*OF_CLASS, *OF_NO_CLASS]
    rows = many.classify_many(runs.record("reference"), [FOLDER / f"{name}.png" for name in names])
    assert {row.file.removesuffix(".png") for row in rows if row.unlike} == set(OF_NO_CLASS)


def test_an_adapter_trained_elsewhere_answers_without_calibration(record, files, tmp_path):
    elsewhere = Record(tmp_path / "run")
    elsewhere.create(Settings.parse({"lanes": ["lora"], "backbone": record.settings.backbone}))
    (elsewhere.folder / "adapter").symlink_to(record.folder / "adapter")
    row = many.classify_many(elsewhere, files[:1])[0]
    assert row.label
    assert (row.calibrated, row.unlike) == (None, None)


def test_only_files_that_are_no_images_still_make_a_table(record, files):
    assert [row.problem is not None for row in many.classify_many(record, [files[1]])] == [True]


@pytest.mark.parametrize("count", [0, 201])
def test_no_image_or_too_many_are_refused(record, count):
    with pytest.raises(classify.ClassifyError, match="Between 1 and 200"):
        many.classify_many(record, ["a.png"] * count)


def test_the_table_reads_back_from_csv(record, files):
    rows = many.classify_many(record, files)
    read = list(csv.DictReader(io.StringIO(many.as_csv(rows))))
    assert [line["file"] for line in read] == [row.file for row in rows]
    assert read[0]["class"] == rows[0].label
    assert float(read[0]["probability"]) == pytest.approx(rows[0].probability, abs=1e-4)
    assert read[0]["unlike anything in training"] in ("yes", "no")
    assert read[1]["probability"] == ""


def test_a_files_name_is_no_formula():
    text = many.as_csv([many.Row('=HYPERLINK("http://evil"), "x"', problem="The file is damaged.")])
    assert next(csv.reader(io.StringIO(text.splitlines()[1])))[0].startswith("'=")
