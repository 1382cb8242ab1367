"""The LoRA layer drawn to scale: h = (W0 + alpha/r B A) x, every matrix in its true proportions."""

from lora_demo.figures.palette import FROZEN, LORA, MUTED
from lora_demo.layer_lab.sizes import LayerSize

LONGEST = 190  # drawing units for the longest of d, k and r
THINNEST = 2.5  # a rank of 4 beside 12,288 would be a sixteenth of a unit
VECTOR = 5  # one column wide in truth, which nobody would see
MIDDLE = 150  # the height at which signs stand


def layer_picture(size: LayerSize) -> str:
    """`size` as an SVG. Parts carry the classes sym-W0, sym-A, ... by which the symbol table lights them."""
    scale = LONGEST / max(size.d, size.k, size.r)
    wide, tall = max(THINNEST, size.k * scale), max(THINNEST, size.d * scale)
    thin = max(THINNEST, size.r * scale)
    vector = min(9.0, max(VECTOR, scale))
    top = MIDDLE - tall / 2
    parts = []

    def box(x: float, y: float, width: float, height: float, paint: str, symbols: str) -> None:
        parts.append(
            f'<rect class="{symbols}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{min(3, width / 3, height / 3):.1f}" {paint}/>'
        )

    def sign(x: float, text: str, symbols: str = "") -> None:
        parts.append(f'<text class="sign {symbols}" x="{x:.1f}" y="{MIDDLE + 8}">{text}</text>')

    def name(x: float, y: float, text: str, shape: str, symbols: str) -> None:
        parts.append(f'<text class="name {symbols}" x="{x:.1f}" y="{y:.1f}">{text}</text>')
        parts.append(f'<text class="sub {symbols}" x="{x:.1f}" y="{y + 21:.1f}">{shape}</text>')

    solid, frozen, vectors = f'fill="{LORA}"', f'fill="{FROZEN}"', f'fill="{MUTED}"'
    h_left = 40.0
    box(h_left, top, vector, tall, vectors, "sym-h sym-d")
    name(h_left + vector / 2, top + tall + 24, "h", f"{size.d:,}", "sym-h sym-d")
    sign(h_left + vector + 36, "=")
    sign(h_left + vector + 64, "(")
    w_left = h_left + vector + 82
    box(w_left, top, wide, tall, frozen, "sym-W0 sym-d sym-k")
    name(w_left + wide / 2, top + tall + 24, "W₀", f"{size.d:,} × {size.k:,}, frozen", "sym-W0 sym-d sym-k")
    sign(w_left + wide + 34, "+")
    sign(w_left + wide + 76, "α/r", "sym-scaling sym-r")
    b_left = w_left + wide + 128
    product_left = b_left + thin + 8
    box(b_left, top, thin, tall, solid, "sym-B sym-d sym-r sym-BAx")
    box(product_left, top, wide, tall, f'fill="{LORA}" fill-opacity=".14"', "sym-BAx product")
    box(product_left, top - thin - 8, wide, thin, solid, "sym-A sym-r sym-k sym-BAx")
    name(b_left + thin / 2 - 4, top + tall + 24, "B", f"{size.d:,} × {size.r:,}", "sym-B sym-d sym-r sym-BAx")
    parts.append(
        f'<text class="name sym-A sym-r sym-k sym-BAx" x="{product_left + wide / 2:.1f}" y="{top - thin - 18:.1f}">A'
        f'<tspan class="sub" dx="12">{size.r:,} × {size.k:,}</tspan></text>'
    )
    parts.append(f'<text class="name sym-BAx" x="{product_left + wide / 2:.1f}" y="{MIDDLE + 7}">BA</text>')
    sign(product_left + wide + 18, ")")
    x_left = product_left + wide + 44
    box(x_left, MIDDLE - wide / 2, vector, wide, vectors, "sym-x sym-k sym-BAx")
    name(x_left + vector / 2, MIDDLE + wide / 2 + 24, "x", f"{size.k:,}", "sym-x sym-k sym-BAx")
    label = (
        f"Drawn to scale: a frozen weight of {size.d} by {size.k}, and beside it B of {size.d} by {size.r} and A of "
        f"{size.r} by {size.k}, whose product has the weight's size; x goes in, h comes out."
    )
    width, height = x_left + vector + 40, MIDDLE + LONGEST / 2 + 55
    return (
        f'<svg class="layer" viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )
