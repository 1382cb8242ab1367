"""The tab's state in the page's address, so that a link shows what the speaker shows."""

import math
import re
from urllib.parse import urlencode

from lora_demo.matrices import Matrix, MatrixError, from_array, generate, parse, to_text
from lora_demo.ui.rank.examples import example

LONGEST_MATRIX = 2_000  # characters of a matrix that still travels in a link

# The browser's own half: it knows the sliders as they move, the server only says which matrix it is. Written a moment
# after the last move, since browsers refuse an address that changes a hundred times in a few seconds.
WRITE = """
(matrix, k, tolerance) => {
  clearTimeout(window.labLinkTimer);
  window.labLinkTimer = setTimeout(() => {
    const query = new URLSearchParams(location.search);
    for (const key of ['matrix', 'doubles', 'example', 'random', 'k', 'tolerance']) query.delete(key);
    if (matrix !== 'none') {
      new URLSearchParams(matrix).forEach((value, key) => query.set(key, value));
      query.set('tab', 'rank'); query.set('k', k); query.set('tolerance', tolerance);
    }
    history.replaceState(history.state, '', '?' + query + location.hash);
  }, 300);
}
"""
TOO_LARGE = "none"  # what stands for a matrix that no link can carry


def linked(matrix: Matrix, origin: str = "") -> str:
    """The part of the address that says which matrix: the numbers while they are few, else where they come from
    (`origin`, an example's or the generator's), else TOO_LARGE."""
    text = to_text(matrix)
    if len(text) <= LONGEST_MATRIX:
        return urlencode({"matrix": text} | ({"doubles": 1} if matrix.stored else {}))
    return origin or TOO_LARGE


def random_origin(m: int, n: int, k: int, noise: float, seed: int) -> str:
    """The generator's settings as a part of the address."""
    return urlencode({"random": f"{m},{n},{k},{noise:g},{seed}"})


def matrix_from(query: dict[str, str]) -> tuple[Matrix, str] | None:
    """The matrix that an address names, and its origin; None where it names none. Raises MatrixError for a broken link."""
    if query.get("matrix"):
        matrix = parse(query["matrix"])
        return from_array(matrix.values) if "doubles" in query else matrix, ""
    if query.get("example"):
        return example(query["example"]).build(), urlencode({"example": query["example"]})
    if query.get("random"):
        settings = re.fullmatch(r"(\d{1,4}),(\d{1,4}),(\d{1,4}),([0-9.e+-]{1,20}),(\d{1,9})", query["random"])
        if settings is None:
            raise MatrixError("The link's random matrix is not five numbers: rows, columns, rank, noise, seed.")
        m, n, k, seed = (int(settings[i]) for i in (1, 2, 3, 5))
        return generate(m, n, k, float(settings[4]), seed), random_origin(m, n, k, float(settings[4]), seed)
    return None


def number_from(query: dict[str, str], name: str) -> float | None:
    """The slider's place that an address names; None where it names none. Raises MatrixError where it is no number."""
    if name not in query:
        return None
    try:
        value = float(query[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MatrixError(f"The link's {name} is not a number.")
    return value
