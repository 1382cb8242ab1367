"""A page on a real Chromium that forgives no console error and no request that leaves the machine."""

import os
import re
import shutil

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=30_000)  # a loaded machine is slow, not wrong
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


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
def page(unopened: Page, app_url: str) -> Page:
    """A fresh page on the app."""
    unopened.goto(app_url)
    return unopened


@pytest.fixture
def unopened(browser: Browser, app_url: str) -> Page:
    """A page for a link, 1280 x 800; the test fails on a console error or a request to another host.

    Leaving a page that is still loading is such an error: Gradio's client writes that its stream was aborted.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(30_000)
    problems: list[str] = []
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    local = re.compile(rf"^({re.escape(app_url)}|data:|blob:)")
    page.on("request", lambda request: local.match(request.url) or problems.append(f"left the machine: {request.url}"))
    yield page
    context.close()
    assert not problems, problems
