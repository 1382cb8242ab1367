"""The X-rays made lately: a click on a layer draws from them, and computes nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from lora_demo import runs
from lora_demo.records import Record

if TYPE_CHECKING:  # the page is up before torch is imported
    from lora_demo.xray.report import LayerXRay, XRay

REFERENCE = "reference"
PLACES = 8  # of about 3 MB each with the bundled backbone


class LookedAt:
    """The last few X-rays by record, as its weights were."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], XRay] = OrderedDict()

    def keep(self, record: Record, found: XRay) -> None:
        """Keep `found`; the oldest gives way."""
        self._kept[_key(record)] = found
        while len(self._kept) > PLACES:
            self._kept.popitem(last=False)

    def layer(self, record: Record, name: str) -> LayerXRay:
        """One layer's X-ray: kept, or made now."""
        from lora_demo.xray.report import examine_layer

        kept = self._kept.get(_key(record))
        return kept.layer(name) if kept else examine_layer(record, name)


def _key(record: Record) -> tuple[str, int]:
    """A record whose run goes on has another key at every event."""
    return record.name, (record.folder / "events.jsonl").stat().st_mtime_ns


def record_of(run_id: str) -> Record:
    """The record on the page; raises `RunError` where its weights are not kept yet."""
    record = runs.record(run_id or REFERENCE)
    if not record.lanes:
        raise runs.RunError("This run has kept no weights yet: it does when it is paused or over.")
    return record


LOOKED_AT = LookedAt()
