"""An example input for each model, derived from its catalogue entry.

The demo sends them, and docs/models.md shows what the emulator draws for them. The input contains
the pictures themselves, which the caller passes on in any form.
"""

from __future__ import annotations

import base64
import io
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from darkroom.domain.model import Model

SHAPE = "16:9"
SIZE = (1344, 768)
"""Sides in pixels, for models that need them."""
GIVEN = (768, 448)
NARROW = (512, 448)
PROMPTS = (
    "A lighthouse above the sea at dawn",
    "Mist over the valley, late autumn",
    "Paper lanterns, out of focus",
    "An evening by the fjord",
    "Blue hills behind blue hills",
    "A harbour in the first light",
)
COLOURS = (
    ("#2b4c7e", "#f4c095", "#5b7290", "#33506b", "#1d3a3a"),
    ("#274046", "#e6dada", "#6b8e86", "#44716a", "#20413c"),
    ("#5b2a86", "#f9a08b", "#7b5ea7", "#4b3b78", "#241f47"),
    ("#1f6f8b", "#f5e6b3", "#99a799", "#5c7f71", "#2f4f45"),
)
"""Colors of the sky above and at the horizon, and of the hills from far to near."""
EDIT = "The same place on a winter evening"
REPAINT = "A window to the sea"


def example(model: Model) -> dict[str, Any]:
    """Return an input that shows the model's first task."""
    given: dict[str, Any] = {}
    task = model.tasks[0]
    if "prompt" in _inputs(model) and task != "outpainting":
        given["prompt"] = {"image-editing": EDIT, "inpainting": REPAINT}.get(
            task, PROMPTS[drawn(model, len(PROMPTS))]
        )
    if "seed" in _inputs(model):
        given["seed"] = 1 + drawn(model, 999)
    if task == "text-to-image":
        given |= _shape(model, SIZE)
    elif model.pictures:
        given |= _pictures(model, task)
    return given | _series(model) | _factor(model)


def passed_on(value: Any, passing: Callable[[Image.Image], str]) -> Any:
    """Return the input with a URL in place of every picture."""
    if isinstance(value, dict):
        return {name: passed_on(inner, passing) for name, inner in value.items()}
    if isinstance(value, list):
        return [passed_on(inner, passing) for inner in value]
    return passing(value) if isinstance(value, Image.Image) else value


def png(picture: Image.Image) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(picture: Image.Image, media_type: str = "image/png") -> str:
    """Encode as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(png(picture)).decode()}"


def _inputs(model: Model) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = model.input_schema["properties"]
    return properties


def drawn(model: Model, below: int) -> int:
    """Derive a number from the model's name, so that examples differ but are repeatable."""
    return zlib.crc32(model.model.encode()) % below


def _shape(model: Model, size: tuple[int, int]) -> dict[str, Any]:
    inputs = _inputs(model)
    if SHAPE in inputs.get("aspect_ratio", {}).get("enum", ()):
        return {"aspect_ratio": SHAPE}
    if "aspect_ratio" not in inputs and {"width", "height"} <= inputs.keys():
        return {"width": size[0], "height": size[1]}
    return {}


def _pictures(model: Model, task: str) -> dict[str, Any]:
    inputs, name = _inputs(model), model.pictures[0]
    if task in {"background-removal", "face-restoration"}:
        picture = vase(GIVEN)
    else:
        size = NARROW if task == "outpainting" else GIVEN
        picture = landscape(size, colours=drawn(model, len(COLOURS)))
    several = inputs[name].get("type") == "array"
    given: dict[str, Any] = {name: [picture, vase(GIVEN)] if several else picture}
    if task == "inpainting" and model.mask:
        given[model.mask] = mask(GIVEN, repaints=model.mask_repaints or "white")
    if task in {"inpainting", "outpainting"}:
        given |= _shape(model, GIVEN)
    return given


def _series(model: Model) -> dict[str, Any]:
    """Request two pictures if the model can make several."""
    counts = model.counts
    if isinstance(counts, dict):
        return {**counts.get("where", {}), counts["input"]: 2}
    return {counts: 2} if counts else {}


def _factor(model: Model) -> dict[str, Any]:
    """Request twice the size if the model has a factor."""
    inputs = _inputs(model)
    if "2x" in inputs.get("upscale_factor", {}).get("enum", ()):
        return {"upscale_factor": "2x"}
    return {name: 2 for name in ("scale", "scale_factor") if name in inputs}


def landscape(size: tuple[int, int], *, colours: int = 0) -> Image.Image:
    """Draw hills below a low sun."""
    width, height = size
    top, horizon, *near = COLOURS[colours]
    picture = ImageOps.colorize(Image.linear_gradient("L").resize(size), top, horizon)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width * 0.6, height * 0.2, width * 0.72, height * 0.2 + width * 0.12), "#ffeec2")
    hills = [(0.0, 0.62), (0.2, 0.5), (0.45, 0.66), (0.65, 0.55), (1.0, 0.7)]
    for number, colour in enumerate(near):
        down = number * 0.14
        line = [(width * x, height * (y + down)) for x, y in hills]
        draw.polygon([(0, height), *line, (width, height)], fill=colour)
        hills = [(1 - x, y) for x, y in reversed(hills)]
    return picture.filter(ImageFilter.GaussianBlur(1))


def vase(size: tuple[int, int]) -> Image.Image:
    """Draw a vase before a plain wall, as a subject to cut out."""
    width, height = size
    wall = Image.radial_gradient("L").resize(size)
    picture = ImageOps.colorize(wall, (236, 228, 214), (205, 194, 176))
    form = Image.new("L", size)
    draw = ImageDraw.Draw(form)
    middle = width / 2
    half = height * 0.2
    draw.ellipse((middle - half, height * 0.42, middle + half, height * 0.92), fill=255)
    draw.rectangle(
        (middle - half * 0.35, height * 0.22, middle + half * 0.35, height * 0.6), fill=255
    )
    draw.ellipse((middle - half * 0.6, height * 0.17, middle + half * 0.6, height * 0.27), fill=255)
    form = form.filter(ImageFilter.GaussianBlur(height / 100)).point(
        lambda v: max(0, min(255, (v - 112) * 8))
    )
    glaze = Image.linear_gradient("L").rotate(90).resize(size)
    glaze = ImageOps.colorize(glaze, (20, 52, 78), (96, 190, 196), mid=(38, 110, 140))
    picture.paste(glaze, (0, 0), form)
    return picture


def mask(size: tuple[int, int], *, repaints: str = "white") -> Image.Image:
    """Draw an oval in the middle, in the color that the model repaints."""
    oval = Image.new("L", size)
    width, height = size
    box = (width * 0.28, height * 0.2, width * 0.72, height * 0.8)
    ImageDraw.Draw(oval).ellipse(box, fill=255)
    return oval if repaints == "white" else ImageChops.invert(oval)
