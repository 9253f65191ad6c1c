"""Plots as inline SVG. Their colours are the page's, so they follow its light and dark scheme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from steno.evaluation.bootstrap import Interval

_WIDTH = 720
_TEXT = 13
"""Size of the letters, in the units of the drawing."""


@dataclass(frozen=True)
class Mark:
    """A line of an interval plot: a rate with its interval, if it has one, and a note beside it."""

    label: str
    value: float
    interval: Interval | None
    note: str


def interval_plot(title: str, marks: Sequence[Mark], overall: float | None = None, signed: bool = False) -> str:
    """A dot and an interval a line, in percent; ``overall`` is drawn as a dashed line, zero if ``signed``."""
    left = 20 + min(260, round(7.2 * max(len(mark.label) for mark in marks)))
    right, row, top = 170, 24, 8
    ends = [
        e for mark in marks for e in (mark.value, *((mark.interval.low, mark.interval.high) if mark.interval else ()))
    ]
    low = min(0.0, *ends) if signed else 0.0
    ticks = _ticks(low, max(*ends, low + 0.01, overall or 0.0))
    height = top + row * len(marks) + 34
    width = _WIDTH - left - right

    def x(value: float) -> float:
        return left + width * (value - ticks[0]) / (ticks[-1] - ticks[0])

    bottom = top + row * len(marks)
    parts = [
        f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom + 4}"/>'
        f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 20}" text-anchor="middle">{_percent(tick)}</text>'
        for tick in ticks
    ]
    if overall is not None:
        parts.append(f'<line class="all" x1="{x(overall):.1f}" x2="{x(overall):.1f}" y1="{top}" y2="{bottom}"/>')
    for number, mark in enumerate(marks):
        y = top + row * (number + 0.5)
        parts.append(
            f'<text x="{left - 10}" y="{y + _TEXT / 3:.1f}" text-anchor="end">{escape(_short(mark.label, 36))}</text>'
        )
        if mark.interval:
            parts.append(
                f'<line class="range" x1="{x(mark.interval.low):.1f}" x2="{x(mark.interval.high):.1f}" '
                f'y1="{y}" y2="{y}"/>'
            )
        parts.append(f'<circle class="mark" cx="{x(mark.value):.1f}" cy="{y}" r="5"/>')
        parts.append(f'<text x="{_WIDTH - right + 12}" y="{y + _TEXT / 3:.1f}">{escape(mark.note)}</text>')
    return _svg(title, "; ".join(f"{mark.label}: {mark.note}" for mark in marks), height, parts)


def histogram(title: str, bars: Sequence[tuple[str, int]]) -> str:
    """Counts as bars with their labels below."""
    left, top, height, bottom = 40, 24, 220, 30
    most = max(1, *(count for _, count in bars))
    step = (_WIDTH - left - 10) / len(bars)
    parts = [f'<line class="grid" x1="{left}" x2="{_WIDTH - 10}" y1="{top + height}" y2="{top + height}"/>']
    for number, (label, count) in enumerate(bars):
        tall = height * count / most
        x = left + step * number
        parts.append(
            f'<rect class="bar" x="{x + 3:.1f}" y="{top + height - tall:.1f}" width="{step - 6:.1f}" '
            f'height="{tall:.1f}" rx="2"/>'
            f'<text x="{x + step / 2:.1f}" y="{top + height - tall - 6:.1f}" text-anchor="middle">{count}</text>'
            f'<text class="tick" x="{x + step / 2:.1f}" y="{top + height + 20}" text-anchor="middle">'
            f"{escape(label)}</text>"
        )
    said = "; ".join(f"{label}: {count}" for label, count in bars)
    return _svg(title, said, top + height + bottom, parts)


def reliability_diagram(title: str, points: Sequence[tuple[float, float, int]]) -> str:
    """Confidence against the share that is right, (x, y, words) each; larger dots stand for more words."""
    left, top, size = 60, 12, 340
    most = max(count for _, _, count in points)

    def place(x: float, y: float) -> tuple[float, float]:
        return left + size * x, top + size * (1 - y)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(tick, tick)
        parts.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{top + size}"/>'
            f'<line class="grid" x1="{left}" x2="{left + size}" y1="{y}" y2="{y}"/>'
            f'<text class="tick" x="{x}" y="{top + size + 18}" text-anchor="middle">{tick:g}</text>'
            f'<text class="tick" x="{left - 8}" y="{y + 4}" text-anchor="end">{_percent(tick)}</text>'
        )
    parts.append(f'<line class="all" x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}"/>')
    route = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y, _ in points)
    parts.append(f'<polyline class="range" fill="none" points="{route}"/>')
    for x, y, count in points:
        cx, cy = place(x, y)
        radius = 3 + 7 * math.sqrt(count / most)
        parts.append(f'<circle class="mark" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius:.1f}"/>')
    parts.append(
        f'<text class="tick" x="{left + size / 2}" y="{top + size + 38}" text-anchor="middle">confidence</text>'
    )
    for number, (x, y, count) in enumerate(points):
        parts.append(
            f'<text x="{left + size + 40}" y="{top + 16 + 20 * number}">'
            f"confidence {x:.2f}: {_percent(y)} of {count} words right</text>"
        )
    said = "; ".join(f"confidence {x:.2f}: {_percent(y)} of {count} words right" for x, y, count in points)
    return _svg(title, said, top + size + 50, parts)


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {height:.0f}"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Five or so round values that hold both ends."""
    rough = (high - low) / 5 or 0.01
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * n for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %".replace("-", "−")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
