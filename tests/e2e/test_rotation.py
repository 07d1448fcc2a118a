"""Secrets are rotated while predictions are made: no valid webhook is rejected, nothing is lost."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.chaos import Receiver
from local.stage import local_stage
from ops.__main__ import main
from ops.audit import audit
from ops.replicate import Replicate
from ops.rotate import Rotation
from tests.e2e.driver import SCHNELL
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.driver import Driver

LINKED = [
    name
    for name, function in local_stage().functions().items()
    if any("link_key" in right.on for right in function.rights)
]
"""Functions that make or check links."""


@pytest.fixture
def forget(driver: Driver) -> Callable[..., None]:
    """Restarts functions to clear their caches, which otherwise takes five minutes."""
    functions = driver.cloud.client("lambda")

    def restart(*names: str) -> None:
        for name in (driver.cloud.outputs[f"Function{name}"] for name in names):
            timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
            functions.update_function_configuration(FunctionName=name, Timeout=timeout)
        active = functions.get_waiter("function_updated_v2")
        for name in names:
            active.wait(
                FunctionName=driver.cloud.outputs[f"Function{name}"], WaiterConfig={"Delay": 1}
            )

    return restart


@dataclass
class Traffic:
    """Predictions made one after the other, in the background."""

    ids: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    between: threading.Lock = field(default_factory=threading.Lock)
    """Held while a request is in progress."""

    def at_least(self, more: int) -> None:
        wanted = len(self.ids) + more
        until(lambda: len(self.ids) >= wanted, why=self.refused)


@pytest.fixture
def traffic(driver: Driver) -> Callable[[], Any]:
    @contextmanager
    def running() -> Iterator[Traffic]:
        made, over = Traffic(), threading.Event()

        def work() -> None:
            while not over.wait(0.02):
                given = {"prompt": f"no. {len(made.ids)}", "megapixels": "0.25"}
                body = {"version": SCHNELL, "input": given}
                with made.between:
                    answer = driver.api.post("/v1/predictions", json=body, timeout=90)
                if answer.status_code == 201:
                    made.ids.append(answer.json()["id"])
                else:
                    made.refused.append(answer.text)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield made
        finally:
            over.set()
            thread.join()

    return running


@pytest.fixture
def nothing_lost(driver: Driver) -> Callable[..., None]:
    """Asserts that every prediction succeeded, and (unless `refusals`) that no webhook was
    rejected."""

    def check(made: Traffic, *, refusals: bool = False) -> None:
        shown = [driver.finished(id_) for id_ in made.ids]
        # The gateway's own answers while a function restarts or the machine is busy; none of ours.
        gateways = ('{"message"', "This machine is too busy")
        assert [text for text in made.refused if not any(own in text for own in gateways)] == []
        assert {one["status"] for one in shown} == {"succeeded"}
        upstream = {one["darkroom"]["provider_id"] for one in shown}
        assert len(upstream) == len(made.ids)
        attempts = [
            attempt
            for attempt in driver.emulator.get("/_emulator/webhooks").json()
            if attempt["prediction"] in upstream
        ]
        if not refusals:
            assert len(attempts) >= len(made.ids)
            # A restarting function may leave a call without an answer, which is no rejection.
            assert 401 not in {attempt["response"] for attempt in attempts}
        differences = audit(driver.deployment).differences
        assert [d for d in differences if d.id in {*made.ids, *upstream}] == []

    return check


@pytest.fixture
def rotation(driver: Driver) -> Iterator[Callable[..., Rotation]]:
    with httpx.Client(trust_env=False, timeout=20) as client:
        replicate = Replicate(client, driver.cloud.replicate_url)
        yield lambda **options: Rotation(driver.deployment, replicate, **options)


def test_the_link_key_is_rotated_while_webhooks_arrive(
    driver: Driver,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
) -> None:
    # From here on the functions have the old key in their caches.
    driver.run("before the rotation", megapixels="0.25")
    driver.faults(webhook_delay_s=2)  # those with the old key come after the new one is used
    name = driver.cloud.outputs["LinkKeySecret"]
    old = json.loads(driver.deployment.secret(name) or "")["current"]
    with traffic() as made:
        made.at_least(3)

        def all_have_read_it(_: float) -> None:
            with made.between:
                forget(*LINKED)
            made.at_least(3)
            raise TimeoutError

        # Interrupted while it waits, and continued, as an operator may do.
        with pytest.raises(TimeoutError):
            rotation(sleep=all_have_read_it).link_key()
        rotation().link_key(settle_s=0)
        made.at_least(3)
        with made.between:
            forget(*LINKED)
        made.at_least(3)
    pair = json.loads(driver.deployment.secret(name) or "")
    assert pair["previous"] == old != pair["current"]
    nothing_lost(made)


def test_replicates_webhook_secret_is_rotated_while_webhooks_arrive(
    driver: Driver,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
) -> None:
    forget("Webhook")  # Another test's forgeries may have used the one refresh per half minute.
    with traffic() as made:
        made.at_least(3)
        driver.emulator.post("/_emulator/webhook_secret", json={"overlap_s": 2})
        rotated_at = time.monotonic()
        assert rotation().webhook_secret().changed
        while time.monotonic() < rotated_at + 2.2:
            made.at_least(1)
        made.at_least(5)
    nothing_lost(made)


def test_without_an_overlap_at_replicate_its_repeats_are_enough(
    driver: Driver,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
) -> None:
    """`--wait-seconds` is started first, so that the gap lasts for one question."""
    forget("Webhook")
    with traffic() as made:
        made.at_least(2)
        changed = threading.Timer(0.5, lambda: driver.emulator.post("/_emulator/webhook_secret"))
        changed.start()
        assert rotation(sleep=lambda _: time.sleep(0.1)).webhook_secret(wait_s=20).changed
        changed.join()
        made.at_least(4)
    nothing_lost(made, refusals=True)


@pytest.mark.usefixtures("announced")
def test_the_callback_key_is_rotated_by_the_command(
    driver: Driver, forget: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = driver.callback_secret()
    assert main(["rotate", "callback-key", "--local", "--settle-seconds", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    forget("Read", "Deliver")
    assert driver.callback_secret() != before
    with Receiver() as receiver:
        given = {"prompt": "signed twice", "megapixels": "0.25"}
        id_ = driver.create(input=given, webhook=receiver.url)["id"]
        driver.finished(id_)
        until(lambda: receiver.told[f"{id_}_completed"] == ["succeeded"])


# Revocation


@pytest.mark.usefixtures("announced")
def test_a_revoked_key_is_refused_by_the_next_request(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    create = ["keys", "create", "--tenant", "short-lived", "--scopes", "read", "--local", "--json"]
    assert main(create) == 0
    key = json.loads(capsys.readouterr().out)
    client = driver.client(key["token"])
    for _ in range(5):  # whatever the function keeps, it has it now
        assert client.get("/v1/predictions").status_code == 200
    assert client.post("/v1/predictions", json={}).status_code == 403
    assert main(["keys", "revoke", key["id"], "--local"]) == 0
    assert client.get("/v1/predictions").status_code == 401


def test_the_local_key_is_there_after_the_start(driver: Driver) -> None:
    assert driver.cloud.token.startswith("dk_")
    assert driver.submit("the first key")["status"] in {"starting", "processing", "succeeded"}
