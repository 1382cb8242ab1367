"""What the sliders change: two charts, and in one component A = A_k + what is left, the layers, the bridge to LoRA."""

import html

import numpy as np

from lora_demo.figures.matrix import Tile, equation, subscript
from lora_demo.figures.spectrum import eckart_young, spectrum
from lora_demo.matrices import Analysis
from lora_demo.ui.rank.answer import colour_limit, percent, short

WIDTH, HEIGHT = 540, 168  # pixels for A = A_k + (A - A_k) beside the chart at 1280 x 800
MOST_LAYERS = 6
CHECKED = (
    "Checked: the notebook calls a matrix of rank k “the sum of <i>two</i> rank-1 matrices”. It is a sum of <i>k</i> "
    "of them."
)


def pictures(analysis: Analysis, k: int) -> str:
    """All that the k slider redraws and no chart shows (HTML)."""
    low_rank = analysis.low_rank(k)
    values, limit = analysis.matrix.values, colour_limit(analysis.matrix.values)
    name = f"A{subscript(k)}"
    bridge = html.escape(str(analysis.lora(k)) if k else "LoRA needs a rank of at least 1.")
    parts = [
        equation(
            [Tile(values, "A"), Tile(low_rank.approximation, name, "="), Tile(low_rank.error, f"A − {name}", "+")],
            width=WIDTH,
            height=HEIGHT,
            limit=limit,
            pointed=False,
        ),
        '<div class="facts">'
        f"<span>lost <b>{html.escape(percent(low_rank.relative_error))}</b> of the norm</span>"
        f"<span>Frobenius error <b>{short(low_rank.frobenius_error)}</b></span>"
        f"<span>spectral error <b>{short(low_rank.spectral_error)}</b></span>"
        f"<span>numbers stored <b>{low_rank.stored:,}</b> of {low_rank.original:,}</span></div>",
        f"<h3>{name} is a sum of {k} rank-1 layer{'s' if k != 1 else ''}</h3>",
        layers(analysis, k, limit),
        f'<p class="note">{CHECKED}</p>',
        "<h3>If this were the update of a weight</h3>",
        f'<p class="note">{bridge} {break_even(analysis)}</p>',
    ]
    return "".join(parts)


def layers(analysis: Analysis, k: int, limit: float) -> str:
    """σ₁u₁v₁ᵀ + ... + σ_k u_k v_kᵀ, the first few drawn, on the scale of A."""
    if k == 0:
        return '<p class="note">None yet: move the slider.</p>'
    tiles = []
    for i in range(1, min(k, MOST_LAYERS) + 1):
        small = subscript(i)
        name = f"σ{small}u{small}v{small}ᵀ, σ{small} = {short(analysis.singular_values[i - 1])}"
        tiles.append(Tile(analysis.layer(i), name, "+" if i > 1 else ""))
    drawn = equation(tiles, width=WIDTH * max(1, len(tiles) / 3), height=150, limit=limit, pointed=False)
    return drawn + (f'<p class="note">and {k - MOST_LAYERS} more</p>' if k > MOST_LAYERS else "")


def break_even(analysis: Analysis) -> str:
    """Up to which rank two factors store less than the matrix, in a sentence."""
    m, n = analysis.shape
    if not analysis.break_even:
        return f"At {m} × {n} two factors never store less than the matrix: it takes size for low rank to pay."
    return f"Two factors store less than the {m * n:,} numbers up to rank {analysis.break_even}."


def spectrum_chart(analysis: Analysis, k: int) -> dict:
    """The spectrum, with the tolerance and k marked."""
    return spectrum(analysis.singular_values, analysis.tolerance, k)


def curve_chart(analysis: Analysis, k: int) -> dict:
    """The Eckart-Young curve, with k marked."""
    m, n = analysis.shape
    largest = analysis.spectral_norm or 1.0
    stored = np.arange(min(m, n) + 1) * (m + n) / (m * n)
    return eckart_young(analysis.relative_errors, analysis.spectral_errors / largest, stored, k)
