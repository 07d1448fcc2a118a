"""What a client of OpenAI's Images API asks for, read from JSON or from a form."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import KW_ONLY, field
from typing import TYPE_CHECKING, Any

from darkroom.api.multipart import read_parts
from darkroom.api.openai.answers import LEFT_TO_THE_MODEL
from darkroom.api.openai.errors import OpenAIError
from darkroom.api.requests import json_body, schema_of
from darkroom.domain import link, media
from darkroom.domain.checker import invalid, types_of, validate_body
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.api.http import Request
    from darkroom.api.multipart import Part

LONGEST_PROMPT = 32_000
MOST_PICTURES = 16
MOST_COUNT = 10
MOST_PARTS = 64
"""Pictures, mask, their parameters and a model's own."""
OURS = ("webhook", "webhook_events_filter", "metadata", "tags")
"""Fields of a create of Darkroom's that stand beside theirs."""
SIZE = "([1-9][0-9]{1,4})x([1-9][0-9]{1,4})"
"""Pattern of a picture's size in pixels."""
GENERATION, EDIT = "ImageGenerationBody", "ImageEditBody"
"""Classes of api/bodies.py."""

_SIZE = re.compile(SIZE)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


@immutable
class PictureRequest:
    """A request in their words; what was not said, or said to be `auto`, is None."""

    _: KW_ONLY
    model: str
    prompt: str
    n: int | None = None
    size: tuple[int, int] | None = None
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    response_format: str | None = None
    stream: bool = False
    end_user: str | None = None
    pictures: tuple[str, ...] = ()
    """URLs, data URLs among them."""
    first: bytes | None = None
    """The first picture, where it came along with a mask."""
    mask: bytes | None = None
    left_to_the_model: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)
    """Fields of a create of Darkroom's own."""
    extra: dict[str, Any] = field(default_factory=dict)
    """The model's inputs by their own names."""
    texts: bool = False
    """It came as a form: whatever is in `extra` is text."""
    ignored: tuple[str, ...] = ()


def read_generation(request: Request) -> PictureRequest:
    """A body of images/generations. Raises UnsupportedMediaError, TooLargeError, BadRequestError,
    InvalidInputError or OpenAIError."""
    body = json_body(request)
    _check(GENERATION, body)
    return _read(body)


def read_edit(request: Request, public_url: str) -> PictureRequest:
    """A body of images/edits, a form or JSON; raises the same. `public_url` is where files that
    are named by their ids are."""
    parts = read_parts(request.header("content-type"), request.body, MOST_PARTS)
    if parts is not None:
        return _read_form(parts)
    body = json_body(request)
    _check(EDIT, body)
    given = body.pop("images")
    urls = tuple(_url(one, public_url) for one in given)
    mask = body.pop("mask", None)
    if mask is None:
        return _read(body, pictures=urls)
    return _read(body, pictures=urls, first=_data(urls[0]), mask=_mask(mask))


def _check(name: str, body: Mapping[str, Any]) -> None:
    # All other names are inputs of the model, which are checked as such.
    schema = schema_of(name)
    theirs = {name: value for name, value in body.items() if name in schema["properties"]}
    if problems := validate_body(schema, theirs):
        raise invalid(problems)


def _asked() -> dict[str, Any]:
    """Return the schemas of OpenAI's parameters by their names."""
    found: dict[str, Any] = schema_of(GENERATION)["properties"]
    return found


def _read(body: Mapping[str, Any], **more: Any) -> PictureRequest:
    said = {name: value for name, value in body.items() if value is not None}
    known = {*_asked(), *LEFT_TO_THE_MODEL, *OURS}
    return PictureRequest(
        model=said["model"],
        prompt=said["prompt"],
        n=said.get("n"),
        size=_size(said.get("size")),
        quality=_unless_auto(said.get("quality")),
        output_format=said.get("output_format"),
        output_compression=said.get("output_compression"),
        response_format=said.get("response_format"),
        stream=said.get("stream", False),
        end_user=said.get("safety_identifier") or said.get("user") or None,
        left_to_the_model={name: said[name] for name in LEFT_TO_THE_MODEL if name in said},
        ours={name: said[name] for name in OURS if name in said},
        extra={name: value for name, value in said.items() if name not in known},
        # The finished picture is the only one that there is to send.
        ignored=("partial_images",) if said.get("partial_images") else (),
        **more,
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None or text == "auto":
        return None
    if (found := _SIZE.fullmatch(text)) is None:
        raise OpenAIError("size is auto, or two numbers as in 1024x1024.", param="size")
    return int(found[1]), int(found[2])


def _unless_auto(text: str | None) -> str | None:
    return None if text == "auto" else text


def _url(given: Mapping[str, str], public_url: str) -> str:
    if len(given) != 1:
        raise OpenAIError("A picture has either image_url or file_id.", param="images")
    if "image_url" in given:
        return given["image_url"]
    if not link.is_id(given.get("file_id", "")):
        raise OpenAIError("There is no such file.", param="images")
    return f"{public_url}/v1/files/{given['file_id']}"


def _data(url: str) -> bytes | None:
    """What a data URL holds; None for any other. Raises OpenAIError."""
    found = _DATA_URL.match(url)
    if not found:
        return None
    try:
        return base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise OpenAIError("A data URL is not base64.", param="images") from None


def _mask(given: Mapping[str, str]) -> bytes:
    data = _data(given.get("image_url", ""))
    if data is None:
        raise OpenAIError(
            "The mask must come in the request: as the file `mask` of a form, or as a data URL. "
            "What is at another address is not fetched.",
            param="mask",
        )
    return data


def _read_form(parts: list[Part]) -> PictureRequest:
    texts: dict[str, Any] = {}
    pictures: list[bytes] = []
    masks: list[bytes] = []
    for part in parts:
        if part.field in {"image", "image[]"}:
            pictures.append(part.data)
        elif part.field == "mask":
            masks.append(part.data)
        elif part.filename is not None and part.field != "markup":
            raise OpenAIError("Files are read from `image`, `image[]` and `mask` alone.")
        else:
            _add_text(texts, part)
    if len(masks) > 1:
        raise OpenAIError("There is more than one mask.", param="mask")
    if not 0 < len(pictures) <= MOST_PICTURES:
        raise OpenAIError(f"Send 1 to {MOST_PICTURES} pictures as `image`.", param="image")
    body = {name: typed(_asked().get(name, {}), value) for name, value in texts.items()}
    _check(GENERATION, body)
    return _read(
        body,
        pictures=tuple(map(_as_data_url, pictures)),
        first=pictures[0],
        mask=masks[0] if masks else None,
        texts=True,
    )


def _add_text(texts: dict[str, Any], part: Part) -> None:
    """Note a field: `name[]` is one of a list, `name[key]` one of an object."""
    try:
        # A file is named as what it is not read for.
        text = "file" if part.filename is not None else part.data.decode()
    except UnicodeDecodeError:
        raise OpenAIError("A text of the form is not UTF-8.") from None
    name, bracket, rest = part.field.partition("[")
    key = rest.removesuffix("]")
    if bracket and not key and isinstance(texts.setdefault(name, []), list):
        texts[name].append(text)
    elif bracket and key and isinstance(texts.setdefault(name, {}), dict):
        texts[name][key] = text
    elif not bracket and name not in texts:
        texts[name] = text
    else:
        raise OpenAIError("A field of the form came more than once.", param=part.field[:60])


def _as_data_url(data: bytes) -> str:
    kind = media.sniff(data[: media.START])
    if kind is None or not kind.type.startswith("image/"):
        raise OpenAIError("A file in `image` is no picture.", param="image")
    return data_url(kind.type, data)


def data_url(kind: str, data: bytes) -> str:
    """The bytes as a URL that holds them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_BOOLEANS = {"true": True, "false": False}


def typed(declared: Mapping[str, Any], value: Any) -> Any:
    """A text of a form as what the schema wants there; where it is none of that, as it is."""
    if not isinstance(value, str):
        return value
    kinds = types_of(declared)
    if "integer" in kinds and _WHOLE.fullmatch(value):
        return int(value)
    if "number" in kinds and _DECIMAL.fullmatch(value):
        return float(value)
    return _BOOLEANS.get(value, value) if "boolean" in kinds else value
