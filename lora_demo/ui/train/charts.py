"""The race's two charts with their own controls, in one component: everything but new numbers is answered in the browser."""

from __future__ import annotations

import gradio as gr

from lora_demo.figures import race
from lora_demo.story import Story

TEMPLATE = """
<div class="race">
  <div class="race-bar">
    <fieldset class="seg"><legend>over</legend>
      <label><input type="radio" name="axis-race" value="steps" checked><span>steps</span></label>
      <label><input type="radio" name="axis-race" value="images"><span>images</span></label>
      <label><input type="radio" name="axis-race" value="seconds"><span>seconds</span></label>
    </fieldset>
    <label class="knob">smoothing <input type="range" name="smoothing" min="0" max="0.98" step="0.02" value="0.9"></label>
    <label class="knob"><input type="checkbox" name="log"> log loss</label>
  </div>
  <div class="race-charts">
    <div class="chart" data-part="loss" id="loss" role="img" aria-label="Training and held-out loss of each lane"></div>
    <div class="chart" data-part="accuracy" id="accuracy" role="img" aria-label="Accuracy of each lane on held-out images"></div>
  </div>
  <div class="race-bar">
    <button type="button" data-part="replay" id="replay">Replay</button>
    <label class="knob">in <select data-part="speed" aria-label="Length of the replay">
      <option value="5">5 s</option><option value="10" selected>10 s</option><option value="30">30 s</option></select></label>
    <label class="knob wide"><span class="sr">Scrub through the run</span>
      <input type="range" name="scrub" data-part="scrub" min="0" max="1" step="1" value="1"></label>
    <output data-part="at"></output>
    <span class="save">save as <button type="button" data-part="png">PNG</button>
      <button type="button" data-part="svg">SVG</button>
      <button type="button" data-part="html">HTML</button></span>
  </div>
</div>
"""
JS_ON_LOAD = """
(async () => {
  while (!window.drawRace || !window.drawChart) await new Promise(resolve => setTimeout(resolve, 20));
  const root = element.querySelector('.race');
  const draw = () => window.drawRace(root, props.value);
  draw();
  watch('value', draw);
})();
"""
FRAMES = race.frames()


def charts(**props) -> gr.HTML:
    """The component; update it with `drawn(...)`."""
    return gr.HTML(value=None, html_template=TEMPLATE, js_on_load=JS_ON_LOAD, **props)


def drawn(run_id: str, story: Story, earlier: dict[str, Story]) -> dict:
    """What the component draws: texts of numbers that grow, so that an update travels as the few that are new."""
    return {"run": run_id, "frames": FRAMES, "view": race.view(story, earlier)}
