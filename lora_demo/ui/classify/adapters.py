"""The session's adapters: compare, choose, rename, delete, take home, bring in."""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable

import gradio as gr

from lora_demo import library, runs
from lora_demo.figures import adapter_table
from lora_demo.ui import outbox
from lora_demo.ui.classify import answer
from lora_demo.ui.classify.bench import QUEUED, Bench, once_seen
from lora_demo.ui.download import download
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.ui.session import found, library_of, own_records, owner_of

WORDS = (
    "This session’s own: from its runs, brought in, or bundled. Nobody else sees them; they are deleted by age, so take home "
    "what you want to keep."
)
IMPORT_NOTE = (
    "A .zip of a PEFT folder, or a .safetensors, for the bundled backbone. Read as if it were hostile: never pickle, "
    "nothing run, nothing fetched."
)


def build(bench: Bench) -> tuple[gr.Textbox, list[Callable]]:
    """The section. Returns a hidden text that changes with the library, and the events after which another adapter answers."""
    heading = section("Adapters", WORDS)
    changed = gr.Textbox(visible="hidden")
    table = gr.HTML(elem_id="adapters")
    with gr.Row(elem_classes="adapter-tools"):
        with gr.Column(scale=2, min_width=320):
            chosen = gr.Dropdown(
                [("recorded reference (bundled)", "reference")],
                value="reference",
                label="This adapter",
                elem_id="chosen",
            )
            with gr.Row(elem_classes="chips"):
                use = gr.Button("Use it above", size="sm", elem_id="use-adapter")
                download("PEFT zip", _peft, [chosen, bench.owner], "save-peft", size="sm")
                download("Whole model, transformers zip", _merged, [chosen, bench.owner], "save-merged", size="sm")
                download("Whole model, ONNX", _onnx, [chosen, bench.owner], "save-onnx", size="sm")
            with gr.Row(elem_classes="chips"):
                name = gr.Textbox(
                    label="New name", max_length=library.MAX_NAME, container=False, placeholder="a new name", scale=0,
                    min_width=220, elem_id="new-name",
                )  # fmt: skip
                rename = gr.Button("Rename", size="sm", elem_id="rename-adapter")
                delete = gr.Button("Delete", size="sm", elem_id="delete-adapter")
                sure = gr.Button("Yes, delete it for good", size="sm", elem_id="delete-sure", visible=False)
        with gr.Column(scale=1, min_width=280):
            upload = gr.UploadButton(
                "Bring in an adapter", file_types=[".zip", ".safetensors"], size="sm", elem_id="import-adapter"
            )
            gr.HTML(f'<div class="note">{IMPORT_NOTE}</div>')
            with gr.Column(visible=False, elem_id="class-names") as ask:
                missing = gr.HTML()
                offers = gr.Radio([], label="Take the names of", elem_id="class-offers")
                names = gr.Textbox(label="Class names in order, separated by commas", lines=2, elem_id="class-list")
                named = gr.Button("Bring it in with these names", size="sm", elem_id="import-named")

    shown = [table, chosen]
    again = functools.partial(gr.on, [changed.change, bench.adapter.change])
    once_seen(heading, again, spoken(_listed), [chosen, bench.owner], shown)
    chosen.input(spoken(_listed), [chosen, bench.owner], shown, **QUEUED)
    used = use.click(spoken(_checked), [chosen, bench.owner], bench.adapter, **QUEUED)
    rename.click(spoken(_rename), [chosen, name, bench.owner], [changed, name], **QUEUED)
    delete.click(lambda: gr.Button(visible=True), None, sure, **QUEUED)
    sure.click(spoken(_delete), [chosen, bench.owner], [changed, sure], **QUEUED)
    chosen.change(lambda: gr.Button(visible=False), None, sure, **QUEUED)
    bringing = [changed, bench.adapter, chosen, ask, missing, offers, names]
    brought = upload.upload(spoken(_bring), [upload, bench.owner], bringing, **QUEUED)
    offers.input(lambda offered: offered, offers, names, **QUEUED)
    with_names = named.click(spoken(_bring_named), [upload, names, bench.owner], bringing, **QUEUED)
    return changed, [event.success for event in (used, brought, with_names)]


def _listed(chosen: str, owner: str, request: gr.Request) -> tuple:
    """The comparison, and the choice, which stays where it still exists."""
    mine = owner_of(owner, request)
    choices = answer.choices(mine)
    chosen = chosen if chosen in [id for _, id in choices] else choices[0][1]
    return adapter_table.table(library.compare(library_of(mine)), chosen), gr.Dropdown(choices=choices, value=chosen)


def _checked(chosen: str, owner: str, request: gr.Request) -> gr.Dropdown:
    mine = owner_of(owner, request)
    return gr.Dropdown(choices=answer.choices(mine), value=found(chosen, mine).id)


def _rename(chosen: str, name: str, owner: str, request: gr.Request) -> tuple:
    mine = owner_of(owner, request)
    library.rename(chosen, name, mine, own_records(mine))
    return _new(), ""


def _delete(chosen: str, owner: str, request: gr.Request) -> tuple:
    mine = owner_of(owner, request)
    run = runs.live(chosen)
    if run and not run.over:
        raise runs.RunError("The run of this adapter is paused: stop it first.")
    library.delete(chosen, mine, own_records(mine))
    runs.forget(chosen)
    return _new(), gr.Button(visible=False)


def _bring(path: str, owner: str, request: gr.Request) -> tuple:
    """Take the file in; where its classes have no names, ask for them."""
    from lora_demo import adapters

    mine = owner_of(owner, request)
    try:
        return _taken_in(library.import_file(path, mine), mine)
    except adapters.ClassNamesMissing as missing:
        offers = adapters.class_name_offers(missing.count)
        choices = [(name, ", ".join(classes)) for name, classes in offers.items()]
        words = f'<div class="note">The adapter tells {missing.count} classes apart, but nothing beside it names them.</div>'
        offered = gr.Radio(choices=choices, value=None, visible=bool(choices))
        return *(gr.skip(),) * 3, gr.Column(visible=True), words, offered, ""


def _bring_named(path: str, names: str, owner: str, request: gr.Request) -> tuple:
    mine = owner_of(owner, request)
    return _taken_in(library.import_file(path, mine, classes=[name.strip() for name in names.split(",")]), mine)


def _taken_in(entry: library.Entry, owner: str) -> tuple:
    chosen = gr.Dropdown(choices=answer.choices(owner), value=entry.id)
    return _new(), chosen, chosen, gr.Column(visible=False), "", gr.Radio(choices=[], value=None), ""


def _new() -> str:
    """A text that differs from the last one."""
    return secrets.token_hex(4)


def _peft(chosen: str, owner: str, request: gr.Request) -> str:
    return peft_file(found(chosen, owner_of(owner, request)))


def peft_file(entry: library.Entry) -> str:
    """The path of a zip with the adapter's PEFT folder."""
    from lora_demo import exports

    return str(exports.peft_zip(entry.record, outbox.new_file(_file_name(entry, "-peft.zip")), entry.name))


def _merged(chosen: str, owner: str, request: gr.Request) -> str:
    from lora_demo import exports

    entry = found(chosen, owner_of(owner, request))
    return str(exports.merged_zip(entry.record, outbox.new_file(_file_name(entry, "-merged.zip"))))


def _onnx(chosen: str, owner: str, request: gr.Request) -> str:
    from lora_demo import exports

    entry = found(chosen, owner_of(owner, request))
    return str(exports.onnx_file(entry.record, outbox.new_file(_file_name(entry, ".onnx"))))


def _file_name(entry: library.Entry, ending: str) -> str:
    """The adapter's name as every system takes it."""
    return (re.sub(r"[^A-Za-z0-9]+", "-", entry.name).strip("-").lower() or "adapter") + ending
