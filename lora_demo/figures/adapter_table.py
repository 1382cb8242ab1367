"""Adapters beside each other: what each is, what its run measured, how large its file is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from lora_demo.settings import VARIANTS
from lora_demo.units import bytes_text

KINDS = {"run": "this session’s run", "imported": "imported", "bundled": "bundled"}
COLUMNS = (
    "adapter",
    "from",
    "data",
    "kind",
    "r",
    "alpha",
    "layers",
    "classes",
    "steps",
    "right on test images",
    "file",
)


def table(adapters: Sequence[dict[str, Any]], chosen: str | None) -> str:
    """An HTML table of what `library.compare` tells, a row an adapter; the row of the id `chosen` is marked."""
    head = "".join(f'<th scope="col"{_words(name)}>{name}</th>' for name in COLUMNS)
    rows = []
    for one in adapters:
        accuracy = "—" if one["accuracy"] is None else f"{100 * one['accuracy']:.1f} %"
        steps = "—" if one["steps"] is None else f"{one['steps']:,}"
        cells = (
            KINDS[one["kind"]], one["data"] or "not known", VARIANTS[one["variant"]], f"{one['rank']}", f"{one['alpha']:g}",
            f"{one['layers']}", f"{one['classes']}", steps, accuracy, bytes_text(one["bytes"]),
        )  # fmt: skip
        told = "".join(f"<td{_words(name)}>{escape(cell)}</td>" for name, cell in zip(COLUMNS[1:], cells, strict=True))
        mark = ' class="chosen" aria-current="true"' if one["id"] == chosen else ""
        rows.append(f'<tr{mark}><th scope="row">{escape(one["name"])}</th>{told}</tr>')
    return (
        f'<div class="scroll"><table class="ledger adapters"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _words(name: str) -> str:
    return ' class="words"' if name in ("from", "data", "kind") else ""
