"""The race as a person drives it: pause, step, other rates, continue, scrub, compare, take away."""

import csv
import zipfile

import pytest
from playwright.sync_api import Page, expect

SLOW = 120_000  # a worker's first step, on a loaded machine


@pytest.fixture
def race(page: Page) -> Page:
    """The Train tab with a form that asks for 20 steps of 4 images."""
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#race-headline")).to_contain_text("a recorded run")
    page.get_by_text("More settings").click()
    fill(page, "Batch size", "4")
    fill(page, "Look every", "10")
    number(page).fill("20")
    number(page).press("Tab")
    return page


def fill(page: Page, label: str, value: str) -> None:
    page.get_by_label(label).first.fill(value)
    page.get_by_label(label).first.press("Tab")


def number(page: Page):
    return page.locator("#setting-steps input[type=number]")


def upload(page: Page, path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#load-yaml").click()
    chooser.value.set_files(path)


def points(page: Page, chart: str = "loss") -> int:
    """How many points the longest line of a chart has."""
    return page.evaluate(
        f"Math.max(0, ...(document.getElementById('{chart}').data || []).map((trace) => trace.x.length))"
    )


def test_a_run_is_paused_stepped_continued_at_other_rates_and_marked(race: Page):
    headline = race.locator("#race-headline")
    number(race).fill("60")
    number(race).press("Tab")
    race.locator("#train").click()
    expect(headline).to_contain_text("Training: step", timeout=SLOW)
    race.locator("#pause").click()
    expect(headline).to_contain_text("Paused at step", timeout=SLOW)
    expect(race.locator("#pause")).to_have_text("Go on")
    before = int(headline.inner_text().split("step ")[1].split(" ")[0])
    race.locator("#one-step").click()
    expect(headline).to_contain_text(f"Paused at step {before + 1} of 60", timeout=SLOW)

    race.get_by_text("Learning rates").click()
    fill(race, "Rate of LoRA", "0.004")
    race.locator("#apply-rates").click()
    expect(race.locator("#loss").get_by_text("new rates")).to_be_visible()
    expect(race.locator("#run-card")).to_contain_text("form: 0.004")

    race.locator("#pause").click()
    expect(headline).to_contain_text("LoRA reached", timeout=SLOW)
    number(race).fill("10")
    number(race).press("Tab")
    race.locator("#continue").click()
    expect(headline).to_contain_text("step 70 / 70", timeout=SLOW)
    expect(headline).to_contain_text("LoRA reached", timeout=SLOW)
    expect(race.locator("#loss").get_by_text("continued")).to_be_visible()
    assert points(race) == 70


def test_the_reader_chooses_axis_scale_and_moment_without_the_server(race: Page):
    race.get_by_role("tab", name="Classify").click()
    expect(race.locator("#answer")).to_contain_text("held-out images are")  # the last that a page asks for by itself
    race.get_by_role("tab", name="Train").click()
    asked, before = [], None
    race.on("request", lambda request: asked.append(f"{request.url} {request.post_data}"))
    while before != len(asked):
        before = len(asked)
        race.wait_for_timeout(2000)
    asked.clear()
    race.locator(".race-bar").get_by_text("images", exact=True).click()
    expect(race.locator("#loss")).to_contain_text("images seen")
    race.get_by_label("log loss").check()
    assert race.evaluate("document.getElementById('loss').layout.yaxis.type") == "log"
    whole = points(race)
    scrub = race.locator("[name=scrub]")
    scrub.evaluate(
        "(input) => { input.value = input.max / 2; input.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    assert 0 < points(race) <= whole / 2 + 1
    race.get_by_label("Length of the replay").select_option("5")
    race.locator("#replay").click()
    expect(race.locator(".race-bar output")).to_contain_text("replay")
    expect(race.locator("#replay")).to_have_text("Replay", timeout=15_000)
    assert points(race) == whole
    assert not asked, asked


def test_what_is_pointed_at_in_one_chart_is_read_off_in_the_other(race: Page):
    race.locator("#loss .nsewdrag").hover(force=True)
    expect(race.locator("#accuracy .hoverlayer")).to_contain_text("LoRA")


def test_an_earlier_run_is_drawn_with_the_new_one(race: Page):
    race.locator("#train").click()
    headline = race.locator("#race-headline")
    expect(headline).to_contain_text("step 20 / 20", timeout=SLOW)
    expect(headline).to_contain_text("LoRA reached", timeout=SLOW)
    lines = race.evaluate("document.getElementById('accuracy').data.length")
    recorded = race.locator("#compare").get_by_label("recorded")
    recorded.press("Space")  # by key: what comes into view above it moves it
    expect(recorded).to_be_checked()
    race.wait_for_function(f"document.getElementById('accuracy').data.length > {lines}")
    expect(race.locator("#answers").get_by_role("row", name="LoRA")).to_contain_text("●")


def test_a_run_is_taken_away_as_csv_record_and_page(race: Page, tmp_path):
    with race.expect_download() as download:
        race.locator("#csv").click()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["lane"] for row in rows} == {"head", "lora", "full"}
    with race.expect_download() as download:
        race.locator("#record").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert "reference/events.jsonl" in names
    with race.expect_download() as download:
        race.locator("[data-part=html]").click()
    page = download.value.path().read_text()
    assert "<title>LoRA Lab</title>" in page
    assert "Training loss" in page
    assert "http-equiv" not in page


def test_settings_are_kept_as_yaml_and_loaded_again(race: Page, tmp_path):
    race.get_by_text("Keep or load settings").click()
    with race.expect_download() as download:
        race.locator("#save-yaml").click()
    text = download.value.path().read_text()
    assert "batch_size: 4" in text
    other = tmp_path / "mine.yaml"
    other.write_text("rank: 2\nseeds: 2\n")
    upload(race, other)
    expect(race.get_by_label("Seeds")).to_have_value("2")
    expect(race.get_by_label("Batch size")).to_have_value("32")
    broken = tmp_path / "broken.yaml"
    broken.write_text("rank: many\n")
    upload(race, broken)
    expect(race.get_by_text("Setting 'rank' must be a whole number")).to_be_visible()
    expect(race.get_by_label("Seeds")).to_have_value("2")


def test_a_preset_says_what_it_is_for_and_fills_the_form(race: Page):
    race.get_by_role("button", name="as in the notebook").click()
    expect(race.locator("#preset-meaning")).to_contain_text("see what that costs")
    expect(race.get_by_label("Batch size")).to_have_value("16")
    expect(race.get_by_label("Freeze LoRA's head")).to_be_checked()


def test_only_what_goes_on_can_be_paused_and_only_what_ended_continued(race: Page):
    race.locator("#continue").click()
    expect(race.get_by_text("Only the browser session that started a run can continue it")).to_be_visible()
    race.locator("#pause").click()
    expect(race.get_by_text("Only the browser session that started a run can pause it")).to_be_visible()
    expect(race.locator("#race-headline")).to_contain_text("LoRA reached")
