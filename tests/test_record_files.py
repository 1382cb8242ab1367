"""What a run record is as files to take home."""

import csv
import zipfile

import pytest

from lora_demo import record_files
from lora_demo.events import Evaluated, Finished, Step
from lora_demo.records import STATE, Record
from lora_demo.settings import Settings
from lora_demo.training import Race


@pytest.fixture
def record(tiny_settings, tmp_path) -> Record:
    settings = Settings.parse(tiny_settings)
    record, race = Record(tmp_path / "run"), Race(settings)
    record.create(settings)
    for event in race.run():
        if isinstance(event, Finished):
            record.save_lanes(race)
            record.save_state(race)
        record.append(event)
    return record


def test_the_table_holds_every_step_of_every_lane_and_the_looks(record, tmp_path):
    with record_files.csv_file(record, tmp_path / "curves.csv").open(newline="") as file:
        rows = {(row["lane"], int(row["step"])): row for row in csv.DictReader(file)}
    told = list(record.events())
    steps = [event for event in told if isinstance(event, Step)]
    looks = {event.step: event.lanes for event in told if isinstance(event, Evaluated)}
    assert rows.keys() == {(lane, event.step) for event in steps for lane in event.losses}
    for event in steps:
        for lane, loss in event.losses.items():
            row = rows[lane, event.step]
            assert float(row["training_loss"]) == loss
            assert int(row["images"]) == 8 * event.step
            assert float(row["seconds"]) == pytest.approx(event.seconds[lane], abs=1e-4)
            look = looks.get(event.step, {}).get(lane)
            assert row["held_out_loss"] == (str(look["loss"]) if look else "")
            assert row["held_out_accuracy"] == (str(look["accuracy"]) if look else "")


def test_a_loss_that_is_no_number_is_an_empty_cell(record, tmp_path):
    record.append(Step(5, {"full": None}, {"full": 1.0}))
    assert "full,5,40,1.0,,," in record_files.csv_file(record, tmp_path / "curves.csv").read_text().split()


def test_the_archive_is_the_record_without_what_only_continues_it(record, tmp_path):
    assert (record.folder / STATE).exists()
    with zipfile.ZipFile(record_files.zip_file(record, tmp_path / "record.zip")) as archive:
        archive.extractall(tmp_path / "out")
    taken = Record(tmp_path / "out" / "run")
    files = {path.relative_to(record.folder) for path in record.folder.rglob("*") if path.name != STATE}
    assert {path.relative_to(taken.folder) for path in taken.folder.rglob("*")} == files
    assert list(taken.events()) == list(record.events())
    assert taken.settings == record.settings
    assert taken.lanes == record.lanes
