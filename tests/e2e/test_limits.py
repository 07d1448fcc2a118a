"""Tenants with limits on the embedded cloud: money, concurrent predictions, rate, usage."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import from_item, to_item
from darkroom.domain.keys import new_token
from darkroom.domain.money import Limits, month_row

from ops.audit import audit
from ops.keys import put_key
from tests.e2e.driver import SCHNELL
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.e2e.driver import Driver

ONE = 3000
"""Micro-USD of one picture."""


class Tenant:
    """A separate tenant, and its rows in the Controls table."""

    def __init__(self, driver: Driver, name: str, **limits: int) -> None:
        self.name = name
        self.dynamodb = driver.cloud.client("dynamodb")
        self.table = driver.cloud.outputs["ControlsTable"]
        token = new_token()
        put_key(self.dynamodb, self.table, token, tenant=name)
        row = {"pk": f"TENANT#{name}", **limits}
        self.dynamodb.put_item(TableName=self.table, Item=to_item(row))
        self.http = driver.client(token)

    def submit(self, number: int, **more: Any) -> httpx.Response:
        body = {"version": SCHNELL, "input": {"prompt": f"{self.name} {number}"}, **more}
        return self.http.post("/v1/predictions", json=body)

    def row(self, end_user: str | None = None) -> str:
        return month_row(self.name, time.time_ns() // 1_000_000, end_user)

    def month(self, end_user: str | None = None) -> dict[str, Any]:
        key = to_item({"pk": self.row(end_user)})
        found = self.dynamodb.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        row = from_item(found.get("Item", {}))
        return {name: row.get(name, 0) for name in ("committed", "spent", "in_flight")}


@pytest.fixture
def tenant(driver: Driver) -> Callable[..., Tenant]:
    """Makes a tenant with such limits."""
    return partial(Tenant, driver)


def settled(who: Tenant, end_user: str | None = None, **month: int) -> None:
    until(lambda: who.month(end_user) == month)


def test_a_cap_is_never_passed_and_the_month_is_the_sum_of_its_predictions(
    driver: Driver, tenant: Callable[..., Tenant]
) -> None:
    capped = tenant("capped", monthly_cap=5 * ONE + ONE // 2)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(capped.submit, range(16)))
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    # Until the others have ended; or one conflicted with too many of them.
    assert {answer.status_code for answer in refused} <= {402, 429, 503}
    assert 1 <= len(accepted) <= 5
    while len(accepted) < 5:
        accepted.append(capped.submit(100 + len(accepted)).json()["id"])
    settled(capped, committed=5 * ONE, spent=5 * ONE, in_flight=0)
    last = capped.submit(200)
    assert last.status_code == 402
    assert last.headers["content-type"] == "application/problem+json"
    assert (last.json()["title"], last.json()["status"]) == ("Insufficient credit", 402)
    shown = [capped.http.get(f"/v1/predictions/{id_}").json() for id_ in accepted]
    assert [one["status"] for one in shown] == ["succeeded"] * 5
    assert [one["darkroom"]["cost"] for one in shown] == [0.003] * 5
    until(lambda: capped.http.get("/v1/usage").json()["predictions"] == 5)
    usage = capped.http.get("/v1/usage").json()
    assert usage["cost"] == 0.015
    assert [(row["model"], row["predictions"]) for row in usage["results"]] == [(SCHNELL, 5)]
    deployment = driver.deployment
    month = capped.row()
    assert audit(deployment).about(month) == []
    capped.dynamodb.update_item(
        TableName=capped.table,
        Key=to_item({"pk": month}),
        UpdateExpression="ADD committed :one",
        ExpressionAttributeValues=to_item({":one": 1}),
    )
    (found,) = audit(deployment).about(month)
    assert found.text == "committed is 15001, its predictions come to 15000"


def test_the_cap_of_an_end_user_is_never_passed(
    driver: Driver, tenant: Callable[..., Tenant]
) -> None:
    shop = tenant("shop", monthly_cap=10**9, end_user_monthly_cap=2 * ONE)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: shop.submit(number, end_user="ann"), range(6)))
    made = sum(answer.status_code == 201 for answer in answers)
    assert {answer.status_code for answer in answers} <= {201, 402, 429, 503}
    assert 1 <= made <= 2
    while made < 2:
        made += shop.submit(100, end_user="ann").status_code == 201
    assert shop.submit(200, end_user="bob", tags=["spring"]).status_code == 201
    settled(shop, "ann", committed=2 * ONE, spent=2 * ONE, in_flight=0)
    settled(shop, "bob", committed=ONE, spent=ONE, in_flight=0)
    settled(shop, committed=3 * ONE, spent=3 * ONE, in_flight=0)
    last = shop.submit(300, end_user="ann")
    assert last.status_code == 402
    assert "this end user's monthly cap" in last.json()["detail"]
    report = audit(driver.deployment)
    assert [report.about(shop.row(user)) for user in (None, "ann", "bob")] == [[]] * 3


def test_what_did_not_run_is_let_go(driver: Driver, tenant: Callable[..., Tenant]) -> None:
    stopping = tenant("stopping", monthly_cap=ONE)
    driver.faults(create_429=1, retry_after_s=3600)
    waiting = stopping.submit(1).json()
    assert stopping.submit(2).status_code == 429, "the money is reserved, not spent"
    assert stopping.http.post(f"/v1/predictions/{waiting['id']}/cancel").status_code == 200
    settled(stopping, committed=0, spent=0, in_flight=0)
    driver.faults()
    assert stopping.submit(3).status_code == 201
    settled(stopping, committed=ONE, spent=ONE, in_flight=0)


def test_predictions_at_once(driver: Driver, tenant: Callable[..., Tenant]) -> None:
    driver.faults(create_429=1, retry_after_s=3600)
    few = tenant("few", in_flight=2)
    first, _, third = (few.submit(number) for number in range(3))
    assert third.status_code == 429
    assert third.json()["retry_after"] == int(third.headers["retry-after"]) >= 1
    few.http.post(f"/v1/predictions/{first.json()['id']}/cancel")
    assert few.submit(4).status_code == 201


def test_requests_a_second(tenant: Callable[..., Tenant]) -> None:
    slow = tenant("slow", rate_interval_us=60_000_000, rate_burst=3)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(slow.submit, range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 3
    waits = [answer.json()["retry_after"] for answer in answers if answer.status_code == 429]
    # One more per minute: a second less for each that a slow machine took.
    assert all(1 <= wait <= 60 for wait in waits)


def test_the_local_key_has_no_limit(driver: Driver) -> None:
    row = driver.cloud.client("dynamodb").get_item(
        TableName=driver.cloud.outputs["ControlsTable"], Key=to_item({"pk": "TENANT#local"})
    )
    limits = {field.name for field in fields(Limits)}
    assert not limits & row.get("Item", {}).keys()
    assert driver.api.get("/v1/usage").status_code == 200
