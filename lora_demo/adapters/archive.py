"""The files of an adapter out of a zip that a stranger sent: nothing is unpacked to disk, and nothing larger than announced."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from lora_demo.adapters.adapter import AdapterError
from lora_demo.adapters.folder import CLASSES, CONFIG, WEIGHTS
from lora_demo.adapters.untrusted import MAX_BYTES, PICKLES, quoted

MAX_ENTRIES = 200
MAX_DIRECTORY_BYTES = 200_000
END_BYTES = 22 + 65_535  # of the end record and the longest comment after it
MAX_RATIO = 200  # an honest adapter shrinks by a tenth; zeros by a thousand
SMALL = 1_000_000  # bytes below which a ratio says nothing: text shrinks well


def read_zip(path: Path) -> dict[str, bytes]:
    """The adapter's files by name: its configuration, its weights and, where it is there, `config.json`.

    All entries are checked before one is read. Raises `AdapterError`: no zip, encrypted, too many or too large entries, a name
    that leads elsewhere, a link, a name twice, a pickle instead of safetensors, no adapter or several.
    """
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_sizes(archive.infolist())
            for entry in entries:
                _check_entry(entry)
            names = [entry.filename for entry in entries]
            if len(set(names)) < len(names):
                raise AdapterError("The zip holds two files of the same name.")
            folder = _folder(names)
            wanted = {name: str(folder / name) for name in (CONFIG, WEIGHTS, CLASSES) if str(folder / name) in names}
            return {name: _read(archive, entry) for name, entry in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, UnicodeDecodeError):
        raise AdapterError("The file is no zip, or it is damaged.") from None


def _check_directory(path: Path) -> None:
    """Measure the zip's directory, which Python reads as a whole when it opens the file: millions of entries fit in 256 MB.

    The end record, its last 22 bytes and a comment, holds the directory's size at byte 12 (PKWARE's APPNOTE, 4.3.16).
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        end = file.read()
    start = len(end) - 22 if end[-22:].startswith(b"PK\x05\x06") else end.rfind(b"PK\x05\x06")
    if start < 0 or len(end) < start + 22:
        raise AdapterError("The file is no zip, or it is damaged.")
    size = int.from_bytes(end[start + 12 : start + 16], "little")
    before = end[
        max(0, start - 76) : start
    ]  # zip64: a record with the size at byte 40, and 20 bytes that say where it is
    if before[56:].startswith(b"PK\x06\x07") and before.startswith(b"PK\x06\x06"):
        size = int.from_bytes(before[40:48], "little")
    if size > MAX_DIRECTORY_BYTES:
        raise AdapterError(f"The zip holds too many entries; at most {MAX_ENTRIES} are read.")


def _check_sizes(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise AdapterError(f"The zip holds {len(entries):,} entries; at most {MAX_ENTRIES} are read.")
    if (total := sum(entry.file_size for entry in entries)) > MAX_BYTES:
        raise AdapterError(f"The zip would unpack to {total:,} bytes; at most {MAX_BYTES:,} are read.")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # orig_filename: Python cuts a name at a NUL sign and turns backslashes round on some systems
    name = PurePosixPath(entry.orig_filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or "\0" in entry.orig_filename or ":" in name.parts[0]:
        raise AdapterError(f"The zip holds {quoted(entry.orig_filename)}, a name that leads out of its folder.")
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise AdapterError(f"The zip holds {quoted(entry.filename)}, which is a link or no plain file.")
    if entry.flag_bits & 0x1:
        raise AdapterError("The zip is encrypted; send it without a password.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise AdapterError(f"{quoted(entry.filename)} is packed in a way that is not read here; use plain zip.")
    if entry.file_size > SMALL and entry.file_size > MAX_RATIO * entry.compress_size:
        raise AdapterError(f"{quoted(entry.filename)} would unpack to over {MAX_RATIO} times its size; it is not read.")


def _folder(names: list[str]) -> PurePosixPath:
    """The one folder in the zip that holds an adapter's weights."""
    folders = [PurePosixPath(name).parent for name in names if PurePosixPath(name).name == WEIGHTS]
    if len(folders) == 1:
        if str(folders[0] / CONFIG) not in names:
            raise AdapterError(f"The zip holds {WEIGHTS} without {CONFIG} beside it.")
        return folders[0]
    if folders:
        raise AdapterError(f"The zip holds {len(folders)} adapters; send one at a time.")
    if any(name.lower().endswith(PICKLES) for name in names):
        raise AdapterError("The zip holds a pickle, which can run code; save the adapter as safetensors.")
    if any(name.lower().endswith(".zip") for name in names):
        raise AdapterError("The zip holds another zip; send the inner one.")
    raise AdapterError(f"The zip holds no adapter: there is no {WEIGHTS} in it.")


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """One entry; never more bytes than the archive's directory announced, whatever its data would unpack to."""
    size = archive.getinfo(name).file_size
    with archive.open(name) as file:
        data = file.read(size + 1)
    if len(data) != size:
        raise zipfile.BadZipFile(name)
    return data
