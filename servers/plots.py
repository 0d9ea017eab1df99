"""Plots as inline SVG: no script, colours from the page's own style, and every mark says its figure on hovering."""

import math
from collections.abc import Sequence
from datetime import date
from html import escape

from clew.servers.figures import count, percent

Bar = tuple[str, Sequence[tuple[str, int]]]
"""A label, and (class, amount) from the bottom to the top."""

_HEIGHT, _LEFT, _BOTTOM, _TOP = 240, 44, 26, 10
_WIDE, _NARROW = 990, 330
"""Widths in the units of the letters' size: a plot that is only scaled down cannot be read on a phone."""


def stacked(bars: Sequence[Bar], label: str) -> str:
    """Bars over days, stacked by class: once for a desk and once for a phone, of which the style shows one. Labels are
    left out where they would touch."""
    peak = _round(max((sum(amount for _, amount in parts) for _, parts in bars), default=1))
    return _stacked(bars, label, peak, _WIDE, "wide") + _stacked(bars, label, peak, _NARROW, "narrow")


def _stacked(bars: Sequence[Bar], label: str, peak: int, whole: int, kind: str) -> str:
    room = _HEIGHT - _BOTTOM - _TOP
    step = (whole - _LEFT) / max(len(bars), 1)
    width = min(step * 0.72, 56.0)
    drawn = [_grid(peak, room, whole)]
    every = max(1, math.ceil(len(bars) * 54 / (whole - _LEFT)))
    for position, (name, parts) in enumerate(bars):
        x = _LEFT + step * position + (step - width) / 2
        drawn.append(_column((x, width), name, parts, peak=peak, room=room))
        if position % every == 0:
            drawn.append(f'<text class="tick" x="{x + width / 2:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
                         f"{escape(_day(name))}</text>")  # fmt: skip
    return (
        f'<svg class="plot {kind}" viewBox="0 0 {whole} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(drawn)}</svg>"
    )


def _day(name: str) -> str:
    """`2026-11-03` as `3 Nov`."""
    try:
        found = date.fromisoformat(name)
    except ValueError:
        return name
    return f"{found.day} {found:%b}"


def _column(place: tuple[float, float], name: str, parts: Sequence[tuple[str, int]], *, peak: int, room: float) -> str:
    x, width = place
    y, drawn = float(_HEIGHT - _BOTTOM), list[str]()
    for kind, amount in parts:
        tall = amount / peak * room
        y -= tall
        drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}"/>')
    said = ", ".join(f"{kind} {amount}" for kind, amount in parts if amount)
    return f"<g><title>{escape(name)}: {escape(said)}</title>{''.join(drawn)}</g>"


def _grid(peak: int, room: float, whole: int) -> str:
    lines: list[str] = []
    for part in range(5):
        y = _HEIGHT - _BOTTOM - room * part / 4
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{whole}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
                     f"{count(peak * part / 4)}</text>")  # fmt: skip
    return "".join(lines)


def horizontal(rows: Sequence[tuple[str, float, str]], kind: str, label: str, *, whole: float | None = None) -> str:
    """Bars from left to right: name, amount, and the figure that stands at its end. `whole` is the full length."""
    top = whole or max((amount for _, amount, _ in rows), default=1.0) or 1.0
    drawn = [
        f'<dt>{escape(name)}</dt><dd><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="rail" width="100" height="10"/><rect class="{kind}" width="{max(amount / top * 100, 0.5):.1f}" '
        f'height="10"/></svg><span>{escape(figure)}</span></dd>'
        for name, amount, figure in rows
    ]
    return f'<dl class="bars" aria-label="{escape(label)}">{"".join(drawn)}</dl>'


def meter(rate: float | None) -> str:
    """A rate as a small bar for a table cell."""
    if rate is None:
        return ""
    shade = "good" if rate >= 0.95 else "failed" if rate >= 0.8 else "unknown"
    return (
        f'<svg class="meter" viewBox="0 0 60 8" role="img" aria-label="{percent(rate)}">'
        f'<rect class="rail" width="60" height="8" rx="4"/>'
        f'<rect class="{shade}" width="{60 * rate:.1f}" height="8" rx="4"/></svg>'
    )


def _round(peak: int) -> int:
    """The next number that divides into four steps one likes to read."""
    size = 1
    while True:
        for step in (4, 8, 12, 20, 40, 60, 80):
            if peak <= step * size:
                return step * size
        size *= 10
