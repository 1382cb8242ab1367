import os
import re
import shutil
import time

import pytest
import torch

from lora_demo import adapters, classify, exports, library, runs
from lora_demo.records import Record


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of runs, empty."""
    monkeypatch.setattr(runs, "FOLDER", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def upload(tmp_path):
    """The bundled adapter in a zip, as somebody would bring it."""
    return exports.peft_zip(runs.record("reference"), tmp_path / "mine.zip", "Mine")


@pytest.fixture
def run(folder):
    """The record of a run that is over: a copy of the bundled one under an id."""
    return Record(shutil.copytree(runs.record("reference").folder, folder / ("0" * 32)))


def ids(owner, own_runs=()):
    return [entry.id for entry in library.entries(owner, own_runs)]


def test_a_library_holds_ones_runs_ones_imports_and_the_bundled_ones(upload, run):
    one, other = library.import_file(upload, "me"), library.import_file(upload, "me", "Second")
    assert ids("me", [run]) == [run.name, other.id, one.id, "reference"]
    assert [entry.kind for entry in library.entries("me", [run])] == ["run", "imported", "imported", "bundled"]
    assert one.name == "mine"
    assert library.entries("me", [run])[0].name == "LoRA r 8 on query, value"


def test_nobody_elses_is_listed_found_renamed_or_deleted(upload, folder, run):
    entry = library.import_file(upload, "me")
    assert ids("you") == ["reference"]
    for id in (entry.id, run.name):
        for ask in (library.find, library.delete, lambda *a: library.rename(a[0], "x", *a[1:])):
            with pytest.raises(library.LibraryError, match="no such adapter"):
                ask(id, "you", [])
    assert entry.record.folder.is_dir()


def test_an_id_is_a_128_bit_secret_and_the_owners_is_not_written_down(upload, folder):
    entries = [library.import_file(upload, "my own secret") for _ in range(3)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", entry.id) for entry in entries)
    assert len({entry.id for entry in entries}) == 3
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"my own secret" not in written


def test_an_imported_adapter_answers_by_its_id_as_the_one_it_came_from(upload, folder):
    entry = library.import_file(upload, "me")
    pixels = classify.load(runs.record("reference")).backbone.pixels(torch.zeros(1, 3, 64, 64))
    found, expected = (classify.load(runs.record(name)).logits(pixels) for name in (entry.id, "reference"))
    assert (found - expected).abs().max() == 0


def test_a_file_that_is_refused_leaves_nothing(tmp_path, folder):
    (tmp_path / "a.zip").write_bytes(b"PK rubbish")
    with pytest.raises(adapters.AdapterError):
        library.import_file(tmp_path / "a.zip", "me")
    assert not folder.exists() or not list(folder.iterdir())


def test_a_files_name_becomes_a_name_whatever_it_is(upload, folder, tmp_path):
    path = upload.rename(tmp_path / ("x\x1b" + "y" * 100 + ".zip"))
    assert library.import_file(path, "me").name == "x" + "y" * 59


def test_a_new_name_is_kept_and_a_bad_one_refused(upload, run):
    entry = library.import_file(upload, "me")
    library.rename(entry.id, "  Cats   and dogs ", "me", [])
    library.rename(run.name, "First try", "me", [run])
    assert [e.name for e in library.entries("me", [run])][:2] == ["First try", "Cats and dogs"]
    for bad in ("", "   ", "a\x1bb", "x" * 61):
        with pytest.raises(library.LibraryError, match="printable"):
            library.rename(entry.id, bad, "me", [])


def test_what_is_deleted_is_gone_from_disk_and_bundled_ones_stay(upload, run):
    entry = library.import_file(upload, "me")
    library.delete(entry.id, "me", [run])
    library.delete(run.name, "me", [run])
    assert ids("me", [run]) == ["reference"]
    assert not entry.record.folder.exists()
    assert not run.folder.exists()
    for change in (library.delete, lambda *a: library.rename(a[0], "x", *a[1:])):
        with pytest.raises(library.LibraryError, match="bundled"):
            change("reference", "me", [])


def test_the_comparison_tells_settings_accuracy_and_bytes(upload, run):
    library.import_file(upload, "me")
    of_run, imported, _ = library.compare(library.entries("me", [run]))
    finished = list(run.events())[-1].lanes["lora"]
    assert (of_run["rank"], of_run["alpha"], of_run["layers"], of_run["classes"]) == (8, 16, 12, 10)
    assert of_run["accuracy"] == finished["accuracies"][0]  # of the seed whose weights were kept
    assert of_run["bytes"] == (run.folder / "adapter" / adapters.WEIGHTS).stat().st_size
    assert imported["accuracy"] is None
    assert imported["data"] is None
    assert imported["rank"] == 8


def test_imports_are_deleted_by_age_and_limited_in_number(upload, folder, monkeypatch):
    old = library.import_file(upload, "me")
    past = time.time() - 3600 * (runs.KEEP_HOURS + 1)
    os.utime(old.record.folder, (past, past))
    new = library.import_file(upload, "me")
    assert ids("me") == [new.id, "reference"]
    monkeypatch.setattr(library, "MAX_IMPORTS", 1)
    with pytest.raises(library.LibraryError, match="delete one first"):
        library.import_file(upload, "me")
    library.import_file(upload, "you")
