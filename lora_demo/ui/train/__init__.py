"""The Train tab: LoRA, full fine-tuning and the head alone on the same images in the same order, live."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from lora_demo import controls, record_files, runs
from lora_demo.presets import PRESETS
from lora_demo.settings import Settings, SettingsError
from lora_demo.ui import xray
from lora_demo.ui.chart import chart
from lora_demo.ui.download import download
from lora_demo.ui.edge import spoken
from lora_demo.ui.outbox import new_file
from lora_demo.ui.pieces import pieces
from lora_demo.ui.section import section
from lora_demo.ui.session import owner_of
from lora_demo.ui.train import form, sweeps
from lora_demo.ui.train.charts import charts
from lora_demo.ui.train.following import PAUSE, REFERENCE, follow, follow_spectrum, title

LEAD = "The same images in the same order: all of the network, LoRA, or only its last layer."
REMEMBER_RUN = """id => {
  const url = new URL(location); url.searchParams.set('run', id); history.replaceState(null, '', url);
}"""
COPY_LINK = """id => {
  const url = new URL(location); url.search = '';
  url.searchParams.set('tab', 'train'); if (id) url.searchParams.set('run', id);
  navigator.clipboard?.writeText(url.href);
  return `<div class="note">A link to this run: <a href="${url.href}">${url.href}</a></div>`;
}"""
MAX_YAML = 20_000  # bytes


@dataclass(frozen=True)
class TrainTab:
    """What other tabs need of this one: the settings' controls by name, the X-ray, and the button that leads on."""

    settings: dict[str, gr.components.Component]
    xray: xray.XRaySection
    classify: gr.Button


def build(demo: gr.Blocks, owner: gr.Textbox) -> TrainTab:
    """Lay out the tab; it starts on the recorded run."""
    run_id = gr.Textbox(visible="hidden", elem_id="run-id")
    with gr.Row():
        with gr.Column(scale=1, elem_classes="controls"):
            gr.HTML(f'<div class="lead">{LEAD}</div>')
            with gr.Row(elem_classes="chips"):
                chips = {name: gr.Button(name, size="sm") for name in PRESETS}
            meaning = gr.HTML(f'<div class="note">{escape(PRESETS["default"].meaning)}</div>', elem_id="preset-meaning")
            inputs = {name: form.control(name) for name in form.FIRST}
            with gr.Row(elem_classes="run"):
                train = gr.Button("Train", variant="primary", elem_id="train")
                stop = gr.Button("Stop", elem_id="stop")
            with gr.Row(elem_classes="run-more"):
                pause = gr.Button(PAUSE, size="sm", elem_id="pause")
                step = gr.Button("One step", size="sm", elem_id="one-step")
                more = gr.Button("Continue", size="sm", elem_id="continue")
            gr.HTML('<div class="note">Continue adds as many steps as the slider says.</div>')
            with gr.Accordion("Learning rates", open=False):
                inputs |= {name: form.control(name) for name in form.RATES}
                gr.HTML('<div class="note">A paused run can go on at other rates; the charts mark where.</div>')
                apply = gr.Button("Use these rates from here on", size="sm", elem_id="apply-rates")
            with gr.Accordion("More settings", open=False):
                inputs |= {name: form.control(name) for name in form.ORDER[len(inputs) :]}
            with gr.Accordion("Keep or load settings", open=False):
                download("Settings as YAML", _keep, list(inputs.values()), "save-yaml", size="sm")
                load = gr.UploadButton(
                    "Load a YAML file", file_types=[".yaml", ".yml", ".json"], size="sm", elem_id="load-yaml"
                )
        with gr.Column(scale=3, elem_classes="pictures"):
            headline = pieces(elem_id="race-headline")
            curves = charts(elem_id="race")
            ledger = pieces(elem_id="ledger")
            section(
                "Learning as pictures",
                "A few held-out images and what each lane says they are; dots are the looks before: ● right, ○ wrong.",
            )
            strip = gr.HTML(elem_id="strip")
            answers = pieces(elem_id="answers")
            section(
                "How the change grows",
                "Singular values of one layer’s change: of BA from two small QRs, never forming it. Few large ones: low rank.",
            )
            with gr.Row(elem_classes="chips"):
                quiet = {"container": False, "show_label": False}
                lane = gr.Radio(
                    [("LoRA", "lora"), ("full", "full")], value="lora", label="Lane", elem_classes="switch", **quiet
                )
                layer = gr.Dropdown([], label="Layer", elem_id="layer", scale=0, min_width=240, **quiet)
            spectrum = chart(
                label="Singular values of one layer's change over the steps", height=300, elem_id="spectrum"
            )
            looked_at = xray.build(run_id, owner)
            sweeps.build(owner, list(inputs.values()))
            section("This run", "What it was started with, whatever the form says now.")
            card = gr.HTML(elem_id="run-card")
            compare = gr.CheckboxGroup([], label="Draw earlier runs with it, dotted", elem_id="compare")
            command = gr.Code(
                language="shell",
                label="The same run without this page",
                interactive=False,
                wrap_lines=True,
                elem_id="command",
            )
            with gr.Row(elem_classes="chips"):
                download("Curves as CSV", _csv, [run_id], "csv", size="sm")
                download("Run record as zip", _whole, [run_id], "record", size="sm")
                link = gr.Button("Link to this run", size="sm", elem_id="link")
            address = gr.HTML()
            onward = gr.Button("Classify a photo with the adapter", elem_classes="onward")

    form_values = list(inputs.values())
    pictures = [headline, curves, ledger, strip, answers, pause]
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # Queued, without a limit: an error of an event outside the queue shows as a failed request in the browser's console.
    streaming = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
    followed: list = []

    def show(event) -> None:
        """After `event`: the run's pictures and spectrum, live; whatever was followed before is let go."""
        followed.append(event(spoken(follow), [run_id, compare], pictures, **streaming))
        followed.append(event(spoken(follow_spectrum), [run_id, lane, layer], [layer, spectrum], **streaming))
        event(spoken(_about), [run_id, compare, owner, *form_values], [card, command, compare], **streaming)

    for name, button in chips.items():
        button.click(lambda name=name: form.preset(name), None, [*form_values, meaning], **quick)
    started = train.click(spoken(_start), [owner, *form_values], run_id, **streaming)
    continued = more.click(spoken(_continue), [run_id, inputs["steps"], owner], run_id, **streaming)
    for event in (started, continued):
        event.success(None, run_id, None, js=REMEMBER_RUN)
        show(event.success)
    show(demo.load(_resume, None, run_id, **quick).then)
    compare.input(spoken(follow), [run_id, compare], pictures, cancels=followed, **streaming)
    gr.on([lane.input, layer.input], spoken(follow_spectrum), [run_id, lane, layer], [layer, spectrum], **streaming)
    gr.on(
        [control.change for control in form_values],
        spoken(_differences), [run_id, *form_values], card, trigger_mode="always_last", **streaming,
    )  # fmt: skip
    stop.click(spoken(_stop), [run_id, owner], None, **streaming)
    pause.click(spoken(_pause), [run_id, owner], None, **streaming)
    step.click(spoken(_step), [run_id, owner], None, **streaming)
    apply.click(spoken(_apply), [run_id, owner, *(inputs[name] for name in form.RATES)], None, **streaming)
    load.upload(spoken(_load), load, [*form_values, meaning], **streaming)
    link.click(None, run_id, address, js=COPY_LINK)
    return TrainTab(inputs, looked_at, onward)


def _start(owner: str, request: gr.Request, *values) -> str:
    return runs.start(Settings.parse(form.asked(values)), owner_of(owner, request)).id


def _continue(run_id: str, steps: int, owner: str, request: gr.Request) -> str:
    return controls.go_on(run_id, owner_of(owner, request), int(steps)).id


def _stop(run_id: str, owner: str, request: gr.Request) -> None:
    if run_id:
        controls.stop(run_id, owner_of(owner, request))


def _pause(run_id: str, owner: str, request: gr.Request) -> None:
    run = runs.live(run_id)
    (controls.go if run and run.paused else controls.pause)(run_id, owner_of(owner, request))


def _step(run_id: str, owner: str, request: gr.Request) -> None:
    controls.pause(run_id, owner_of(owner, request))
    controls.step(run_id, owner_of(owner, request))


def _apply(run_id: str, owner: str, head: float, lora: float | None, full: float, request: gr.Request) -> None:
    rates = dict(zip(form.RATES, (head, lora or None, full), strict=True))
    controls.set_rates(run_id, owner_of(owner, request), rates)


def _resume(request: gr.Request) -> str:
    """The run that the page's address names, where it is still here."""
    run_id = request.query_params.get("run", "")
    return run_id if runs.exists(run_id) else ""


def _about(run_id: str, compare: list[str], owner: str, request: gr.Request, *values) -> tuple:
    """The run's card, its command, and which runs there are to compare it with."""
    settings = runs.record(run_id or REFERENCE).settings
    names = [run.id for run in runs.of(owner_of(owner, request)) if run.over and run.id != run_id]
    names += [name for name in runs.bundled() if name != (run_id or REFERENCE)]
    choices = [(title(runs.record(name)), name) for name in names]
    kept = [name for name in compare if name in names]
    return (
        _differences(run_id, *values),
        _command(settings),
        gr.CheckboxGroup(choices, value=kept, visible=bool(choices)),
    )


def _differences(run_id: str, *values) -> str:
    return form.card(runs.record(run_id or REFERENCE).settings.as_dict(), form.asked(values) if run_id else {})


def _command(settings: Settings) -> str:
    command = "python -m lora_demo.train --config settings.yaml --record runs/mine"
    return f"cat > settings.yaml <<'END'\n{settings.as_yaml()}END\n{command}"


def _keep(*values) -> str:
    path = new_file("settings.yaml")
    path.write_text(Settings.parse(form.asked(values)).as_yaml())
    return str(path)


def _load(path: str) -> list:
    file = Path(path)
    if file.stat().st_size > MAX_YAML:
        raise SettingsError(f"{file.name} is too long for a file of settings: at most {MAX_YAML:,} bytes.")
    try:
        text = file.read_text()
    except UnicodeDecodeError:
        raise SettingsError(f"{file.name} is no text.") from None
    settings = Settings.from_yaml(text, file.name)
    return [*form.in_form(settings), f'<div class="note">Loaded from {escape(file.name)}.</div>']


def _csv(run_id: str) -> str:
    record = runs.record(run_id or REFERENCE)
    return str(record_files.csv_file(record, new_file(f"lora-lab-{record.name[:12]}.csv")))


def _whole(run_id: str) -> str:
    record = runs.record(run_id or REFERENCE)
    return str(record_files.zip_file(record, new_file(f"lora-lab-{record.name[:12]}.zip")))
