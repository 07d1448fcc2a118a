"""Accept a prediction: check it, record the intent, then create it upstream without waiting."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import link, media, strict_json
from darkroom.domain.errors import InvalidInput, ProviderUnavailable, TooLarge, Unavailable
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from darkroom.catalog import Catalogue
    from darkroom.ports import Controls, Provider, UploadStore
    from darkroom.services.changes import Changes
    from darkroom.services.create import Create

INPUT_KEPT = 256_000
"""Bytes of input that a record holds; data URIs beyond it move to the uploads bucket."""

OPEN_MODEL_TYPICAL_S = 30.0

OPAQUE = "application/octet-stream"


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


@dataclass(frozen=True, slots=True)
class Accepted:
    """The record after the create, and a note for the client where its reference was mended."""

    record: Prediction
    warning: str | None = None


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

    def __call__(self, request: NewPrediction) -> Accepted:
        """Accept or refuse. Raises InvalidInput, TooLarge or Unavailable with nothing written.

        Once the intent is recorded the prediction is accepted, whatever the create does.
        """
        model, version, warning = self._resolve(request.reference)
        if strict_json.has_nul(request.input):
            raise InvalidInput("- input: Must not contain NUL characters\n")
        refuse(validate_input(model.input_schema, request.input))
        now = self.changes.clock()
        id_ = link.new_id()
        given = draw_seed(model.input_schema, request.input, self.random)
        kept, uploads = self._move_files(id_, request.tenant, given)
        budget = self._budget_s(request, now)
        timings = self.changes.timings
        limit = request.cancel_after_s or model.deadline_seconds or timings.default_deadline_s
        record = Prediction(
            id=id_,
            tenant=request.tenant,
            created_at=now,
            model=model.model,
            version=version,
            input=kept,
            uploads=uploads,
            webhook=request.webhook,
            webhook_events=request.webhook_events,
            deadline=now + int(limit * 1000),
            typical_ms=int(model.typical_seconds * 1000),
            expires_at=now // 1000 + self.retention_days * 86_400,
            updated_at=now,
            create=first_attempt(now, budget, timings),
        )
        record = replace(record, due_at=due(record, timings))
        self.changes.store.insert(record)
        return Accepted(self.create.send(record, budget), warning)

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

    def _move_files(
        self, id_: str, tenant: str, given: dict[str, Any]
    ) -> tuple[str, dict[str, str]]:
        """Canonical input for the record, and the uploads that were taken out of it."""
        text = strict_json.canonical(given)
        inline = len(text.encode()) <= INPUT_KEPT
        moved: dict[str, str] = {}
        value = json.loads(text)
        for number, found in enumerate(find_files(value, self.public_url)):
            if isinstance(found, FileReference):
                key = f"{tenant}/files/{found.file_id}"
                if self.uploads.head(key) is None:
                    field = f"input{found.pointer.replace('/', '.')}"
                    refuse([InvalidField("file", field, "File not found")])
            else:
                data = found.data()
                if inline:
                    continue
                key = f"{tenant}/inputs/{id_}/{number}"
                sniffed = media.sniff(data[:4096])
                self.uploads.put(key, sniffed.type if sniffed else OPAQUE, data, {})
            move_out(value, found.pointer)
            moved[found.pointer] = key
        kept = strict_json.canonical(value)
        if len(kept.encode()) > INPUT_KEPT:
            raise TooLarge(f"The input without its files must be below {INPUT_KEPT // 1000} kB.")
        return kept, moved


def refuse(fields: list[InvalidField]) -> None:
    """Raise InvalidInput in Replicate's form if there is anything to refuse."""
    if fields:
        shown = [(f.type, f.field, f.description) for f in fields]
        raise InvalidInput(problem_detail(fields), shown)
