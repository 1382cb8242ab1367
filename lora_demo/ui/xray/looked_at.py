"""The X-rays made lately, so that a click on a layer computes nothing; and what a record told while it was made."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING

from lora_demo import runs
from lora_demo.events import Spectra
from lora_demo.records import Record
from lora_demo.story import Story

if TYPE_CHECKING:  # the page is up before torch is imported
    from lora_demo.xray.report import LayerXRay, XRay

REFERENCE = "reference"
PLACES = 8  # of about 3 MB each with the bundled backbone
NOT_YET = "This run has kept no weights yet: it does when it is paused or over."


class LookedAt:
    """The last few X-rays by record, as its weights were, and by the record whose LoRA was compared with it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, XRay] = OrderedDict()

    def keep(self, record: Record, other: Record | None, found: XRay) -> None:
        """Keep `found`; the oldest gives way."""
        self._kept[self._key(record, other)] = found
        while len(self._kept) > PLACES:
            self._kept.popitem(last=False)

    def layer(self, record: Record, other: Record | None, name: str) -> LayerXRay:
        """One layer's X-ray: kept, or made now."""
        from lora_demo.xray.report import examine_layer

        kept = self._kept.get(self._key(record, other))
        return kept.layer(name) if kept else examine_layer(record, name, other)

    @staticmethod
    def _key(record: Record, other: Record | None) -> tuple:
        return record.name, _written(record), other.name if other else None


def record_of(run_id: str) -> Record:
    """The record on the page; raises `RunError` where its weights are not kept yet."""
    record = runs.record(run_id or REFERENCE)
    if not record.lanes:
        raise runs.RunError(NOT_YET)
    return record


def other_of(run_id: str | None) -> Record | None:
    """The record to compare with, None where none is chosen."""
    return record_of(run_id) if run_id else None


def spectra_of(record: Record) -> list[Spectra]:
    """What the run told of its changes' singular values, in order."""
    return _spectra(record, _written(record))


@lru_cache(maxsize=PLACES)
def _spectra(record: Record, written: int) -> list[Spectra]:
    return Story.of(record.events()).spectra


def _written(record: Record) -> int:
    """Of a run that goes on it is another after every event."""
    return (record.folder / "events.jsonl").stat().st_mtime_ns


LOOKED_AT = LookedAt()
