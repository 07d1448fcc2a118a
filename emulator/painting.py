"""Paints a scene from a prompt and a seed. The same two give the same picture."""

from __future__ import annotations

import colorsys
import math
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageOps

from emulator.lettering import Lettering

RGB = tuple[int, int, int]
Size = tuple[int, int]
PAINTED_PIXELS = 1 << 20
LEAST_CAPTIONED = 192
"""Minimum length of the shorter side, in pixels."""
_OVERSAMPLE = 2
_GLOW = [round(255 * max(0.0, 1 - v / 180) ** 2) for v in range(256)]


def paint(prompt: str, seed: int, index: int, size: Size) -> Image.Image:
    """Return one scene of exactly `size`. Scenes of one prediction differ by `index`.

    A large scene is painted smaller and enlarged, so it costs no more than one of a megapixel.
    """
    random = Random(f"{prompt}\n{seed}\n{index}")
    painted = fitting(size, PAINTED_PIXELS)
    large = (painted[0] * _OVERSAMPLE, painted[1] * _OVERSAMPLE)
    scene = random.choice((_mountains, _mountains, _sea, _orbs))(random, large)
    picture = _vignette(scene.reduce(_OVERSAMPLE))
    return picture if painted == size else picture.resize(size, Image.Resampling.BILINEAR)


def fitting(size: Size, most: int) -> Size:
    """Return `size`, or a smaller size of the same shape with at most `most` pixels."""
    shrink = math.sqrt(size[0] * size[1] / most)
    if shrink <= 1:
        return size
    return max(1, int(size[0] / shrink)), max(1, int(size[1] / shrink))


def _colour(hue: float, lightness: float, saturation: float) -> RGB:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _mix(one: RGB, other: RGB, share: float) -> RGB:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _sky(size: tuple[int, int], top: RGB, middle: RGB, horizon: RGB) -> Image.Image:
    ramp = Image.linear_gradient("L").resize((1, size[1]), Image.Resampling.BICUBIC)
    column = ImageOps.colorize(ramp, top, horizon, middle, midpoint=140)
    return column.resize(size, Image.Resampling.NEAREST)


def _glow(picture: Image.Image, centre: tuple[float, float], radius: float, colour: RGB) -> None:
    # Pillow's gradient is darkest in the corners; the glow must end at the edges.
    disc = Image.radial_gradient("L").point(_GLOW)
    side = max(2, round(radius * 2))
    where = (round(centre[0] - radius), round(centre[1] - radius))
    picture.paste(colour, where, disc.resize((side, side), Image.Resampling.BILINEAR))


def _disc(
    draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, fill: object
) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)  # type: ignore[arg-type]


def _ridge(
    random: Random, width: int, base: float, height: float, *, rough: float
) -> list[tuple[float, float]]:
    waves = [
        (random.uniform(0.6, 1.4) * 2**octave, random.uniform(0, math.tau), rough**octave)
        for octave in range(6)
    ]
    total = sum(strength for _, _, strength in waves)
    step = max(4, width // 256)

    def level(x: float) -> float:
        turn = x / width * math.tau
        return sum(s * math.sin(turn * f + p) for f, p, s in waves) / total

    return [(x, base - height * level(x)) for x in range(0, width + step, step)]


def _mountains(random: Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    hue = random.random()
    night = random.random() < 0.3
    top = _colour(hue, 0.10 if night else random.uniform(0.30, 0.45), 0.55)
    horizon = _colour(
        hue + random.choice((-0.2, -0.1, 0.1, 0.2, 0.5)), 0.35 if night else 0.76, 0.8
    )
    picture = _sky(size, top, _mix(top, horizon, 0.45), horizon)
    draw = ImageDraw.Draw(picture)
    if night:
        for _ in range(140):
            at = (random.uniform(0, width), random.uniform(0, height * 0.6))
            _disc(
                draw,
                at,
                random.uniform(0.6, 2.2) * height / 900,
                _mix(top, (255, 255, 255), random.uniform(0.4, 1)),
            )
    sun = (random.uniform(0.2, 0.8) * width, random.uniform(0.22, 0.42) * height)
    radius = random.uniform(0.045, 0.085) * min(size)
    light = _mix(horizon, (255, 250, 235), 0.75)
    _glow(picture, sun, radius * 7, light)
    _disc(draw, sun, radius, light)
    near = _colour(hue + 0.04, 0.07, 0.45)
    layers = random.randint(4, 6)
    for layer in range(layers):
        depth = (layer + 1) / layers
        ridge = _ridge(
            random,
            width,
            height * (0.46 + 0.42 * depth),
            height * 0.17 * (1.15 - depth * 0.6),
            rough=0.62 - 0.2 * depth,
        )
        draw.polygon(
            [(0, height), *ridge, (width, height)],
            fill=_mix(horizon, near, 0.15 + 0.85 * depth**1.3),
        )
    return picture


def _sea(random: Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    hue = random.random()
    top, horizon = (
        _colour(hue, 0.5, 0.6),
        _colour(hue + random.choice((-0.2, 0.12, 0.5)), 0.82, 0.85),
    )
    picture = _sky(size, top, _mix(top, horizon, 0.5), horizon)
    draw = ImageDraw.Draw(picture, "RGBA")
    line = height * random.uniform(0.38, 0.5)
    sun = (random.uniform(0.25, 0.75) * width, line - height * random.uniform(0.02, 0.14))
    light = _mix(horizon, (255, 248, 230), 0.7)
    _glow(picture, sun, 0.45 * min(size), light)
    _disc(draw, sun, 0.07 * min(size), light)
    deep = _colour(hue - 0.03, 0.14, 0.6)
    bands = 11
    for band in range(bands):
        near = band / (bands - 1)
        base = line + (height - line) * near**1.6
        ridge = _ridge(random, width, base, height * (0.004 + 0.03 * near), rough=0.45)
        draw.polygon(
            [(0, height), *ridge, (width, height)],
            fill=_mix(_mix(horizon, top, 0.6), deep, 0.15 + 0.85 * near),
        )
        for _ in range(14):
            x = random.gauss(sun[0], width * (0.02 + 0.06 * near))
            half = width * random.uniform(0.006, 0.035) * (0.4 + near)
            y = base + height * random.uniform(0.006, 0.03) * (0.3 + near)
            thick = height * (0.0015 + 0.0025 * near)
            draw.ellipse((x - half, y - thick, x + half, y + thick), fill=(*light, 110))
    return picture


def _orbs(random: Random, size: tuple[int, int]) -> Image.Image:
    hue = random.random()
    dark = _colour(hue, 0.12, 0.6)
    picture = _sky(size, dark, _colour(hue + 0.06, 0.24, 0.55), _colour(hue + 0.12, 0.38, 0.55))
    short = min(size)
    for _ in range(3):
        at = (random.uniform(0, size[0]), random.uniform(0, size[1]))
        _glow(
            picture,
            at,
            short * random.uniform(0.5, 0.8),
            _colour(hue + random.uniform(-0.2, 0.25), 0.5, 0.7),
        )
    draw = ImageDraw.Draw(picture, "RGBA")
    for _ in range(random.randint(16, 26)):
        at = (random.uniform(0, size[0]), random.uniform(0, size[1]))
        radius = short * random.uniform(0.02, 0.05) * random.choice((1, 1, 2, 4))
        tint = _colour(hue + random.uniform(-0.12, 0.3), random.uniform(0.55, 0.8), 0.8)
        _disc(draw, at, radius, (*tint, random.randint(40, 120)))
        ring = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
        draw.ellipse(
            ring, outline=(*_mix(tint, (255, 255, 255), 0.5), 150), width=max(2, short // 500)
        )
    return picture


def _vignette(picture: Image.Image) -> Image.Image:
    shade = ImageOps.invert(Image.radial_gradient("L")).point(lambda v: min(255, 120 + v))
    shade = shade.resize(picture.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(picture, Image.merge("RGB", (shade, shade, shade)))


def caption(picture: Image.Image, prompt: str, note: str) -> None:
    """Write the prompt and a note at the bottom of a picture with enough room."""
    width, height = picture.size
    if min(picture.size) < LEAST_CAPTIONED:
        return
    letter = max(11, min(width, height) // 34)
    large, small = Lettering(letter), Lettering(letter * 0.7)
    lines = _wrap(" ".join(prompt[:400].split()), large, width - 2 * letter)
    depth = min(height, round(letter * (1.3 * len(lines) + 3.2)))
    foot = (0, height - depth, width, height)
    ramp = Image.linear_gradient("L").point(lambda v: v * 200 // 255).resize((width, depth))
    picture.paste((0, 0, 0), foot, ramp)
    y = height - letter * 2
    picture.paste((230, 230, 230), (letter, y), small.mask(note))
    for line in reversed(lines):
        y -= round(letter * 1.3)
        picture.paste((255, 255, 255), (letter, y), large.mask(line))


def _wrap(text: str, lettering: Lettering, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and lettering.width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > 2:
        lines = [lines[0], lines[1] + " …"]
    return lines
