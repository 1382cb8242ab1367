"""Classify as a person sees it: the first answer, the sliders, the sections that wait until they are seen, the adapters."""

import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from lora_demo import exports, runs
from lora_demo.ui.page import FRONT

IMAGES = FRONT.parent / "examples"


@pytest.fixture
def tab(page: Page) -> Page:
    """The page on its Classify tab, with its first answer complete."""
    page.get_by_role("tab", name="Classify").click()
    expect(page.locator("#answer")).to_contain_text("held-out images are")
    expect(page.locator("#blocks-curve svg")).to_be_visible()
    return page


def moved(page: Page, slider: str, value: str) -> None:
    number = page.locator(f"#{slider} input[type=number]")
    number.fill(value)
    number.press("Tab")


def bring(page: Page, path) -> None:
    page.get_by_role("heading", name="Adapters").scroll_into_view_if_needed()
    expect(page.locator("#adapters")).to_contain_text("recorded reference")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Bring in an adapter").click()
    chooser.value.set_files(path)


def test_the_first_answer_is_complete_and_fits_the_screen(tab: Page):
    expect(tab.locator("#answer .headline")).to_contain_text("LoRA")
    expect(tab.locator("#answer")).to_contain_text("recorded reference")
    expect(tab.locator("#answer")).to_contain_text("pass this check")
    for lane in ("full", "LoRA", "head only"):
        expect(tab.locator("#bars").get_by_text(re.compile(rf"\d+ % {lane}")).first).to_be_visible()
    expect(tab.locator("#seen")).to_contain_text("Largest logit difference to the base at scale 0: 0")
    for part in ("bars", "scale-curve", "rank-curve", "blocks-curve"):
        box = tab.locator(f"#{part}").bounding_box()
        assert box["y"] + box["height"] <= 800, part
    expect(tab.locator("#confusion table")).to_have_count(0)  # what is farther down waits until it is nearly in view


def test_every_slider_moves_the_answer_and_the_other_sliders_curves(tab: Page):
    lora, curve = tab.locator("#bars").get_by_text("% LoRA").first, tab.locator("#rank-curve svg")
    trained, before = lora.text_content(), curve.get_attribute("aria-label")
    moved(tab, "scale", "0")
    expect(tab.locator("#answer")).to_contain_text("strength 0")
    expect(lora).not_to_have_text(trained)
    expect(curve).not_to_have_attribute("aria-label", before)
    frozen = lora.text_content()
    moved(tab, "scale", "1")
    expect(lora).to_have_text(trained)
    moved(tab, "rank-kept-slider", "0")
    expect(tab.locator("#answer")).to_contain_text("rank kept 0")
    expect(lora).to_have_text(frozen)  # no direction kept is the frozen backbone too
    moved(tab, "rank-kept-slider", "8")
    tab.locator("#blocks label").nth(2).click()
    expect(tab.locator("#answer")).to_contain_text("blocks on 1, 2, 4, 5, 6")


def test_a_photo_of_something_else_is_called_so(tab: Page):
    tab.get_by_role("button", name="espresso").click()
    expect(tab.locator("#answer .headline")).to_contain_text("Unlike anything in training")


def test_where_it_looks_follows_the_chosen_class(tab: Page):
    tab.get_by_role("heading", name="Where it looks").scroll_into_view_if_needed()
    pictures = tab.locator("#attention img")
    expect(pictures).to_have_count(3)
    rollout = pictures.last.get_attribute("src")
    tab.locator("#attention-class input").click()
    tab.get_by_role("option", name="frog").click()
    expect(pictures.last).not_to_have_attribute("src", rollout)


def test_a_cell_of_the_confusion_shows_its_images(tab: Page):
    tab.get_by_role("heading", name="On the test set").scroll_into_view_if_needed()
    cell = tab.locator("#confusion td.wrong button").first
    expect(cell).to_be_visible()
    count, said = int(cell.inner_text()), cell.get_attribute("aria-label")
    cell.click()
    expect(tab.locator("#cell-images h3")).to_contain_text(said.replace(" taken", ", taken"))
    expect(tab.locator("#cell-images .tile")).to_have_count(count)
    expect(tab.locator("#by-class")).to_contain_text("head only")
    expect(tab.locator("#disagreement")).to_contain_text("McNemar")


def test_many_images_are_a_table_that_sorts_and_goes_home_as_csv(tab: Page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.new("CMYK", (30, 40), (0, 200, 0, 0)).save(tmp_path / "print.jpg")
    files = [IMAGES / "truck.png", IMAGES / "cat.png", tmp_path / "broken.png", tmp_path / "print.jpg"]
    tab.locator("#many-files").scroll_into_view_if_needed()
    tab.locator("#many-files input[type=file]").set_input_files(files)
    names = tab.locator("#many tbody td:nth-child(2)")
    expect(names).to_have_text(["truck.png", "cat.png", "broken.png", "print.jpg"])
    expect(tab.locator("#many")).to_contain_text("not an image that can be read")
    expect(tab.locator("#many .tile")).to_have_count(3)
    tab.locator("#many").get_by_role("button", name="file").click()
    expect(names).to_have_text(["broken.png", "cat.png", "print.jpg", "truck.png"])
    with tab.expect_download() as started:
        tab.locator("#many-csv").click()
    lines = started.value.path().read_text().splitlines()
    assert lines[0].startswith("file,class,probability")
    assert len(lines) == 5


def test_an_adapter_is_brought_in_used_renamed_taken_home_and_deleted(tab: Page, tmp_path):
    path = exports.peft_zip(runs.record("reference"), tmp_path / "brought.zip", "Mine")
    bring(tab, path)
    table = tab.locator("#adapters")
    expect(table).to_contain_text("brought")
    expect(tab.locator("#answer")).to_contain_text("imported brought")  # what is new is what answers
    expect(tab.locator("#answer")).to_contain_text("Not calibrated")
    tab.locator("#new-name textarea, #new-name input").fill("<b>Mine</b>")
    tab.locator("#rename-adapter").click()
    expect(table).to_contain_text("<b>Mine</b>")
    with tab.expect_download() as started:
        tab.locator("#save-peft").click()
    assert started.value.suggested_filename == "b-mine-b-peft.zip"
    tab.locator("#delete-adapter").click()
    tab.locator("#delete-sure").click()
    expect(table).not_to_contain_text("Mine")
    expect(tab.locator("#answer")).to_contain_text("recorded reference")


def test_a_hostile_file_is_refused_in_a_sentence(tab: Page, tmp_path):
    (tmp_path / "evil.zip").write_bytes(b"PK\x03\x04" + b"\0" * 200)
    bring(tab, tmp_path / "evil.zip")
    expect(tab.get_by_text("The file is no zip, or it is damaged.")).to_be_visible()
    expect(tab.locator("#adapters tbody tr")).to_have_count(1)
