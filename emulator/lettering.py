"""Writes captions: Pillow's own font, the accents that it lacks drawn, system fonts for the rest.

Pillow's font covers little more than ASCII. The marks of Latin letters are drawn here, so that they
look the same on every machine; other scripts need a font of the machine.
"""

from __future__ import annotations

import math
import unicodedata
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

_SPELLED = {
    "ß": "ss",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "þ": "th",
    "Þ": "Th",
    "ð": "d",
    "Ð": "D",
    "\u0131": "i",
    "¡": "!",
    "¿": "?",
    "\u00a0": " ",
    "\u2013": "-",
    "\u2014": "-",
}
_CROSSED = {
    "ł": ("l", "slash"),
    "Ł": ("L", "slash"),
    "ø": ("o", "diagonal"),
    "Ø": ("O", "diagonal"),
    "đ": ("d", "bar"),
    "Đ": ("D", "middle"),
    "ħ": ("h", "bar"),
    "Ħ": ("H", "bar"),
}

Points = tuple[tuple[float, float], ...]
_RING: Points = tuple(
    (0.5 * math.cos(turn * math.tau / 12), 0.5 + 0.5 * math.sin(turn * math.tau / 12))
    for turn in range(13)
)
_ABOVE: dict[str, tuple[Points, ...]] = {
    "\u0300": (((-0.7, 1), (0.3, 0)),),
    "\u0301": (((0.7, 1), (-0.3, 0)),),
    "\u0302": (((-0.9, 0), (0, 1), (0.9, 0)),),
    "\u0303": (((-1, 0.2), (-0.4, 0.7), (0.4, 0.3), (1, 0.8)),),
    "\u0304": (((-0.9, 0.5), (0.9, 0.5)),),
    "\u0306": (((-0.8, 1), (-0.45, 0.3), (0, 0.1), (0.45, 0.3), (0.8, 1)),),
    "\u0307": (((-0.05, 0.4), (0.05, 0.4)),),
    "\u0308": (((-0.65, 0.4), (-0.55, 0.4)), ((0.55, 0.4), (0.65, 0.4))),
    "\u0309": (((-0.3, 1), (0.2, 1), (0.2, 0.6), (-0.1, 0.2)),),
    "\u030a": (_RING,),
    "\u030b": (((0, 1), (-0.6, 0)), ((0.9, 1), (0.3, 0))),
    "\u030c": (((-0.9, 1), (0, 0), (0.9, 1)),),
}
"""Strokes of each mark above a letter: x from -1 to 1, y from 0 to 1 upwards."""
_BELOW: dict[str, tuple[Points, ...]] = {
    "\u0323": (((-0.05, -0.6), (0.05, -0.6)),),
    "\u0326": (((0.2, -0.4), (-0.2, -1.2)),),
    "\u0327": (((0, 0), (0, -0.4), (0.4, -0.7), (0.1, -1.1), (-0.4, -1)),),
    "\u0328": (((0.6, 0), (0.2, -0.5), (0.4, -1), (0.8, -0.9)),),
}
"""Strokes of marks below a letter, from its foot downwards."""
_FONTS = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "Arial Unicode.ttf",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "arial.ttf",
    "msyh.ttc",
    "meiryo.ttc",
    "malgun.ttf",
)
"""Font files that a system may have, with many letters each. The first with the letter is used."""
_FINE = 2
"""Lines are drawn at this multiple of their size."""
_MOST_FONTS = 4

Font = ImageFont.FreeTypeFont


class _Glyph(NamedTuple):
    """One letter: the font, its base letter, and the marks that the font lacks."""

    font: Font
    base: str
    marks: str = ""
    crossed: str = ""


class Lettering:
    """Draws text of one size, in whole pixels."""

    def __init__(self, size: float) -> None:
        self._size = max(8.0, size) * _FINE
        self._own = _own_font(self._size)
        self._glyphs: dict[str, list[_Glyph]] = {}

    def width(self, text: str) -> int:
        """Return the width of the text in pixels."""
        return math.ceil(sum(self._advance(each) for each in self._spell(text)) / _FINE) + 1

    @property
    def height(self) -> int:
        """Height from the top of an accent on a capital to the foot of a `g`."""
        return math.ceil(self._size * 1.5 / _FINE)

    def shown(self, text: str) -> str:
        """Return the text as it is drawn, with `?` for letters that no available font has."""
        return "".join(_composed(each) for letter in text for each in self._glyphs_of(letter))

    def mask(self, text: str) -> Image.Image:
        """Return the text as a picture of its opacity, `height` high."""
        drawn = Image.new("L", (self.width(text) * _FINE, self.height * _FINE))
        draw = ImageDraw.Draw(drawn)
        x, base = 0.0, self._size * 1.15
        for glyph in self._spell(text):
            draw.text((x, base), glyph.base, font=glyph.font, fill=255, anchor="ls")
            if glyph.marks or glyph.crossed:
                self._decorate(draw, glyph, x, base)
            x += self._advance(glyph)
        return drawn.reduce(_FINE)

    @staticmethod
    def _advance(glyph: _Glyph) -> float:
        return glyph.font.getlength(glyph.base)

    def _spell(self, text: str) -> list[_Glyph]:
        return [glyph for letter in text for glyph in self._glyphs_of(letter)]

    def _glyphs_of(self, letter: str) -> list[_Glyph]:
        if letter not in self._glyphs:
            self._glyphs[letter] = self._find(letter)
        return self._glyphs[letter]

    def _find(self, letter: str) -> list[_Glyph]:
        if self._own_has(letter):
            return [_Glyph(self._own, letter)]
        if letter in _CROSSED:
            base, crossed = _CROSSED[letter]
            return [_Glyph(self._own, base, crossed=crossed)]
        apart = unicodedata.normalize("NFD", letter)
        base, marks = apart[0], apart[1:]
        if marks and self._own_has(base) and all(m in _ABOVE or m in _BELOW for m in marks):
            return [_Glyph(self._own, base, marks)]
        if letter in _SPELLED:
            return [_Glyph(self._own, each) for each in _SPELLED[letter]]
        for font in _system_fonts():
            if _has(font, letter):
                return [_Glyph(_sized(font, self._size), letter)]
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        return [_Glyph(self._own, each) for each in plain or "?"]

    def _own_has(self, letter: str) -> bool:
        return letter == " " or _has(self._own, letter)

    def _decorate(self, draw: ImageDraw.ImageDraw, glyph: _Glyph, x: float, base: float) -> None:
        left, top, right, bottom = glyph.font.getbbox(glyph.base, anchor="ls")
        middle, wide, high = x + (left + right) / 2, self._size * 0.17, self._size * 0.16
        if glyph.base in "ij" and any(mark in _ABOVE for mark in glyph.marks):
            # The mark replaces the dot.
            top = glyph.font.getbbox("x", anchor="ls")[1]
            hidden = (x, 0, x + right + wide, base + top - self._size * 0.02)
            draw.rectangle(hidden, fill=0)
        pen = max(2, round(self._size * 0.075))
        foot, head = base + bottom, base + top - self._size * 0.07
        strokes = [
            tuple((middle + across * wide, foot - up * high) for across, up in stroke)
            for mark in glyph.marks
            for stroke in _BELOW.get(mark, ())
        ]
        for mark in glyph.marks:
            strokes += [
                tuple((middle + across * wide, head - up * high) for across, up in stroke)
                for stroke in _ABOVE.get(mark, ())
            ]
            head -= high * 1.3 if mark in _ABOVE else 0
        lift, out = base + top, self._size * 0.08
        across = {
            "slash": (
                (x + left - out, base + top * 0.42),
                (x + right * 0.5 + out * 2, base + top * 0.62),
            ),
            "diagonal": ((x + left - out / 2, foot + out), (x + right + out / 2, lift - out)),
            "bar": ((middle, base + top * 0.82), (x + right + out, base + top * 0.82)),
            "middle": ((x + left - out, base + top * 0.5), (middle, base + top * 0.5)),
        }
        if glyph.crossed:
            strokes.append(across[glyph.crossed])
        for stroke in strokes:
            _stroke(draw, stroke, pen)


def _stroke(draw: ImageDraw.ImageDraw, points: Points, pen: int) -> None:
    """Draw a line with round ends. A line of length zero is a dot."""
    draw.line(points, fill=255, width=pen, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)


def _composed(glyph: _Glyph) -> str:
    for letter, (base, crossed) in _CROSSED.items():
        if (base, crossed) == (glyph.base, glyph.crossed):
            return letter
    return unicodedata.normalize("NFC", glyph.base + glyph.marks)


@cache
def _own_font(size: float) -> Font:
    font = ImageFont.load_default(size)
    if not isinstance(font, Font):
        raise TypeError("Pillow was built without FreeType")
    return font


@cache
def _system_fonts() -> tuple[Font, ...]:
    """Return the first few fonts that this machine has; none is required."""
    found: list[Font] = []
    for name in _FONTS:
        try:
            found.append(ImageFont.truetype(name, 20))
        except OSError:
            continue
        if len(found) == _MOST_FONTS:
            break
    return tuple(found)


def _sized(font: Font, size: float) -> Font:
    return font.font_variant(size=size)


def _has(font: Font, letter: str) -> bool:
    """Whether the font has its own glyph for the letter, not the replacement glyph."""
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))
