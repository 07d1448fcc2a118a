"""What each kind of model makes of its input: sizes, blends, masks, canvases, scales, formats."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from emulator.inputs import MAX_PIXELS, ModelError, open_picture
from emulator.kinds import File
from emulator.painting import paint

if TYPE_CHECKING:
    from collections.abc import Mapping

Size = tuple[int, int]

SIZES: dict[str, Size] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
"""flux-schnell's and flux-dev's pixel sizes (replicate/cog-flux); used for the pro models too."""

FORMATS = {
    "webp": ("WEBP", "image/webp"),
    "jpg": ("JPEG", "image/jpeg"),
    "png": ("PNG", "image/png"),
}
OUTPAINT_SHARE = 0.5
"""One side grows by this share of the picture."""


def render(values: Mapping[str, Any], sources: Mapping[str, bytes], seed: int, index: int) -> File:
    """One output.

    `values` is the input with its defaults, `sources` the bytes of its pictures. Raises ModelError.
    """
    pictures = {name: open_picture(name, data) for name, data in sources.items()}
    if "image" in pictures and "scale" in values:
        picture = _upscaled(pictures["image"], float(values["scale"]))
    elif "image" in pictures and ("mask" in pictures or _fills(values)):
        picture = _repainted(values, pictures, seed, index)
    else:
        picture = _generated(values, pictures, seed, index)
    return _encode(picture, str(values.get("output_format", "png")), values.get("output_quality"))


def _fills(values: Mapping[str, Any]) -> bool:
    """Whether the model only ever repaints: it has no strength with which to blend."""
    return "outpaint" in values or not ("prompt_strength" in values or "aspect_ratio" in values)


def _generated(
    values: Mapping[str, Any], pictures: Mapping[str, Image.Image], seed: int, index: int
) -> Image.Image:
    source = pictures.get("image") or pictures.get("image_prompt")
    size = _checked(_size(values, pictures.get("image")))
    painted = paint(_prompt(values), seed, index, size)
    if source is None:
        return painted
    strength = float(values.get("prompt_strength", 0.6))
    return Image.blend(ImageOps.fit(source.convert("RGB"), size), painted, strength)


def _prompt(values: Mapping[str, Any]) -> str:
    # A lone surrogate can neither be written nor seed a generator.
    return str(values.get("prompt", "")).encode("utf-8", "replace").decode()


def _size(values: Mapping[str, Any], image: Image.Image | None) -> Size:
    ratio = values.get("aspect_ratio")
    quarter = values.get("megapixels") == "0.25"
    if ratio is None:
        return int(values.get("width", 1024)), int(values.get("height", 1024))
    if ratio == "custom":
        return _multiple(values.get("width", 1024), 32), _multiple(values.get("height", 1024), 32)
    if image is not None:
        side = 512 if quarter else 1024
        stretch = math.sqrt(image.width / image.height)
        return _multiple(side * stretch, 16), _multiple(side / stretch, 16)
    width, height = SIZES.get(ratio, (1024, 1024))
    return (width // 2, height // 2) if quarter else (width, height)


def _multiple(length: float, step: int) -> int:
    return max(step, round(length / step) * step)


def _upscaled(image: Image.Image, scale: float) -> Image.Image:
    size = _checked((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    flat = image if image.mode in {"RGB", "RGBA", "L"} else image.convert("RGBA")
    return flat.resize(size, Image.Resampling.LANCZOS)


def _checked(size: Size) -> Size:
    if min(size) < 1:
        raise ModelError(f"Cannot make a picture of {size[0]}x{size[1]} pixels.")
    if size[0] * size[1] > MAX_PIXELS:
        raise ModelError(f"(E1001) The model ran out of memory: {size[0]}x{size[1]} is too large.")
    return size


def _repainted(
    values: Mapping[str, Any], pictures: Mapping[str, Image.Image], seed: int, index: int
) -> Image.Image:
    """White of the mask comes out new, black comes out as it went in, pixel for pixel."""
    image = pictures["image"]
    source, mask = image.convert("RGB"), _mask(image, pictures.get("mask"))
    if "width" in values and "height" in values:
        size = _checked((int(values["width"]), int(values["height"])))
        source = source if source.size == size else source.resize(size, Image.Resampling.LANCZOS)
    else:
        source, mask = _extended(source, mask, str(values.get("outpaint", "None")))
    if mask.size != source.size:
        mask = mask.resize(source.size, Image.Resampling.NEAREST)
    painted = paint(_prompt(values), seed, index, source.size)
    strength = float(values.get("prompt_strength", 1.0))
    fresh = painted if strength >= 1 else Image.blend(source, painted, strength)
    return Image.composite(fresh, source, mask)


def _mask(image: Image.Image, mask: Image.Image | None) -> Image.Image:
    """The mask given, else the transparent part of the image, else all of it."""
    if mask is not None:
        return mask.convert("L")
    if "A" in image.getbands():
        return ImageOps.invert(image.getchannel("A"))
    return Image.new("L", image.size, 255)


def _extended(
    source: Image.Image, mask: Image.Image, outpaint: str
) -> tuple[Image.Image, Image.Image]:
    """The picture on its outpainting canvas, of which only the new part is to be painted."""
    width, height = source.size
    size, offset = {
        "Zoom out 1.5x": ((width * 3 // 2, height * 3 // 2), (width // 4, height // 4)),
        "Zoom out 2x": ((width * 2, height * 2), (width // 2, height // 2)),
        "Make square": (
            (max(source.size),) * 2,
            ((max(source.size) - width) // 2, (max(source.size) - height) // 2),
        ),
        "Left outpaint": ((width + _grown(width), height), (_grown(width), 0)),
        "Right outpaint": ((width + _grown(width), height), (0, 0)),
        "Top outpaint": ((width, height + _grown(height)), (0, _grown(height))),
        "Bottom outpaint": ((width, height + _grown(height)), (0, 0)),
    }.get(outpaint, (source.size, None))
    if offset is None:
        return source, mask
    canvas, wanted = Image.new("RGB", _checked(size)), Image.new("L", size, 255)
    canvas.paste(source, offset)
    wanted.paste(0, (*offset, offset[0] + width, offset[1] + height))
    return canvas, wanted


def _grown(length: int) -> int:
    return round(length * OUTPAINT_SHARE)


def size_of(data: bytes) -> Size:
    """Width and height of a picture that was drawn here."""
    return Image.open(io.BytesIO(data)).size


def sizes_of(sources: Mapping[str, bytes]) -> list[Size]:
    """Width and height of each picture that was given. Raises ModelError."""
    return [open_picture(name, data).size for name, data in sources.items()]


def _encode(picture: Image.Image, extension: str, quality: object) -> File:
    kind, content_type = FORMATS.get(extension, FORMATS["png"])
    buffer = io.BytesIO()
    # Pillow reads a JPEG quality of 0 as "unset".
    level = max(1, quality) if isinstance(quality, int) else 80
    options = {"WEBP": {"quality": level, "method": 0}, "JPEG": {"quality": level}}
    flat = picture.convert("RGB") if kind == "JPEG" else picture
    flat.save(buffer, kind, **options.get(kind, {"compress_level": 3}))
    return File(buffer.getvalue(), extension, content_type)
