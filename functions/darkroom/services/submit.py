"""Accept a prediction: check it, record the intent, then create it upstream without waiting."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import link, media, strict_json
from darkroom.domain.errors import (
    IdempotencyKeyUsed,
    InvalidInput,
    ProviderUnavailable,
    TooLarge,
    Unavailable,
)
from darkroom.domain.inputs import FileReference, find_files, move_out
from darkroom.domain.lifecycle import due, first_attempt
from darkroom.domain.model import (
    MODEL_NAME,
    VERSION,
    InvalidField,
    Model,
    draw_seed,
    input_schema_of,
    output_shape_of,
    problem_detail,
    validate_input,
)
from darkroom.domain.prediction import Prediction
from darkroom.ports import IdempotencyKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from darkroom.catalog import Catalogue
    from darkroom.ports import Controls, Provider, UploadStore
    from darkroom.services.changes import Changes
    from darkroom.services.create import Create
    from darkroom.services.run_times import RunTimes

logger = logging.getLogger(__name__)

INPUT_KEPT = 256_000
"""Bytes of input that a record holds; data URIs beyond it move to the uploads bucket."""

MAX_FILES = 100
"""Files in one input, at most: each costs a call to the uploads bucket."""

OPEN_MODEL_TYPICAL_S = 30.0

OPAQUE = "application/octet-stream"

KEY_KEPT_S = 24 * 3600
"""How long an idempotency key answers for the prediction that it made."""

LATEST = 100
"""Predictions that are searched for an earlier one of the same request."""


@dataclass(frozen=True, slots=True)
class NewPrediction:
    """A checked request: what the client asked for, before any of it is known to be possible."""

    tenant: str
    reference: str
    """`owner/name`, `owner/name:version`, `version`, or an alias of the stage."""
    input: dict[str, Any]
    webhook: str | None = None
    webhook_events: tuple[str, ...] = ("completed",)
    cancel_after_s: int | None = None
    received_at: int | None = None
    """When the gateway got the request: the create's budget counts from there."""
    idempotency_key: str | None = None
    replay_window_s: int = 0
    """Replay the tenant's latest prediction of the same request within so many seconds."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The record after the create, and a note for the client where its reference was mended."""

    record: Prediction
    warning: str | None = None
    replayed: bool = False
    """The prediction was made by an earlier request; this one made nothing."""
    expected: dict[str, Any] = field(default_factory=dict)
    """What its model's runs take, `expected_seconds`, and whether it looks `cold`."""


@dataclass(frozen=True, slots=True)
class Submit:
    """The submit use case. One durable write before the create, one after it."""

    changes: Changes
    create: Create
    provider: Provider
    catalogue: Callable[[], Catalogue]
    controls: Controls
    uploads: UploadStore
    random: Random
    retention_days: int
    open_models: bool
    public_url: str
    run_times: RunTimes | None = None

    def __call__(self, request: NewPrediction) -> Accepted:
        """Accept or refuse. Raises InvalidInput, TooLarge or Unavailable with nothing written.

        Once the intent is recorded the prediction is accepted, whatever the create does.
        """
        model, version, warning = self._resolve(request.reference)
        if strict_json.has_nul(request.input):
            raise InvalidInput("- input: Must not contain NUL characters\n")
        problems = validate_input(model.input_schema, request.input)
        if problems:
            raise invalid(problems)
        expected = self.run_times.expected(model) if self.run_times else {}
        now = self.changes.clock()
        id_ = link.new_id()
        given = draw_seed(model.input_schema, request.input, self.random)
        read = self._read_files(id_, request.tenant, given)
        fingerprint = _fingerprint(request, read)
        earlier = self._earlier(request, fingerprint, now)
        if earlier is not None:
            return Accepted(earlier, warning, replayed=True, expected=expected)
        budget = self._budget_s(request, now)
        timings = self.changes.timings
        limit = request.cancel_after_s or model.deadline_seconds or timings.default_deadline_s
        record = Prediction(
            id=id_,
            tenant=request.tenant,
            created_at=now,
            model=model.model,
            version=version,
            input=read.kept,
            uploads=read.uploads,
            webhook=request.webhook,
            webhook_events=request.webhook_events,
            deadline=now + int(limit * 1000),
            typical_ms=int(model.typical_seconds * 1000),
            fingerprint=fingerprint,
            expires_at=now // 1000 + self.retention_days * 86_400,
            updated_at=now,
            create=first_attempt(now, budget, timings),
        )
        record = replace(record, due_at=due(record, timings))
        for key, data in read.new.items():
            sniffed = media.sniff(data[:4096])
            self.uploads.put(key, sniffed.type if sniffed else OPAQUE, data, {})
        try:
            self.changes.store.insert(record, _stored_key(request, now))
        except IdempotencyKeyUsed as used:
            earlier = self._replay(used, fingerprint)
            return Accepted(earlier, warning, replayed=True, expected=expected)
        return Accepted(self._send(record, budget), warning, expected=expected)

    def _earlier(self, request: NewPrediction, fingerprint: str, now: int) -> Prediction | None:
        """The same request's prediction, where the client gave a hint that it repeats itself."""
        if not request.replay_window_s or request.idempotency_key is not None:
            return None
        since = now - request.replay_window_s * 1000
        ids = self.changes.store.recent_ids(request.tenant, since, LATEST)
        recent = self.changes.store.get_many(ids)
        return next((record for record in recent if record.fingerprint == fingerprint), None)

    def _replay(self, used: IdempotencyKeyUsed, fingerprint: str) -> Prediction:
        """What the key made before. Raises InvalidInput for another request than that one."""
        if used.fingerprint != fingerprint:
            raise InvalidInput(
                "This Idempotency-Key was used with another request body.",
                title="Idempotency key already used",
            )
        record = self.changes.store.get(used.prediction)
        if record is None:
            raise Unavailable("The prediction of this Idempotency-Key is being removed.")
        return record

    def _send(self, record: Prediction, budget: float) -> Prediction:
        try:
            return self.create.send(record, budget)
        except Exception:
            # The intent stands: the sweep finds out what became of the create.
            logger.exception("the create's end is not recorded")
            return record

    def _budget_s(self, request: NewPrediction, now: int) -> float:
        """What is left of the budget since the gateway got the request; a second at least."""
        spent = max(0, now - (request.received_at or now)) / 1000
        return max(1.0, self.changes.timings.create_budget_s - spent)

    def _resolve(self, reference: str) -> tuple[Model, str | None, str | None]:
        found = self.catalogue().resolve(reference)
        if found is not None:
            return found.model, found.version, found.warning
        if self.open_models:
            opened = self._open_model(reference)
            if opened is not None:
                return opened, opened.version, None
        raise InvalidInput(
            "The specified version does not exist "
            "(or perhaps you don't have permission to use it?)",
            title="Invalid version or not permitted",
        )

    def _open_model(self, reference: str) -> Model | None:
        """Any pinned `owner/name:version`, its schema fetched from the provider once."""
        name, _, version = reference.partition(":")
        if not (MODEL_NAME.fullmatch(name) and VERSION.fullmatch(version)):
            return None
        schema = self.controls.cached_schema(version)
        if schema is None:
            try:
                schema = self.provider.input_schema(name, version)
            except ProviderUnavailable:
                raise Unavailable("The model's schema cannot be read now; try again.") from None
            if schema is None:
                return None
            self.controls.cache_schema(version, schema)
        return Model(
            model=name,
            task="any",
            official=False,
            version=version,
            input_schema=input_schema_of(schema),
            output=output_shape_of(schema),
            typical_seconds=OPEN_MODEL_TYPICAL_S,
        )

    def _read_files(self, id_: str, tenant: str, given: dict[str, Any]) -> _Input:
        """The input as the record will hold it, with its files moved out. Writes nothing."""
        text = strict_json.canonical(given)
        inline = len(text.encode()) <= INPUT_KEPT
        value = json.loads(text)
        found = find_files(value, self.public_url)
        if len(found) > MAX_FILES:
            raise TooLarge(f"The input has more than {MAX_FILES} files.")
        uploads: dict[str, str] = {}
        new: dict[str, bytes] = {}
        contents: dict[str, str] = {}
        for number, file in enumerate(found):
            if isinstance(file, FileReference):
                key = f"{tenant}/files/{file.file_id}"
                uploaded = self.uploads.head(key)
                if uploaded is None:
                    raise invalid([InvalidField("file", file.field, "File not found")])
                contents[file.pointer] = uploaded["metadata"].get("sha256", uploaded["etag"])
            else:
                data = file.data()
                if inline:
                    continue
                key = f"{tenant}/inputs/{id_}/{number}"
                new[key] = data
                contents[file.pointer] = hashlib.sha256(data).hexdigest()
            move_out(value, file.pointer)
            uploads[file.pointer] = key
        kept = strict_json.canonical(value)
        if len(kept.encode()) + len(strict_json.canonical(uploads).encode()) > INPUT_KEPT:
            raise TooLarge(f"The input without its files must be below {INPUT_KEPT // 1000} kB.")
        return _Input(kept, uploads, new, contents)


@dataclass(frozen=True, slots=True)
class _Input:
    kept: str
    uploads: dict[str, str]
    new: dict[str, bytes]
    """Data URIs that do not fit into the record, by their keys in the uploads bucket."""
    contents: dict[str, str]
    """SHA-256 of every file that was moved out: a client uploads it anew when it tries again."""


def _fingerprint(request: NewPrediction, read: _Input) -> str:
    """Hash of what was asked for, before a seed is drawn, with files by their contents."""
    asked = json.loads(read.kept)
    if request.input.get("seed") is None:
        asked.pop("seed", None)
    body = {
        "reference": request.reference,
        "input": asked,
        "files": read.contents,
        "webhook": request.webhook,
        "events": sorted(request.webhook_events),
    }
    return hashlib.sha256(strict_json.canonical(body).encode()).hexdigest()


def _stored_key(request: NewPrediction, now: int) -> IdempotencyKey | None:
    if request.idempotency_key is None:
        return None
    scoped = hashlib.sha256(f"{request.tenant}\0{request.idempotency_key}".encode()).hexdigest()
    return IdempotencyKey(f"IDEM#{scoped}", now // 1000 + KEY_KEPT_S)


def invalid(fields: list[InvalidField]) -> InvalidInput:
    """What is wrong with an input, in Replicate's form."""
    return InvalidInput(problem_detail(fields), [(f.type, f.field, f.description) for f in fields])
