"""Below the first answer: rank three ways, why it is what it is, the SVD's three factors, and the geometry."""

import html

import gradio as gr
import numpy as np

from lora_demo.figures.geometry import geometry
from lora_demo.figures.matrix import LARGEST_DRAWN, Tile, equation, subscript
from lora_demo.matrices import Analysis
from lora_demo.ui.rank.answer import fraction_text, short
from lora_demo.ui.rank.bench import Bench, analysis_of, at_tolerance, start
from lora_demo.ui.rank.events import LIGHT, said_in_place
from lora_demo.ui.section import section

WIDTH = 880
MOST_RELATIONS, MOST_VECTORS = 12, 8
START_TURN = 30  # degrees
DRAWN_SHAPES = {(2, 2), (3, 2), (2, 3), (3, 3)}


def build(bench: Bench) -> None:
    """The sections, on the first matrix, and in step with the bench."""
    analysis = start()
    section("Rank three ways", "One matrix can have several ranks: it depends on what is called zero.")
    three = gr.HTML(ranks(analysis), elem_id="rank-ranks")
    section("Why", "Which rows follow from which, found exactly, and bases of the spaces that belong to A.")
    reason = gr.HTML(why(analysis), elem_id="rank-why")
    section("The singular value decomposition", "A turn, a stretch along the axes, and another turn.")
    parts = gr.HTML(svd(analysis), elem_id="rank-svd")
    section(
        "What it does to a circle or a sphere",
        "The directions v are turned into u and stretched by σ; rank counts what is not flat.",
    )
    drawn = gr.HTML(shape(analysis, START_TURN), elem_id="rank-shape")
    with gr.Row(elem_classes="narrow"):
        turn = gr.Slider(0, 360, START_TURN, step=5, label="turn the view, degrees", elem_id="turn", buttons=[])
    bench.shown.change(explained, [bench.shown, turn], [reason, parts, drawn, turn], **LIGHT)
    gr.on([bench.shown.change, bench.tolerance.input], ranked, [bench.shown, bench.tolerance], [three], **LIGHT)
    turn.input(turned, [bench.shown, turn], [drawn], trigger_mode="always_last", **LIGHT)


@said_in_place(4)
def explained(key: str, turn: float, request: gr.Request) -> list:
    analysis = analysis_of(key, request)
    solid = analysis.shape in DRAWN_SHAPES and 3 in analysis.shape
    return [why(analysis), svd(analysis), shape(analysis, turn), gr.Slider(visible=solid)]


@said_in_place(1)
def ranked(key: str, power: float, request: gr.Request) -> list:
    return [ranks(at_tolerance(analysis_of(key, request), power))]


@said_in_place(1)
def turned(key: str, turn: float, request: gr.Request) -> list:
    return [shape(analysis_of(key, request), turn)]


def ranks(analysis: Analysis) -> str:
    """Three ranks and why they differ, then what else one number says of a matrix (HTML)."""
    denoised, epsilon = analysis.denoised, "max(m, n) · ε · σ₁"
    by_rule = analysis.tolerance == analysis.default_tolerance
    rule = (
        f"the rule {epsilon}" if by_rule else f"set by hand; the rule {epsilon} is {short(analysis.default_tolerance)}"
    )
    rows = [
        ("exact", str(analysis.exact), f"over the rationals, of the numbers as they were given. {analysis.exact.how}"),
        (
            "numerical",
            str(analysis.numerical_rank),
            f"singular values above the tolerance {short(analysis.tolerance)} ({rule})",
        ),
        ("single precision", str(analysis.single_precision_rank), "the same rule with the ε of 32-bit numbers, 1.2e-7"),
        ("denoised", "none" if denoised.rank is None else str(denoised.rank), denoised.reason),
    ]
    energy = analysis.energy_ranks
    measures = [
        (
            "nullity",
            f"{'' if analysis.exact.certain else '≤ '}{analysis.nullity}",
            "directions that A sends to zero: n − rank",
        ),
        ("condition", short(analysis.condition_number), "σ₁ over the last σ: how much A⁻¹ can blow an error up"),
        (
            "stable rank",
            short(analysis.stable_rank),
            "the sum of all σ² over σ₁²: how many directions carry weight; noise hardly moves it",
        ),
        (
            "effective rank",
            short(analysis.effective_rank),
            "e to the entropy of the σ's: how many they are, weighed by size",
        ),
        (
            "90 / 95 / 99 %",
            " / ".join(str(energy[share]) for share in (90, 95, 99)),
            "directions that hold that share of the sum of all σ²",
        ),
        ("Frobenius norm", short(analysis.frobenius_norm), "√ of the sum of all squared numbers"),
        ("spectral norm", short(analysis.spectral_norm), "σ₁: the most that A stretches a vector"),
    ]
    return (
        f'{_table("rank", rows)}<p class="note">{html.escape(difference(analysis))}</p>'
        f"<h3>What else one number says</h3>{_table('measure', measures)}"
    )


def _table(head: str, rows: list[tuple[str, str, str]]) -> str:
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{html.escape(value)}</td><td class="words">{html.escape(words)}</td></tr>'
        for name, value, words in rows
    )
    return (
        f'<div class="scroll"><table class="ledger"><thead><tr><th>{head}</th><th>here</th><th class="words">meaning</th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def difference(analysis: Analysis) -> str:
    """Why the three ranks differ, or why they agree, in one or two sentences."""
    exact, numerical, denoised = analysis.exact, analysis.numerical_rank, analysis.denoised.rank
    parts = []
    if not exact.certain:
        parts.append("The exact rank could not be proved in time; it is at least what stands there.")
    elif numerical < exact.rank:
        parts.append(
            f"{exact.rank - numerical} of the exact directions are so weak that they lie below the tolerance: in rounded "
            "arithmetic they cannot be told from zero."
        )
    elif numerical > exact.rank:
        parts.append("The tolerance lies below the rounding noise, so noise is counted as directions.")
    if denoised is not None and denoised < numerical:
        parts.append(
            f"Of the {numerical} directions above rounding only {denoised} stand out from noise: the others look like what "
            "random numbers added to every entry would leave."
        )
    return " ".join(parts) or "They agree: no singular value lies near the tolerance."


def why(analysis: Analysis) -> str:
    """Row relations, the pivots in the matrix and in its reduced form, and bases of the three spaces (HTML)."""
    reasons = analysis.exact.why
    if reasons is None:
        return '<p class="note">Too large to work out the relations between its rows exactly, and in time.</p>'
    relations = reasons.relations
    listed = "".join(f"<li>{html.escape(relation)}</li>" for relation in relations[:MOST_RELATIONS])
    if len(relations) > MOST_RELATIONS:
        listed += f"<li>and {len(relations) - MOST_RELATIONS} more</li>"
    told = (
        f"<ul class='relations'>{listed}</ul>" if relations else "<p class='note'>No row follows from the others.</p>"
    )
    return f"{told}{_pivots(analysis)}{_bases(analysis)}"


def _pivots(analysis: Analysis) -> str:
    reasons, values = analysis.exact.why, analysis.matrix.values
    if max(values.shape) > LARGEST_DRAWN or not reasons.pivot_rows:
        return ""
    tiles = [
        Tile(
            values,
            "A, a ring at each pivot",
            texts=[[fraction_text(x) for x in row] for row in analysis.matrix.fractions],
            marked=frozenset(zip(reasons.pivot_rows, reasons.pivot_columns, strict=True)),
        ),
        Tile(
            np.array(reasons.echelon, dtype=float),
            "its reduced row echelon form",
            "→",
            texts=[[fraction_text(x) for x in row] for row in reasons.echelon],
            marked=frozenset(enumerate(reasons.pivot_columns)),
        ),
    ]
    return equation(tiles, width=WIDTH, height=196)


def _bases(analysis: Analysis) -> str:
    reasons = analysis.exact.why
    if max(analysis.shape) > LARGEST_DRAWN:
        return ""
    spaces = (
        ("row space", reasons.row_basis, "the pivot rows of A"),
        ("column space", reasons.column_basis, "the pivot columns of A"),
        ("null space", reasons.null_basis, "what A sends to zero"),
    )
    rows = []
    for name, basis, words in spaces:
        vectors = [f"({', '.join(fraction_text(x) for x in vector)})" for vector in basis[:MOST_VECTORS]]
        vectors += [f"and {len(basis) - MOST_VECTORS} more"] if len(basis) > MOST_VECTORS else []
        shown = "<br>".join(vectors) or "only zero"
        cells = f'<td class="words vectors">{shown}</td><td class="words">{words}</td>'
        rows.append(f'<tr><th scope="row">{name}</th><td>{len(basis)}</td>{cells}</tr>')
    head = '<th>basis of the</th><th>dimension</th><th class="words">vectors</th><th class="words">which</th>'
    return (
        f'<div class="scroll"><table class="ledger"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def svd(analysis: Analysis) -> str:
    """A = U Σ Vᵀ as three heatmaps on one scale; Σ is divided by σ₁ so that one scale serves all three (HTML)."""
    u, vt, s = analysis.u, analysis.vt, analysis.singular_values
    q, largest = len(s), s[0] or 1.0
    limit = max(np.abs(u).max(), np.abs(vt).max())
    tiles = [
        Tile(u, f"U, {u.shape[0]} × {q}"),
        Tile(np.diag(s / largest), f"Σ/σ₁, {q} × {q}", "·"),
        Tile(vt, f"Vᵀ, {q} × {vt.shape[1]}", "·"),
    ]
    words = (
        f"A = σ₁ times this product, σ{subscript(1)} = {short(float(s[0]))}: divided by it, all three share one scale."
    )
    return f'{equation(tiles, width=WIDTH, height=220, limit=limit)}<p class="note">{words}</p>'


def shape(analysis: Analysis, turn: float) -> str:
    """The unit circle or sphere and its image (HTML)."""
    if analysis.shape not in DRAWN_SHAPES:
        m, n = analysis.shape
        return f'<p class="note">Drawn for 2 × 2, 3 × 2, 2 × 3 and 3 × 3 matrices; this one is {m} × {n}.</p>'
    return geometry(analysis.u, analysis.singular_values, analysis.vt, turn)
