"""The whole story, as a person lives it: a matrix, a layer, a run, a photo."""

import re

from playwright.sync_api import Page, expect

from lora_demo.ui.page import FRONT

IMAGES = FRONT.parent / "examples"


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_from_a_matrix_to_the_class_of_a_photo(page: Page):
    box = page.get_by_role("textbox", name="Matrix").first
    box.fill("1 2\n2 4")
    expect(page.locator(".headline").first).to_contain_text("Rank 1 of 2")

    open_tab(page, "LoRA layer")
    expect(page.locator(".headline").filter(visible=True).first).to_contain_text("parameters learn")

    open_tab(page, "Train")
    headline = page.locator("#race-headline")
    expect(headline).to_contain_text("a recorded run")
    steps = page.get_by_role("spinbutton", name="Steps of one batch")
    steps.fill("10")
    steps.press("Tab")
    page.get_by_text("More settings").click()
    page.get_by_label("Batch size").fill("4")
    page.get_by_label("Batch size").press("Tab")
    page.locator("#train").click()
    expect(headline).to_contain_text("step 10 / 10", timeout=120_000)
    expect(headline).to_contain_text("LoRA reached", timeout=120_000)
    expect(page.locator("#ledger").get_by_role("row", name="file to keep")).to_contain_text("smaller")
    for lane in ("full", "LoRA", "head only"):
        expect(page.locator("#loss").get_by_text(lane, exact=True)).to_be_visible()
    assert re.search(r"run=[0-9a-f]{32}", page.url)

    open_tab(page, "Classify")
    page.get_by_role("button", name="Remove Image").click()
    page.locator("#photo input[type=file]").first.set_input_files(IMAGES / "truck.png")
    answer = page.locator("#answer")
    expect(answer).to_contain_text("this session's run")
    expect(page.locator("#bars").get_by_text("% LoRA").first).to_be_visible()

    page.reload()
    open_tab(page, "Train")
    expect(page.locator("#race-headline")).to_contain_text("LoRA reached")
    expect(page.locator("#race-headline")).not_to_contain_text("a recorded run")


def test_stop_ends_a_run_and_keeps_what_there_is(page: Page):
    open_tab(page, "Train")
    page.locator("#train").click()
    headline = page.locator("#race-headline")
    expect(headline).to_contain_text("Training: step", timeout=60_000)
    page.locator("#stop").click()
    expect(headline).to_contain_text("Stopped after", timeout=5_000)
    expect(page.locator("#ledger")).to_contain_text("38,794")


def test_a_bad_setting_is_a_sentence_and_the_curves_stay(page: Page):
    open_tab(page, "Train")
    expect(page.locator("#race-headline")).to_contain_text("a recorded run")
    page.get_by_text("More settings").click()
    page.get_by_label("Batch size").fill("0")
    page.get_by_label("Batch size").press("Tab")
    page.locator("#train").click()
    expect(page.get_by_text("Setting 'batch_size' must be a whole number from 1 to 512, not 0")).to_be_visible()
    expect(page.locator("#race-headline")).to_contain_text("a recorded run")
    expect(page.locator("#loss").get_by_text("LoRA", exact=True)).to_be_visible()


def test_a_broken_image_is_a_sentence_and_the_answer_stays(page: Page, tmp_path):
    open_tab(page, "Classify")
    answer = page.locator("#answer .headline")
    expect(answer).to_contain_text("LoRA")
    said = answer.inner_text()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    page.get_by_role("button", name="Remove Image").click()
    page.locator("#photo input[type=file]").first.set_input_files(tmp_path / "broken.png")
    expect(page.get_by_text("not an image that can be read")).to_be_visible()
    assert answer.inner_text() == said


def test_the_strength_slider_moves_the_answer(page: Page):
    open_tab(page, "Classify")
    expect(page.locator("#answer")).to_contain_text("strength 1")
    number = page.locator("#scale input[type=number]")
    number.fill("0")
    number.press("Tab")
    expect(page.locator("#answer")).to_contain_text("strength 0")


def test_a_link_opens_its_tab(page: Page, app_url: str):
    page.goto(f"{app_url}/?tab=classify")
    expect(page.locator("#answer")).to_contain_text("LoRA")
    open_tab(page, "Train")
    expect(page).to_have_url(re.compile("tab=train"))
