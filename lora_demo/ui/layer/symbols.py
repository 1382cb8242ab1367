"""The idea in a few sentences, and the symbols it is written in."""

IDEA = """
A linear layer computes $W_0x$. Fine-tuning would change every number of $W_0$. LoRA leaves $W_0$ alone and learns a
change that can only be of low rank: $B A$, two thin matrices whose product has the size of $W_0$.

$$h = W_0 x + \\tfrac{\\alpha}{r}\\, B A x$$

$B$ starts at zero, so training starts at the pretrained layer exactly. Afterwards $BA$ can be added into $W_0$, and the
layer costs what it cost before.
"""

# symbol's class in the picture, its mathematics, its size, its meaning
SYMBOLS = (
    ("W0", "W_0", r"d \times k", "the pretrained weight, frozen"),
    ("k", "k", "", "how many numbers go in"),
    ("d", "d", "", "how many numbers come out"),
    ("r", "r", "", "the rank: directions the change can use"),
    ("A", "A", r"r \times k", "down to r numbers; starts random"),
    ("B", "B", r"d \times r", "up to d numbers; starts at zero"),
    ("x", "x", r"k \times 1", "the input; in a batch, one of n"),
    ("BAx", "BAx", r"d \times 1", "what the change adds to the output"),
    ("scaling", r"\alpha / r", "", "how strongly it is added"),
)
# What Gradio's own KaTeX renders, offline.
LATEX = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]


def symbol_table() -> str:
    """The symbols as a table; resting on a row lights its symbol in the picture (style.css)."""
    rows = "".join(
        f'<tr class="lights-{symbol}" tabindex="0"><td>${mathematics}$</td><td>{f"${shape}$" if shape else ""}</td>'
        f"<td>{meaning}</td></tr>"
        for symbol, mathematics, shape, meaning in SYMBOLS
    )
    return f'<table class="symbols" aria-label="What each symbol means"><tbody>{rows}</tbody></table>'
