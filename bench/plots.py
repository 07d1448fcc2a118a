"""Curves as PNG, drawn with Pillow: logarithmic axes, one line per series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SIZE = (900, 560)
LEFT, RIGHT, TOP, BOTTOM = 90, 30, 60, 70
COLOURS = ("#1f5fa8", "#c2410c", "#15803d", "#7e22ce", "#a16207")
INK, GRID = "#222222", "#dddddd"


def plot(
    path: Path,
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    log: bool = True,
) -> None:
    """Write the curves to `path`. On logarithmic axes, points at 0 or below are left out."""
    kept = {
        name: [point for point in points if not log or min(point) > 0]
        for name, points in series.items()
    }
    points = [point for curve in kept.values() for point in curve]
    if not points:
        raise ValueError(f"{title}: no point to draw")
    across = _Axis([p[0] for p in points], LEFT, SIZE[0] - RIGHT, log=log)
    up = _Axis([p[1] for p in points], SIZE[1] - BOTTOM, TOP, log=log)
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(18), ImageFont.load_default(13)
    for tick in across.ticks():
        at = across(tick)
        draw.line([(at, TOP), (at, SIZE[1] - BOTTOM)], GRID)
        draw.text((at, SIZE[1] - BOTTOM + 8), f"{tick:,.6g}", INK, small, anchor="ma")
    for tick in up.ticks():
        at = up(tick)
        draw.line([(LEFT, at), (SIZE[0] - RIGHT, at)], GRID)
        draw.text((LEFT - 8, at), f"{tick:,.6g}", INK, small, anchor="rm")
    draw.text((LEFT, 12), title, INK, font)
    draw.text(((LEFT + SIZE[0] - RIGHT) / 2, SIZE[1] - 14), x, INK, small, anchor="ms")
    draw.text((8, TOP - 10), y, INK, small, anchor="ls")
    for number, (name, curve) in enumerate(kept.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = [(across(px), up(py)) for px, py in curve]
        if len(line) > 1:
            draw.line(line, colour, 2)
        for px, py in line:
            draw.ellipse([(px - 3, py - 3), (px + 3, py + 3)], colour)
        draw.text((LEFT + 12, TOP + 8 + 18 * number), name, colour, small)
    image.save(path)


class _Axis:
    """Maps values to pixels from `begin` to `end`."""

    def __init__(self, values: Sequence[float], begin: float, end: float, *, log: bool) -> None:
        self._log = log
        low, high = self._scaled(min(values)), self._scaled(max(values))
        if log:
            low, high = math.floor(low), math.ceil(high)
        else:
            low = min(low, 0.0)
        self._low, self._high = low, high if high > low else low + 1
        self._begin, self._end = begin, end

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def __call__(self, value: float) -> float:
        share = (self._scaled(value) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        if self._log:
            return [10.0**power for power in range(int(self._low), int(self._high) + 1)]
        return [self._low + (self._high - self._low) * n / 5 for n in range(6)]
