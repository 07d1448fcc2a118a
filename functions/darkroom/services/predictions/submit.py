"""Accepts a prediction: validate it, record it, then create it upstream without waiting."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Literal

from darkroom.domain import link, row_keys, strict_json, unknown_names
from darkroom.domain.checker import MAX_PROBLEMS, invalid, validate_input
from darkroom.domain.errors import (
    IdempotencyKeyUsedError,
    InvalidInputError,
    LimitReachedError,
    PaymentRequiredError,
    TooManyRequestsError,
    UnavailableError,
)
from darkroom.domain.lifecycle import due, first_attempt
from darkroom.domain.model import draw_seed, fixes_the_result
from darkroom.domain.money import month_row, reservation, terms_of
from darkroom.domain.prediction import Prediction
from darkroom.domain.values import immutable
from darkroom.ports import IdempotencyKey
from darkroom.services.predictions import repeats
from darkroom.services.predictions.create import SHORTEST_CANCEL_AFTER_S
from darkroom.services.predictions.reuse import cache_key
from darkroom.services.tenants import limits

if TYPE_CHECKING:
    from random import Random

    from darkroom.domain.model import Model
    from darkroom.domain.repeats import RepeatEntry
    from darkroom.services.files.prepare_input import PreparedInput, PrepareInput
    from darkroom.services.models.find import FindModel
    from darkroom.services.models.run_times import RunTimes
    from darkroom.services.predictions.changes import Changes
    from darkroom.services.predictions.create import SendCreate
    from darkroom.services.predictions.reuse import CachedResult, ReuseResult
    from darkroom.services.tenants.limits import TenantLimits

logger = logging.getLogger(__name__)

KEY_KEPT_S = 24 * 3600
"""Lifetime of an idempotency key."""


@immutable
class NewPrediction:
    """A parsed request, before its feasibility is known."""

    tenant: str
    reference: str
    """`owner/name`, `owner/name:version`, `version`, or an alias of the stage."""
    input: dict[str, Any]
    webhook: str | None = None
    webhook_events: tuple[str, ...] = ("completed",)
    cancel_after_s: int | None = None
    received_at: int | None = None
    """Time at which the gateway received the request; the create's budget counts from there."""
    idempotency_key: str | None = None
    retry_count: int | None = None
    """The number of earlier attempts, if the client's library sends it."""
    dedupe_s: int = 0
    """The API key's window: an equal request within so many seconds counts as a repetition."""
    task_token: str | None = field(default=None, repr=False)
    """The Step Functions task that waits for the end."""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    request_id: str | None = None
    """The sender's id of an event."""
    cache: Literal["reuse", "bypass"] | None = None
    """`reuse` accepts a stored result without a seed as well, `bypass` never does; None only with
    the client's seed."""

    @property
    def said(self) -> dict[str, Any]:
        """The client's own fields, if any. Requests that differ in them are different requests."""
        given = {
            "metadata": self.metadata,
            "tags": sorted(self.tags),
            "end_user": self.end_user,
        }
        return {name: value for name, value in given.items() if value}


@immutable
class Accepted:
    """The record after the create, and a warning if the reference was corrected or the model
    ignores a part of the input."""

    record: Prediction
    warning: str | None = None
    replayed: bool = False
    """The prediction was made by an earlier request; this one made nothing."""
    expected: dict[str, Any] = field(default_factory=dict)
    """`expected_seconds` of its model's runs, and whether it is probably `cold`."""


@immutable
class Submit:
    """The submit use case: one durable write before the create, one after it."""

    changes: Changes
    create: SendCreate
    find_model: FindModel
    prepare_input: PrepareInput
    random: Random
    retention_days: int
    public_url: str
    limits: TenantLimits
    run_times: RunTimes | None = None
    reuse: ReuseResult | None = None
    """None if the stage has no result cache."""
    strict: bool = False
    """Reject inputs that the model's schema does not name."""

    def __call__(self, request: NewPrediction) -> Accepted:
        """Accept or reject. Raises InvalidInputError, TooLargeError, TooManyRequestsError,
        PaymentRequiredError or UnavailableError with nothing written.

        Once recorded, the prediction is accepted, whatever the create does.
        """
        try:
            return self._accept(request)
        except (TooManyRequestsError, PaymentRequiredError, UnavailableError):
            # Other errors recur by the same checks, before a repetition is looked up.
            repeats.note_refusal(self.changes.store, request, self.changes.clock())
            raise

    def most(self, request: NewPrediction) -> tuple[int | None, str | None]:
        """Return the maximum cost of the request in millionths of a US dollar, None if its model
        has no price; and the warning that its create would give.

        Validated like a create, but it writes only the request's count in its rate. Raises
        InvalidInputError, TooLargeError, TooManyRequestsError or UnavailableError.
        """
        self.limits.admit(request.tenant, request.end_user)
        model, _, warning, given = self._checked(request)
        prepared = self.prepare_input(link.new_id(), request.tenant, given, model.input_schema)
        longest_s = self._longest_s(_limit_s(request, model))
        price, _, _ = terms_of(model, given, longest_s, prepared.pixels)
        return price.most if price else None, warning

    def _checked(
        self, request: NewPrediction
    ) -> tuple[Model, str | None, str | None, dict[str, Any]]:
        """Return model, version, warning, and the input with its seed. Raises InvalidInputError."""
        model, version, warning = self.find_model(request.reference)
        if strict_json.has_nul(request.input):
            raise InvalidInputError("- input: Must not contain NUL characters\n")
        given = draw_seed(model.input_schema, request.input, self.random)
        return model, version, self._check(model, given, warning), given

    def _longest_s(self, limit: float | None) -> float:
        """Return the seconds for which the provider may run a prediction with this limit."""
        return max(limit or self.changes.timings.run_limit_s, SHORTEST_CANCEL_AFTER_S)

    def _accept(self, request: NewPrediction) -> Accepted:
        allowed = self.limits.admit(request.tenant, request.end_user)
        model, version, warning, given = self._checked(request)
        expected = self.run_times.expected(model) if self.run_times else {}
        now = self.changes.clock()
        id_ = link.new_id()
        prepared = self.prepare_input(id_, request.tenant, given, model.input_schema)
        fingerprint = _fingerprint(request, prepared)
        result_key = self._result_key(request, model, version, prepared)
        try:
            key = _stored_key(request, now) or repeats.enter(
                self.changes.store, request, fingerprint, id_, now
            )
            reused = self._reused(request, model, key, id_, result_key, now)
        except IdempotencyKeyUsedError as used:
            return self._replay(used, fingerprint, warning, expected)
        started = self.changes.clock()
        budget = self._budget_s(request, started)
        timings = self.changes.timings
        limit = _limit_s(request, model)
        price, base, tiers = terms_of(model, given, self._longest_s(limit), prepared.pixels)
        record = Prediction(
            id=id_,
            tenant=request.tenant,
            created_at=now,
            model=model.model,
            version=version,
            input=prepared.kept,
            uploads=prepared.uploads,
            webhook=request.webhook,
            webhook_events=request.webhook_events,
            deadline=now + int((limit or timings.default_deadline_s) * 1000),
            typical_ms=int(model.typical_seconds * 1000),
            makes_files=model.makes_files,
            output_places=model.output_places,
            fingerprint=fingerprint,
            cache_key=result_key,
            expires_at=now // 1000 + self.retention_days * 86_400,
            price=price,
            price_base=base,
            price_tiers=tiers,
            ledger=month_row(request.tenant, now) if allowed.ledger else None,
            end_user_ledger=bool(request.end_user) and allowed.end_user_monthly_cap is not None,
            task_token=request.task_token,
            metadata=request.metadata,
            tags=request.tags,
            end_user=request.end_user,
            request_id=request.request_id,
            updated_at=now,
            create=first_attempt(started, budget, timings),
        )
        if reused is None:
            allowed = limits.beside_last_month(allowed, record, self.changes.store)
            limits.check(record, allowed)
        else:
            record = reused.ended(record, now)
        record = replace(record, due_at=due(record, timings))
        entries = reservation(record, allowed)
        self.prepare_input.write_files(prepared)
        try:
            self.changes.store.insert(record, key, entries)
        except IdempotencyKeyUsedError as used:
            return self._replay(used, fingerprint, warning, expected)
        except LimitReachedError as reached:
            raise limits.refused(reached, record.typical_ms) from None
        if reused is None:
            record = self._send(record, budget)
        return Accepted(record, warning, expected=expected)

    def _check(self, model: Model, given: dict[str, Any], warning: str | None) -> str | None:
        """Return the warning for the client, after the given one. Raises InvalidInputError."""
        problems = validate_input(model.input_schema, given)
        if self.strict:
            problems += unknown_names.problems(model.input_schema, given)
        if problems:
            raise invalid(problems[:MAX_PROBLEMS])
        ignored = unknown_names.warning(model.input_schema, given, model.model)
        return ". ".join(filter(None, [warning, ignored])) or None

    def _result_key(
        self, request: NewPrediction, model: Model, version: str | None, prepared: PreparedInput
    ) -> str | None:
        if self.reuse is None:
            return None
        return cache_key(
            tenant=request.tenant,
            model=model.model,
            version=version,
            asked=_asked(request, prepared),
            files=prepared.contents,
        )

    def _reused(
        self,
        request: NewPrediction,
        model: Model,
        key: IdempotencyKey | RepeatEntry | None,
        id_: str,
        result_key: str | None,
        now: int,
    ) -> CachedResult | None:
        """Return the stored result of an equal request, if this one allows it.

        Raises IdempotencyKeyUsedError before anything is copied.
        """
        properties = model.input_schema.get("properties")
        takes_seed = isinstance(properties, dict) and "seed" in properties
        seeded = takes_seed and fixes_the_result(request.input.get("seed"))
        if self.reuse is None or result_key is None or request.cache == "bypass":
            return None
        if not seeded and request.cache != "reuse":
            return None
        source = self.reuse.source(request.tenant, result_key, now)
        if source is None:
            return None
        if not isinstance(key, IdempotencyKey):
            return self.reuse.copied(source, id_, now)
        self.changes.store.check_key(key, now)
        return self.reuse.copied(source, _shared_place(key, source, now), now)

    def _replay(
        self,
        used: IdempotencyKeyUsedError,
        fingerprint: str,
        warning: str | None,
        expected: dict[str, Any],
    ) -> Accepted:
        """Return the prediction that the request made before. Raises InvalidInputError if its key
        belongs to another request."""
        if used.fingerprint != fingerprint:
            raise InvalidInputError(
                "This Idempotency-Key was used with another request body.",
                title="Idempotency key already used",
            )
        record = self.changes.store.get(used.prediction)
        if record is None:
            raise UnavailableError("The prediction of this request is being removed.")
        return Accepted(record, warning, replayed=True, expected=expected)

    def _send(self, record: Prediction, budget: float) -> Prediction:
        try:
            return self.create.send(record, budget)
        except Exception:
            # The request is recorded, so the sweep finds out the create's result.
            logger.exception("the create's end is not recorded")
            return record

    def _budget_s(self, request: NewPrediction, now: int) -> float:
        """Return what is left of the budget since the gateway received the request, at least a
        second."""
        spent = max(0, now - (request.received_at or now)) / 1000
        return max(1.0, self.changes.timings.create_budget_s - spent)


def _limit_s(request: NewPrediction, model: Model) -> int | None:
    """Return the limit on its run, if the client or the model's entry sets one."""
    return request.cancel_after_s or model.deadline_seconds


def _asked(request: NewPrediction, prepared: PreparedInput) -> dict[str, Any]:
    """Return the client's input, without a drawn seed."""
    asked = dict(prepared.kept)
    given = request.input.get("seed")
    if given is None or asked.get("seed") != given:
        asked.pop("seed", None)
    return asked


def _fingerprint(request: NewPrediction, prepared: PreparedInput) -> str:
    """Return a hash of the request, before a seed is drawn, with files by their contents."""
    body = {
        "reference": request.reference,
        "input": _asked(request, prepared),
        "files": prepared.contents,
        "webhook": request.webhook,
        "events": sorted(request.webhook_events),
        **request.said,
    }
    if request.task_token is not None:
        # Another task must not count as a repetition, because it would wait forever.
        body["task"] = request.task_token
    return strict_json.digest(body)


def _stored_key(request: NewPrediction, now: int) -> IdempotencyKey | None:
    if request.idempotency_key is None:
        return None
    scoped = hashlib.sha256(f"{request.tenant}\0{request.idempotency_key}".encode()).hexdigest()
    return IdempotencyKey(row_keys.IDEMPOTENCY + scoped, now // 1000 + KEY_KEPT_S)


def _shared_place(key: IdempotencyKey, source: Prediction, now: int) -> str:
    """Return the id under which repetitions with one key store their copies of one result;
    whichever is recorded owns the others' copies. It includes the day, because a key may be reused
    after one."""
    return strict_json.digest([key.id, source.id, now // 86_400_000])[:26]
