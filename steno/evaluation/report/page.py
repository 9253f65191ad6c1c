"""The page around a report: its head, its tables, and how figures are written."""

from collections.abc import Iterable, Sequence
from html import escape

from steno.evaluation.bootstrap import Interval
from steno.evaluation.report.assets import SCRIPT, STYLE

_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses every request; what is shown is in the file."""


def page(title: str, body: Iterable[str]) -> str:
    """A whole document; ``body`` is HTML already."""
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            *body,
            f"<script>{SCRIPT}</script>\n</body>\n</html>\n",
        )
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str | int]], numbers: Iterable[int] = ()) -> str:
    """A table of plain texts; the columns in ``numbers`` are flush right."""
    right = set(numbers)
    mark = ['class="n"' if column in right else "" for column in range(len(head))]
    first = "".join(f'<th scope="col" {mark[column]}>{escape(text)}</th>' for column, text in enumerate(head))
    lines = (
        "<tr>" + "".join(f"<td {mark[column]}>{escape(str(cell))}</td>" for column, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{first}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A table of names and values."""
    lines = (f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in pairs)
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def contents(sections: Iterable[tuple[str, str]]) -> str:
    """Links to the sections (id, title) of the page."""
    links = "".join(f'<a href="#{identity}">{escape(title)}</a>' for identity, title in sections)
    return f'<nav aria-label="Contents">{links}</nav>'


def percent(rate: float) -> str:
    """``12.3 %``."""
    return f"{100 * rate:.1f} %"


def span(interval: Interval | None) -> str:
    """``11.0 to 13.9 %``, a dash where there is no interval."""
    return "–" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"
