"""Many images' answers as a table: a thumbnail each, columns that sort by a click on their name."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lora_demo.figures.tiles import sheet, tile

if TYPE_CHECKING:
    from lora_demo.classify.many import Row

THUMBNAIL = 48  # pixels
COLUMNS = ("", "file", "class", "probability", "calibrated", "second", "margin", "unlike training")
SORT = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('th button');
  if (!button) return;
  const head = button.closest('th'), column = head.cellIndex, body = head.closest('table').tBodies[0];
  const up = head.getAttribute('aria-sort') !== 'ascending';
  for (const other of head.parentElement.cells) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const key = (row) => row.cells[column]?.dataset.key ?? '';
  const compare = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
  [...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)).forEach((row) => body.append(row));
});
"""


def table(rows: Sequence[Row]) -> str:
    """The HTML table; `SORT` is the script that makes its column names sort."""
    pictures = [row.thumbnail for row in rows if row.thumbnail]
    places = iter(range(len(pictures)))
    head = "".join(f'<th scope="col">{f"<button type=button>{name}</button>" if name else ""}</th>' for name in COLUMNS)
    body = []
    for row in rows:
        picture = tile(next(places), len(pictures), row.file) if row.thumbnail else ""
        first = f"<td>{picture}</td>{_cell(row.file)}"
        if row.problem:
            body.append(f'<tr>{first}<td class="wrong" colspan="6" data-key="">{escape(row.problem)}</td></tr>')
            continue
        numbers = (_percent(value) for value in (row.probability, row.calibrated))
        unlike = _cell({True: "yes", False: "no", None: "not known"}[row.unlike])
        body.append(
            f"<tr>{first}{_cell(row.label)}{''.join(numbers)}{_cell(row.second)}{_percent(row.margin)}{unlike}</tr>"
        )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    style = sheet(pictures, THUMBNAIL)
    return f'<div class="scroll" style="{style}"><table class="ledger answer-table">{inside}</table></div>'


def _cell(text: str | None) -> str:
    text = escape(text or "", quote=True)
    return f'<td class="words" data-key="{text}">{text}</td>'


def _percent(value: float | None) -> str:
    return '<td data-key="">—</td>' if value is None else f'<td data-key="{value:.6f}">{100 * value:.1f} %</td>'
