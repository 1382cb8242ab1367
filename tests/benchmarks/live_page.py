"""What a live run costs the page: seconds from the click to the first point, and bytes of each update.

    .venv/bin/python tests/benchmarks/live_page.py [steps]

Starts the app, clicks Train in Chromium right after start and again (warm), then lets a default run of `steps` steps (60) finish
and counts what arrives at the page, half a second at a time: of curves, ledger and spectra together.
"""

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("LORA_LAB_CHROMIUM", "/usr/bin/chromium")


@contextlib.contextmanager
def app():
    """The app on a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "LORA_LAB_RUNS": tempfile.mkdtemp()}
    process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).read()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def seconds_to_first_point(page: Page) -> float:
    """From the click on Train to a first step in the headline; the run is stopped again."""
    start = time.perf_counter()
    page.locator("#train").click()
    page.wait_for_function(
        "document.querySelector('#race-headline').innerText.includes('Training: step')", timeout=120_000
    )
    seconds = time.perf_counter() - start
    page.locator("#stop").click()
    page.wait_for_function("document.querySelector('#race-headline').innerText.includes('Stopped')", timeout=60_000)
    return seconds


def bytes_an_update(page: Page, steps: int) -> list[int]:
    """Bytes that arrive in each half second of a run that has any."""
    page.locator("#setting-steps input[type=number]").fill(str(steps))
    page.locator("#setting-steps input[type=number]").press("Tab")
    arrived: list[tuple[float, int]] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.dataReceived", lambda event: arrived.append((event["timestamp"], event["dataLength"])))
    page.locator("#train").click()
    page.wait_for_function(
        "document.querySelector('#race-headline').innerText.includes('Training: step')", timeout=120_000
    )
    arrived.clear()  # the first one carries the charts' frames
    page.wait_for_function("document.querySelector('#race-headline').innerText.includes('Testing')", timeout=600_000)
    slots: dict[int, int] = {}
    for at, count in arrived:
        slots[int(2 * at)] = slots.get(int(2 * at), 0) + count
    return list(slots.values())


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with app() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{url}/?tab=train")
        page.locator("#race-headline .headline").wait_for(timeout=60_000)
        cold = seconds_to_first_point(page)
        warm = [seconds_to_first_point(page) for _ in range(5)]
        print(
            f"click to first point: {cold:.1f} s right after start, then {statistics.median(warm):.2f} s (median of 5)"
        )
        sizes = sorted(bytes_an_update(page, steps))
        print(
            f"{steps} steps: {statistics.median(sizes):.0f} bytes an update, 95 % within {sizes[int(0.95 * len(sizes))]:,}"
        )
        browser.close()


if __name__ == "__main__":
    main()
