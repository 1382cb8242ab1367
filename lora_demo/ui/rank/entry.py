"""What happens when a matrix is given or a slider moves: the handlers behind the left column."""

import hashlib
import html
from pathlib import Path
from urllib.parse import urlencode

import gradio as gr
import numpy as np

from lora_demo.errors import LabError
from lora_demo.matrices import Analysis, Matrix, analyze, from_array, generate, parse, read_file, to_text
from lora_demo.ui.chart import figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.rank import answer, approximation, controls, link
from lora_demo.ui.rank.bench import LOWEST_POWER, SHELF, analysis_of, at_tolerance, default_power, start_rank
from lora_demo.ui.rank.events import said_in_place, unchanged
from lora_demo.ui.rank.examples import example

LONGEST_SHOWN = 20_000  # characters in the box; a text area of megabytes makes the page crawl
LARGEST_GRID = 30
LARGEST_TAKEN = 1024  # rows or columns of a matrix from another tab: 768 × 192 opens in half a second
OUTPUTS = 13  # of `answered`


def answered(
    matrix: Matrix,
    request: gr.Request,
    *,
    note: str = "",
    origin: str = "",
    typed_text: str | None = None,
    k: float | None = None,
    power: float | None = None,
) -> list:
    """Analyse the matrix once, put the analysis on the shelf, and fill `Bench.outputs`; what is being typed stays."""
    analysis = analyze(matrix)
    key = SHELF.put(request.session_hash, analysis)
    linked = link.linked(matrix, origin)
    text = to_text(matrix) if typed_text is None else typed_text
    if len(text) > LONGEST_SHOWN and typed_text is None:
        text, note = "", f"{note} Too large to show as text.".strip()
    if linked == link.TOO_LARGE:
        note = f"{note} Too large to link.".strip()
    k = start_rank(analysis) if k is None else min(max(int(k), 0), min(matrix.shape))
    power = default_power(analysis) if power is None else min(max(power, LOWEST_POWER), 0)
    note = " ".join(filter(None, (matrix.note, note)))
    return [
        "",
        html.escape(note),
        key,
        digest(text),
        text if typed_text is None else gr.skip(),
        linked,
        gr.Slider(maximum=min(matrix.shape), value=k),
        gr.Slider(value=power),
        *pictures(analysis, k, power),
    ]


def pictures(analysis: Analysis, k: int, power: float) -> list:
    """The first answer's pictures: headline, factors, what the sliders change."""
    toleranced = at_tolerance(analysis, power)
    return [
        answer.headline(toleranced),
        answer.factors(toleranced),
        figure_text(approximation.spectrum_chart(toleranced, k)),
        figure_text(approximation.curve_chart(toleranced, k)),
        approximation.pictures(toleranced, k),
    ]


def digest(text: str) -> str:
    """Which text the box shows: Gradio tells of every change of it, our own writing included."""
    return hashlib.sha256(text.encode()).hexdigest()


@said_in_place(OUTPUTS)
def typed(text: str, boxed: str, request: gr.Request) -> list:
    if digest(text) == boxed:
        return ["", *unchanged(OUTPUTS - 1)]
    return answered(parse(text), request, typed_text=text)


@said_in_place(OUTPUTS)
def edited(grid: list[list[str]], request: gr.Request) -> list:
    return answered(parse("\n".join("\t".join(str(cell).strip() for cell in row) for row in grid)), request)


@spoken
def chosen(key: str, request: gr.Request) -> list:
    picked = example(key)
    return answered(picked.build(), request, note=picked.lesson, origin=urlencode({"example": key}))


@spoken
def opened(path: str, request: gr.Request) -> list:
    matrix = read_file(path)
    m, n = matrix.shape
    return answered(matrix, request, note=f"{Path(path).name}: {m} × {n}.")


@spoken
def drawn(m: float, n: float, k: float, noise: float, seed: float, request: gr.Request) -> list:
    settings = (int(m or 0), int(n or 0), int(k or 0), float(noise), int(seed or 0))
    return answered(generate(*settings), request, origin=link.random_origin(*settings))


@spoken
def restored(request: gr.Request) -> list:
    query = dict(request.query_params)
    found = link.matrix_from(query)
    if found is None:
        return unchanged(OUTPUTS)
    matrix, origin = found
    k, power = link.number_from(query, "k"), link.number_from(query, "tolerance")
    return answered(matrix, request, origin=origin, k=k, power=power)


def taken(values: np.ndarray, name: str, request: gr.Request) -> list:
    """A matrix [m, n] handed over by another tab, called `name`; the list fills `Bench.outputs`. Raises MatrixError."""
    return answered(from_array(values, max_side=LARGEST_TAKEN), request, note=f"{name}.")


@said_in_place(4)
def moved(key: str, k: float, power: float, request: gr.Request) -> list:
    """Another k: no parsing, no SVD, two charts and one component."""
    analysis = at_tolerance(analysis_of(key, request), power)
    k = int(k)
    return [
        "",
        approximation.pictures(analysis, k),
        figure_text(approximation.spectrum_chart(analysis, k)),
        figure_text(approximation.curve_chart(analysis, k)),
    ]


@said_in_place(3)
def tolerated(key: str, k: float, power: float, request: gr.Request) -> list:
    """Another tolerance: the numerical rank and the line in the spectrum."""
    analysis = at_tolerance(analysis_of(key, request), power)
    return ["", answer.headline(analysis), figure_text(approximation.spectrum_chart(analysis, int(k)))]


@said_in_place(2)
def gridded(kind: str, key: str, grid: list[list[str]], request: gr.Request) -> list:
    """The grid in step with the text, while it is seen and the matrix fits."""
    matrix = analysis_of(key, request).matrix
    entries = [list(row) for row in matrix.entries]
    if kind != "Grid" or entries == [[str(cell) for cell in row] for row in grid]:
        return ["", gr.skip()]
    if max(matrix.shape) > LARGEST_GRID:
        m, n = matrix.shape
        raise LabError(f"The grid holds up to {LARGEST_GRID} × {LARGEST_GRID} numbers; this matrix is {m} × {n}.")
    return ["", entries]


def panels(kind: str) -> list:
    """Which way of giving a matrix is seen: text, grid, file or random."""
    return [gr.update(visible=kind == name) for name in controls.KINDS]
