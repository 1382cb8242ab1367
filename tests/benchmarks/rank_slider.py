"""A move of the k slider: from the browser's input event to the new pictures on screen, and what the server takes of it.

    python tests/benchmarks/rank_slider.py [moves]

"NumPy" is the least that any page must do for A_k and A - A_k: one product and one difference. "server" is the handler, all
pictures and charts. "pictures" is a real Chromium on this machine, software drawing: A_k, A - A_k and the layers decoded, the
frame that paints them begun; "charts" is the same for both charts, which follow a frame later. Medians; server and NumPy in
turn. Targets: 100 ms at 64, 350 ms at 512.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in app.py
sys.path.insert(0, str(Path(__file__).parents[2]))

import gradio as gr
from playwright.sync_api import sync_playwright

from lora_demo.ui import page, rank
from lora_demo.ui.rank import entry
from lora_demo.ui.rank.bench import analysis_of

SIZES = (3, 16, 64, 512)
MOVE = """(k) => new Promise((resolve) => {
  const slider = document.querySelector('#k input[type=range]'), kept = document.querySelector('#rank-kept');
  const charts = [...document.querySelectorAll('.rank-pictures .chart')].slice(0, 2);
  const title = () => kept.querySelector('h3').textContent, before = title(), start = performance.now();
  const waiting = new Set([kept, ...charts]);
  let pictures;
  for (const element of waiting) {
    const observer = new MutationObserver(async () => {
      if (element === kept && title() === before) return;  // Gradio's own status comes first
      observer.disconnect();
      await Promise.all([...element.querySelectorAll('img')].map((image) => image.decode()));
      requestAnimationFrame(() => {
        if (element === kept) pictures = performance.now() - start;
        waiting.delete(element);
        if (!waiting.size) resolve([pictures, performance.now() - start]);
      });
    });
    observer.observe(element, { subtree: true, childList: true, attributes: true, characterData: true });
  }
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(slider, k);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
})"""


def places(size: int, moves: int) -> list[int]:
    """Slider places from both ends in turn, so that each differs from the one before."""
    half = size // 2
    return [size - i // 2 % half if i % 2 else 1 + i // 2 % half for i in range(moves)]


def on_the_server(size: int, moves: int) -> tuple[float, float]:
    """Median milliseconds of NumPy's share and of the whole handler."""
    visitor = SimpleNamespace(session_hash="benchmark")
    key = entry.drawn(size, size, min(size, 10), 0.1, 1, visitor)[2]
    analysis = analysis_of(key, visitor)
    plain, handler = [], []
    for k in places(size, moves):
        begin = time.perf_counter()
        kept = (analysis.u[:, :k] * analysis.singular_values[:k]) @ analysis.vt[:k]
        analysis.matrix.values - kept
        plain.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        entry.moved(key, k, -13.0, visitor)
        handler.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(plain), 1e3 * statistics.median(handler)


def main() -> None:
    moves = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with gr.Blocks() as demo:
        rank.build()
    _, url, _ = demo.launch(**page.launch_options(), prevent_thread_lock=True)
    print(f"{'matrix':>10} {'NumPy':>10} {'server':>10} {'pictures':>10} {'charts':>10}   ms")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for size in SIZES:
            tab = chromium.new_page(viewport={"width": 1280, "height": 800})
            tab.goto(f"{url}?random={size},{size},{min(size, 10)},0.1,1&k={size}")
            tab.locator("#rank-headline").get_by_text(f"{size} × {size}").wait_for()
            tab.wait_for_timeout(3_000)  # what stands below the first screen is drawn then
            shown = [tab.evaluate(MOVE, k) for k in places(size, moves)]
            tab.close()
            plain, handler = on_the_server(size, moves)
            pictures, charts = (statistics.median(times) for times in zip(*shown, strict=True))
            print(f"{size:>5} x{size:>4} {plain:10.2f} {handler:10.1f} {pictures:10.0f} {charts:10.0f}")
        chromium.close()
    demo.close()


if __name__ == "__main__":
    main()
