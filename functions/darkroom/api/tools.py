"""MCP tools: their declaration, argument mapping, results, and the JSON Schemas of both sides."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from darkroom.api.http import problem
from darkroom.api.queries import STATUSES
from darkroom.api.requests import LONGEST_KEY, LONGEST_REFERENCE
from darkroom.domain import errors, thumbnails
from darkroom.domain.checker import as_dict, invalid, types_of, validate_body
from darkroom.domain.correlation import LONGEST_TAG, MOST_TAGS
from darkroom.domain.price import COUNTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from darkroom.domain.model import Model

M = TypeVar("M")

MOST_WAIT_S = 20
"""Longest wait of `get_image`. Some clients time out a tool call after 30 seconds."""
MOST_LISTED = 50
MOST_PICTURES = 16
PROBLEM = "darkroom/problem"
"""Key in the `_meta` of a failed result. Its value is the problem object of the HTTP API."""

_BY_STATUS = {
    400: "Correct the arguments and call again.",
    402: "Calling again does not help: tell the user. The tool usage shows what is spent and left.",
    403: "Calling again does not help: ask the user for an API key that may do this.",
    404: "Check the id: the tool list_images shows those that there are.",
    413: "Upload large files by POST /v1/files and give their URLs.",
    422: "Correct the arguments and call again. The tool list_models shows which models there are "
    "and, with `model`, what one of them takes.",
    503: "Try again in a minute.",
}


class Tool:
    """A tool declaration. The description that agents see is the docstring of `run`."""

    def __init__(
        self,
        name: str,
        run: Callable[..., Any],
        *,
        title: str,
        scope: str,
        takes: dict[str, Any],
        shows: dict[str, Any],
        reads: bool = False,
        repeats: bool = False,
        ends: bool = False,
    ) -> None:
        self.name = name
        self.run = run
        """Called with what the function is built of, the caller, and the checked arguments."""
        self.title = title
        self.scope = scope
        """Scope that the API key needs. Keys without it do not see the tool."""
        self.takes = takes
        """JSON Schema of the arguments."""
        self.shows = shows
        """JSON Schema of `structuredContent`."""
        self.reads = reads
        """Whether it only reads."""
        self.repeats = repeats
        """Whether a repeated call has no further effect."""
        self.ends = ends
        """Whether it can stop a running prediction."""

    @property
    def described(self) -> dict[str, Any]:
        """The entry in `tools/list`."""
        return {
            "name": self.name,
            "title": self.title,
            "description": " ".join((self.run.__doc__ or "").split()),
            "inputSchema": self.takes,
            "outputSchema": self.shows,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.reads,
                "destructiveHint": self.ends,
                "idempotentHint": self.reads or self.repeats,
                "openWorldHint": not self.reads,
            },
        }

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check the arguments and drop nulls. Raises InvalidInputError."""
        said = {name: value for name, value in given.items() if value is not None}
        problems = validate_body(self.takes, said)
        if problems:
            raise invalid(problems)
        return said


class Tools(dict[str, Tool], Generic[M]):
    """Tools by name, in the order of `tools/list`. A decorator declares each of them:
    `@TOOLS.add("usage", title="…", scope="read", takes=…, shows=…)`"""

    def add(self, name: str, **declared: Any) -> Callable[[Serve[M]], Serve[M]]:
        """Declare a tool; the arguments are those of `Tool`."""

        def decorated(serve: Serve[M]) -> Serve[M]:
            self[name] = Tool(name, serve, **declared)
            return serve

        return decorated


if TYPE_CHECKING:
    Serve = Callable[[M, Any, dict[str, Any]], Any]


# Results


def result(
    shown: Mapping[str, Any], links: Iterable[dict[str, Any]] = (), *, failed: bool = False
) -> dict[str, Any]:
    """Build a tool's result, with the same JSON as structured content and as text.

    Texts from outside (prompts, names, errors) are values in that JSON and occur nowhere else.
    """
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return {
        "content": [{"type": "text", "text": text}, *links],
        "structuredContent": shown,
        "isError": failed,
    }


def links(files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Build a resource link for each file."""
    return [
        {
            "type": "resource_link",
            "uri": file["url"],
            "name": f"file {number}",
            "mimeType": file["content_type"],
            "size": file["bytes"],
        }
        for number, file in enumerate(files)
    ]


def image(picture: bytes) -> dict[str, Any]:
    """Build the content that shows a thumbnail itself."""
    return {
        "type": "image",
        "data": base64.b64encode(picture).decode(),
        "mimeType": thumbnails.TYPE.type,
    }


def told(error: errors.DarkroomError) -> dict[str, Any]:
    """Return the problem object that the HTTP API would answer with."""
    found: dict[str, Any] = json.loads(problem(error)["body"])
    return found


def refusal(error: errors.DarkroomError) -> dict[str, Any]:
    """Build the result of a tool that failed: the reason, and advice for the agent.

    Raises the error itself if it is a failure on our side.
    """
    found = told(error)
    if found["status"] == 500:
        raise error
    advice = _BY_STATUS.get(found["status"], "")
    if isinstance(error, errors.TooManyRequestsError):
        advice = f"Wait {error.retry_after} seconds, then call again with the same arguments."
    text = f"{found['title']}: {str(found['detail']).strip()}\n{advice}".strip()
    return {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {PROBLEM: found},
    }


# What generate_image makes of its arguments


def model_input(given: Mapping[str, Any], find: Callable[[str], Model | None]) -> dict[str, Any]:
    """Build a model's input from the arguments of `generate_image`. Raises InvalidInputError.

    Arguments that each model names in its own way are known for models of the catalogue only. No
    other model is looked up here, before the request counts against the tenant's rate.
    """
    named = {name: given[name] for name in ("prompt", "aspect_ratio", "seed") if name in given}
    if {"n", "image", "mask"} & given.keys():
        found = find(given["model"])
        if found is None:
            raise errors.InvalidInputError(
                "- model: Is not in the catalogue: give n, image and mask in `input`, by the names "
                "that the model has for them\n"
            )
        named |= _by_model(given, found)
    more: dict[str, Any] = given.get("input", {})
    twice = sorted(named.keys() & more.keys())
    if twice:
        raise errors.InvalidInputError(f"- input: Says {', '.join(twice)} a second time\n")
    return named | more


def _by_model(given: Mapping[str, Any], model: Model) -> dict[str, Any]:
    properties = as_dict(model.input_schema.get("properties"))
    named: dict[str, Any] = {}
    if "n" in given:
        named |= _counted(given["n"], model, properties)
    if "image" in given:
        named |= _pictured(given["image"], model, properties)
    if "mask" in given:
        if model.mask is None:
            raise errors.InvalidInputError(f"- mask: {model.model} takes none\n")
        named[model.mask] = given["mask"]
    return named


def _counted(number: int, model: Model, properties: Mapping[str, Any]) -> dict[str, Any]:
    counts = model.counts or next((name for name in COUNTS if name in properties), None)
    if isinstance(counts, dict):
        # The model reads the number only in combination with these values.
        return {counts["input"]: number, **counts.get("where", {})} if number > 1 else {}
    if counts is not None:
        return {counts: number}
    if number > 1:
        text = f"- n: {model.model} makes one picture at a time: call once for each\n"
        raise errors.InvalidInputError(text)
    return {}


def _pictured(
    given: str | list[str], model: Model, properties: Mapping[str, Any]
) -> dict[str, Any]:
    pictures = [given] if isinstance(given, str) else given
    if not model.pictures:
        raise errors.InvalidInputError(f"- image: {model.model} takes none\n")
    name = model.pictures[0]
    if "array" in types_of(as_dict(properties.get(name))):
        return {name: pictures}
    if len(pictures) > 1:
        raise errors.InvalidInputError(f"- image: {model.model} takes one\n")
    return {name: pictures[0]}


# Schemas


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False}


def _shown(properties: dict[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Build the schema of a result. It allows further properties, which later releases may add."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


_TEXT: dict[str, Any] = {"type": "string"}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_MAYBE_USD: dict[str, Any] = {"type": ["number", "null"], "description": "US dollars"}
_ID = {"type": "string", "description": "The id of a prediction", "minLength": 1, "maxLength": 100}
_PICTURE = "An https URL, a data: URL, or the URL of a file uploaded to Darkroom"
_FILES = {
    "type": "array",
    "items": _shown(
        {
            "url": {"type": "string", "description": "Lives an hour; get_image makes a new one"},
            "content_type": _TEXT,
            "bytes": {"type": "integer"},
            "width": {"type": ["integer", "null"]},
            "height": {"type": ["integer", "null"]},
            "thumbnail": {"type": "string", "description": "URL of the picture, 512 pixels wide"},
            "thumbnails": {"type": "object", "description": "The same by the width in pixels"},
        },
        ("thumbnail", "thumbnails"),
    ),
}

LIST_MODELS = _object(
    {
        "task": {
            "type": "string",
            "maxLength": 100,
            "description": "Only models for this: text-to-image, image-editing, inpainting, …",
        },
        "model": {
            "type": "string",
            "maxLength": LONGEST_REFERENCE,
            "description": "Only this model, with the JSON Schema of its input",
        },
    }
)
MODELS = _shown(
    {
        "models": {
            "type": "array",
            "items": _shown(
                {
                    "model": {"type": "string", "description": "For generate_image"},
                    "description": _TEXT,
                    "tasks": {"type": "array", "items": _TEXT},
                    "price": {"description": "US dollars by unit; null: unknown"},
                    "expected_seconds": {"type": ["number", "null"]},
                    "cold": {"type": ["boolean", "null"], "description": "Has to start first"},
                    "inputs": {"type": "array", "items": _TEXT},
                    "mask_repaints": {
                        "type": ["string", "null"],
                        "description": "The part of a mask that comes out new: white or black",
                    },
                    "deprecated": {"type": "boolean"},
                    "input_schema": {"type": "object"},
                },
                ("input_schema",),
            ),
        }
    }
)
GENERATE = _object(
    {
        "model": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_REFERENCE,
            "description": "owner/name, as list_models shows it",
        },
        "prompt": _TEXT,
        "aspect_ratio": {"type": "string", "maxLength": 50, "description": "Such as 16:9"},
        "n": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How many pictures"},
        "seed": {"type": "integer"},
        "image": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MOST_PICTURES,
                },
            ],
            "description": f"What to work on, or several. {_PICTURE}",
        },
        "mask": {"type": "string", "description": f"The part to repaint. {_PICTURE}"},
        "input": {
            "type": "object",
            "description": "Whatever else the model takes, by its own names",
        },
        "tags": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG},
            "maxItems": MOST_TAGS,
        },
        "idempotency_key": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_KEY,
            "description": "Any text of your own: the same call with the same key makes nothing "
            "new and costs nothing",
        },
    },
    ("model",),
)
IMAGE = _shown(
    {
        "id": _TEXT,
        "status": {"type": "string", "enum": list(STATUSES)},
        "model": _TEXT,
        "files": _FILES,
        "output": {"description": "Of a model that makes no files: what it made"},
        "error": _MAYBE_TEXT,
        "cost_usd": _MAYBE_USD,
        "expected_seconds": {"type": ["number", "null"]},
        "warning": _TEXT,
        "next": {"type": "string", "description": "What to do"},
    },
    ("output", "expected_seconds", "warning"),
)
GET_IMAGE = _object(
    {
        "id": _ID,
        "wait_seconds": {
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_WAIT_S,
            "description": "Wait for the end for so long at most",
        },
        "preview": {
            "type": "boolean",
            "description": "Show the first picture too, 256 pixels wide",
        },
    },
    ("id",),
)
CANCEL_IMAGE = _object({"id": _ID}, ("id",))
LIST_IMAGES = _object(
    {
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_LISTED},
        "cursor": {"type": "string", "maxLength": 400, "description": "`next_cursor` of a list"},
        "tag": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG},
        "status": {"type": "string", "enum": list(STATUSES)},
    }
)
IMAGES = _shown(
    {
        "images": {
            "type": "array",
            "items": _shown(
                {
                    "id": _TEXT,
                    "status": {"type": "string", "enum": list(STATUSES)},
                    "model": _TEXT,
                    "prompt": _MAYBE_TEXT,
                    "created_at": _TEXT,
                    "files": {**_FILES, "description": "The first four; get_image shows all"},
                }
            ),
        },
        "next_cursor": _MAYBE_TEXT,
    }
)
USAGE = _object({})
SPENT = _shown(
    {
        "month": {"type": "string", "description": "yyyy-mm, UTC"},
        "predictions": {"type": "integer", "description": "That are over"},
        "spent_usd": _MAYBE_USD,
        "reserved_usd": {**_MAYBE_USD, "description": "The most that running ones may cost"},
        "cap_usd": {**_MAYBE_USD, "description": "US dollars a month; null: without a cap"},
        "remaining_usd": _MAYBE_USD,
        "by_model": {
            "type": "array",
            "items": _shown(
                {"model": _TEXT, "predictions": {"type": "integer"}, "cost": _MAYBE_USD}
            ),
        },
    }
)
