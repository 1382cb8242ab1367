"""The X-ray as a person uses it: it comes up when it is looked at, a click opens a layer, the bridge leads there and back."""

import re

import pytest
from playwright.sync_api import Page, expect

SLOW = 120_000  # a worker's first answer, on a loaded machine


@pytest.fixture
def xray(page: Page) -> Page:
    """The Train tab with the X-ray of the recorded run."""
    page.get_by_role("tab", name="Train").click()
    headline = page.locator("#xray-headline")
    expect(page.locator("#ledger")).to_contain_text("parameters trained")
    expect(headline).to_contain_text("when you come here")  # nothing was computed before
    page.locator("#xray-look").scroll_into_view_if_needed()
    expect(headline).to_contain_text("strong directions are intruders", timeout=SLOW)
    expect(page.locator("#xray-facts")).to_contain_text("query, layer 0")
    return page


def chosen(page: Page):
    return page.locator("#xray-layer input")


def drawn(page: Page, chart: str, what: str):
    """An expression on a chart's figure, in the browser."""
    return page.evaluate(f"(() => {{ const chart = document.querySelector('{chart} .chart'); return {what}; }})()")


def test_from_the_headline_by_a_click_to_a_layer_and_through_its_steps(xray: Page):
    expect(xray.locator("#xray-headline .headline")).to_have_text(
        re.compile(r"Full fine-tuning’s change needs \d+ to \d+ directions .* LoRA has 8 and uses \d")
    )
    for picture in ("#xray-sizes", "#xray-ranks", "#xray-spectra", "#xray-overlap", "#xray-growth", "#xray-intruders"):
        expect(xray.locator(f"{picture} .main-svg").first).to_be_visible()

    cells = xray.locator("#xray-sizes .nsewdrag").last  # full's
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    xray.mouse.click(box["x"] + box["width"] / 2.4, box["y"] + box["height"] * 11 / 12)  # the last row, layer 2
    expect(chosen(xray)).to_have_value("fc2, layer 2")
    expect(xray.locator("#xray-facts")).to_contain_text("fc2, layer 2")
    expect(xray.locator("#xray-spectra")).to_contain_text("Singular values: fc2, layer 2")

    chosen(xray).click()
    xray.get_by_role("option", name="value, layer 5").click()
    expect(xray.locator("#xray-facts")).to_contain_text("value, layer 5")
    xray.locator("#xray-pair").get_by_text("LoRA and seed 1").click()
    expect(xray.locator("#xray-overlap")).to_contain_text("LoRA's change, seed 1")

    end = drawn(xray, "#xray-growth", "chart.data[1].y[0]")
    xray.locator("#xray-step input[type=number]").fill("3")
    xray.locator("#xray-step input[type=number]").press("Tab")
    expect(xray.locator("#xray-growth")).to_contain_text("after step 3: value, layer 5")
    assert drawn(xray, "#xray-growth", "chart.data[1].y[0]") < end / 10
    assert drawn(xray, "#xray-growth", "chart.data[0].y[0]") == end  # dotted, where it will go


def test_the_truncation_grows_and_stops(xray: Page):
    xray.locator("#cut").click()
    points = "chart.data.filter(trace => trace.mode != 'markers').reduce((sum, trace) => sum + trace.x.length, 0)"
    xray.wait_for_function(
        f"() => {{ const chart = document.querySelector('#truncation .chart'); return chart.data && {points} >= 2; }}",
        timeout=SLOW,
    )
    xray.locator("#cut-stop").click()
    xray.wait_for_timeout(1000)
    seen = drawn(xray, "#truncation", points)
    xray.wait_for_timeout(4000)
    assert drawn(xray, "#truncation", points) == seen < 13


def test_a_change_goes_over_the_bridge_and_k_asks_the_network(xray: Page):
    xray.locator("#open-lora").click()
    expect(xray.locator("#rank-headline")).to_contain_text("Rank 8 of 192")  # exactly: rounding raised nothing
    said = xray.locator("#bridge-said")
    expect(said).to_contain_text(re.compile(r"query, layer 0.*right on \d\d\.\d %"), timeout=SLOW)
    xray.locator("#k input[type=number]").fill("1")
    xray.locator("#k input[type=number]").press("Tab")
    expect(said).to_contain_text(re.compile(r"rank 1,.*right on \d\d\.\d %"), timeout=SLOW)
    xray.locator("#bridge-back").click()
    expect(xray.locator("#xray-headline")).to_be_in_viewport()
    xray.get_by_role("tab", name="Rank & SVD").click()
    xray.locator("#example-identity").click()
    expect(said).to_be_hidden()  # another matrix: the network has nothing to say of it


def test_the_mlps_wide_matrices_fit_the_bench(xray: Page):
    chosen(xray).click()
    xray.get_by_role("option", name="fc1, layer 0").click()
    expect(xray.locator("#xray-facts")).to_contain_text("768 × 192")
    xray.locator("#open-full").click()
    expect(xray.locator("#rank-headline")).to_contain_text("768 × 192")
    xray.get_by_role("tab", name="Train").click()
    xray.locator("#open-lora").click()
    expect(xray.get_by_text("This run’s lora lane did not change fc1, layer 0")).to_be_visible()
