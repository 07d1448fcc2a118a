"""The create request to the provider, and its result for the record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from darkroom.domain import link
from darkroom.domain.errors import ConflictError
from darkroom.domain.inputs import filled
from darkroom.domain.lifecycle import longest_life
from darkroom.domain.values import immutable
from darkroom.ports import Answered
from darkroom.replicate.creates import FORBIDDEN, classify
from darkroom.replicate.hooks import webhook_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import JsonObject, Prediction
    from darkroom.ports import Provider, Secrets, Signer
    from darkroom.services.predictions.changes import Changes

OUR_EVENTS = frozenset({"start", "completed"})
"""Events that Darkroom requests from the provider for itself; the client's filter is added."""

SHORTEST_CANCEL_AFTER_S = 5
"""The provider's own minimum for Cancel-After."""


@immutable
class SendCreate:
    """Sends an attempt that is already recorded, and records its result."""

    changes: Changes
    provider: Provider
    signer: Signer
    secrets: Secrets
    random: Callable[[], float]
    public_url: str

    def send(self, record: Prediction, budget_s: float) -> Prediction:
        """POST once and return the resulting record.

        The record must have this attempt in flight. If the result cannot be recorded, nothing is
        lost: the attempt counts as unknown after its time limit, and the sweep resolves it.
        """
        changes = self.changes
        token = link.token(record.id, record.created_at, key=self.secrets.link_keys()[0])
        answer = self.provider.create(
            model=record.model,
            version=record.version,
            input_=upstream_input(record, self.signer),
            webhook=webhook_url(self.public_url, record.id, token),
            events=sorted(OUR_EVENTS | set(record.webhook_events if record.webhook else ())),
            cancel_after_s=self._cancel_after_s(record),
            budget_s=budget_s,
        )
        attempt = record.create.attempt
        if isinstance(answer, Answered) and answer.status == FORBIDDEN and attempt > 1:
            # No client waits for a repetition, so there is time to check the token.
            answer = replace(answer, token_works=self.provider.token_works())
        news = classify(answer, attempt, changes.clock(), changes.timings, self.random())
        try:
            return changes.apply(record, news).record
        except ConflictError as lost:
            return lost.current or record

    def _cancel_after_s(self, record: Prediction) -> int | None:
        """Return the seconds until the deadline, if the request had one.

        The provider counts them from the creation, so its queue and the boot of a cold model are
        included.
        """
        if record.deadline >= longest_life(record, self.changes.timings):
            return None
        left = record.deadline - self.changes.clock()
        return max(SHORTEST_CANCEL_AFTER_S, -(-left // 1000))


def upstream_input(record: Prediction, signer: Signer) -> JsonObject:
    """Return the input for the provider, with uploads as URLs signed for this create."""
    urls = {pointer: signer.upload_url(key) for pointer, key in record.uploads.items()}
    return filled(record.input, urls)
