"""The README.md that travels with an exported adapter: what it is, what made it, what it measured, and how to use it."""

from __future__ import annotations

import re

from lora_demo import settings
from lora_demo.adapters import Adapter
from lora_demo.events import Finished, Prepared, kept_accuracy
from lora_demo.records import Record
from lora_demo.units import bytes_text

FRONT = "---\nlibrary_name: peft\npipeline_tag: image-classification\n{base}tags:\n- lora\n- vit\n---\n"
USE = """
## How to use it

The folder of the backbone is named first; for the bundled one that is `assets/backbone` of the project.

```python
from peft import PeftModel
from transformers import ViTForImageClassification

base = ViTForImageClassification.from_pretrained("{backbone}", num_labels={count}, ignore_mismatched_sizes=True)
model = PeftModel.from_pretrained(base, "{folder}").eval()
```
"""


def model_card(adapter: Adapter, record: Record, title: str, folder: str = "path/to/this/folder") -> str:
    """Markdown with a front matter as the hub reads it.

    Data, settings and figures are the record's; what a record does not tell, as that of an imported adapter, is said to be
    unknown rather than left out.
    """
    told = {event.kind: event for event in record.events() if event.kind in ("prepared", "finished")}
    backbone = "assets/backbone" if adapter.backbone == "bundled" else adapter.backbone
    is_hub_id = adapter.backbone != "bundled" and re.fullmatch(r"[\w.-]+/[\w.-]+", adapter.backbone)
    parts = [
        FRONT.format(base=f"base_model: {adapter.backbone}\n" if is_hub_id else ""),
        f"# {title}\n",
        f"{settings.VARIANTS[adapter.variant]} of rank {adapter.rank}, alpha {adapter.alpha:g}, on {len(adapter.layers)} linear "
        f"layers of the backbone `{backbone}`, and a head of {len(adapter.classes)} classes: {adapter.parameters:,} numbers, "
        f"{bytes_text(4 * adapter.parameters)}.\n",
        f"Classes: {', '.join(adapter.classes)}.\n",
        _data(told.get("prepared")),
        _figures(told.get("finished")),
        _settings(record, told.get("prepared")),
        USE.format(backbone=backbone, count=len(adapter.classes), folder=folder),
    ]
    return "\n".join(parts)


def _data(prepared: Prepared | None) -> str:
    if prepared is None:
        return "## Data\n\nNot known: the adapter was trained elsewhere.\n"
    images = prepared.images
    return (
        f"## Data\n\n`{prepared.settings['data']}`: trained on {images['train']:,} images, validated on "
        f"{images['validation']:,}, tested on {images['test']:,}.\n"
    )


def _figures(finished: Finished | None) -> str:
    """What the lanes of the run measured, side by side."""
    if finished is None or not finished.lanes:
        return "## Figures\n\nNot measured here.\n"
    rows = []
    for name, lane in finished.lanes.items():
        kept = kept_accuracy(lane)
        accuracy = "not tested" if kept is None else f"{100 * kept:.1f} %"
        loss = "" if lane["loss"] is None else f"{lane['loss']:.3f}"
        bytes_ = bytes_text(lane["checkpoint_bytes"])
        rows.append(f"| {name} | {accuracy} | {loss} | {lane['trainable_parameters']:,} | {bytes_} |")
    head = "| lane | test accuracy | test loss | trained numbers | file |\n| --- | --- | --- | --- | --- |\n"
    stopped = f"\n\nThe run was stopped after step {finished.step:,}." if finished.stopped else ""
    return "## Figures\n\n" + head + "\n".join(rows) + stopped + "\n"


def _settings(record: Record, prepared: Prepared | None) -> str:
    if prepared is None:
        return ""
    rows = [f"| {name} | {value} |" for name, value in record.settings.as_dict().items()]
    return "## Settings\n\n| setting | value |\n| --- | --- |\n" + "\n".join(rows) + "\n"
