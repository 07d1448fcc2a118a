"""Items as other releases write them: the previous one, and a next one that was rolled back.

Two releases share the tables during a deployment. `last_release` are items that commit 0ba142c
wrote; `READABLE` and `UNREADABLE` change any item as a next release might write it, and `DAMAGED`
as no release would.

`python -m tests.support.versions` rewrites the items of the previous release, from git.
"""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import LARGEST_TEXT, NEWER_CODES
from darkroom.domain.prediction import (
    Code,
    CreateAttempt,
    CreateState,
    File,
    Prediction,
    Price,
    State,
)
from darkroom.domain.strict_json import canonical

from tests.support.fakes import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = dict[str, Any]

LAST_RELEASE = "0ba142cb72878905ae41bdb483ded640c23b613f"
VALUES = frozenset({"input", "output", "metrics"})
"""Fields that hold JSON values."""
_ROOT = Path(__file__).parents[2]
FIXTURE = _ROOT / "tests" / "adapters" / "fixtures" / "items-0ba142c.json"
_SCRIPT = _ROOT / "tests" / "adapters" / "releases.py"

# Previous release


def last_release() -> list[Item]:
    """Return the records of every kind that 0ba142c wrote, as the table stores them."""
    return [from_json(each["item"]) for each in json.loads(FIXTURE.read_text())]


def unpack_last_release(where: Path) -> bool:
    """Extract the previous release's package and doubles; return False if git lacks the commit."""
    doubles = [f"tests/{name}.py" for name in ("__init__", "fakes", "records", "world")]
    paths = ["functions/darkroom", *doubles]
    git = ["git", "-C", str(_ROOT), "archive", LAST_RELEASE, *paths]
    archive = subprocess.run(git, check=False, capture_output=True)
    if archive.returncode == 0:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(where, filter="data")
    return archive.returncode == 0


def ask(where: Path, **asked: list[Any]) -> Any:
    """Let the package at `where` read and write: see `adapters/releases.py`."""
    answer = subprocess.run(
        [sys.executable, "-P", str(_SCRIPT)],
        input=json.dumps({"write": [], "read": [], "deliveries": []} | asked),
        env={**os.environ, "PYTHONPATH": str(where / "functions")},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout)


def main() -> None:
    """Write the fixture."""
    known = [as_last(record) for record in records() if record.code not in NEWER_CODES]
    with TemporaryDirectory() as where:
        if not unpack_last_release(Path(where)):
            sys.exit(f"git has no {LAST_RELEASE}")
        items = ask(Path(where), write=known)["written"]
        read = ask(Path(where), read=items)["read"]
    lines = [
        json.dumps({"record": told["record"], "item": item}, separators=(",", ":"))
        for told, item in zip(read, items, strict=True)
    ]
    FIXTURE.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def as_last(record: Prediction) -> dict[str, Any]:
    """A record as the last release has it: what is a JSON value here is a text there."""
    values = to_json(asdict(record))
    return {k: canonical(v) if k in VALUES and v is not None else v for k, v in values.items()}


def to_json(value: Any) -> Any:
    """Return an item, a record, or a part of one as JSON: bytes in base64, as in the table's
    stream."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return {k: to_json(v) for k, v in value.items()} if isinstance(value, dict) else value


def from_json(value: Any) -> Any:
    """Return the item as DynamoDB's client returns it."""
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"B"}:
        return {"B": base64.b64decode(value["B"])}
    return {name: from_json(each) for name, each in value.items()}


# Records of every kind


def records() -> list[Prediction]:
    """Return records in every state and with every code, each with minimal and maximal content."""
    ended = [(State.FAILED, code) for code in Code]
    ended += [(State.CANCELED, Code.CANCELED), (State.ABORTED, Code.DEADLINE_EXCEEDED)]
    kinds: list[tuple[State, Code | None]] = [
        (state, None) for state in State if not state.terminal
    ]
    kinds += [(State.SUCCEEDED, None), *ended]
    made: list[Prediction] = []
    for state, code in kinds:
        for make in (_least, _full):
            made.append(make(f"{len(made):026d}", state, code))
    creates = [
        replace(made[0], create=CreateAttempt(2, state, START, START + 1)) for state in CreateState
    ]
    return made + [replace(r, id=f"{len(made) + n:026d}") for n, r in enumerate(creates)]


def _least(id_: str, state: State, code: Code | None) -> Prediction:
    over = state.terminal
    return Prediction(
        id=id_,
        tenant="acme",
        created_at=START,
        model="owner/name",
        version=None,
        input={"prompt": "a corgi"},
        deadline=START + 1_800_000,
        typical_ms=2000,
        expires_at=START // 1000 + 90 * 86_400,
        updated_at=START,
        due_at=None if over else START + 5000,
        create=CreateAttempt(1, CreateState.IN_FLIGHT, START, START + 13_000),
        state=state,
        code=code,
        provider_id=None if state is State.ACCEPTED else f"p{id_}",
        effects_done=over,
    )


_SAMPLES: dict[str, Any] = {
    "str": "x",
    "int": 7,
    "bool": True,
    "tuple[str, ...]": ("x", "y"),
    "tuple[int, ...]": (7, 8),
}


def _full(id_: str, state: State, code: Code | None) -> Prediction:
    """Every field differs from its default, including future ones."""
    samples: dict[str, Any] = {
        f.name: _SAMPLES.get(str(f.type).removesuffix(" | None"))
        for f in fields(Prediction)
        if f.default is not MISSING or f.default_factory is not MISSING
    }
    samples |= {
        "uploads": {"/image": "acme/inputs/7/0", "/a~1b": "acme/files/ü"},
        "metadata": {"order": "99", "größe": ""},
        "webhook": "https://client.example/?a=b",
        "webhook_events": ("start", "completed"),
        "fingerprint": "0f" * 16,
        "cache_key": "a0" * 16,
        "price": Price("image", 3000, 12_000),
        "ledger": "SPEND#acme#2027-01",
        "revision": 9,
        "state": state,
        "code": code,
        "output": [f"https://replicate.delivery/{'x' * 40}/{n}.png" for n in range(2)],
        "logs": "".join(f"{n:3}%|{'#' * n}\n" for n in range(9)),
        "log_size": 5_000_000,
        "metrics": {"predict_time": 1.25},
        "started_at": "2027-01-15T08:00:00.000001Z",
        "completed_at": "2027-01-15T08:00:01Z",
        "finished_at": START,
        "files": (
            File("acme/2027/01/7/0.png", "a" * 64, 123, "image/png", 2, 3),
            File("acme/2027/01/7/1.mp4", "b" * 64, 10**12, "video/mp4"),
        ),
        "due_at": START + 5000,
        "cancel_requested_at": None,
    }
    return replace(
        _least(id_, state, code),
        version="f" * 64,
        input={"prompt": "Dackel 🐕\0\u2028" * 4, "seed": 10**60, "x": [0.1, -0.0, 1e300, None]},
        create=CreateAttempt(
            3, CreateState.REFUSED, START, START + 1, not_before=START + 2, parked=True
        ),
        **samples,
    )


# Next release

_EVERY_TYPE: Item = {
    "S": "x",
    "N": "1.5",
    "B": b"x",
    "BOOL": True,
    "NULL": True,
    "L": [{"N": "1E+2"}, {"NULL": True}],
    "M": {"x": {"NULL": True}},
    "SS": ["x"],
    "NS": ["1"],
    "BS": [b"x"],
}
_UNKNOWN = {f"newer_{kind.lower()}": {kind: value} for kind, value in _EVERY_TYPE.items()}


_TEXTS = {"uploads", "metadata"}
"""Maps whose names belong to no release; every value is a text."""


def _more(item: Item) -> Item:
    return {**item, **_UNKNOWN}


def _more_nested(item: Item) -> Item:
    """Add a name of every type to all nested maps, at every depth."""
    return {name: typed if name in _TEXTS else _nested(typed) for name, typed in item.items()}


def _nested(typed: Item) -> Item:
    match typed:
        case {"M": held}:
            return {"M": {**held, **_UNKNOWN}}
        case {"L": held}:
            return {"L": [_nested(each) for each in held]}
    return typed


def _other_state(item: Item) -> Item:
    return {**item, "state": {"S": "paused"}}


def _newer_code(item: Item) -> Item:
    """Add a code that is unknown here, beside the nearest known one."""
    return item if "newer_code" in item else {**item, "newer_code": {"S": "quota_exceeded"}}


def _other_code(item: Item) -> Item:
    """Set a code without a known substitute."""
    kept = {name: typed for name, typed in item.items() if name != "newer_code"}
    return {**kept, "code": {"S": "quota_exceeded"}}


def _newer_create(item: Item) -> Item:
    held = {**item["create"]["M"], "state": {"S": "queued"}}
    return {**item, "create": {"M": held}}


READABLE: dict[str, Callable[[Item], Item]] = {
    "attributes": _more,
    "nested": _more_nested,
    "newer code": _newer_code,
}
"""Changes that a release must be able to read; the record is the same."""
UNREADABLE: dict[str, Callable[[Item], Item]] = {
    "state": _other_state,
    "code": _other_code,
    "create state": _newer_create,
}
"""Changes that it cannot read: one failed record, and no other effect."""


def next_release(item: Item) -> Iterator[tuple[str, Item]]:
    """Return the item as a next release might have written it, in every way, each with its name."""
    for name, change in (READABLE | UNREADABLE).items():
        yield name, change(item)


# Damaged values


def deflated(text: bytes) -> Item:
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits=-15)
    return {"B": deflate.compress(text) + deflate.flush()}


def without(*names: str) -> Callable[[Item], Item]:
    return lambda item: {key: value for key, value in item.items() if key not in names}


def changed(**attributes: Item) -> Callable[[Item], Item]:
    return lambda item: {**item, **attributes}


DAMAGED: dict[str, Callable[[Item], Item]] = {
    **UNREADABLE,
    "no create": without("create"),
    "no state": without("state"),
    "no revision": without("revision"),
    "no deadline": without("deadline"),
    "time as text": changed(deadline={"S": "tomorrow"}),
    "time as fraction": changed(deadline={"N": "1.5"}),
    "truth as text": changed(effects_done={"S": "no"}),
    "input as list": changed(input={"L": [{"S": "x"}]}),
    "input cut short": changed(input={"S": '{"prompt":'}),
    "input that is no object": changed(input={"S": "[]"}),
    "output with a key twice": changed(output={"S": '{"a":1,"a":2}'}),
    "metrics that are no number": changed(metrics={"S": '{"predict_time":NaN}'}),
    "output that goes too deep": changed(output={"S": "[" * 100_000 + "]" * 100_000}),
    "create as text": changed(create={"S": "x"}),
    "create without attempt": changed(create={"M": {"state": {"S": "refused"}}}),
    "files as map": changed(files={"M": {}}),
    "file without key": changed(files={"L": [{"M": {"bytes": {"N": "1"}}}]}),
    "uploads as list": changed(uploads={"L": []}),
    "upload as number": changed(uploads={"M": {"/x": {"N": "1"}}}),
    "metadata as text": changed(metadata={"S": "x"}),
    "metadata of numbers": changed(metadata={"M": {"order": {"N": "99"}}}),
    "tags as text": changed(tags={"S": "x"}),
    "events as text": changed(webhook_events={"S": "start"}),
    "price as number": changed(price={"N": "1"}),
    "text that is not deflated": changed(logs={"B": b"\xff\xfe\xfd"}),
    "text cut short": changed(logs={"B": deflated(b"corgi " * 99)["B"][:-3]}),
    "text that is not text": changed(logs=deflated(b"\xff" * 99)),
    "text that is too large": changed(logs=deflated(b"\0" * (LARGEST_TEXT + 1))),
}
"""Other damage of an item, which cannot be read either."""


if __name__ == "__main__":
    main()
