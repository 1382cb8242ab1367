"""The first answer: a headline from the numbers, a line of facts, and A = Y Zᵀ with the numbers."""

import html
from fractions import Fraction

import numpy as np

from lora_demo.figures.matrix import LARGEST_DRAWN, Tile, equation, number
from lora_demo.matrices import Analysis

WIDTH, HEIGHT = 880, 196  # pixels that the equation may take at 1280 x 800
LONGEST_FRACTION = 7  # characters; longer ones are shown as decimals


def headline(analysis: Analysis) -> str:
    """The rank and why, as the headline and the line of facts under it (HTML)."""
    m, n = analysis.shape
    denoised = analysis.denoised
    facts = {
        "exact": str(analysis.exact),
        "numerical": str(analysis.numerical_rank),
        "denoised": "none" if denoised.rank is None else str(denoised.rank),
        "nullity": ("" if analysis.exact.certain else "at most ") + str(analysis.nullity),
        "condition": short(analysis.condition_number),
        "stable rank": short(analysis.stable_rank),
        "effective": short(analysis.effective_rank),
    }
    title = html.escape(analysis.headline().removesuffix("."))
    if denoised.rank is not None and denoised.rank < analysis.numerical_rank:
        title = f"Rank {analysis.exact} of {min(m, n)}, and {denoised.rank} above the noise"
    spans = "".join(
        f"<span{_hint(denoised.reason) if name == 'denoised' else ''}>{name} <b>{value}</b></span>"
        for name, value in facts.items()
    )
    return f'<div class="headline">{title}</div><div class="facts"><span><b>{m} × {n}</b></span>{spans}</div>'


def _hint(reason: str) -> str:
    return f' title="{html.escape(reason, quote=True)}"'


def short(value: float) -> str:
    """A number for a line of facts: three digits, ∞ for infinity."""
    return "∞" if np.isinf(value) else number(value)


def percent(share: float) -> str:
    """A share in percent that does not round something to nothing."""
    return "<0.1 %" if 0 < share < 5e-4 else f"{100 * share:.1f} %"


def fraction_text(value: Fraction) -> str:
    """An exact number for a cell; a fraction too long for it as a decimal."""
    text = str(value).replace("-", "−")
    return text if len(text) <= LONGEST_FRACTION else number(float(value))


def colour_limit(values: np.ndarray) -> float:
    """Where the colour scale ends: the largest entry; of a big matrix the 99.5th percentile, so that one outlier does
    not leave the rest without colour."""
    sizes = np.abs(values)
    return float(sizes.max() if max(values.shape) <= LARGEST_DRAWN else np.percentile(sizes, 99.5) or sizes.max())


def factors(analysis: Analysis) -> str:
    """A = Y Zᵀ, long and skinny times short and long: the exact factors of a small matrix, those of the SVD of a big one."""
    m, n = analysis.shape
    values = analysis.matrix.values
    why = analysis.exact.why
    name = f"A, {m} × {n}"
    if max(m, n) > LARGEST_DRAWN or why is None:
        return _from_svd(analysis, name)
    small = tuple(tuple(fraction_text(x) for x in row) for row in analysis.matrix.fractions)
    if not why.pivot_rows:
        return equation(
            [Tile(values, f"{name}: no direction at all, so no factors", texts=small)], width=WIDTH, height=HEIGHT
        )
    y, zt = (np.array(factor, dtype=float) for factor in (why.y, why.zt))
    r = len(why.pivot_rows)
    tiles = [
        Tile(values, name, texts=small),
        Tile(y, f"Y, {m} × {r}", "=", texts=[[fraction_text(x) for x in row] for row in why.y]),
        Tile(zt, f"Zᵀ, {r} × {n}", "·", texts=[[fraction_text(x) for x in row] for row in why.zt]),
    ]
    return equation(tiles, width=WIDTH, height=HEIGHT)


def _from_svd(analysis: Analysis, name: str) -> str:
    """Factors from the SVD, the square root of each singular value in either: of the denoised rank where there is one."""
    m, n = analysis.shape
    noisy = analysis.denoised.rank is not None
    r = analysis.denoised.rank if noisy else analysis.numerical_rank
    values, root = analysis.matrix.values, np.sqrt(analysis.singular_values[:r])
    if r == 0:
        return equation(
            [Tile(values, f"{name}: nothing above the noise" if noisy else name)], width=WIDTH, height=HEIGHT
        )
    y, zt = analysis.u[:, :r] * root, root[:, None] * analysis.vt[:r]
    own = max(colour_limit(y), colour_limit(zt))  # what a factor holds is in other units than A
    tiles = [
        Tile(values, name),
        Tile(y, f"Y, {m} × {r}", "≈" if noisy else "=", limit=own),
        Tile(zt, f"Zᵀ, {r} × {n}; Y and Zᵀ have their own scale", "·", limit=own),
    ]
    return equation(tiles, width=WIDTH, height=HEIGHT, limit=colour_limit(values))
