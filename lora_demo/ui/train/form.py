"""The form: a control for each setting, made from the setting's own declaration; presets; what a run was started with."""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any

import gradio as gr

from lora_demo import settings as declared
from lora_demo.figures.palette import LANE_NAMES
from lora_demo.presets import PRESETS
from lora_demo.settings import Settings

RANKS = [1, 2, 4, 8, 16, 32]
FIRST = ("rank", "targets", "steps")  # seen at once
RATES = ("learning_rate_head", "learning_rate_lora", "learning_rate_full")  # may be changed while a run is paused
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
ORDER = [*FIRST, *RATES, *(name for name in FIELDS if name not in FIRST + RATES)]


def control(name: str) -> gr.components.Component:
    """The form's control for one setting."""
    field = FIELDS[name]
    described, value = field.metadata, field.default
    unit = f" ({described['unit']})" if described["unit"] else ""
    common = {"label": described["label"] + unit, "info": described["meaning"], "elem_id": f"setting-{name}"}
    if name == "rank":
        return gr.Radio(RANKS, value=value, **(common | {"info": None}))
    if name == "steps":
        return gr.Slider(10, 1000, value, step=10, **(common | {"label": "Steps of one batch", "info": None}))
    if name == "lanes":
        return gr.CheckboxGroup(
            [(LANE_NAMES[lane], lane) for lane in described["choices"]], value=list(value), **common
        )
    if described["choices"]:
        names = {"targets": declared.TARGETS, "variant": declared.VARIANTS}.get(name, {})
        choices = [(names.get(choice, choice), choice) for choice in described["choices"]]
        return gr.Radio(choices, value=value, **(common | ({"info": None} if name in FIRST else {})))
    if isinstance(value, bool):
        return gr.Checkbox(value, **common)
    if isinstance(value, str):
        return gr.Textbox(value, **common)
    return gr.Number(value, **common)


def preset(name: str) -> list[Any]:
    """What the form shows for a preset: the values in `ORDER`, then its line of explanation."""
    chosen = PRESETS[name]
    return [*in_form(chosen.settings), f'<div class="note">{escape(chosen.meaning)}</div>']


def in_form(settings: Settings) -> list[Any]:
    """The values of `settings` as the controls take them, in `ORDER`."""
    values = settings.as_dict()
    return [
        gr.Radio(choices=sorted({*RANKS, values[name]}), value=values[name]) if name == "rank" else values[name]
        for name in ORDER
    ]


def asked(values: tuple) -> dict[str, Any]:
    """The settings by name from the controls' values in `ORDER`."""
    return {
        # An empty gr.Number may arrive as 0, which no optional setting allows: it means what an empty field means.
        name: None if FIELDS[name].type.endswith("None") and not value else value
        for name, value in zip(ORDER, values, strict=True)
    }


def card(started: dict[str, Any], form: dict[str, Any]) -> str:
    """What the run was started with, a setting each; what the form says otherwise now is marked."""
    rows = []
    for name in ORDER:
        value, now = started.get(name), form.get(name)
        other = f' <b class="wrong">form: {escape(_text(now))}</b>' if name in form and now != value else ""
        described = FIELDS[name].metadata
        unit = f" {described['unit']}" if described["unit"] and value is not None else ""
        rows.append(
            f"<div title='{escape(described['meaning'])}'><dt>{escape(described['label'])}</dt>"
            f"<dd>{escape(_text(value))}{unit}{other}</dd></div>"
        )
    return f"<dl class='card'>{''.join(rows)}</dl>"


def _text(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
