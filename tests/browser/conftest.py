"""A running app, and a page on a real Chromium that forgives no console error and no request that leaves the machine."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def app_url(tmp_path_factory) -> str:
    """The address of the app, started as a person starts it and ended with the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log"
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "LORA_LAB_RUNS": str(log.parent / "runs")}
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, f"the app ended: {log.read_text()}"
                assert time.monotonic() < deadline, f"the app did not come up: {log.read_text()}"
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def browser() -> Browser:
    """The Chromium that tests/run found, or the one on PATH."""
    named = os.environ.get("LORA_LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert named, "No browser to be had: install Chromium so that it is on PATH."
    with sync_playwright() as playwright:
        path = None if named == "playwright" else named
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, app_url: str) -> Page:
    """A fresh page on the app, 1280 x 800; the test fails on a console error or a request to another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    problems: list[str] = []
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    local = re.compile(rf"^({re.escape(app_url)}|data:|blob:)")
    page.on("request", lambda request: local.match(request.url) or problems.append(f"left the machine: {request.url}"))
    page.goto(app_url)
    yield page
    context.close()
    assert not problems, problems
