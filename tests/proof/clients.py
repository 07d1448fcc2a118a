"""Steps of clients and of the operator: submit, repeat, cancel, request a redelivery, rotate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.proof.gate import check
from tests.proof.requests import PATIENCE, body, http_event, record_id, tenant_of
from tests.proof.webhooks import Stage

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.proof.gate import Run
    from tests.proof.webhooks import Plan

WRONG = 10
FIRST_TRY = {"x-stainless-retry-count": "0"}
"""Header that clients' libraries add to the first attempt of a request."""
RETRY_WINDOW_MS = 120_000
"""Time within which a client's silent repetition is answered with the existing prediction."""


@dataclass
class Clients(Stage):
    """Steps of clients and of the operator."""

    def submit(self, numbers: list[str], plan: Plan) -> Run:
        self.cloud.firsts = (*self.cloud.firsts, int(numbers[0]))
        return self._submit(int(numbers[0]), plan, FIRST_TRY)

    def again(self, numbers: list[str], plan: Plan) -> Run:
        """The client sends its request again, with the same Idempotency-Key."""
        return self._submit(int(numbers[0]), plan, {})

    def retry(self, numbers: list[str], plan: Plan) -> Run:
        """A client's library repeats the POST by itself, as one header shows."""
        kind = int(numbers[0])
        since = self.cloud.clock.now - RETRY_WINDOW_MS
        before = self._made_of(kind)
        fresh = any(record.created_at >= since for record in before)
        run = self._submit(kind, plan, {"x-stainless-retry-count": "1"})
        lagged = "stale" in run.plan.values()
        again = len(self._made_of(kind)) > max(len(before), self.cloud.firsts.count(kind))
        check(lagged or not (fresh and again), "I9 a silent repetition made another prediction")
        return run

    def _made_of(self, kind: int) -> list[Prediction]:
        submitted = self.cloud.submitted
        return [r for r in self.cloud.records() if submitted[int(r.id)] == kind]

    def _submit(self, kind: int, plan: Plan, headers: dict[str, str]) -> Run:
        cloud = self.cloud
        tenant = tenant_of(self.config, kind)
        path = "/v1/predictions"
        event = http_event(f"POST {path}", path, body(self.config, kind), tenant=tenant)
        event["requestContext"]["timeEpoch"] = cloud.clock.now
        event["headers"] |= headers
        if kind == 0:
            event["headers"] |= {"idempotency-key": "once"}
        if self.config.patient:
            event["headers"] |= {"cancel-after": PATIENCE}
        # The id depends on the count, so the count must not change while the handler runs.
        cloud.submitted = (*cloud.submitted, kind)
        new = record_id(len(cloud.submitted) - 1)
        run, answer = self._handle("submit", event, plan)
        status = answer["statusCode"] if answer else None
        if status in {402, 429}:
            check(
                cloud.record(new) is None, "I14 refused for its limits, and recorded all the same"
            )
        if answer and status == 201:
            check(kind != WRONG, "I2 a version is run under another model's name")
            id_ = json.loads(answer["body"])["id"]
            check(cloud.record(id_) is not None, "I16 201, but the record is not written")
            cloud.accepted |= {id_}
            once = {i for i in cloud.accepted if cloud.submitted[int(i)] == 0}
            check(kind != 0 or len(once) <= 1, "I9 one Idempotency-Key, two predictions")
        return run

    def ask(self, numbers: list[str], _plan: Plan) -> None:
        """An application requests a prediction by an event, which a rule forwards."""
        kind = int(numbers[0])
        self.cloud.asked |= {kind}
        self.cloud.queues["intake"].send({"kind": str(kind)})

    def cancel(self, numbers: list[str], plan: Plan) -> Run:
        id_ = record_id(int(numbers[0]))
        cloud = self.cloud
        cloud.wished |= {id_}
        path = f"/v1/predictions/{id_}/cancel"
        tenant = tenant_of(self.config, cloud.submitted[int(id_)])
        event = http_event("POST /v1/predictions/{id}/cancel", path, None, id_, tenant)
        run, answer = self._handle("cancel", event, plan)
        record = cloud.record(id_)
        if answer and answer["statusCode"] == 200 and record:
            durable = record.cancel_requested_at or record.state.rank >= 3
            check(bool(durable), "I16 200, but the wish to cancel is not written")
        return run

    def redeliver(self, numbers: list[str], plan: Plan) -> Run:
        """The client requests a redelivery of the last callback."""
        id_ = record_id(int(numbers[0]))
        path = f"/v1/predictions/{id_}/deliveries/completed/redeliver"
        route = "POST /v1/predictions/{id}/deliveries/{event}/redeliver"
        tenant = tenant_of(self.config, self.cloud.submitted[int(id_)])
        event: dict[str, Any] = http_event(route, path, None, id_, tenant)
        event["pathParameters"]["event"] = "completed"
        before = self.cloud.client.posts
        run, answer = self._handle("deliveries", event, plan)
        if answer and answer["statusCode"] == 202:
            row = self.cloud.deliveries.rows[id_, "completed"]
            waits = row.state == "pending" or self.cloud.client.posts != before
            check(waits, "I16 202, but nothing is to be delivered")
        return run

    def rotate(self, numbers: list[str], _plan: Plan) -> None:
        """An operator rotates secrets, as `ops rotate` does, in four steps.

        Replicate signs with a new secret; the secret is fetched, and the old one stays valid; a new
        link key is announced to all functions; it signs, and the old one stays valid.
        """
        self.cloud.secrets.turn = int(numbers[0]) + 1
