"""What a model is asked for, from a request in OpenAI's words: by the model's own schema alone."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from darkroom.api.openai.bodies import typed
from darkroom.api.openai.errors import OpenAIError
from darkroom.domain.checker import as_dict, as_list, as_number, types_of, validate_input
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from darkroom.api.openai.bodies import PictureRequest
    from darkroom.domain.model import Model

Inputs = dict[str, Any]

LIKE_THE_FIRST = "match_input_image"
"""What models call the aspect ratio of the picture that they start from."""
FREE = "custom"
"""What models call an aspect ratio that width and height say."""
GRID = 16
"""Sides of which models make pictures: what is scaled is rounded to a multiple."""
DEFAULT_FORMAT = "png"
"""Theirs, where a request names none: clients name their files by it."""

_QUALITIES = {"standard": "medium", "hd": "high", "xhigh": "high", "max": "high"}
"""The nearest of low, medium and high."""
_STEPS = {"low": 0.5, "medium": 1.0, "high": 1.5}
"""Of a model that knows no quality: its steps, as a multiple of those that it takes by default."""
_FORMATS = {"jpeg": "jpg", "jpg": "jpeg"}
_PAIR = re.compile(r"([0-9]{1,5})[:x]([0-9]{1,5})")


@immutable
class Mapped:
    """The input of the model, and what became of their parameters."""

    input: Inputs
    theirs: dict[str, str]
    """By the input's name, that of the parameter it was made of: for what is said of it."""
    ignored: tuple[str, ...]
    """Parameters that have no effect."""


def mapped(asked: PictureRequest, model: Model) -> Mapped:
    """Raises OpenAIError for what changes how much is made, or of what, and the model cannot do."""
    known = as_dict(model.input_schema.get("properties"))
    made: Inputs = {}
    theirs: dict[str, str] = {}
    ignored = list(asked.ignored)
    for name, inputs in _effects(asked, model, known):
        if inputs is None:
            ignored.append(name)
        else:
            made |= inputs
            theirs |= dict.fromkeys(inputs, name)
    if asked.output_format is None and DEFAULT_FORMAT in _enum(known, "output_format"):
        made["output_format"] = DEFAULT_FORMAT
    if asked.pictures and asked.size is None and LIKE_THE_FIRST in _enum(known, "aspect_ratio"):
        made["aspect_ratio"] = LIKE_THE_FIRST
    for name, value in asked.extra.items():
        made[name] = typed(as_dict(known.get(name)), value) if asked.texts else value
    return Mapped(made, theirs, tuple(ignored))


def _effects(
    asked: PictureRequest, model: Model, known: Mapping[str, Any]
) -> Iterator[tuple[str, Inputs | None]]:
    """Each parameter that was given, and the inputs that it becomes; None: it has no effect."""
    yield "prompt", {"prompt": asked.prompt} if "prompt" in known else None
    if asked.pictures:
        yield "image", _pictures(asked, model, known)
    if asked.n is not None:
        yield "n", _count(asked.n, model)
    if asked.size:
        yield "size", _size(known, *asked.size)
    if asked.quality:
        yield "quality", _quality(known, asked.quality)
    if asked.output_format:
        yield "output_format", _format(known, asked.output_format)
    if asked.output_compression is not None:
        yield "output_compression", _compression(known, asked.output_compression)
    for name, value in asked.left_to_the_model.items():
        fits = name in known and not validate_input({"properties": dict(known)}, {name: value})
        yield name, {name: value} if fits else None


def _pictures(asked: PictureRequest, model: Model, known: Mapping[str, Any]) -> Inputs:
    if not model.pictures:
        raise OpenAIError(f"{model.model} takes no pictures.", param="model")
    name = model.pictures[0]
    if "array" in types_of(as_dict(known.get(name))):
        return {name: list(asked.pictures)}
    if len(asked.pictures) > 1:
        raise OpenAIError(f"{model.model} takes one picture.", param="image")
    return {name: asked.pictures[0]}


def _count(n: int, model: Model) -> Inputs:
    match model.counts:
        case str(name):
            return {name: n}
        case {"input": name, "where": where} if n > 1:
            return {**where, name: n}
    if n > 1:
        raise OpenAIError(f"{model.model} makes one picture at a time.", param="n")
    return {}


def _size(known: Mapping[str, Any], width: int, height: int) -> Inputs | None:
    """The size itself where the model can make it, else what is most like it."""
    for name in ("aspect_ratio", "size", "resolution"):
        if f"{width}x{height}" in _enum(known, name):
            return {name: f"{width}x{height}"}
    ratios = _enum(known, "aspect_ratio")
    if {"width", "height"} <= known.keys():
        sides = {"width": width, "height": height}
        if not ratios:
            return _fitted(known, sides)
        if FREE in ratios and not validate_input({"properties": dict(known)}, sides):
            return {"aspect_ratio": FREE, **sides}
    for name in ("aspect_ratio", "size", "resolution"):
        if (nearest := _nearest(_enum(known, name), width, height)) is not None:
            return {name: nearest}
    return None


def _nearest(texts: list[str], width: int, height: int) -> str | None:
    """Of `16:9` and `1024x768`, the most alike by its proportions, then by its area."""
    area = width * height

    def far(text: str, found: re.Match[str]) -> tuple[float, float]:
        a, b = int(found[1]), int(found[2])
        apart = abs(math.log(a / b) - math.log(width / height))
        return round(apart, 6), abs(a * b - area) if "x" in text else 0

    pairs = [(text, found) for text in texts if (found := _PAIR.fullmatch(text))]
    sound = [(text, found) for text, found in pairs if int(found[1]) and int(found[2])]
    return min(sound, key=lambda pair: far(*pair))[0] if sound else None


def _fitted(known: Mapping[str, Any], sides: dict[str, int]) -> Inputs:
    """Both sides within what the model makes, in the same proportion as far as that goes."""
    if not validate_input({"properties": dict(known)}, sides):
        return dict(sides)
    low, high = 0.0, math.inf
    for name, side in sides.items():
        least, most = _bounds(as_dict(known.get(name)))
        low, high = max(low, least / side), min(high, most / side)
    scale = min(max(1.0, low), high)
    return {name: _allowed(as_dict(known.get(name)), side * scale) for name, side in sides.items()}


def _bounds(declared: Mapping[str, Any]) -> tuple[float, float]:
    numbers = [side for side in as_list(declared.get("enum")) if isinstance(side, int)]
    if numbers:
        return min(numbers), max(numbers)
    most = as_number(declared.get("maximum"))
    return as_number(declared.get("minimum")) or 0, math.inf if most is None else most


def _allowed(declared: Mapping[str, Any], side: float) -> int:
    numbers = [number for number in as_list(declared.get("enum")) if isinstance(number, int)]
    if numbers:
        return min(numbers, key=lambda number: abs(number - side))
    least, most = _bounds(declared)
    return int(min(max(round(side / GRID) * GRID, least), most))


def _quality(known: Mapping[str, Any], quality: str) -> Inputs | None:
    plain = _QUALITIES.get(quality, quality)
    for text in (quality, plain):
        if text in _enum(known, "quality"):
            return {"quality": text}
    steps = as_dict(known.get("num_inference_steps"))
    usual = as_number(steps.get("default"))
    if usual is None:
        return None
    least, most = _bounds(steps)
    return {"num_inference_steps": int(min(max(usual * _STEPS[plain], least, 1), most))}


def _format(known: Mapping[str, Any], wanted: str) -> Inputs | None:
    formats = _enum(known, "output_format")
    for text in (wanted, _FORMATS.get(wanted)):
        if text in formats:
            return {"output_format": text}
    if formats:
        raise OpenAIError(
            f"This model makes no {wanted}: {', '.join(formats)}.", param="output_format"
        )
    return None


def _compression(known: Mapping[str, Any], value: int) -> Inputs | None:
    for name in ("output_compression", "output_quality"):
        if name in known:
            return {name: value}
    return None


def _enum(known: Mapping[str, Any], name: str) -> list[str]:
    """The texts that an input may be; none where it is not declared, or may be any."""
    return [text for text in as_list(as_dict(known.get(name)).get("enum")) if type(text) is str]
