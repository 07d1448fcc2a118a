"""Renders the output of each kind of model: scenes, edits, masks, canvases, cutouts, formats.

The kind follows from the tasks of the model's entry and from the input; no model is named here.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps, ImageStat

from emulator import sizes
from emulator.cutting import cut, oval
from emulator.inputs import MAX_PIXELS, ModelError
from emulator.kinds import File, convert
from emulator.painting import caption, fitting, paint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulator.inputs import Given, Source
    from emulator.models import Model
    from emulator.sizes import Size

FORMATS = {
    "webp": ("WEBP", "image/webp"),
    "jpg": ("JPEG", "image/jpeg"),
    "jpeg": ("JPEG", "image/jpeg"),
    "png": ("PNG", "image/png"),
}
OUTPAINT_SHARE = 0.5
"""Share of the picture by which one side grows."""
COMPOSED_PIXELS = 4 << 20
"""A larger picture is made at this size and then enlarged."""
ENLARGED = 4.0
"""Default factor of upscalers without a factor input."""
LEAST_SEEN = 0.2
"""Minimum share of a reference picture, however small the requested strength."""
_ENLARGES = frozenset({"upscaling", "face-restoration"})
_MAKES = frozenset({"text-to-image", "image-to-image", "image-editing"})
_FACTORS = ("scale", "scale_factor", "upscale_factor")


@dataclass(frozen=True)
class Work:
    """Everything that one output is made from."""

    model: Model
    values: Mapping[str, Any]
    """The input with its defaults, without nulls and unknown names."""
    given: Given
    seed: int
    index: int

    @property
    def prompt(self) -> str:
        """The prompt without lone surrogates, which can neither be drawn nor seed a generator."""
        return str(self.values.get("prompt", "")).encode("utf-8", "replace").decode()

    @property
    def note(self) -> str:
        """The line below the prompt."""
        seed = f"seed {self.seed}" if self.model.has("seed") else self.model.full_name
        return f"{seed} · {self.index + 1}" if self.index else seed

    def paint(self, size: Size, *, captioned: bool = True) -> Image.Image:
        """Return the scene for the prompt."""
        scene = paint(self.prompt, self.seed, self.index, size)
        if captioned:
            caption(scene, self.prompt, self.note)
        return scene

    def checked(self, size: Size) -> Size:
        """Return the size if it can be made. Raises ModelError."""
        if min(size) < 1:
            raise ModelError(f"Cannot make a picture of {size[0]}x{size[1]} pixels.")
        if size[0] * size[1] > min(MAX_PIXELS, self.model.most_pixels_out(self.values)):
            raise ModelError(
                f"(E1001) The model ran out of memory: {size[0]}x{size[1]} is too large."
            )
        return size


def render(
    model: Model, values: Mapping[str, Any], given: Given, seed: int, index: int
) -> tuple[File, Size]:
    """Return one output and its size. `values` is the input with its defaults. Raises
    ModelError."""
    work = Work(model, values, given, seed, index)
    picture = _draw(work)
    return _encode(work, picture), picture.size


def _draw(work: Work) -> Image.Image:
    tasks, pictures = work.model.tasks, work.given.pictures
    if not pictures:
        if tasks & _MAKES:
            return _made(work)
        raise ModelError("No picture was given.")
    first = pictures[0]
    if "background-removal" in tasks:
        return cut(first.open(), work.values)
    if tasks & _ENLARGES:
        return _enlarged(work, first)
    if work.given.mask is None and _extends(work):
        return _extended(work, first)
    if work.given.mask or not tasks & _MAKES:
        return _repainted(work, first)
    return _made(work)


# --- New pictures, with or without references ----------------------------------------------------


def _made(work: Work) -> Image.Image:
    values, pictures = work.values, work.given.pictures
    starts = bool(pictures) and "prompt_strength" in values
    wanted = sizes.wanted(values, pictures[0].size if pictures else None, follows=starts)
    most = work.model.most_pixels_out(values)
    size = work.checked(fitting(wanted, int(most)) if most < MAX_PIXELS else wanted)
    canvas = fitting(size, COMPOSED_PIXELS)
    if not pictures:
        picture = work.paint(canvas)
    elif starts:
        picture = _blend(pictures[0], work.paint(canvas), float(values["prompt_strength"]))
    elif "image-editing" in work.model.tasks:
        picture = _edited(work, canvas)
    else:
        picture = _inspired(work, canvas)
    if canvas != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    if values.get("background") == "transparent":
        if _extension(work) in {"jpg", "jpeg"}:
            raise ModelError("A transparent background needs png or webp.")
        picture.putalpha(oval(size))
    return picture


def _blend(source: Source, scene: Image.Image, share: float) -> Image.Image:
    """Blend the picture with `share` of the scene."""
    return Image.blend(ImageOps.fit(source.open().convert("RGB"), scene.size), scene, share)


def _edited(work: Work, size: Size) -> Image.Image:
    """Tint the first picture with the scene, with the others inset."""
    first, *others = work.given.pictures
    base = ImageOps.fit(first.open().convert("RGB"), size)
    light = work.paint(size, captioned=False)
    picture = Image.blend(ImageChops.soft_light(base, light), light, 0.15)
    _show(picture, others)
    caption(picture, work.prompt, work.note)
    return picture


def _inspired(work: Work, size: Size) -> Image.Image:
    """Return a scene blended with one reference picture, or with several inset."""
    pictures = work.given.pictures
    scene = work.paint(size)
    if len(pictures) > 1 or "image_prompt" not in work.values:
        _show(scene, pictures)
        return scene
    strength = float(work.values.get("image_prompt_strength", 0.4))
    return _blend(pictures[0], scene, 1 - max(LEAST_SEEN, strength))


def _show(picture: Image.Image, others: Sequence[Source]) -> None:
    """Draw a row of small framed pictures at the top."""
    short = min(picture.size)
    gap = max(1, short // 40)
    side = min(short // 4, (picture.width - gap) // max(1, len(others)) - gap)
    if side < 4:
        return
    frame = max(1, side // 32)
    x = gap
    for source in others:
        tile = ImageOps.expand(source.small(side - 2 * frame), frame, (255, 255, 255))
        picture.paste(tile, (x, gap))
        x += side + gap


# --- Enlarged -------------------------------------------------------------------------------------


def _enlarged(work: Work, first: Source) -> Image.Image:
    values = work.values
    times = sizes.factor(values, _FACTORS, ENLARGED)
    width, height = first.size
    if values.get("downscaling"):
        side = int(values.get("downscaling_resolution", max(first.size)))
        width, height = fitting((width, height), min(width * height, max(1, side) ** 2))
    size = work.checked((max(1, round(width * times)), max(1, round(height * times))))
    image = first.open()
    flat = image if image.mode in {"RGB", "RGBA", "L"} else image.convert("RGBA")
    plain = flat.resize(size, Image.Resampling.LANCZOS)
    if work.given.mask is None:
        return plain
    plain = plain.convert("RGB")
    sharp = ImageEnhance.Sharpness(plain).enhance(3)
    return Image.composite(sharp, plain, _mask(work, first).resize(size))


# --- Repainted and extended -----------------------------------------------------------------------


def _repainted(work: Work, first: Source) -> Image.Image:
    """Repaint the masked part, and keep the rest pixel for pixel."""
    values = work.values
    if {"width", "height"} <= values.keys():
        size = int(values["width"]), int(values["height"])
    elif sizes.has_tier(values):
        size = sizes.wanted(values, first.size, follows=True)
    else:
        size = first.size
    size = work.checked(size)
    mask = _mask(work, first)
    source = first.open().convert("RGB")
    if source.size != size:
        source = source.resize(size, Image.Resampling.LANCZOS)
    if mask.size != size:
        mask = mask.resize(size, Image.Resampling.NEAREST)
    return _replaced(work, source, mask)


def _mask(work: Work, first: Source) -> Image.Image:
    """Return a mask that is white where to repaint: the given mask, or the transparent part, or
    all."""
    if work.given.mask is not None:
        mask = work.given.mask.open().convert("L")
        return mask if work.model.mask_repaints == "white" else ImageOps.invert(mask)
    image = first.open()
    if "A" in image.getbands():
        return ImageOps.invert(image.getchannel("A"))
    return Image.new("L", image.size, 255)


def _replaced(work: Work, source: Image.Image, mask: Image.Image) -> Image.Image:
    if not work.values.get("prompt"):
        return Image.composite(_surroundings(source, mask), source, mask)
    painted = work.paint(source.size)
    strength = float(work.values.get("prompt_strength", 1.0))
    fresh = painted if strength >= 1 else Image.blend(source, painted, strength)
    return Image.composite(fresh, source, mask)


def _surroundings(source: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the surrounding colors blurred into the masked part, as if nothing were there."""
    small, hidden = source.copy(), mask.copy()
    small.thumbnail((64, 64))
    hidden = hidden.resize(small.size).point(lambda value: 255 if value > 16 else 0)
    seen = ImageOps.invert(hidden)
    mean = ImageStat.Stat(small, seen).mean if seen.getbbox() else ImageStat.Stat(small).mean
    filled = Image.composite(
        Image.new("RGB", small.size, (round(mean[0]), round(mean[1]), round(mean[2]))),
        small,
        hidden,
    )
    for radius in (12, 6, 3):
        filled = Image.composite(filled.filter(ImageFilter.GaussianBlur(radius)), small, hidden)
    return filled.resize(source.size, Image.Resampling.BICUBIC)


def _extends(work: Work) -> bool:
    """Whether the canvas grows: an input asks for it, or the model does nothing else."""
    grows = work.values.get("outpaint", "None") != "None"
    return grows or work.model.tasks == {"outpainting"}


def _extended(work: Work, first: Source) -> Image.Image:
    """Return the picture on a larger canvas; only the new part is painted."""
    size, offset, own = _canvas(work, first.size)
    work.checked(size)
    source = first.open().convert("RGB")
    if own != source.size:
        source = source.resize(work.checked(own), Image.Resampling.LANCZOS)
    canvas = _continued(source, size, offset)
    canvas.paste(source, offset)
    new = Image.new("L", size, 255)
    new.paste(0, (*offset, offset[0] + own[0], offset[1] + own[1]))
    return _replaced(work, canvas, new) if work.values.get("prompt") else canvas


def _continued(source: Image.Image, size: Size, offset: Size) -> Image.Image:
    """Return a canvas that continues the picture: its mirror image, blurred."""
    side = 64
    small = source.resize((side, side))
    tiles = Image.new("RGB", (3 * side, 3 * side))
    for x in range(3):
        for y in range(3):
            tile = small if x == 1 else ImageOps.mirror(small)
            tiles.paste(tile if y == 1 else ImageOps.flip(tile), (x * side, y * side))
    box = [
        min(3.0 * side, max(0.0, side * (1 + place / length)))
        for place, length in (
            (-offset[0], source.width),
            (-offset[1], source.height),
            (size[0] - offset[0], source.width),
            (size[1] - offset[1], source.height),
        )
    ]
    if box[0] >= box[2] or box[1] >= box[3]:  # the picture lies outside the canvas
        box = [0.0, 0.0, 3.0 * side, 3.0 * side]
    blurred = tiles.filter(ImageFilter.GaussianBlur(2))
    return blurred.resize(size, Image.Resampling.BICUBIC, box=(box[0], box[1], box[2], box[3]))


def _canvas(work: Work, given: Size) -> tuple[Size, Size, Size]:
    """Return the size of the canvas, and position and size of the picture on it."""
    values, (width, height) = work.values, given
    if "outpaint" in values:
        size, offset = _grown(str(values["outpaint"]), width, height)
        return size, offset, given
    own = _pair(values, "original_image_size", given)
    size = sizes.around(own, sizes.ratio(values.get("aspect_ratio")) or own)
    size = _pair(values, "canvas_size", size)
    middle = (size[0] - own[0]) // 2, (size[1] - own[1]) // 2
    return size, _pair(values, "original_image_location", middle), own


def _pair(values: Mapping[str, Any], name: str, otherwise: Size) -> Size:
    pair = values.get(name) or otherwise
    if len(pair) != 2 or not all(abs(number) < MAX_PIXELS for number in pair):
        raise ModelError(f"{name} is no pair of pixels.")
    return int(pair[0]), int(pair[1])


def _grown(outpaint: str, width: int, height: int) -> tuple[Size, Size]:
    across, down = round(width * OUTPAINT_SHARE), round(height * OUTPAINT_SHARE)
    side = max(width, height)
    return {
        "Zoom out 1.5x": ((width * 3 // 2, height * 3 // 2), (width // 4, height // 4)),
        "Zoom out 2x": ((width * 2, height * 2), (width // 2, height // 2)),
        "Make square": ((side, side), ((side - width) // 2, (side - height) // 2)),
        "Left outpaint": ((width + across, height), (across, 0)),
        "Right outpaint": ((width + across, height), (0, 0)),
        "Top outpaint": ((width, height + down), (0, down)),
        "Bottom outpaint": ((width, height + down), (0, 0)),
    }.get(outpaint, ((width, height), (0, 0)))


# --- Encoding -------------------------------------------------------------------------------------


def _extension(work: Work) -> str:
    """Return the format, as the extension of its files."""
    asked = work.values.get("output_format") or work.values.get("format")
    extension = str(asked or work.model.default_format)
    return extension if extension in {*FORMATS, "svg"} else "png"


def _encode(work: Work, picture: Image.Image) -> File:
    extension = _extension(work)
    if extension == "svg":
        return convert("svg", _file(work, picture, "png"))
    return _file(work, picture, extension)


def _file(work: Work, picture: Image.Image, extension: str) -> File:
    kind, content_type = FORMATS[extension]
    quality = work.values.get("output_quality", work.values.get("output_compression"))
    buffer = io.BytesIO()
    # Pillow treats a JPEG quality of 0 as unset.
    level = max(1, quality) if isinstance(quality, int) else 80
    options = {"WEBP": {"quality": level, "method": 0}, "JPEG": {"quality": level}}
    flat = picture.convert("RGB") if kind == "JPEG" else picture
    try:
        flat.save(buffer, kind, **options.get(kind, {"compress_level": 3}))
    except (OSError, ValueError):
        # Each format limits the longest side.
        raise ModelError(
            f"{extension} has no room for {flat.width}x{flat.height} pixels."
        ) from None
    return File(buffer.getvalue(), extension, content_type)
