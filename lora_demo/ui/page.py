"""The page: a title line and four tabs in the story's order."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr
import plotly
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lora_demo.figures.palette import DARK_TONES
from lora_demo.ui import api, chart, classify, layer, outbox, rank, sessions_left, tabs, train
from lora_demo.ui.session import OWNER
from lora_demo.ui.theme import THEME
from lora_demo.ui.xray import bridge

FRONT = Path(__file__).resolve().parents[2] / "assets" / "front"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
TITLE = '<div id="top"><b>LoRA Lab</b><span>see what a low-rank update is, train one, and use it</span></div>'


def build() -> gr.Blocks:
    """Build the interface; no model is loaded and nothing is computed that the first tab does not show."""
    with gr.Blocks(title="LoRA Lab", delete_cache=outbox.DELETE_CACHE) as demo:
        gr.HTML(TITLE)
        owner = gr.Textbox(visible="hidden", elem_id="owner")
        demo.load(None, None, owner, js=OWNER)
        with gr.Tabs() as strip:
            with gr.Tab(tabs.TITLES["rank"], id="rank"):
                panel = bridge.build()
                bench = rank.build()
            with gr.Tab(tabs.TITLES["layer"], id="layer"):
                choice = layer.build()
            with gr.Tab(tabs.TITLES["train"], id="train"):
                form = train.build(demo, owner)
            with gr.Tab(tabs.TITLES["classify"], id="classify") as tab:
                classify.build(tab, demo, owner)
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        carried = [form.settings["targets"], form.settings["rank"]]
        choice.train.click(lambda targets, rank: (targets, rank), [choice.targets, choice.rank], carried, **quiet)
        bridge.connect(panel, bench, form.xray)
        form.classify.click(None, None, None, js=tabs.opens("classify"))
        strip.select(None, None, None, js=tabs.REMEMBER)
        demo.load(_opened_tab, None, strip, **quiet)
        api.build()
    _without_progress(demo)
    sessions_left.forgive(demo)
    return demo


def _without_progress(demo: gr.Blocks) -> None:
    """Let no component note how an event goes that shows no progress.

    Whenever any event begins, goes on or ends, the page copies every component that has ever noted one: 50 ms with all outputs
    of this page, twenty times before the first point of a run.
    """
    for event in demo.fns.values():
        if event.show_progress == "hidden":
            event.show_progress_on = []


def _opened_tab(request: gr.Request) -> gr.Tabs:
    """The tab that the page's address names, so that a link reproduces what the speaker shows."""
    named = request.query_params.get("tab", "")
    return gr.Tabs(selected=named) if named in tabs.TITLES else gr.skip()


def launch_options() -> dict:
    """What `launch` needs: the looks, the front-end files under addresses that show no path of the host, no telemetry."""
    tones = f"<script>window.labDarkTones = {json.dumps(DARK_TONES)};</script>"
    return {
        "theme": THEME,
        "css_paths": [FRONT / "style.css"],
        "head": tones + chart.HEAD,
        "app_kwargs": {
            "routes": [
                Route("/front/plotly.min.js", lambda request: FileResponse(PLOTLY_JS)),
                Mount("/front", StaticFiles(directory=FRONT)),
            ]
        },
        "max_threads": 200,  # of queued events at once: each viewer of a run holds one
        "max_file_size": "30mb",
        "run_history": False,  # on by default, it leaves results in a shared laptop's browser
        "ssr_mode": False,  # its node child outlives Python and keeps the port
        "footer_links": [],
        "quiet": True,
    }
