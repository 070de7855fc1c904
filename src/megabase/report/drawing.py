"""Small line pictures as inline SVG: they take the page's colours, in light, in dark and on paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from markupsafe import Markup, escape


class Series(NamedTuple):
    """One line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    """NaN breaks the line."""
    style: str
    """CSS class that gives the colour: `observed`, `model`, `baseline`, `oracle`, `train`, `valid`."""


def sparkline(values: Float[np.ndarray, " bins"], width: int = 140, height: int = 26) -> Markup:
    """`values` as a filled outline from zero to their largest; at most a point per pixel (the largest of its bins)."""
    if not len(values):
        return Markup("")
    edges = np.linspace(0, len(values), min(width, len(values)) + 1).astype(int)
    tops = np.maximum.reduceat(np.nan_to_num(np.maximum(values, 0)), edges[:-1])
    heights = height - 1 - (height - 2) * tops / max(float(tops.max()), 1e-30)
    xs = np.linspace(0, width, len(tops))
    line = " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(xs, heights, strict=True))
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">'
        '<polygon points="0,{h} {line} {w},{h}"/></svg>'
    ).format(w=width, h=height, line=Markup(line))


def line_chart(
    series: Sequence[Series], *, title: str, x_label: str, width: int = 360, height: int = 190, zero: bool = False
) -> Markup:
    """Lines with axes and round ticks; `zero` includes y = 0 and marks x = 0."""
    x_all = np.concatenate([np.asarray(one.x, float) for one in series])
    y_all = np.concatenate([np.asarray(one.y, float) for one in series])
    y_all = y_all[np.isfinite(y_all)]
    if not len(y_all):
        return Markup("")
    x_low, x_high = float(x_all.min()), float(x_all.max())
    y_low, y_high = (0.0 if zero else float(y_all.min())), float(y_all.max())
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0
    left, right, top, bottom = 46, 10, 8, 34

    def across(x: float) -> float:
        return left + (width - left - right) * (x - x_low) / x_span

    def down(y: float) -> float:
        return height - bottom - (height - top - bottom) * (y - y_low) / y_span

    parts = []
    for tick in ticks(y_low, y_low + y_span):
        y = down(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(x_low, x_low + x_span):
        x = across(tick)
        parts.append(f'<text x="{x:.1f}" y="{height - bottom + 14}" text-anchor="middle">{short(tick)}</text>')
    if zero and x_low < 0 < x_high:
        parts.append(
            f'<line class="mark" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{top}" y2="{height - bottom}"/>'
        )
    for one in series:
        parts.append(f'<path class="line {escape(one.style)}" d="{_path(one, across, down)}"/>')
    parts.append(
        f'<text x="{(left + width - right) / 2}" y="{height - 4}" text-anchor="middle">{escape(x_label)}</text>'
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("".join(parts))
    )


class Interval(NamedTuple):
    """A value with the ends of its interval."""

    label: str
    value: float
    lower: float
    upper: float


def interval_chart(
    rows: Sequence[Interval], *, title: str, mark: float, width: int = 720, limits: tuple[float, float] = (0.0, 1.0)
) -> Markup:
    """One line per row, within `limits`: a dot at the value, a bar over its interval, and a mark for all rows."""
    if not rows:
        return Markup("")
    left, right, step, top = 300, 16, 18, 6
    height = top + step * len(rows) + 22
    low, high = limits

    def across(value: float) -> float:
        return left + (width - left - right) * min(max((value - low) / (high - low), 0.0), 1.0)

    bottom = height - 22
    parts = []
    for tick in ticks(low, high):
        style = "mark" if tick == mark else "grid"
        parts.append(
            f'<line class="{style}" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="{top}" y2="{bottom}"/>'
        )
        parts.append(f'<text x="{across(tick):.1f}" y="{height - 6}" text-anchor="middle">{short(tick)}</text>')
    if mark not in ticks(low, high):
        parts.append(f'<line class="mark" x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{top}" y2="{bottom}"/>')
    for number, row in enumerate(rows):
        y = top + step * (number + 0.5)
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(row.label)}</text>')
        parts.append(
            f'<line class="line model" x1="{across(row.lower):.1f}" x2="{across(row.upper):.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<circle class="dot" cx="{across(row.value):.1f}" cy="{y:.1f}" r="4"/>')
    return Markup('<svg class="chart wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("".join(parts))
    )


class Bar(NamedTuple):
    """The bars of one row."""

    label: str
    values: Sequence[tuple[str, float]]
    """CSS class that gives the colour, and length."""


def bar_chart(rows: Sequence[Bar], *, title: str, limit: float = 60.0, width: int = 720) -> Markup:
    """Horizontal bars from zero, with their numbers; those beyond `limit` to either side are cut there."""
    if not rows:
        return Markup("")
    values = [max(-limit, min(limit, value)) for row in rows for _, value in row.values if math.isfinite(value)]
    low, high = min([0.0, *values]), max([1.0, *values])
    left, right, bar, gap, top = 310, 56, 9, 8, 6
    heights = [max(len(row.values), 1) * bar + gap for row in rows]
    bottom = top + sum(heights)

    def across(value: float) -> float:
        return left + (width - left - right) * (max(low, min(high, value)) - low) / (high - low)

    parts = []
    for tick in ticks(low, high):
        x, style = across(tick), "mark" if tick == 0 else "grid"
        parts.append(f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{short(tick)}</text>')
    y = float(top)
    for row, height in zip(rows, heights, strict=True):
        middle = y + (height - gap) / 2 + 4
        parts.append(f'<text x="{left - 10}" y="{middle:.1f}" text-anchor="end">{escape(row.label)}</text>')
        for number, (style, value) in enumerate(row.values):
            if math.isfinite(value):
                start, end = sorted((across(0), across(value)))
                place = y + number * bar
                parts.append(
                    f'<rect class="bar {escape(style)}" x="{start:.1f}" y="{place:.1f}" '
                    f'width="{end - start:.1f}" height="{bar - 2}"/>'
                )
                parts.append(f'<text x="{across(max(value, 0)) + 4:.1f}" y="{place + 7:.1f}">{value:.1f}</text>')
        y += height
    return Markup('<svg class="chart wide" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, bottom + 24, title, Markup("".join(parts))
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from `low` to `high`."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next((factor for factor in (1, 2, 5) if factor * power >= raw), 10)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number for an axis: `1.5k`, `0.002`, `3e-05`."""
    if value == 0:
        return "0"
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.3g}"


def _path(one: Series, across: Callable[[float], float], down: Callable[[float], float]) -> str:
    pieces, pen = [], "M"
    for x, y in zip(one.x, one.y, strict=True):
        if math.isfinite(y):
            pieces.append(f"{pen}{across(x):.1f} {down(y):.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(pieces)
