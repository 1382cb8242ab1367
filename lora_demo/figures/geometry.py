"""What a small matrix does to the unit circle or sphere: the picture of its SVD.

Drawn as SVG from a fixed point of view (an angle turns it): a sphere of a few hundred lines needs no 3-D engine.
"""

import html

import numpy as np

from lora_demo.figures.matrix import number, subscript

SIDE = 270  # pixels, both pictures
TONES = ("first", "second", "third")  # singular direction; style.css has the colours, dark ones too


def geometry(u: np.ndarray, singular_values: np.ndarray, vt: np.ndarray, turn: float = 30.0) -> str:
    """The unit circle (n = 2) or sphere (n = 3) of the inputs beside its image under A = U diag(s) Vᵀ, arrows for the
    singular vectors: v_i on the left becomes s_i u_i on the right. `turn` is the view's angle in degrees, for three dimensions.
    """
    rank = len(singular_values)
    before = _curves(vt.shape[1])
    after = [u[:, :rank] @ (singular_values[:, None] * (vt[:rank] @ curve)) for curve in before]
    reach = max(float(singular_values[0]), 1e-300)
    arrows_before = [(vt[i], f"v{subscript(i + 1)}") for i in range(rank)]
    arrows_after = [(singular_values[i] * u[:, i], f"σ{subscript(i + 1)}u{subscript(i + 1)}") for i in range(rank)]
    shape = "circle" if vt.shape[1] == 2 else "sphere"
    lengths = ", ".join(number(value, reach) for value in singular_values)
    left = _panel(before, arrows_before, 1.0, turn, f"the unit {shape} with its singular directions")
    right = _panel(after, arrows_after, reach, turn, f"its image: half axes of length {lengths}")
    return (
        f'<div class="equation"><div><figure>{left}<figcaption>unit {shape}</figcaption></figure></div>'
        f'<div><span class="sign">→</span><figure>{right}<figcaption>its image, half axes {html.escape(lengths)}'
        "</figcaption></figure></div></div>"
    )


def _curves(dimensions: int) -> list[np.ndarray]:
    """The circle, or a sphere's circles of latitude and longitude: each [dimensions, points]."""
    angle = np.linspace(0, 2 * np.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    if dimensions == 2:
        return [circle]
    zero = np.zeros_like(angle)
    latitudes = [
        np.stack([np.cos(a) * circle[0], np.cos(a) * circle[1], zero + np.sin(a)])
        for a in np.radians([-60, -30, 0, 30, 60])
    ]
    longitudes = [
        np.stack([np.cos(a) * circle[0], np.sin(a) * circle[0], circle[1]]) for a in np.radians(range(0, 180, 30))
    ]
    return latitudes + longitudes


def _project(points: np.ndarray, turn: float) -> np.ndarray:
    """Points [2 or 3, n] on the plane of the picture [2, n]; three dimensions seen from above, turned about the third axis."""
    if points.shape[0] == 2:
        return points
    a, tilt = np.radians(turn), np.radians(22)
    across = np.cos(a) * points[0] - np.sin(a) * points[1]
    away = np.sin(a) * points[0] + np.cos(a) * points[1]
    return np.stack([across, np.cos(tilt) * points[2] + np.sin(tilt) * away])


def _panel(
    curves: list[np.ndarray], arrows: list[tuple[np.ndarray, str]], reach: float, turn: float, label: str
) -> str:
    middle, scale = SIDE / 2, 0.4 * SIDE / reach
    axes = np.eye(curves[0].shape[0])
    parts = []
    for axis in axes:
        (x,), (y,) = scale * 1.15 * reach * _project(axis[:, None], turn)
        parts.append(
            f'<line class="axis" x1="{middle - x:.1f}" y1="{middle + y:.1f}" x2="{middle + x:.1f}" y2="{middle - y:.1f}"/>'
        )
    for curve in curves:
        flat = scale * _project(curve, turn)
        points = " ".join(f"{middle + x:.1f},{middle - y:.1f}" for x, y in flat.T)
        parts.append(f'<polyline class="{"outline" if len(curves) == 1 else "mesh"}" points="{points}"/>')
    for (vector, name), tone in zip(arrows, TONES, strict=False):
        parts.append(_arrow(scale * _project(vector[:, None], turn)[:, 0], middle, name, tone))
    return f'<svg width="{SIDE}" height="{SIDE}" role="img" aria-label="{html.escape(label)}">{"".join(parts)}</svg>'


def _arrow(tip: np.ndarray, middle: float, name: str, tone: str) -> str:
    length = float(np.hypot(*tip))
    if length < 4:  # pixels: a direction that is squashed flat has no arrow to draw
        return ""
    along = tip / length
    across = np.array([-along[1], along[0]])
    base = tip - min(11, length) * along
    head = " ".join(f"{middle + x:.1f},{middle - y:.1f}" for x, y in (tip, base + 5 * across, base - 5 * across))
    x, y = tip + 14 * along
    return (
        f'<g class="{tone}"><line x1="{middle}" y1="{middle}" x2="{middle + base[0]:.1f}" y2="{middle - base[1]:.1f}"/>'
        f'<polygon points="{head}"/><text x="{middle + x:.1f}" y="{middle - y + 5:.1f}" text-anchor="middle" '
        f'font-size="17">{name}</text></g>'
    )
