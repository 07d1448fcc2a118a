"""Records as DynamoDB items, and back.

Attributes are strings, integers, booleans, bytes, lists and maps of those. What a model was given
or answered is kept as JSON text: DynamoDB refuses floats through boto3, and numbers past 38 digits.
Each started kilobyte of a write is paid for: what is at its default is left out, digests are bytes,
and long texts are deflated (a prompt by a third, a model's logs by more than half).
"""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from darkroom.domain.lifecycle import may_cause, urgency
from darkroom.domain.prediction import Code, Create, CreateState, File, Prediction, Price, State
from darkroom.ports import DueRecord

if TYPE_CHECKING:
    from dataclasses import Field

    from darkroom.ports import Due

DUE_SHARDS = 16
_DIGESTS = frozenset({"fingerprint", "cache_key", "sha256"})
_TEXTS = frozenset({"input", "logs", "output"})
_HEX = re.compile("(?:[0-9a-f]{2})+")
RELAY = "relay"
"""The attribute that lets a change through to the relay: the stream's mapping filters by it."""


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
            return int(value)
        case "L":
            return [plain(item) for item in value]
        case "SS":
            return sorted(value)
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
    values[RELAY] = may_cause(record)
    return to_item(values)


def _parts(value: Prediction | Create | File | Price) -> dict[str, Any]:
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


def _read(name: str, value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return value.hex() if name in _DIGESTS else zlib.decompress(value, -zlib.MAX_WBITS).decode()


DUE_ATTRIBUTES = (
    *("id", "due_at", "tenant", "state", "created_at", "deadline"),
    *("finished_at", "provider_id", "cancel_requested_at", "asked_again"),
)
"""What `read_due` reads of an item."""


def read_due(key: Due, item: dict[str, Any]) -> DueRecord:
    """What a due record asks for; of a state that is not known here, the claim tells."""
    values = {name: plain(typed) for name, typed in item.items() if name in DUE_ATTRIBUTES}
    provider_id = values.get("provider_id")
    known = values.get("state") in State.__members__.values()
    state = State(values["state"]) if known else State.ACCEPTED
    return DueRecord(
        key=key,
        due_at=values.get("due_at", key.due_at),
        tenant=values.get("tenant", ""),
        urgency=urgency(state, bound=provider_id is not None),
        created_at=values.get("created_at", key.due_at),
        deadline=values.get("deadline", key.due_at),
        finished_at=values.get("finished_at"),
        provider_id=provider_id,
        canceling="cancel_requested_at" in values,
        asked_again=values.get("asked_again", False),
    )


_KNOWN = frozenset(f.name for f in fields(Prediction))


def read_prediction(item: dict[str, Any]) -> Prediction:
    """A record from its item; attributes of other versions of Darkroom are ignored."""
    values = {name: _read(name, plain(typed)) for name, typed in item.items() if name in _KNOWN}
    create = values["create"]
    values["create"] = Create(**{**create, "state": CreateState(create["state"])})
    values["files"] = tuple(
        File(**{name: _read(name, held) for name, held in file.items()})
        for file in values.get("files", [])
    )
    values["state"] = State(values["state"])
    if "price" in values:
        values["price"] = Price(**values["price"])
    if "code" in values:
        values["code"] = Code(values["code"])
    for name in values.keys() & {"webhook_events", "extra_provider_ids"}:
        values[name] = tuple(values[name])
    values.setdefault("version", None)
    return Prediction(**values)
