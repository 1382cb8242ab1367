"""The Rank & SVD tab behind the page: what each event computes, and what it does not."""

from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest

from lora_demo.errors import LabError
from lora_demo.matrices import MatrixError, analyze, from_array, generate, parse, to_text
from lora_demo.ui.rank import answer, approximation, descent, entry, link, reasons
from lora_demo.ui.rank.bench import START_KEY, analysis_of, at_tolerance, default_power, start_rank
from lora_demo.ui.rank.examples import EXAMPLES, LABELS, example
from lora_demo.ui.rank.shelf import Shelf

VISITOR = SimpleNamespace(session_hash="visitor", query_params={})
WRONG, NOTE, KEY, BOXED, TEXT, LINK, K, TOLERANCE, HEADLINE = range(9)


def shown(outputs: list) -> str:
    return outputs[HEADLINE].split("</div>")[0].removeprefix('<div class="headline">')


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Every SVD and every parsing, as they happen."""
    calls = []
    svd = np.linalg.svd

    def counting(*args, **kwargs):
        calls.append("svd")
        return svd(*args, **kwargs)

    monkeypatch.setattr(np.linalg, "svd", counting)
    monkeypatch.setattr(entry, "parse", lambda text: calls.append("parse") or parse(text))
    return calls


def test_a_matrix_is_parsed_and_decomposed_once_and_a_moved_slider_does_neither(counted: list[str]):
    key = entry.typed("1 2 3\n4 5 6\n5 7 9\n1 0 0", "", VISITOR)[KEY]
    assert counted == ["parse", "svd"]
    for k in (0, 1, 2, 3):
        entry.moved(key, k, -15.0, VISITOR)
    entry.tolerated(key, 2, -3.0, VISITOR)
    assert counted == ["parse", "svd"]


def test_a_512_matrix_moves_without_another_svd(counted: list[str]):
    values = np.random.default_rng(0).normal(size=(512, 512))
    key = entry.taken(values, "Noise", VISITOR)[KEY]
    assert counted == ["svd"]
    entry.moved(key, 100, -12.9, VISITOR)
    assert counted == ["svd"]


def test_what_the_slider_keeps_is_the_truncated_svd():
    analysis = analyze(parse("1 2 3\n4 5 6\n5 7 9"))
    u, s, vt = np.linalg.svd(analysis.matrix.values)
    rank_one = s[0] * np.outer(u[:, 0], vt[0])
    cells = [approximation.short(value) for value in rank_one.ravel()]
    assert f'aria-label="A₁: {", ".join(cells[:3])}; {", ".join(cells[3:6])}; {", ".join(cells[6:])}"' in (
        approximation.pictures(analysis, 1)
    )


def test_a_ragged_matrix_gets_a_sentence_and_changes_nothing_else():
    outputs = entry.typed("1 2 3\n4 5", "", VISITOR)
    assert "Row 2 has 2 numbers, row 1 has 3" in outputs[WRONG]
    assert all(output["__type__"] == "update" and len(output) == 1 for output in outputs[1:])


def test_half_typed_markup_stays_text():
    assert "<img" not in entry.typed("<img src=x onerror=alert(1)>", "", VISITOR)[WRONG]


def test_our_own_writing_into_the_box_is_not_taken_for_typing(counted: list[str]):
    outputs = entry.chosen("hilbert", VISITOR)
    counted.clear()
    again = entry.typed(outputs[TEXT], outputs[BOXED], VISITOR)
    assert again[WRONG] == ""
    assert counted == []


@pytest.mark.parametrize("given", EXAMPLES, ids=lambda given: given.key)
def test_every_example_can_be_linked(given):
    outputs = entry.chosen(given.key, VISITOR)
    query = dict(parse_qsl(outputs[LINK])) | {"k": "1"}
    again = entry.restored(SimpleNamespace(session_hash="other", query_params=query))
    assert shown(again) == shown(outputs)
    assert again[K].value == 1


def test_chips_are_named_after_examples_that_exist():
    assert set(LABELS) <= {given.key for given in EXAMPLES}
    with pytest.raises(MatrixError, match="there is no example"):
        example("none")


def test_a_link_holds_the_numbers_up_to_2000_characters_then_where_they_come_from():
    small, large = generate(20, 20, 3, seed=1), generate(60, 60, 3, seed=1)
    assert dict(parse_qsl(link.linked(small)))["matrix"] == to_text(small)
    assert link.linked(large, link.random_origin(60, 60, 3, 0, 1)) == "random=60%2C60%2C3%2C0%2C1"
    assert link.linked(large) == link.TOO_LARGE
    matrix, _ = link.matrix_from({"random": "60,60,3,0,1"})
    assert (matrix.values == large.values).all()


def test_a_link_to_doubles_gives_the_same_doubles_and_the_same_exact_rank():
    matrix = from_array(np.outer([0.1, 0.2, 0.3], [0.7, 0.9]))
    again, _ = link.matrix_from(dict(parse_qsl(link.linked(matrix))))
    assert (again.values == matrix.values).all()
    assert analyze(again).exact.rank == analyze(matrix).exact.rank


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"random": "5,5"}, "not five numbers"),
        ({"random": "5,5,9,0,1"}, "cannot have rank 9"),
        ({"example": "none"}, "there is no example"),
        ({"matrix": "1 2\n3"}, "row 2 has 1 number"),
    ],
)
def test_a_broken_link_is_told_in_a_sentence(query: dict, sentence: str):
    with pytest.raises(LabError, match=sentence):
        link.matrix_from(query)


@pytest.mark.parametrize("k", ["two", "inf", "nan", ""])
def test_a_slider_in_a_link_must_be_a_number(k: str):
    with pytest.raises(MatrixError, match="The link's k is not a number"):
        link.number_from({"k": k}, "k")


@pytest.mark.parametrize("k", ["-3", "1e300", "0.5"])
def test_a_slider_in_a_link_is_kept_within_its_ends(k: str):
    query = {"matrix": "1 2\n3 4", "k": k, "tolerance": k}
    outputs = entry.restored(SimpleNamespace(session_hash="other", query_params=query))
    assert 0 <= outputs[K].value <= 2
    assert -17 <= outputs[TOLERANCE].value <= 0


def test_a_matrix_handed_over_by_another_tab_is_shown_under_its_name():
    outputs = entry.taken(np.outer([1.0, 2, 3], [1.0, 1]), "The change of layer 3", VISITOR)
    assert outputs[NOTE] == "The change of layer 3."
    assert shown(outputs).startswith("Rank 1 of 2")
    assert parse(outputs[TEXT]).values.tolist() == [[1, 1], [2, 2], [3, 3]]


def test_the_grid_is_filled_only_while_it_is_seen_and_the_matrix_fits():
    key = entry.typed("1 1/2\n3 4", "", VISITOR)[KEY]
    assert entry.gridded("Grid", key, [["1"]], VISITOR)[1] == [["1", "1/2"], ["3", "4"]]
    assert entry.gridded("Text", key, [["1"]], VISITOR)[1]["__type__"] == "update"
    key = entry.drawn(31, 2, 1, 0, 0, VISITOR)[KEY]
    assert "up to 30 × 30" in entry.gridded("Grid", key, [["1"]], VISITOR)[0]


def test_the_grid_says_where_a_cell_is_missing():
    assert "Row 2, column 1" in entry.edited([["1", "2"], ["", "4"]], VISITOR)[WRONG]


def test_the_rule_stands_where_the_slider_starts():
    analysis = analyze(parse("1 2 3\n4 5 6\n5 7 9"))
    assert at_tolerance(analysis, default_power(analysis)).tolerance == analysis.default_tolerance
    assert at_tolerance(analysis, -2.0).tolerance == pytest.approx(0.01 * analysis.spectral_norm)


def test_the_slider_starts_at_the_rank_above_the_noise_or_half_way():
    assert start_rank(analyze(generate(40, 30, 3, noise=0.5, seed=3))) == 3
    assert start_rank(analyze(parse("1 2 3\n4 5 6\n5 7 9"))) == 1
    assert start_rank(analyze(parse("0 0\n0 0"))) == 0


@pytest.mark.parametrize("text", ["5", "0", "1 2 3", "1\n2\n3", "0 0\n0 0", "1e300 1e-300", "\n".join(["1 2"] * 40)])
def test_every_picture_is_there_for_every_shape(text: str):
    analysis = analyze(parse(text))
    for k in range(min(analysis.shape) + 1):
        assert "<h3>" in approximation.pictures(analysis, k)
        approximation.spectrum_chart(analysis, k)
        approximation.curve_chart(analysis, k)
    pages = answer.headline(analysis), answer.factors(analysis), reasons.ranks(analysis), reasons.why(analysis)
    assert all(pages)
    assert "nan" not in "".join(pages).lower()
    assert reasons.svd(analysis)
    assert reasons.shape(analysis, 30)


def test_the_factors_drawn_multiply_to_the_matrix():
    analysis = analyze(parse("1 2 3\n4 5 6\n5 7 9"))
    html = answer.factors(analysis)
    assert 'aria-label="Y, 3 × 2: 1, 0; 0, 1; 1, 1"' in html
    assert 'aria-label="Zᵀ, 2 × 3: 1, 2, 3; 4, 5, 6"' in html
    product = np.array([[1, 0], [0, 1], [1, 1]]) @ np.array([[1, 2, 3], [4, 5, 6]])
    assert (product == analysis.matrix.values).all()


def test_why_the_ranks_differ_is_said():
    hilbert = analyze(example("hilbert").build())
    assert reasons.difference(hilbert).startswith("1 of the exact directions are so weak")
    assert "only 3 stand out from noise" in reasons.difference(analyze(example("noise").build()))
    assert reasons.difference(analyze(parse("1 2\n3 4"))).startswith("They agree")


def test_descent_keeps_its_place_between_two_steps():
    told, key, *_ = descent.restarted(START_KEY, 1, 0.25, VISITOR)
    assert "Step 0" in told
    assert "Step 1:" in descent.stepped(START_KEY, key, 1, 0.25, VISITOR)[0]
    assert f"Step {1 + descent.STEPS_A_TICK}:" in descent.ticked(START_KEY, key, 1, 0.25, VISITOR)[0]


def test_a_shelf_forgets_the_oldest_and_never_shows_another_session_s_things():
    shelf = Shelf[str](places=2, room=100, size=len)
    first, second = shelf.put("a", "first"), shelf.put("a", "second")
    shelf.get("a", first)
    shelf.put("a", "third")
    assert shelf.get("a", first) == "first"
    for session, key in (("a", second), ("b", first)):
        with pytest.raises(LabError, match="put away"):
            shelf.get(session, key)


def test_a_full_shelf_makes_the_longest_idle_session_way():
    shelf = Shelf[str](places=1, room=10, size=len)
    keys = {session: shelf.put(session, "12345") for session in ("a", "b")}
    shelf.get("a", keys["a"])
    keys["c"] = shelf.put("c", "12345")
    assert shelf.get("a", keys["a"]) == shelf.get("c", keys["c"]) == "12345"
    with pytest.raises(LabError, match="put away"):
        shelf.get("b", keys["b"])
    assert shelf.get("d", shelf.put("d", "longer than all the room")) == "longer than all the room"


def test_a_swap_leaves_a_newer_thing_alone():
    shelf = Shelf[str](places=1, room=100, size=len)
    old = shelf.put("a", "rough")
    assert shelf.swap("a", old, "exact")
    assert shelf.get("a", old) == "exact"
    shelf.put("a", "another photo")
    assert not shelf.swap("a", old, "late")


def test_a_put_away_analysis_is_told_in_place_and_nothing_else_moves():
    outputs = entry.moved("404", 1, -15.0, VISITOR)
    assert "put away" in outputs[0]
    with pytest.raises(LabError, match="put away"):
        analysis_of("404", VISITOR)
