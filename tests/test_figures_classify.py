"""The Classify tab's pictures: what they count is right, and a stranger's words stay words."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from lora_demo.classify.many import Row
from lora_demo.figures import adapter_table, answer_table, attention, confusion, dials, tiles

HOSTILE = "<img src=x onerror=alert(1)>\"'"


def test_a_cell_of_the_confusion_is_a_button_that_says_what_it_counts():
    html = confusion.matrix([[5, 2], [0, 7]], ["cat", "dog"], chosen=(0, 1))
    assert re.findall(r'data-cell="(.*?)" aria-label="(.*?)">(\d+)<', html) == [
        ("0,0", "5 of class cat taken for cat", "5"),
        ("0,1", "2 of class cat taken for dog", "2"),
        ("1,1", "7 of class dog taken for dog", "7"),
    ]
    assert html.count("chosen") == 1


def test_the_marker_stands_where_the_slider_does_and_names_do_not_touch():
    svg = dials.curve([0, 1, 2], [[0.2, 0.7], [0.6, 0.3], [0.51, 0.49]], ["cat", "dog"], 1, "the strength")
    points = re.findall(r'points="(.*?)"', svg)
    mark = re.search(r'class="at" x1="(.*?)"', svg)[1]
    assert all(mark in line for line in points)
    heights = sorted(float(y) for y in re.findall(r'class="name c\d" x="\d+" y="(.*?)"', svg))
    assert heights[1] - heights[0] >= dials.NAME_HEIGHT - 0.1
    assert "cat: 20 % at 0, 51 % at 2" in svg


@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_every_tile_shows_its_own_image(count):
    colours = [(i * 6, 255 - i * 6, 100) for i in range(count)]
    style = tiles.sheet([Image.new("RGB", (30, 20), colour) for colour in colours], 16)
    data = re.search(r"url\(data:image/jpeg;base64,(.*?)\)", style)[1]
    sheet = Image.open(io.BytesIO(base64.b64decode(data)))
    for i, colour in enumerate(colours):
        x, y = map(float, re.search(r"position:(.*?)% (.*?)%", tiles.tile(i, count, "")).groups())
        left, top = x / 100 * (sheet.width - 16), y / 100 * (sheet.height - 16)  # as CSS places a background
        assert np.allclose(sheet.getpixel((round(left) + 8, round(top) + 8)), colour, atol=6)


def test_what_is_looked_at_most_stays_bright_and_the_least_goes_dark():
    shares = np.array([[0.1, 0.4], [0.2, 0.3]])
    lit = np.asarray(attention.spotlight(Image.new("RGB", (64, 64), "white"), shares, 0.1, 0.4), dtype=float)[..., 0]
    corners = lit[0, 0], lit[0, -1], lit[-1, 0], lit[-1, -1]
    assert corners[0] < corners[2] < corners[3] < corners[1]
    assert corners[1] > 250
    assert corners[0] == pytest.approx(255 * attention.DARKEST, abs=8)


def test_a_strangers_words_stay_words():
    adapter = {
        "id": "x", "name": HOSTILE, "kind": "imported", "data": HOSTILE, "variant": "lora", "rank": 4, "alpha": 8, "layers": 2,
        "classes": 3, "steps": None, "accuracy": None, "bytes": 1000,
    }  # fmt: skip
    drawn = [
        confusion.matrix([[1, 1], [1, 1]], [HOSTILE, "b"]),
        confusion.by_class({"lora": {HOSTILE: 0.5, "b": float("nan")}}),
        dials.curve([0, 1], [[0.1], [0.2]], [HOSTILE], 0, "x"),
        dials.switches([0, 1], [0.1, 0.2], 0.2, HOSTILE, [0]),
        answer_table.table([Row(HOSTILE, problem=HOSTILE), Row(HOSTILE, Image.new("L", (4, 4)), HOSTILE, 0.5)]),
        adapter_table.table([adapter], None),
        tiles.captioned([Image.new("L", (4, 4))], [HOSTILE], 8),
    ]
    for html in drawn:
        assert "<img" not in html
        assert not re.search(r'"[^"<>]*onerror[^"<>]*"\'', html)


def test_a_row_of_the_table_sorts_by_its_number_and_a_problem_by_nothing():
    rows = [Row("a.png", Image.new("L", (4, 4)), "cat", 0.5, 0.4, "dog", 0.1, True), Row("b", problem="no image")]
    html = answer_table.table(rows)
    assert 'data-key="0.500000">50.0 %' in html
    assert 'data-key="yes">yes' in html
    assert "no image" in html
    assert html.count('class="tile"') == 1
