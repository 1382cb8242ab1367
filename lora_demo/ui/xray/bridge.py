"""The bridge: a layer's learnt change on the Rank tab's bench, where the slider's k asks the network again; and the way back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape

import gradio as gr

from lora_demo import jobs
from lora_demo.ui import rank, tabs
from lora_demo.ui.edge import spoken
from lora_demo.ui.xray import XRaySection
from lora_demo.ui.xray.looked_at import record_of

NAMES = {"lora": "LoRA’s", "full": "Full fine-tuning’s"}
BACK = f"""() => {{
  ({tabs.opens("train")})();
  setTimeout(() => document.querySelector('#xray-headline').scrollIntoView(), 300);
}}"""
INTERVAL = 1.96  # standard errors


@dataclass(frozen=True)
class Panel:
    """What stands on the Rank tab while a learnt change is on its bench."""

    carried: gr.Textbox
    said: gr.HTML
    back: gr.Button


def build() -> Panel:
    """Lay out the panel, hidden until a change is carried over."""
    carried = gr.Textbox("", visible="hidden", elem_id="bridge")
    said = gr.HTML(visible=False, elem_id="bridge-said")
    return Panel(
        carried, said, gr.Button("Back to the X-ray", visible=False, elem_id="bridge-back", elem_classes="onward")
    )


def connect(panel: Panel, bench: rank.Bench, section: XRaySection) -> None:
    """Carry changes over, ask the network at every k, and lead back."""
    queued = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    shown = [panel.carried, panel.said, panel.back]
    for lane, button in (("lora", section.open_lora), ("full", section.open_full)):
        opened = button.click(
            spoken(_opens(lane)), [section.run_id, section.layer], [*bench.outputs, panel.carried, panel.back], **queued
        )
        opened.success(None, None, None, js=tabs.opens("rank"))
    gr.on(
        [panel.carried.change, bench.k.input], spoken(_ask), [panel.carried, bench.k], panel.said,
        trigger_mode="always_last", **queued,
    )  # fmt: skip
    # Another matrix on the bench: the network has nothing to say of it.
    quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    bench.shown.change(_still_there, [panel.carried, bench.shown], shown, **quiet)
    panel.back.click(None, None, None, js=BACK)


def _opens(lane: str):
    def open_change(run_id: str, name: str | None, request: gr.Request) -> list:
        from lora_demo.xray.changes import XRayError, read

        record = record_of(run_id)
        if not name:
            raise XRayError("Look into the run first: then there is a layer to open.")
        weights = read(record)
        changes = weights.lanes[lane].changes if lane in weights.lanes else {}
        if name not in changes:
            raise XRayError(f"This run’s {lane} lane did not change {weights.layers[name].label}.")
        title = f"{NAMES[lane]} change of {weights.layers[name].label}"
        taken = rank.taken(changes[name].in_doubles().numpy(), title, request)
        carried = {"run": record.name, "layer": name, "lane": lane, "title": title, "key": taken[2]}
        return [*taken, json.dumps(carried), gr.Button(visible=True)]

    return open_change


async def _ask(carried: str, k: float) -> AsyncIterator[dict]:
    """What the network gets right with this layer's change cut to rank k."""
    if not carried:
        yield gr.HTML(visible=False)
        return
    of = json.loads(carried)
    yield gr.HTML(_said(of, k, "asking the network …"), visible=True)
    record = record_of(of["run"])
    found = await jobs.result("lora_demo.xray.truncation", "truncate", record, int(k), of["layer"], [of["lane"]])
    score = found[of["lane"]]
    interval = 100 * INTERVAL * score.standard_error
    told = (
        f"right on <b>{100 * score.accuracy:.1f} %</b> of {score.images:,} test images (95 % interval ±{interval:.1f})"
    )
    yield gr.HTML(_said(of, k, told), visible=True)


def _said(of: dict, k: float, told: str) -> str:
    return f'<div class="facts"><span>{escape(of["title"])} cut to rank <b>{int(k)}</b>, all else as trained: {told}</span></div>'


def _still_there(carried: str, shown: str) -> tuple:
    if not carried or json.loads(carried)["key"] == shown:
        return gr.skip(), gr.skip(), gr.skip()
    return "", gr.HTML(visible=False), gr.Button(visible=False)
