"""Many images: a row for each, sortable, to take home as CSV."""

from __future__ import annotations

import time

import gradio as gr

from lora_demo.errors import LabError
from lora_demo.figures import answer_table
from lora_demo.ui import outbox
from lora_demo.ui.classify import answer
from lora_demo.ui.classify.bench import QUEUED, Bench
from lora_demo.ui.download import download
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.session import owner_of
from lora_demo.units import seconds_text

WORDS = "Drop up to 200 images: what LoRA’s lane says of each, a row a file. Click a column’s name to sort by it."


def build(bench: Bench) -> None:
    """The section: files in, a table out."""
    section("Many images", WORDS)
    with gr.Row():
        with gr.Column(scale=1, min_width=240, elem_classes="narrow-files"):
            files = gr.File(file_count="multiple", label="Images", height=150, elem_id="many-files")
            text = gr.State("")
            download("Table as CSV", _csv, [text], "many-csv", size="sm")
        with gr.Column(scale=3, min_width=320):
            told = gr.HTML(elem_id="many-told")
            table = gr.HTML(elem_id="many", js_on_load=answer_table.SORT)
    inputs = [files, bench.adapter, bench.owner]
    gr.on([files.upload, files.delete, bench.adapter.change], spoken(_table), inputs, [told, table, text], **QUEUED)
    files.clear(lambda: ("", "", ""), None, [told, table, text], **QUEUED)


def _table(files: list[str] | None, adapter: str, owner: str, request: gr.Request) -> tuple:
    if not files:
        return "", "", ""
    from lora_demo.classify import many

    start = time.perf_counter()
    entry = answer.entry_of(adapter, owner_of(owner, request))
    rows = many.classify_many(entry.record, files)
    read = [row for row in rows if not row.problem]
    unlike = sum(row.unlike is True for row in rows)
    facts = [f"<b>{len(read)}</b> of {len(rows)} images in <b>{seconds_text(time.perf_counter() - start)}</b>"]
    if any(row.unlike is not None for row in read):
        facts.append(f"<b>{unlike}</b> unlike anything in training")
    told = "".join(f"<span>{fact}</span>" for fact in facts)
    return f'<div class="facts">{told}</div>', answer_table.table(rows), many.as_csv(rows)


def _csv(text: str) -> str:
    if not text:
        raise LabError("There is no table yet: drop some images first.")
    path = outbox.new_file("lora-lab-images.csv")
    path.write_text(text)
    return str(path)
