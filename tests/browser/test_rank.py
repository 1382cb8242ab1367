"""Rank & SVD as a person meets it: type, choose, move, open, link."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=20_000)  # two cores, and other tests beside these


def headline(page: Page):
    return page.locator("#rank-headline .headline")


def text_box(page: Page):
    return page.locator("#matrix-text textarea")


def psnr(told: str) -> float:
    return float(re.search(r"PSNR ([\d.]+)", told)[1])


def name_of(picture) -> str:
    return picture.get_attribute("aria-label")


@pytest.fixture
def rank_page(page: Page) -> Page:
    """The tab, as it opens."""
    expect(headline(page)).to_have_text("Rank 2 of 3: row 3 = row 1 + row 2")
    return page


def test_the_first_answer_fits_one_screen(rank_page: Page):
    for picture in ("#rank-headline", "#rank-factors", "#k", "#tolerance"):
        box = rank_page.locator(picture).bounding_box()
        assert box["y"] + box["height"] <= 800, picture
    chart = rank_page.locator(".chart .main-svg").first.bounding_box()
    assert chart["y"] + chart["height"] <= 800
    approximation = rank_page.locator("#rank-kept .equation").first.bounding_box()
    assert approximation["y"] + approximation["height"] <= 800


def test_typing_a_matrix_shows_its_rank(rank_page: Page):
    text_box(rank_page).fill("1 2\n2 4\n3 6")
    expect(headline(rank_page)).to_have_text("Rank 1 of 2: row 2 = 2 row 1; row 3 = 3 row 1")
    expect(rank_page.locator("#rank-why")).to_contain_text("row 3 = 3 row 1")


def test_the_notebooks_matrices_are_one_click_away(rank_page: Page):
    said = {
        "B": "Rank 3 of 3: no row is a combination of the others",
        "C": "Rank 1 of 2: row 2 = 1/2 row 1; row 3 = 3/2 row 1",
        "zeros": "Rank 0 of 4: every number is zero",
        "notebook A": "Rank 2 of 3: row 3 = row 1 + row 2",
    }
    for label, sentence in said.items():
        rank_page.get_by_role("button", name=label, exact=True).click()
        expect(headline(rank_page)).to_have_text(sentence)


def test_a_matrix_of_one_number_is_a_matrix(rank_page: Page):
    text_box(rank_page).fill("5")
    expect(headline(rank_page)).to_contain_text("Rank 1 of 1")
    expect(rank_page.locator("#rank-why")).to_contain_text("No row follows from the others")


def test_hilbert_has_another_rank_in_rounded_arithmetic(rank_page: Page):
    rank_page.get_by_role("button", name="Hilbert").click()
    expect(headline(rank_page)).to_contain_text("Exact rank 12 of 12, numerical rank 11")
    expect(rank_page.locator("#rank-ranks")).to_contain_text("1 of the exact directions are so weak")


def test_a_ragged_matrix_gets_a_sentence_and_the_old_answer_stays(rank_page: Page):
    text_box(rank_page).fill("1 2 3\n4 5 6\n7 8")
    expect(rank_page.locator("#matrix-wrong")).to_have_text("Row 3 has 2 numbers, rows 1 and 2 have 3")
    expect(headline(rank_page)).to_have_text("Rank 2 of 3: row 3 = row 1 + row 2")
    text_box(rank_page).fill("1 2 3\n4 5 6\n7 8 9")
    expect(headline(rank_page)).to_contain_text("row 3 = −row 1 + 2 row 2")
    expect(rank_page.locator("#matrix-wrong")).to_be_hidden()


def test_moving_the_slider_changes_what_is_kept(rank_page: Page):
    kept = rank_page.locator("#rank-kept .equation").first
    once = name_of(kept.get_by_role("img").nth(1))
    slider = rank_page.locator("#k input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    expect(rank_page.locator("#rank-kept")).to_contain_text("A₂ is a sum of 2 rank-1 layers")
    assert name_of(kept.get_by_role("img").nth(1)) != once
    assert name_of(kept.get_by_role("img").nth(1)) == "A₂: 1, 2, 3; 4, 5, 6; 5, 7, 9"
    assert name_of(kept.get_by_role("img").nth(2)) == "A − A₂: 0, 0, 0; 0, 0, 0; 0, 0, 0"
    expect(rank_page.locator(".chart").first).to_contain_text("k = 2")


def test_a_coarser_tolerance_lowers_the_numerical_rank(rank_page: Page):
    facts = rank_page.locator("#rank-headline .facts")
    expect(facts).to_contain_text("numerical 2")
    number = rank_page.locator("#tolerance input[type=number]")
    number.fill("-1")
    number.press("Tab")
    expect(facts).to_contain_text("numerical 1")
    expect(rank_page.locator("#rank-ranks")).to_contain_text("set by hand")


def test_a_link_shows_what_the_speaker_shows(rank_page: Page, browser: Browser):
    text_box(rank_page).fill("2 0 0\n0 1/2 0\n0 0 1e-9")
    expect(headline(rank_page)).to_contain_text("Rank 3 of 3")
    slider = rank_page.locator("#k input[type=range]")
    slider.focus()
    slider.press("ArrowLeft")
    number = rank_page.locator("#tolerance input[type=number]")
    number.fill("-6")
    number.press("Tab")
    expect(rank_page).to_have_url(re.compile(r"k=1&tolerance=-6$"))
    other = browser.new_page()
    other.goto(rank_page.url)
    expect(headline(other)).to_have_text("Exact rank 3 of 3, numerical rank 2: no row is a combination of the others")
    expect(text_box(other)).to_have_value("2 0 0\n0 1/2 0\n0 0 1e-9")
    expect(other.locator("#k input[type=number]")).to_have_value("1")
    expect(other.locator("#rank-kept")).to_contain_text("A₁ is a sum of 1 rank-1 layer")
    other.close()


def test_a_drawn_matrix_is_linked_by_its_settings(rank_page: Page):
    rank_page.get_by_label("Random", exact=True).check(force=True)
    rank_page.get_by_label("rows").fill("64")
    rank_page.get_by_label("columns").fill("48")
    rank_page.get_by_role("button", name="Make it").click()
    expect(headline(rank_page)).to_have_text("Rank 48 of 48, and 3 above the noise")
    expect(rank_page).to_have_url(re.compile("random=64%2C48%2C3%2C0.5%2C3"))


def test_a_broken_link_gets_a_sentence(unopened: Page, app_url: str):
    unopened.goto(f"{app_url}/?tab=rank&matrix=1+2%0A3")
    expect(unopened.get_by_test_id("toast-body")).to_contain_text("Row 2 has 1 number, row 1 has 2")
    expect(headline(unopened)).to_have_text("Rank 2 of 3: row 3 = row 1 + row 2")


def test_the_grid_keeps_step_with_the_text(rank_page: Page):
    rank_page.get_by_label("Grid", exact=True).check(force=True)
    cell = rank_page.locator("#matrix-grid").get_by_test_id("cell-2-2")
    expect(cell).to_contain_text("9")
    cell.dblclick()
    rank_page.keyboard.press("Control+A")
    rank_page.keyboard.type("10")
    rank_page.keyboard.press("Enter")
    expect(headline(rank_page)).to_have_text("Rank 3 of 3: no row is a combination of the others")
    rank_page.get_by_label("Text", exact=True).check(force=True)
    expect(text_box(rank_page)).to_have_value("1 2 3\n4 5 6\n5 7 10")


def test_a_file_is_read_and_a_pickle_is_not(rank_page: Page, tmp_path):
    np.save(tmp_path / "outer.npy", np.outer(np.arange(1, 31), np.arange(1, 41)))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    rank_page.get_by_label("File", exact=True).check(force=True)
    upload = rank_page.locator(".rank-controls input[type=file]")
    upload.set_input_files(tmp_path / "outer.npy")
    expect(headline(rank_page)).to_contain_text("Rank 1 of 30")
    rank_page.get_by_label("Remove").or_(rank_page.get_by_label("Clear")).first.click()
    rank_page.locator(".rank-controls input[type=file]").set_input_files(tmp_path / "objects.npy")
    expect(rank_page.get_by_test_id("toast-body")).to_contain_text("not a readable .npy array")
    expect(headline(rank_page)).to_contain_text("Rank 1 of 30")


def test_a_photo_is_kept_better_by_more_directions(rank_page: Page, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8)).save(tmp_path / "noise.png")
    told = rank_page.locator("#photo-told")
    told.scroll_into_view_if_needed()
    expect(told).to_contain_text("377 × 600")
    rank_page.locator(".photo-controls input[type=file]").set_input_files(tmp_path / "noise.png")
    expect(told).to_contain_text("90 × 60")
    before = psnr(told.inner_text())
    number = rank_page.locator("#photo-k input[type=number]")
    number.fill("55")
    number.press("Tab")
    expect(told).not_to_contain_text(f"PSNR {before} dB")
    assert psnr(told.inner_text()) > before + 10


def test_a_broken_photo_gets_a_sentence(rank_page: Page, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    rank_page.locator("#photo-told").scroll_into_view_if_needed()
    rank_page.locator(".photo-controls input[type=file]").set_input_files(tmp_path / "broken.png")
    expect(rank_page.get_by_test_id("toast-body")).to_contain_text("not an image that can be read")


def test_descent_comes_down_to_the_svds_error(rank_page: Page):
    told = rank_page.locator("#descent-told")
    rank_page.get_by_role("button", name="Reset", exact=True).click()
    expect(told).to_contain_text("Step 0:")
    rank_page.get_by_role("button", name="Step", exact=True).click()
    expect(told).to_contain_text("Step 1:")
    rank_page.get_by_role("button", name="Play", exact=True).click()
    expect(told).to_contain_text("loss 0.6603, and 0.6603 is the least")
    rank_page.get_by_role("button", name="Pause", exact=True).click()
    expect(rank_page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_a_guess_gets_its_reason(rank_page: Page):
    rank_page.locator("#guess-0").click()
    expect(rank_page.locator("#quiz-verdict")).to_contain_text("Not 0. Rank")
    expect(rank_page.locator("#guess-1")).to_be_disabled()
    rank_page.get_by_role("button", name="Next matrix").click()
    expect(rank_page.locator("#quiz-verdict")).to_contain_text("Matrix 2 of 8")
