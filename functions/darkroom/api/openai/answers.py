"""Answers in OpenAI's form, in pieces: text, and files whose bytes come later."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlencode

from darkroom.api.routes import OPENAI
from darkroom.domain.details import STATUS, details
from darkroom.domain.errors import BadRequestError
from darkroom.domain.prediction import File
from darkroom.domain.times import rfc3339
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from darkroom.domain.prediction import Prediction

Kind = Literal["generations", "edits"]
Piece = str | File

LARGEST = 5_500_000
"""Bytes of an answer that Lambda hands on, which takes 6 MB with its headers and its escapes."""
AnswerFormat = Literal["url", "b64_json"]
MADE = get_args(AnswerFormat)
LEFT_TO_THE_MODEL = (
    *("background", "moderation", "style", "input_fidelity"),
    *("complexity", "frame_count", "frame_duration_ms", "svg", "markup"),
)
"""Their parameters that have an effect where the model has one of the same name."""
IGNORABLE = (
    *("prompt", "size", "quality", "output_format", "output_compression", "partial_images"),
    *LEFT_TO_THE_MODEL,
)
"""What a request may name without effect."""
QUERY = ("hop", "seconds", "response_format", "stream", "ignored")
_EVENTS = {"generations": "image_generation.completed", "edits": "image_edit.completed"}
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/gif": "gif"}
_NAMES = re.compile(r"[a-z_]{1,30}(,[a-z_]{1,30}){0,30}")


@immutable
class AnswerForm:
    """How a client wants its answer. It goes from wait to wait in the query: nothing of it is
    kept."""

    response_format: str | None = None
    """`url` or `b64_json`; None: both."""
    stream: bool = False
    ignored: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Mapping[str, str]) -> AnswerForm:
        """As `query` wrote it. Raises BadRequestError."""
        format_, stream = query.get("response_format"), query.get("stream")
        if format_ not in {*MADE, None} or stream not in {"true", None}:
            raise BadRequestError("response_format is url or b64_json, stream is true.")
        names = query.get("ignored", "")
        known = [name for name in names.split(",") if name in IGNORABLE]
        if names and (not _NAMES.fullmatch(names) or len(known) != names.count(",") + 1):
            raise BadRequestError("ignored holds what is no parameter.")
        return cls(format_, stream is not None, tuple(known))

    @property
    def query(self) -> dict[str, str]:
        """As a query has it."""
        return {
            **({"response_format": self.response_format} if self.response_format else {}),
            **({"stream": "true"} if self.stream else {}),
            **({"ignored": ",".join(self.ignored)} if self.ignored else {}),
        }

    @property
    def content_type(self) -> str:
        return "text/event-stream" if self.stream else "application/json"

    @property
    def inlines(self) -> bool:
        """Whether the bytes of the files are in the answer."""
        return self.stream or self.response_format != "url"


def place(kind: Kind, id_: str, form: AnswerForm, hop: int = 0) -> str:
    """Where to wait, as a Location. It names no host: a client stays where it is, and keeps its
    token. Without a hop the wait begins no chain of redirects."""
    query = urlencode({**({"hop": hop} if hop else {}), **form.query}, safe=",")
    return f"{OPENAI}/images/{kind}/{id_}/wait" + (f"?{query}" if query else "")


def pieces(record: Prediction, urls: list[str], form: AnswerForm, kind: Kind) -> list[Piece]:
    """The answer to a success; `urls` are those of its files."""
    if form.stream:
        return [*_events(record, form, kind)]
    named = form.response_format != "b64_json"
    shown = [
        _object({"url": url} if named else {}, file if form.inlines else None)
        for file, url in zip(record.files, urls, strict=True)
    ]
    head = json.dumps({"created": _seconds(record)})[:-1]
    tail = json.dumps({**_about(record), "darkroom": _ours(record, form)})[1:]
    return [head + ',"data":[', *_joined(shown), "]," + tail]


def _events(record: Prediction, form: AnswerForm, kind: Kind) -> Iterator[Piece]:
    """One event for each picture: partial ones there are none."""
    name = _EVENTS[kind]
    for file in record.files:
        about = {"type": name, "created_at": _seconds(record), "background": "auto"}
        about |= {"quality": "auto", **_about(record), "darkroom": _ours(record, form)}
        yield f"event: {name}\ndata: "
        yield from _object(about, file)
        yield "\n\n"


def _object(given: dict[str, Any], file: File | None) -> list[Piece]:
    """A JSON object, with the file's bytes as `b64_json` where there is one."""
    text = json.dumps(given)[:-1]
    if file is None:
        return [text + "}"]
    return [text + (", " if given else "") + '"b64_json":"', file, '"}']


def _joined(objects: Iterable[list[Piece]]) -> Iterator[Piece]:
    for number, one in enumerate(objects):
        yield from ([","] if number else [])
        yield from one


def _about(record: Prediction) -> dict[str, Any]:
    """What is true of all its pictures, by the first of them."""
    first = record.files[0] if record.files else None
    found: dict[str, Any] = {}
    if first is not None and first.content_type in _FORMATS:
        found["output_format"] = _FORMATS[first.content_type]
    if first is not None and first.width and first.height:
        found["size"] = f"{first.width}x{first.height}"
    if record.end_user:
        found["safety_identifier"] = record.end_user
    return found


def _ours(record: Prediction, form: AnswerForm) -> dict[str, Any]:
    return {
        "id": record.id,
        "model": record.model,
        "created_at": rfc3339(record.created_at),
        **details(record),
        "ignored": list(form.ignored),
    }


def _seconds(record: Prediction) -> int:
    return record.created_at // 1000


def under_way(record: Prediction) -> dict[str, Any]:
    """The body of an answer that sends a client on: clients that follow it never read this."""
    return {"id": record.id, "status": STATUS[record.state]}


def models(theirs: Iterable[str], ours: Iterable[str]) -> dict[str, Any]:
    """The list of models: OpenAI's names that stand for one, and the models themselves."""
    owners = [(name, "darkroom") for name in theirs]
    owners += [(name, name.partition("/")[0]) for name in ours]
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": 0, "owned_by": owner}
            for name, owner in owners
        ],
    }
