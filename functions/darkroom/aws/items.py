"""Records as DynamoDB items, and back.

Attributes are strings, integers, booleans, bytes, lists and maps of those. What a model was given
or answered is kept as JSON text: DynamoDB refuses floats through boto3, and numbers past 38 digits.
Each started kilobyte of a write is paid for: what is at its default is left out, digests are bytes,
and long texts are deflated (a prompt by a third, a model's logs by more than half).

Two releases share a table while one replaces the other, and after it was rolled back. So a release
ignores the names that it does not know, at every depth, and writes nothing that the last one could
not read: a field may be added to Prediction, but not to Create, File or Price, and a code that the
last release does not know goes into an attribute of its own.
"""

from __future__ import annotations

import base64
import contextlib
import re
import zlib
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.domain.callback import Attempt, CallbackState
from darkroom.domain.correlation import lists
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.lifecycle import may_cause, urgency
from darkroom.domain.prediction import (
    Code,
    CreateAttempt,
    CreateState,
    File,
    Prediction,
    Price,
    State,
)
from darkroom.ports import DueRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from dataclasses import Field

    from darkroom.ports import Due

DUE_SHARDS = 16
_DIGESTS = frozenset({"fingerprint", "cache_key", "sha256"})
_TEXTS = frozenset({"input", "logs", "output"})
_HEX = re.compile("(?:[0-9a-f]{2})+")
RELAY = "relay"
"""The attribute that lets a change through to the relay: the stream's mapping filters by it."""
LARGEST_TEXT = 1_000_000
"""Bytes that a deflated text may unpack to. A record keeps 256,000 of input at most, and less of
anything else: a few kilobytes that claim to be more are damage, and would fill a function's memory.
"""
NEWER_CODES = {Code.OUTPUT_MISSING: Code.OUTPUT_REFUSED}
"""Codes that the last release does not know, and what it is shown in place of each."""
_NEWER_CODE = "newer_code"
_CODES = frozenset(Code)
_ALWAYS = frozenset({"revision", "state"})
"""Written at their defaults too: without its state, a record that has ended would be a new one."""

Made = TypeVar("Made")


def attribute(value: Any) -> dict[str, Any]:
    """One value in DynamoDB's typed form. None is never an attribute: leave it out."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, list | tuple):
        return {"L": [attribute(item) for item in value]}
    if isinstance(value, dict):
        return {"M": {key: attribute(item) for key, item in value.items() if item is not None}}
    raise TypeError(f"no attribute for a {type(value).__name__}")


def plain(typed: dict[str, Any]) -> Any:
    """The value of one attribute."""
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "B":
            # From the stream, which is JSON, or from the client.
            return base64.b64decode(value) if isinstance(value, str) else bytes(value)
        case "N":
            # Only other releases and operators' tools write fractions.
            return int(value) if value.lstrip("-").isdecimal() else float(value)
        case "L":
            return [plain(item) for item in value]
        case "SS" | "NS" | "BS":
            return sorted(value)
        case "NULL":
            return None
        case "M":
            return {key: plain(item) for key, item in value.items()}
    raise TypeError(f"no value for the type {kind}")


def to_item(values: dict[str, Any]) -> dict[str, Any]:
    """A flat mapping as an item, without its Nones."""
    return {name: attribute(value) for name, value in values.items() if value is not None}


def from_item(item: dict[str, Any]) -> dict[str, Any]:
    """An item as a mapping."""
    return {name: plain(typed) for name, typed in item.items()}


def shard(id_: str) -> int:
    """The `due` index's partition for a record: ids are random, so any digits spread."""
    return int(id_[-4:], 36) % DUE_SHARDS


def prediction_item(record: Prediction) -> dict[str, Any]:
    """The whole record; `due_shard` goes with `due_at`, so that the index is sparse."""
    values = _parts(record)
    values |= {"revision": record.revision, "state": record.state}
    values["create"] = _parts(record.create)
    if record.files:
        values["files"] = [_parts(file) for file in record.files]
    if record.price:
        values["price"] = _parts(record.price)
    if record.due_at is not None:
        values["due_shard"] = shard(record.id)
    if record.code in NEWER_CODES:
        values |= {"code": NEWER_CODES[record.code], _NEWER_CODE: record.code}
    values[RELAY] = may_cause(record)
    return to_item(values)


def list_items(record: Prediction) -> Iterator[dict[str, Any]]:
    """A row for each list that the prediction is in beside its tenant's own.

    They lie in the table of the records, so that its `tenant` index lists them, and mean nothing to
    anybody else. They never change, and go when the record does.
    """
    for name in lists(record):
        row = {
            "id": list_row(record.id, name),
            "tenant": list_of(record.tenant, name),
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            RELAY: False,
        }
        yield to_item(row)


def list_of(tenant: str, name: str | None) -> str:
    """The `tenant` index's partition of a list; None: of all that the tenant has."""
    return tenant if name is None else f"{tenant}#{name}"


def list_row(id_: str, name: str | None) -> str:
    """The key of a prediction's row in a list; None: of the record itself."""
    return id_ if name is None else f"{id_}#{name}"


def prediction_of(key: str) -> str:
    """The id of the prediction to which an item of the table belongs."""
    return key.partition("#")[0]


def is_record(item: dict[str, Any]) -> bool:
    """False for a row of a list."""
    return "#" not in _shown(item, "id")


def _parts(value: Prediction | CreateAttempt | File | Price) -> dict[str, Any]:
    """The fields that are not at their default, as they are kept."""
    named = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: _kept(f.name, held) for f, held in named if held != _default(f)}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _kept(name: str, value: Any) -> Any:
    """A digest or a long text as bytes, where those are fewer and say the same."""
    if name in _DIGESTS and value and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    if name in _TEXTS and value:
        text = value.encode()
        packed = _deflated(text)
        return packed if len(packed) < len(text) else value
    return value


def _deflated(text: bytes) -> bytes:
    # A window of 4 KB: to set up the largest takes ten times as long as a prompt to deflate.
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits=-12, memLevel=5)
    return deflate.compress(text) + deflate.flush()


# Reading


class DamagedItemError(ValueError):
    """What is stored under a name is not what the name says. The text is the name, no value."""


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(held: Any) -> Any:
        if type(held) is not kind:
            raise DamagedItemError
        return held

    return read


def _digest(held: Any) -> Any:
    return held.hex() if isinstance(held, bytes) else _exactly(str)(held)


def _text(held: Any) -> Any:
    if not isinstance(held, bytes):
        return _exactly(str)(held)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    text = inflate.decompress(held, LARGEST_TEXT + 1)
    if len(text) > LARGEST_TEXT or not inflate.eof:
        raise DamagedItemError
    return text.decode()


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda held: tuple(map(read, _exactly(list)(held)))


def _mapping(held: Any) -> Any:
    return {name: _exactly(str)(value) for name, value in _exactly(dict)(held).items()}


def _nested(kind: type) -> Callable[[Any], Any]:
    return lambda held: made(kind, held)


_BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "str": _exactly(str),
    "int": _exactly(int),
    "bool": _exactly(bool),
    "dict[str, str]": _mapping,
    "tuple[str, ...]": _each(_exactly(str)),
    "tuple[int, ...]": _each(_exactly(int)),
    "State": State,
    "CallbackState": CallbackState,
    "Code": Code,
    "CreateState": CreateState,
    "CreateAttempt": _nested(CreateAttempt),
    "Price": _nested(Price),
    "tuple[File, ...]": _each(_nested(File)),
    "tuple[Attempt, ...]": _each(_nested(Attempt)),
}
"""How a field's value is read, by the field's type."""


def _reader(field: Field[Any]) -> Callable[[Any], Any]:
    if field.name in _DIGESTS:
        return _digest
    return _text if field.name in _TEXTS else _BY_TYPE[str(field.type).removesuffix(" | None")]


@lru_cache
def _readers(kind: Any) -> dict[str, Callable[[Any], Any]]:
    return {field.name: _reader(field) for field in fields(kind)}


@lru_cache
def _empty(kind: Any) -> dict[str, None]:
    """The fields that may be None and have no default: None is never an attribute."""
    optional = [f for f in fields(kind) if str(f.type).endswith(" | None")]
    return {f.name: None for f in optional if f.default is MISSING}


def made(kind: Callable[..., Made], values: Any) -> Made:
    """The dataclass from the values that it has a field for: others are of another release.

    Raises DamagedItemError where a value is not of its field's type, or a field without a default
    has none.
    """
    readers, held = _readers(kind), dict(_empty(kind))
    name = ""
    try:
        for name, value in _exactly(dict)(values).items():
            if value is not None and name in readers:
                held[name] = readers[name](value)
    except DamagedItemError as damage:
        raise DamagedItemError(".".join(filter(None, (name, str(damage))))) from None
    except (TypeError, ValueError, zlib.error):
        raise DamagedItemError(name) from None
    try:
        return kind(**held)
    except TypeError as missing:
        raise DamagedItemError(str(missing)) from None


def read_known(
    kind: Callable[..., Made], item: dict[str, Any], always: frozenset[str] = frozenset()
) -> Made:
    """The dataclass from an item that has `always`. Raises DamagedItemError as `made` does."""
    missing = always - item.keys()
    if missing:
        raise DamagedItemError(", ".join(sorted(missing)))
    try:
        values = {name: plain(item[name]) for name in _readers(kind) if name in item}
    except (TypeError, ValueError):
        raise DamagedItemError("a value without a type") from None
    return made(kind, values)


def read_prediction(item: dict[str, Any]) -> Prediction:
    """A record from its item. Raises UnreadableRecordError where this release cannot read it."""
    newer = item.get(_NEWER_CODE, {}).get("S")
    if newer in _CODES:
        item = {**item, "code": {"S": newer}}
    try:
        return read_known(Prediction, item, always=_ALWAYS)
    except DamagedItemError as damage:
        raise UnreadableRecordError(
            _shown(item, "id"), _shown(item, "tenant"), str(damage)
        ) from None


DUE_ATTRIBUTES = (
    *("id", "due_at", "tenant", "state", "created_at", "deadline"),
    *("finished_at", "provider_id", "cancel_requested_at", "asked_again"),
)
"""What `read_due` reads of an item."""


def read_due(key: Due, item: dict[str, Any]) -> DueRecord:
    """What a due record asks for. Of one that cannot be read the claim tells."""
    readers, values = _readers(Prediction), dict[str, Any]()
    for name in DUE_ATTRIBUTES:
        with contextlib.suppress(DamagedItemError, TypeError, ValueError):
            if name in item:
                values[name] = readers[name](plain(item[name]))
    provider_id = values.get("provider_id")
    return DueRecord(
        key=key,
        due_at=values.get("due_at", key.due_at),
        tenant=values.get("tenant", ""),
        urgency=urgency(values.get("state", State.ACCEPTED), bound=provider_id is not None),
        created_at=values.get("created_at", key.due_at),
        deadline=values.get("deadline", key.due_at),
        finished_at=values.get("finished_at"),
        provider_id=provider_id,
        canceling="cancel_requested_at" in values,
        asked_again=values.get("asked_again", False),
    )


def _shown(item: dict[str, Any], name: str) -> str:
    """A text attribute of a damaged item, empty where that is damaged too."""
    return str(item.get(name, {}).get("S", ""))


def expired(item: dict[str, Any], now_s: float) -> bool:
    """True for what DynamoDB's TTL will remove, days later at times: it counts as gone."""
    try:
        return int(item["expires_at"]["N"]) <= now_s
    except (LookupError, TypeError, ValueError):
        return False
