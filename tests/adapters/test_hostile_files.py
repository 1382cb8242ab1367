"""A corpus of hostile zips and of files that are no adapters: each is refused in one sentence, before it can do harm."""

import io
import pickle
import resource
import struct
import zipfile
import zlib

import pytest
import torch

from lora_demo.adapters import archive, untrusted
from lora_demo.adapters.folder import CLASSES, CONFIG, WEIGHTS


class Trap:
    """What a hostile pickle looks like: unpickled, it would make a file."""

    def __reduce__(self):
        return open, ("/tmp/lora-lab-was-here", "w")


def link(files):
    info = zipfile.ZipInfo(CONFIG)
    info.external_attr = 0o120777 << 16
    return {**{name: content for name, content in files.items() if name != CONFIG}, info: b"/etc/passwd"}


ZIPS = {
    "a name that climbs out": (lambda good: good | {"../../evil.json": b"{}"}, "leads out"),
    "a name from the root": (lambda good: good | {"/etc/evil": b"{}"}, "leads out"),
    "a name with a drive": (lambda good: good | {"C:\\evil": b"{}"}, "leads out"),
    "a name that climbs with backslashes": (lambda good: good | {"..\\evil": b"{}"}, "leads out"),
    "a link": (link, "link"),
    "a bomb in one entry": (lambda good: good | {WEIGHTS: bytes(50_000_000)}, "times its size"),
    "too many entries": (lambda good: good | {f"{i}.txt": b"" for i in range(300)}, "at most 200"),
    "nothing": (lambda good: {}, "no adapter"),
    "a pickle": (lambda good: {CONFIG: good[CONFIG], "adapter_model.bin": pickle.dumps(Trap())}, "pickle"),
    "a zip in the zip": (lambda good: {"inner.zip": b"PK"}, "another zip"),
    "two adapters": (lambda good: good | {f"b/{name}": content for name, content in good.items()}, "2 adapters"),
    "weights without configuration": (lambda good: {WEIGHTS: good[WEIGHTS]}, f"without {CONFIG}"),
    "the configuration in another folder": (
        lambda good: {WEIGHTS: good[WEIGHTS], f"b/{CONFIG}": good[CONFIG]},
        f"without {CONFIG}",
    ),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_that_is_hostile_is_refused(good, packed, refused, case):
    files, words = ZIPS[case]
    refused(packed(files(good)), words)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(good, packed, refused, tmp_path):
    path = packed(good)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(CONFIG, b'{"peft_type": "LORA", "r": 4}')
    refused(path, "same name")


def test_a_zip_that_would_unpack_beyond_the_limit_is_refused_before_it_is_read(good, packed, refused, monkeypatch):
    path = packed(good | {"big.txt": bytes(900_000)})
    monkeypatch.setattr(archive, "MAX_BYTES", 500_000)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    refused(path, "would unpack to")


def test_a_directory_of_very_many_entries_is_refused_before_it_is_read(good, packed, refused, monkeypatch):
    path = packed(good | {f"{i}.txt": b"" for i in range(5_000)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    refused(path, "too many entries")


def test_an_entry_larger_than_announced_is_not_believed(good, packed, refused, tmp_path):
    path = packed(good)
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02", 0, data.rindex(CLASSES.encode()))
    size = struct.unpack_from("<I", data, directory + 24)[0]
    struct.pack_into("<I", data, directory + 24, size - 5)
    path.write_bytes(data)
    refused(path, "damaged")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_need_much_memory_are_refused(good, packed, refused, method):
    refused(packed(good, method), "packed in a way")


def test_an_encrypted_zip_is_refused(good, packed, refused, tmp_path):
    path = packed(good)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    refused(path, "encrypted")


def test_a_damaged_zip_is_refused(good, packed, refused, tmp_path):
    path = packed(good)
    data = bytearray(path.read_bytes())
    for cut in (data[: len(data) // 2], data[:200] + b"\xff" * 50 + data[250:]):
        path.write_bytes(cut)
        refused(path, "damaged")


FILES = {
    "model.bin": (b"PK", "pickle"),
    "model.pt": (pickle.dumps(Trap()), "pickle"),
    "model.pkl": (pickle.dumps(Trap()), "pickle"),
    "model.zip": (b"hello", "neither"),
    "model.txt": (b"hello", "neither"),
    "model": (b"", "neither"),
    "a.tar.gz": (zlib.compress(b"hello"), "neither"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_refused(refused, tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, words)


def test_no_file_is_said(refused, tmp_path):
    refused(tmp_path / "absent.zip", "no file")


def test_a_file_over_the_limit_is_refused_before_it_is_read(refused, tmp_path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.truncate(untrusted.MAX_BYTES + 1)  # a hole: it takes no room
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "at most")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_pickle_saved_by_torch_as_zip_is_refused(refused, tmp_path):
    data = io.BytesIO()
    torch.save({"a": torch.ones(2)}, data)  # a zip too
    (tmp_path / "a.zip").write_bytes(data.getvalue())
    refused(tmp_path / "a.zip", "pickle")


def test_a_single_file_that_does_not_say_its_alpha_is_refused(good, packed, refused, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(good[WEIGHTS])
    refused(tmp_path / "a.safetensors", "does not say its alpha")
