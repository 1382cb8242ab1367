"""Who takes what for what: a table whose cells can be clicked, and the share of each class that every lane recognises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lora_demo.figures.palette import LANE_NAMES


def matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str], chosen: tuple[int, int] | None = None) -> str:
    """[classes, classes] counts, a row a true class; every cell that is not 0 is a button with `data-cell="row,column"`."""
    most_wrong = max([n for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j], default=0) or 1
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    rows = []
    for i, row in enumerate(confusion):
        total = sum(row) or 1
        cells = []
        for j, count in enumerate(row):
            share = count / total if i == j else count / most_wrong
            kind = ("right" if i == j else "wrong") + (" chosen" if (i, j) == chosen else "")
            said = f"{count} of class {classes[i]} taken for {classes[j]}"
            inside = (
                f'<button type="button" data-cell="{i},{j}" aria-label="{escape(said, quote=True)}">{count}</button>'
                if count
                else ""
            )
            cells.append(f'<td class="{kind}" style="--share:{share:.3f}">{inside}</td>')
        rows.append(f'<tr><th scope="row">{escape(classes[i])}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="confusion"><thead><tr><th>is ↓ &nbsp; said →</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def by_class(accuracies: Mapping[str, Mapping[str, float]]) -> str:
    """lane -> class -> share in [0, 1] that is recognised, as a table; the last row is the mean over the classes."""
    lanes = list(accuracies)
    head = "".join(f'<th scope="col" class="lane {lane}">{LANE_NAMES[lane]}</th>' for lane in lanes)
    rows = []
    for name in next(iter(accuracies.values())):
        cells = "".join(f"<td>{_percent(accuracies[lane][name])}</td>" for lane in lanes)
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{cells}</tr>")
    return (
        f"<div class='scroll'><table class='ledger'><thead><tr><th>right, of each class</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _percent(share: float) -> str:
    return "—" if share != share else f"{100 * share:.0f} %"
