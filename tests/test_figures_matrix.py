"""Matrices, spectra and geometry as pictures: what is drawn is what is there."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from lora_demo.figures import matrix as pictures
from lora_demo.figures import spectrum as charts
from lora_demo.figures.geometry import geometry
from lora_demo.figures.matrix import Tile, equation, heatmap, levels, number, png

A = np.array([[1.0, 2, 3], [4, 5, 6], [5, 7, 9]])


def svg(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def checked(chart: dict) -> go.Figure:
    """The chart, after Plotly has looked at every property."""
    return go.Figure(chart)


def spectrum(*args, **kwargs) -> go.Figure:
    return checked(charts.spectrum(*args, **kwargs))


def eckart_young(*args, **kwargs) -> go.Figure:
    return checked(charts.eckart_young(*args, **kwargs))


def descent_loss(*args, **kwargs) -> go.Figure:
    return checked(charts.descent_loss(*args, **kwargs))


def descent_directions(*args, **kwargs) -> go.Figure:
    return checked(charts.descent_directions(*args, **kwargs))


def trace(figure, name: str):
    return next(drawn for drawn in figure.data if drawn.name == name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-0.5, "−.5"),
        (1 / 3, ".333"),
        (1234.0, "1234"),
        (99999.4, "99999"),
        (1.5e7, "1.5e7"),
        (-2e-9, "−2e−9"),
        (0.9999, "1"),
    ],
)
def test_a_number_is_as_short_as_a_cell_wants_it(value: float, text: str):
    assert number(value) == text


def test_rounding_noise_beside_the_scale_reads_zero():
    assert number(4e-16, scale=9.0) == "0"
    assert number(4e-16) == "4e−16"


def test_zero_has_the_neutral_colour_and_the_limits_have_the_ends():
    got = levels(np.array([-9.0, -3, 0, 3, 9]), limit=3.0)
    assert got.tolist() == [0, 0, 127, 254, 254]
    red, green, blue = pictures.COLOURS[127].astype(int)
    assert max(red, green, blue) - min(red, green, blue) <= 2


def test_a_matrix_of_zeros_is_all_neutral():
    assert (levels(np.zeros((2, 2)), limit=0.0) == 127).all()


def test_opposite_numbers_lie_equally_far_from_neutral():
    values = np.random.default_rng(0).normal(size=1000)
    up, down = levels(values, 2.0).astype(int), levels(-values, 2.0).astype(int)
    assert (up + down == 254).all()


def test_an_image_has_8_bits_and_one_pixel_an_entry():
    values = np.random.default_rng(0).normal(size=(20, 30))
    prefix, data = png(values, limit=2.0).split(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert prefix == "data:image/png;base64"
    assert (image.mode, image.size) == ("P", (30, 20))
    assert (np.asarray(image) == levels(values, 2.0)).all()


def test_a_shrunk_image_shows_the_means_of_its_blocks():
    values = np.kron(np.array([[1.0, -2], [0, 3]]), np.array([[0.5, 1.5], [1, 1]]))
    image = Image.open(io.BytesIO(base64.b64decode(png(values, limit=3.0, block=2).split(",")[1])))
    assert (np.asarray(image) == levels(np.array([[1.0, -2], [0, 3]]), 3.0)).all()


def test_a_small_matrix_shows_its_numbers_in_their_places():
    drawn = svg(heatmap(Tile(A, "A"), cell=50, limit=9))
    assert [text.text for text in drawn.findall("text")] == ["1", "2", "3", "4", "5", "6", "5", "7", "9"]
    places = [(float(cell.get("x")), float(cell.get("y"))) for cell in drawn.findall("rect")]
    assert places == [(50 * j, 50 * i) for i in range(3) for j in range(3)]


def test_cells_too_small_for_numbers_keep_them_for_the_pointer():
    drawn = svg(heatmap(Tile(A, "A"), cell=12, limit=9))
    assert not drawn.findall("text")
    assert [cell.find("title").text for cell in drawn.findall("rect")][-1] == "9"


def test_exact_fractions_stand_in_the_cells_in_place_of_rounded_numbers():
    drawn = svg(heatmap(Tile(np.array([[1 / 3]]), "A", texts=[["1/3"]]), cell=50, limit=1))
    assert drawn.find("text").text == "1/3"


def test_marked_cells_and_no_others_have_a_ring():
    drawn = svg(heatmap(Tile(A, "A", marked=frozenset({(0, 1), (2, 2)})), cell=50, limit=9))
    assert [index for index, cell in enumerate(drawn.findall("rect")) if cell.get("class") == "ring"] == [1, 8]


def test_without_a_pointer_a_matrix_without_numbers_is_an_image():
    assert heatmap(Tile(A, "A"), cell=12, limit=9, pointed=False).startswith("<img")
    assert heatmap(Tile(A, "A"), cell=50, limit=9, pointed=False).startswith("<svg")


@pytest.mark.parametrize(("side", "tag"), [(16, "<svg"), (17, "<img")])
def test_above_16_rows_a_matrix_is_an_image(side: int, tag: str):
    assert heatmap(Tile(np.eye(side), "I"), cell=10, limit=1).startswith(tag)


def test_an_equation_shares_one_cell_size_and_one_scale():
    html = equation([Tile(A, "A"), Tile(A / 9, "B", "=")], width=500, height=160)
    first, second = (svg(picture) for picture in re.findall(r"<svg.*?</svg>", html))
    assert first.get("width") == second.get("width")
    assert second.findall("rect")[-1].get("fill") == first.findall("rect")[0].get("fill")


def test_an_equation_stays_within_its_space():
    html = equation([Tile(np.ones((16, 16)), "A")] * 3, width=500, height=160)
    widths = [float(svg(picture).get("width")) for picture in re.findall(r"<svg.*?</svg>", html)]
    heights = [float(svg(picture).get("height")) for picture in re.findall(r"<svg.*?</svg>", html)]
    assert sum(widths) <= 500
    assert max(heights) <= 160


def test_a_factor_of_one_column_beside_512_rows_can_be_seen():
    html = equation([Tile(np.ones((512, 512)), "A"), Tile(np.ones((512, 1)), "Y", "=")], width=880, height=196)
    assert min(int(width) for width in re.findall(r'<img[^>]* width="(\d+)"', html)) == pictures.THINNEST


def test_what_a_person_named_cannot_become_markup():
    html = equation([Tile(A, "<script>"), Tile(np.ones((17, 1)), '" onerror="x', "<b>")], width=500, height=100)
    assert "<script>" not in html
    assert '" onerror' not in html
    assert "<b>" not in html


def test_a_screen_reader_hears_the_numbers_of_a_small_matrix_and_the_range_of_a_large_one():
    assert svg(heatmap(Tile(A, "A"), 50, 9)).get("aria-label") == "A: 1, 2, 3; 4, 5, 6; 5, 7, 9"
    assert 'alt="A: 20 by 20, from 0 to 1"' in heatmap(Tile(np.eye(20), "A"), 10, 1)


def test_the_spectrum_colours_k_values_and_draws_the_tolerance():
    figure = spectrum(np.array([16.0, 0.8, 1e-15]), tolerance=1e-14, k=1)
    assert list(trace(figure, "kept").x) == [1]
    assert list(trace(figure, "dropped").x) == [2, 3]
    assert any(shape.y0 == shape.y1 == 1e-14 for shape in figure.layout.shapes)
    assert any(shape.x0 == shape.x1 == 1.5 for shape in figure.layout.shapes)
    bottom, top = figure.layout.yaxis.range
    assert bottom < -15
    assert top > np.log10(16)


def test_singular_values_of_zero_are_named_where_a_log_axis_has_no_place_for_them():
    figure = spectrum(np.array([3.0, 1, 0, 0]), tolerance=1e-15, k=2)
    assert [note.x for note in figure.layout.annotations if note.text == "0"] == [3, 4]
    assert "every singular value is 0" in str(spectrum(np.zeros(4), tolerance=0.0, k=0).layout.annotations)


@pytest.mark.parametrize(("count", "kind"), [(48, "bar"), (49, "scatter")])
def test_many_singular_values_are_a_line(count: int, kind: str):
    assert spectrum(np.linspace(1, 2, count)[::-1], 1e-12, 3).data[0].type == kind


def test_the_eckart_young_curve_is_marked_at_k():
    s = np.array([3.0, 2, 1])
    frobenius = np.array([np.sqrt((s[k:] ** 2).sum()) for k in range(4)]) / np.sqrt(14)
    stored = np.arange(4) * 6 / 9
    figure = eckart_young(frobenius, np.append(s, 0) / 3, stored, k=1)
    (marks,) = [list(zip(drawn.x, drawn.y, strict=True)) for drawn in figure.data if drawn.mode == "markers"]
    np.testing.assert_allclose(marks, [(1, np.sqrt(5 / 14)), (1, 2 / 3), (1, 6 / 9)])
    said = " ".join(note.text for note in figure.layout.annotations)
    assert "Frobenius error 59.8%" in said
    assert "numbers stored 66.7%" in said


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0, 0, 0], [1.4, 1.2, 0], [0.3, 0.31, 0.9]])
def test_labels_at_the_mark_never_overlap(values: list[float]):
    figure = eckart_young(*(np.array([1.0, value]) for value in values), k=1)
    heights = sorted(note.y for note in figure.layout.annotations)
    assert (np.diff(heights) >= 0.099).all()
    assert heights[-1] <= figure.layout.yaxis.range[1]


def test_descent_is_drawn_above_the_error_the_svd_promises():
    figure = descent_loss(np.arange(3), np.array([9.0, 3, 1]), promised=0.5)
    assert any(shape.y0 == shape.y1 == 0.5 for shape in figure.layout.shapes)
    assert not descent_loss(np.arange(3), np.array([9.0, 3, 1]), promised=0.0).layout.shapes


def test_each_direction_has_its_target():
    figure = descent_directions(np.arange(2), np.array([[0.0, 0], [3, 1]]), targets=np.array([4.0, 2]))
    assert [list(drawn.y) for drawn in figure.data] == [[0, 3], [0, 1]]
    assert {shape.y0 for shape in figure.layout.shapes} == {4.0, 2.0}


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (2, 3), (3, 3)])
def test_the_image_of_the_circle_is_where_the_matrix_sends_it(shape: tuple[int, int]):
    matrix = np.random.default_rng(1).normal(size=shape)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    before, after = (svg(picture) for picture in re.findall(r"<svg.*?</svg>", geometry(u, s, vt, turn=0)))

    def curve(drawn: ElementTree.Element) -> np.ndarray:
        points = drawn.findall("polyline")[2 if shape[1] == 3 else 0].get("points")  # the sphere's equator, the circle
        return np.array([point.split(",") for point in points.split()], dtype=float).T

    tilt = np.radians(22)
    seen = {2: np.eye(2), 3: np.array([[1, 0, 0], [0, np.sin(tilt), np.cos(tilt)]])}  # from the front, a little above
    angle = np.linspace(0, 2 * np.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle), np.zeros(73)][: shape[1]])
    middle = np.array([[135.0], [135.0]])
    flip = np.array([[1.0], [-1.0]])  # SVG counts downwards
    np.testing.assert_allclose(curve(before), middle + flip * (108 * seen[shape[1]] @ circle), atol=0.11)
    np.testing.assert_allclose(curve(after), middle + flip * (108 / s[0] * seen[shape[0]] @ matrix @ circle), atol=0.11)


def test_a_flat_direction_has_no_arrow():
    u, s, vt = np.linalg.svd(np.array([[1.0, 2], [2, 4]]))
    before, after = re.findall(r"<svg.*?</svg>", geometry(u, s, vt))
    assert before.count("<polygon") == 2
    assert after.count("<polygon") == 1
