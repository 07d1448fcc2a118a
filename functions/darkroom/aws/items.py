"""Conversion of records to DynamoDB items, and back.

Attributes are strings, integers, booleans, bytes, lists and maps of those. JSON values, such as
inputs and outputs of models, are stored as JSON text, because DynamoDB rejects floats through
boto3, and numbers past 38 digits. The type of a field determines how it is written and read. Each
started kilobyte of a write is billed, so defaults are left out, digests are bytes, and
long texts are deflated (a prompt by a third, a model's logs by more than half).

Two releases share a table during an upgrade, and after a rollback. So a release ignores names that
it does not know, at every depth, and writes nothing that the last one cannot read: a field may be
added to Prediction, but not to Create, File or Price, and a code that the last release does not
know is stored in a separate attribute.
"""

from __future__ import annotations

import base64
import contextlib
import re
import zlib
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from darkroom.domain import strict_json
from darkroom.domain.callback import Attempt, CallbackState
from darkroom.domain.correlation import lists
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.lifecycle import has_effects, urgency
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
    from collections.abc import Callable, Iterable, Iterator
    from dataclasses import Field

    from darkroom.ports import Due

DUE_SHARDS = 16
_DIGESTS = frozenset({"fingerprint", "cache_key", "sha256"})
_DEFLATED = frozenset({"input", "logs", "output"})
_JSON = frozenset({"Json", "JsonObject"})
"""Types of the fields that are stored as JSON text."""
_HEX = re.compile("(?:[0-9a-f]{2})+")
RELAY = "relay"
"""The attribute by which the stream's mapping filters changes for the relay."""
LARGEST_TEXT = 1_000_000
"""Maximum bytes of an inflated text. A record keeps at most 256,000 of input, and less of anything
else; a few kilobytes that claim to be more are damaged, and would fill a function's memory."""
NEWER_CODES = {Code.OUTPUT_MISSING: Code.OUTPUT_REFUSED}
"""Codes that the last release does not know, with their replacements."""
_NEWER_CODE = "newer_code"
_CODES = frozenset(Code)
_ALWAYS = frozenset({"revision", "state"})
"""Also written at their defaults: without its state, an ended record would look new."""

Made = TypeVar("Made")


def attribute(value: Any) -> dict[str, Any]:
    """Convert one value to DynamoDB's typed form. None is never an attribute, so leave it out."""
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
    """Return the value of one attribute."""
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
    """Convert a flat mapping to an item, without Nones."""
    return {name: attribute(value) for name, value in values.items() if value is not None}


def from_item(item: dict[str, Any]) -> dict[str, Any]:
    """Convert an item to a mapping."""
    return {name: plain(typed) for name, typed in item.items()}


def shard(id_: str) -> int:
    """Return the `due` index's partition of a record. Ids are random, so any digits spread."""
    return int(id_[-4:], 36) % DUE_SHARDS


def prediction_item(record: Prediction) -> dict[str, Any]:
    """Return the whole record as an item. `due_shard` is present only with `due_at`, for a sparse
    index."""
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
    values[RELAY] = has_effects(record)
    return to_item(values)


def list_items(record: Prediction) -> Iterator[dict[str, Any]]:
    """Yield a row for each list that contains the prediction, besides its tenant's own.

    They are in the records' table, so that its `tenant` index lists them, and have no other use.
    They never change, and expire with the record.
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
    """Return the `tenant` index's partition of a list; with None, of all predictions of the
    tenant."""
    return tenant if name is None else f"{tenant}#{name}"


def list_row(id_: str, name: str | None) -> str:
    """Return the key of a prediction's row in a list; with None, of the record itself."""
    return id_ if name is None else f"{id_}#{name}"


def prediction_of(key: str) -> str:
    """Return the id of the prediction that an item of the table belongs to."""
    return key.partition("#")[0]


def is_record(item: dict[str, Any]) -> bool:
    """Whether the item is a record, not a row of a list."""
    return "#" not in _shown(item, "id")


def _parts(value: Prediction | CreateAttempt | File | Price) -> dict[str, Any]:
    """Return the fields that differ from their defaults, in their stored form."""
    named = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: _kept(f, held) for f, held in named if held != _default(f)}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _type(field: Field[Any]) -> str:
    return str(field.type).removesuffix(" | None")


def _kept(field: Field[Any], value: Any) -> Any:
    """Convert a JSON value to its text, and a digest or a long text to bytes, if those are shorter
    and equivalent."""
    if _type(field) in _JSON and value is not None:
        value = strict_json.canonical(value)
    if field.name in _DIGESTS and value and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    if field.name in _DEFLATED and value:
        text = value.encode()
        packed = _deflated(text)
        return packed if len(packed) < len(text) else value
    return value


def _deflated(text: bytes) -> bytes:
    # A window of 4 KB, because setting up the largest takes ten times as long as deflating a
    # prompt.
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits=-12, memLevel=5)
    return deflate.compress(text) + deflate.flush()


# Reading


class DamagedItemError(ValueError):
    """A stored value does not fit its name. The text is the name, without the value."""


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


def _json(held: Any) -> Any:
    # An earlier release stored a provider's output however deep it was.
    return strict_json.loads(_text(held).encode(), deepest=None)


def _json_object(held: Any) -> Any:
    return _exactly(dict)(_json(held))


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
    "Json": _json,
    "JsonObject": _json_object,
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
"""Readers of fields, by the field's type."""


def _reader(field: Field[Any]) -> Callable[[Any], Any]:
    if field.name in _DIGESTS:
        return _digest
    return _text if _type(field) == "str" and field.name in _DEFLATED else _BY_TYPE[_type(field)]


@lru_cache
def _readers(kind: Any) -> dict[str, Callable[[Any], Any]]:
    return {field.name: _reader(field) for field in fields(kind)}


@lru_cache
def _empty(kind: Any) -> dict[str, None]:
    """Return the fields that may be None and have no default, since None is never an attribute."""
    optional = [f for f in fields(kind) if str(f.type).endswith(" | None")]
    return {f.name: None for f in optional if f.default is MISSING}


def made(kind: Callable[..., Made], values: Any) -> Made:
    """Build the dataclass from the values of its fields; other values belong to another release.

    Raises DamagedItemError if a value is not of its field's type, or a field without a default has
    none.
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
    """Build the dataclass from an item that must have `always`. Raises DamagedItemError like
    `made`."""
    missing = always - item.keys()
    if missing:
        raise DamagedItemError(", ".join(sorted(missing)))
    try:
        values = {name: plain(item[name]) for name in _readers(kind) if name in item}
    except (TypeError, ValueError):
        raise DamagedItemError("a value without a type") from None
    return made(kind, values)


def read_prediction(item: dict[str, Any]) -> Prediction:
    """Return a record from its item. Raises UnreadableRecordError if this release cannot read
    it."""
    newer = item.get(_NEWER_CODE, {}).get("S")
    if newer in _CODES:
        item = {**item, "code": {"S": newer}}
    try:
        return read_known(Prediction, item, always=_ALWAYS)
    except DamagedItemError as damage:
        raise UnreadableRecordError(
            _shown(item, "id"), _shown(item, "tenant"), str(damage)
        ) from None


def read_predictions(
    items: Iterable[dict[str, Any]], unreadable: list[UnreadableRecordError] | None
) -> Iterator[Prediction]:
    """Yield the records of items, one at a time. Errors of unreadable ones go to `unreadable`."""
    for item in items:
        try:
            yield read_prediction(item)
        except UnreadableRecordError as error:
            if unreadable is not None:
                unreadable.append(error)


DUE_ATTRIBUTES = (
    *("id", "due_at", "tenant", "state", "created_at", "deadline"),
    *("finished_at", "provider_id", "cancel_requested_at", "asked_again"),
)
"""Attributes that `read_due` needs."""


def read_due(key: Due, item: dict[str, Any]) -> DueRecord:
    """Return a due record's projection. An unreadable one raises at its claim."""
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
    """Return a text attribute of a damaged item; empty if that is damaged too."""
    return str(item.get(name, {}).get("S", ""))


def expired(item: dict[str, Any], now_s: float) -> bool:
    """Whether DynamoDB's TTL will delete the item, possibly days later; it counts as absent."""
    try:
        return int(item["expires_at"]["N"]) <= now_s
    except (LookupError, TypeError, ValueError):
        return False
