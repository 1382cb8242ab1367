"""The LoRA layer tab, as a person uses it."""

import re

import pytest
from playwright.sync_api import Page, expect

HEAVY = 120_000  # milliseconds: the first model is loaded on a busy machine
expect.set_options(timeout=20_000)


@pytest.fixture
def tab(page: Page, app_url: str) -> Page:
    """The page on the LoRA layer tab."""
    page.goto(f"{app_url}/?tab=layer")
    expect(page.get_by_role("tab", name="LoRA layer")).to_have_attribute("aria-selected", "true", timeout=HEAVY)
    expect(page.get_by_text("3,072 parameters learn")).to_be_visible(timeout=HEAVY)
    return page


def section(page: Page, title: str) -> None:
    page.get_by_role("heading", name=title).scroll_into_view_if_needed()


def test_the_first_answer_fits_one_screen(tab: Page):
    expect(tab.locator(".headline").filter(has_text="36,864 stay as they are: 8.3 %")).to_be_in_viewport()
    expect(tab.get_by_role("img", name="Drawn to scale: a frozen weight of 192 by 192")).to_be_in_viewport(ratio=1)
    expect(tab.get_by_role("table", name="What each symbol means")).to_be_in_viewport(ratio=1)


def test_the_symbols_are_rendered_mathematics(tab: Page):
    expect(tab.get_by_role("table", name="What each symbol means").locator(".katex")).to_have_count(14)


def test_a_preset_shows_its_real_size(tab: Page):
    tab.get_by_role("button", name="GPT-3 175B").click()
    expect(tab.get_by_text("98,304 parameters learn")).to_be_visible()
    expect(tab.get_by_role("img", name="a frozen weight of 12288 by 12288")).to_be_visible()
    expect(tab.get_by_role("spinbutton", name="number input for d, outputs", exact=True)).to_have_value("12288")


def test_a_rank_that_saves_nothing_is_called_so(tab: Page):
    tab.get_by_role("spinbutton", name="number input for d, outputs", exact=True).fill("32")
    tab.get_by_role("spinbutton", name="number input for k, inputs", exact=True).fill("32")
    tab.get_by_role("spinbutton", name="number input for r, rank", exact=True).fill("20")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("nothing is saved from r = 16 on")).to_be_visible()


def test_resting_on_a_symbol_lights_it_in_the_picture(tab: Page):
    frozen, learned = (tab.locator(f"svg.layer rect.sym-{symbol}").first for symbol in ("W0", "B"))
    tab.get_by_role("row", name="the pretrained weight, frozen").hover()
    expect(frozen).to_have_css("opacity", "1")
    expect(learned).to_have_css("opacity", "0.18")


def test_b_moves_first_and_a_follows(tab: Page):
    section(tab, "Watch a small layer learn")
    expect(tab.get_by_text("Step 0: h = W₀x exactly. B can move, A cannot")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_role("img", name="∂L/∂A: 0, 0, 0, 0; 0, 0, 0, 0")).to_be_visible()
    tab.get_by_role("button", name="Take one step").click()
    expect(tab.get_by_text(re.compile(r"Step 1: B moved by 0\.\d+, A by 0$"))).to_be_visible()
    tab.get_by_role("button", name="Take one step").click()
    expect(tab.get_by_text(re.compile(r"Step 2: B moved by 0\.\d+, A by 0\.\d+"))).to_be_visible()


def test_playing_goes_on_by_itself_until_it_is_reset(tab: Page):
    section(tab, "Watch a small layer learn")
    expect(tab.get_by_text("Step 0:")).to_be_visible(timeout=HEAVY)
    tab.get_by_role("button", name="Play").click()
    expect(tab.get_by_text(re.compile(r"Step [3-9]:"))).to_be_visible()
    tab.get_by_role("button", name="Reset", exact=True).click()
    expect(tab.get_by_text("Step 0:")).to_be_visible()
    expect(tab.get_by_role("button", name="Play")).to_be_visible()


def test_with_both_matrices_zero_the_page_says_that_nothing_moves(tab: Page):
    section(tab, "Watch a small layer learn")
    expect(tab.get_by_text("Step 0:")).to_be_visible(timeout=HEAVY)
    tab.get_by_role("radio", name="both 0").check(force=True)
    expect(tab.get_by_text("nothing will ever move")).to_be_visible()


def test_injection_marks_the_changed_lines_and_counts_them(tab: Page):
    section(tab, "Put it into a real ViT")
    expect(tab.get_by_text("12 layers changed: 38,794 parameters learn")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text("not one bit")).to_be_visible()
    tree = tab.get_by_role("table", name="Module tree before and after injection")
    expect(tree.locator(".lane.lora").filter(has_text="LoRALinear 192 → 192, r = 8")).to_have_count(2)
    tab.get_by_role("radio", name="all linear").first.check(force=True)
    expect(tab.get_by_text("36 layers changed: 167,818 parameters learn")).to_be_visible()
    expect(tree.locator(".lane.lora").filter(has_text="LoRALinear")).to_have_count(6)


def test_a_backbone_that_is_not_there_is_said_and_what_is_shown_stays(tab: Page):
    section(tab, "Put it into a real ViT")
    expect(tab.get_by_text("12 layers changed")).to_be_visible(timeout=HEAVY)
    box = tab.locator("#layer-backbone textarea, #layer-backbone input")
    box.fill("no/such-backbone-here")
    box.press("Enter")
    expect(tab.get_by_text("There is no backbone 'no/such-backbone-here'")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text("12 layers changed")).to_be_visible()


def test_the_three_promises_are_measured_at_the_press_of_a_button(tab: Page):
    section(tab, "Three promises, measured here")
    expect(tab.get_by_text("Not measured yet.")).to_have_count(3, timeout=HEAVY)
    tab.locator("#promise-batch").get_by_role("radio", name="1", exact=True).check(force=True)
    tab.get_by_role("button", name="Measure here and now").click()
    expect(tab.get_by_text("The paper's 10,000 × does not hold at this size")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text("less in all with one image at a time")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text(re.compile(r"merged [+−]\d+\.\d %, unmerged"))).to_be_visible(timeout=HEAVY)


def test_the_corrections_show_what_goes_wrong(tab: Page):
    section(tab, "The notebook, checked")
    expect(tab.get_by_text("3 rank-1 matrices make rank 3")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text("The model is broken before training starts")).to_be_visible(timeout=HEAVY)
    tab.get_by_role("radio", name="copied (here)").check(force=True)
    expect(tab.get_by_text("the model is the one it was")).to_be_visible(timeout=HEAVY)
    expect(tab.get_by_text("LoRA's best rate is 10 × full's here")).to_be_visible(timeout=HEAVY)


def test_the_source_is_the_file_that_runs(tab: Page):
    section(tab, "The layer, as it runs")
    expect(tab.locator(".source.prose")).to_contain_text("class LoRALinear(nn.Module):", timeout=HEAVY)
