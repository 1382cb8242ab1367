"""Matrices as pictures: cells with their numbers while they fit, 8-bit images where they do not.

All matrices of one equation have one cell size and one colour scale, which diverges around zero. The pictures are plain HTML
strings: a 3 x 3 matrix costs 2 kB and no chart, and an equation wraps on a phone instead of shrinking.
"""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.colors
from PIL import Image

from lora_demo.figures.palette import MATRIX_SCALE

LARGEST_DRAWN = 16  # rows or columns drawn cell by cell; above it an image
LARGEST_CELL = 58  # pixels
SMALLEST_TEXT, LARGEST_TEXT = 10.5, 17  # pixels; a matrix whose longest number would be smaller shows none
THINNEST = 6  # pixels: a factor of one column stays visible beside 512 rows

_STOPS = np.array([plotly.colors.unlabel_rgb(stop) for _, stop in plotly.colors.get_colorscale(MATRIX_SCALE)])
# 255 levels, the middle one for zero, so that zero is exactly the scale's neutral tone.
COLOURS = np.stack(
    [np.interp(np.linspace(0, 1, 255), np.linspace(0, 1, len(_STOPS)), channel) for channel in _STOPS.T], axis=1
)
COLOURS = COLOURS.round().astype(np.uint8)


@dataclass(frozen=True)
class Tile:
    """One matrix of an equation: `before` is the sign in front of it, `texts` what its cells say instead of rounded numbers,
    `marked` the cells (row, column) with a ring around them, `limit` a colour scale of its own."""

    values: np.ndarray
    name: str
    before: str = ""
    texts: Sequence[Sequence[str]] | None = None
    marked: frozenset[tuple[int, int]] = frozenset()
    limit: float | None = None


def subscript(number: int) -> str:
    """`number` in small digits below the line: A₁₂."""
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def number(value: float, scale: float = 0.0) -> str:
    """`value` to three digits, as short as a cell wants it; what is rounding noise beside `scale` reads 0."""
    size = abs(value)
    if size <= 1e-12 * scale or size == 0:
        return "0"
    if 1e-3 <= size < 1e5:
        text = f"{size:.0f}" if size >= 1000 else f"{size:.3g}"
        text = text.removeprefix("0") if size < 1 else text
    else:
        mantissa, exponent = f"{size:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    return ("−" if value < 0 else "") + text


def levels(values: np.ndarray, limit: float) -> np.ndarray:
    """The colour level of each value: 0 for -limit and below, 127 for zero, 254 for limit and above (uint8, same shape)."""
    return np.rint(127 + 127 * np.clip(values / (limit or 1.0), -1, 1)).astype(np.uint8)


def png(values: np.ndarray, limit: float, block: int = 1) -> str:
    """`values` [m, n] as a data URL of an 8-bit image on the scale that ends at ±`limit`; a pixel is the mean of a block."""
    if block > 1:
        values = np.asarray(Image.fromarray(values.astype(np.float32)).reduce(block))
    image = Image.fromarray(levels(values, limit), "P")
    image.putpalette(COLOURS.tobytes())
    return data_url(image)


def data_url(image: Image.Image, kind: str = "png", **options) -> str:
    """`image` as a data: URL, so that a picture travels inside the page's HTML and leaves no file behind."""
    data = io.BytesIO()
    image.save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def described(values: np.ndarray, name: str, scale: float = 0.0) -> str:
    """What a screen reader says of a matrix: its numbers while they are few (noise beside `scale` is 0), else its range."""
    rows, columns = values.shape
    if values.size <= LARGEST_DRAWN:
        numbers = "; ".join(", ".join(number(v, scale) for v in row) for row in values)
        return f"{name}: {numbers}"
    return f"{name}: {rows} by {columns}, from {number(values.min())} to {number(values.max())}"


def heatmap(tile: Tile, cell: float, limit: float, pointed: bool = True) -> str:
    """One matrix, `cell` pixels an entry: an SVG with numbers where they fit, an image above 16 rows or columns.

    In an SVG a resting pointer reads each number; where that is not wanted (`pointed` False) and no numbers fit, a small
    matrix is an image too: 2,000 cells redrawn at each move of a slider cost 100 ms.
    """
    rows, columns = tile.values.shape
    label = html.escape(described(tile.values, tile.name, limit), quote=True)
    width, height = max(THINNEST, columns * cell), max(THINNEST, rows * cell)
    size = f'width="{width:.0f}" height="{height:.0f}"'
    drawn = max(rows, columns) <= LARGEST_DRAWN
    if drawn:
        texts = tile.texts or [[number(value, limit) for value in row] for row in tile.values]
        numbered = _text_size(cell, max((len(text) for row in texts for text in row), default=1)) >= SMALLEST_TEXT
        drawn = numbered or pointed
    if not drawn:
        crisp = ' class="crisp"' if cell >= 1 else ""
        block = max(1, round(1 / (1.5 * cell)))  # smaller than a pixel: averaged here, it is a quarter of the bytes
        return f'<img{crisp} {size} src="{png(tile.values, limit, block)}" alt="{label}">'
    cells = "".join(
        _cell(tile, row, column, cell, limit, texts[row][column], numbered)
        for row in range(rows)
        for column in range(columns)
    )
    return f'<svg {size} viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">{cells}</svg>'


def _text_size(cell: float, characters: int) -> float:
    return min(LARGEST_TEXT, 0.4 * cell, 1.55 * (cell - 2) / characters)  # a digit of the mono face is 0.6 em wide


def _cell(tile: Tile, row: int, column: int, cell: float, limit: float, text: str, numbered: bool) -> str:
    value = tile.values[row, column]
    red, green, blue = COLOURS[levels(value, limit)]
    x, y, side = column * cell, row * cell, cell - (2 if cell > 20 else 1)
    ring = ' class="ring"' if (row, column) in tile.marked else ""
    inset = 1.5 if ring else 0
    square = (
        f'<rect{ring} x="{x + inset:.1f}" y="{y + inset:.1f}" width="{side - 2 * inset:.1f}" height="{side - 2 * inset:.1f}" '
        f'rx="{min(3, cell / 8):.1f}" fill="#{red:02x}{green:02x}{blue:02x}"><title>{html.escape(text)}</title></rect>'
    )
    if not numbered:
        return square
    ink = "#fff" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else "#222"
    size = _text_size(cell, len(text))
    return square + (
        f'<text class="cell" x="{x + side / 2:.1f}" y="{y + side / 2 + 0.35 * size:.1f}" font-size="{size:.1f}" '
        f'text-anchor="middle" style="fill:{ink}">{html.escape(text)}</text>'
    )


def equation(
    tiles: Iterable[Tile], *, width: int, height: int, limit: float | None = None, pointed: bool = True
) -> str:
    """Matrices in a row with the signs between them, as large as `width` x `height` pixels allow, names under them.

    One cell size and one scale for all: it ends at `limit`, or at the largest absolute entry among them. A tile with a
    limit of its own stands apart and should say so in its name. `pointed` as for `heatmap`.
    """
    tiles = list(tiles)
    if limit is None:
        limit = max(np.abs(tile.values).max(initial=0) for tile in tiles)
    rows = max(tile.values.shape[0] for tile in tiles)
    columns = sum(tile.values.shape[1] for tile in tiles)
    cell = min(LARGEST_CELL, height / rows, (width - 46 * len(tiles)) / columns)
    parts = []
    for tile in tiles:
        sign = f'<span class="sign">{html.escape(tile.before)}</span>' if tile.before else ""
        picture = heatmap(tile, cell, limit if tile.limit is None else tile.limit, pointed)
        caption = f"<figcaption>{html.escape(tile.name)}</figcaption>"
        parts.append(f"<div>{sign}<figure>{picture}{caption}</figure></div>")
    return f'<div class="equation">{"".join(parts)}</div>'
