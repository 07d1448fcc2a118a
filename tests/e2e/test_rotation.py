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
from ops.deployment import embedded
from ops.replicate import Replicate
from ops.rotate import Rotation
from tests.e2e.test_creates import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.cloud import EmbeddedCloud
    from ops.deployment import Deployment

LINKED = [
    name
    for name, function in local_stage().functions().items()
    if any("link_key" in right.on for right in function.rights)
]
"""Functions that make or check links."""


@pytest.fixture
def deployment(cloud: EmbeddedCloud) -> Deployment:
    return embedded(cloud.aws_endpoint, cloud.replicate_url)


@pytest.fixture
def emulator(cloud: EmbeddedCloud) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cloud.replicate_url, trust_env=False) as client:
        yield client


@pytest.fixture
def forget(cloud: EmbeddedCloud) -> Callable[..., None]:
    """Restarts functions to clear their caches, which otherwise takes five minutes."""
    functions = cloud.client("lambda")

    def restart(*names: str) -> None:
        for name in (cloud.outputs[f"Function{name}"] for name in names):
            timeout = functions.get_function_configuration(FunctionName=name)["Timeout"]
            functions.update_function_configuration(FunctionName=name, Timeout=timeout)
        active = functions.get_waiter("function_updated_v2")
        for name in names:
            active.wait(FunctionName=cloud.outputs[f"Function{name}"], WaiterConfig={"Delay": 1})

    return restart


@dataclass
class Traffic:
    """Predictions made one after the other, in the background."""

    ids: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    between: threading.Lock = field(default_factory=threading.Lock)
    """Held while a request is in progress."""

    def at_least(self, more: int) -> None:
        wanted, deadline = len(self.ids) + more, time.monotonic() + 90
        while len(self.ids) < wanted:
            assert time.monotonic() < deadline, self.refused
            time.sleep(0.02)


@pytest.fixture
def traffic(cloud: EmbeddedCloud) -> Callable[[], Any]:
    @contextmanager
    def running() -> Iterator[Traffic]:
        made, over = Traffic(), threading.Event()
        headers = {"Authorization": f"Bearer {cloud.token}"}

        def work() -> None:
            with httpx.Client(
                base_url=cloud.base_url, headers=headers, trust_env=False, timeout=90
            ) as api:
                while not over.wait(0.02):
                    body = {
                        "version": "black-forest-labs/flux-schnell",
                        "input": {"prompt": f"no. {len(made.ids)}", "megapixels": "0.25"},
                    }
                    with made.between:
                        answer = api.post("/v1/predictions", json=body)
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
def nothing_lost(
    deployment: Deployment, emulator: httpx.Client, finished: Callable[..., dict[str, Any]]
) -> Callable[..., None]:
    """Asserts that every prediction succeeded, and (unless `refusals`) that no webhook was
    rejected."""

    def check(made: Traffic, *, refusals: bool = False) -> None:
        shown = [finished(id_) for id_ in made.ids]
        # The gateway's own answer while a function restarts; none of ours.
        assert [text for text in made.refused if not text.startswith('{"message"')] == []
        assert {one["status"] for one in shown} == {"succeeded"}
        upstream = {one["darkroom"]["provider_id"] for one in shown}
        assert len(upstream) == len(made.ids)
        attempts = [
            attempt
            for attempt in emulator.get("/_emulator/webhooks").json()
            if attempt["prediction"] in upstream
        ]
        if not refusals:
            assert len(attempts) >= len(made.ids)
            # A restarting function may leave a call without an answer, which is no rejection.
            assert 401 not in {attempt["response"] for attempt in attempts}
        differences = audit(deployment).differences
        assert [d for d in differences if d.id in {*made.ids, *upstream}] == []

    return check


@pytest.fixture
def rotation(cloud: EmbeddedCloud, deployment: Deployment) -> Iterator[Callable[..., Rotation]]:
    with httpx.Client(trust_env=False, timeout=20) as client:
        replicate = Replicate(client, cloud.replicate_url)
        yield lambda **options: Rotation(deployment, replicate, **options)


def test_the_link_key_is_rotated_while_webhooks_arrive(
    deployment: Deployment,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
    set_faults: Callable[..., None],
    api: httpx.Client,
    finished: Callable[..., dict[str, Any]],
) -> None:
    # From here on the functions have the old key in their caches.
    finished(submit(api, "before the rotation", megapixels="0.25")["id"])
    set_faults(webhook_delay_s=2)  # Those with the old key arrive after the new one is in use.
    name = deployment.outputs["LinkKeySecret"]
    old = json.loads(deployment.secret(name) or "")["current"]
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
    pair = json.loads(deployment.secret(name) or "")
    assert pair["previous"] == old != pair["current"]
    nothing_lost(made)


def test_replicates_webhook_secret_is_rotated_while_webhooks_arrive(
    emulator: httpx.Client,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
) -> None:
    forget("Webhook")  # Another test's forgeries may have used the one refresh per half minute.
    with traffic() as made:
        made.at_least(3)
        emulator.post("/_emulator/webhook_secret", json={"overlap_s": 2})
        rotated_at = time.monotonic()
        assert rotation().webhook_secret().changed
        while time.monotonic() < rotated_at + 2.2:
            made.at_least(1)
        made.at_least(5)
    nothing_lost(made)


def test_without_an_overlap_at_replicate_its_repeats_are_enough(
    emulator: httpx.Client,
    rotation: Callable[..., Rotation],
    forget: Callable[..., None],
    traffic: Callable[[], Any],
    nothing_lost: Callable[..., None],
) -> None:
    """`--wait-seconds` is started first, so that the gap lasts for one question."""
    forget("Webhook")
    with traffic() as made:
        made.at_least(2)
        changed = threading.Timer(0.5, lambda: emulator.post("/_emulator/webhook_secret"))
        changed.start()
        assert rotation(sleep=lambda _: time.sleep(0.1)).webhook_secret(wait_s=20).changed
        changed.join()
        made.at_least(4)
    nothing_lost(made, refusals=True)


@pytest.mark.usefixtures("announced")
def test_the_callback_key_is_rotated_by_the_command(
    api: httpx.Client,
    forget: Callable[..., None],
    finished: Callable[..., dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def secret() -> str:
        return str(api.get("/v1/webhooks/default/secret").json()["key"])

    before = secret()
    assert main(["rotate", "callback-key", "--local", "--settle-seconds", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    forget("Read", "Deliver")
    assert secret() != before
    with Receiver() as receiver:
        body = {
            "version": "black-forest-labs/flux-schnell",
            "input": {"prompt": "signed twice", "megapixels": "0.25"},
            "webhook": receiver.url,
        }
        id_ = api.post("/v1/predictions", json=body).json()["id"]
        finished(id_)
        deadline = time.monotonic() + 20
        while receiver.told[f"{id_}_completed"] != ["succeeded"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# Revocation


def test_a_revoked_key_is_refused_by_the_next_request(
    cloud: EmbeddedCloud, announced: EmbeddedCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert announced is cloud
    create = ["keys", "create", "--tenant", "short-lived", "--scopes", "read", "--local", "--json"]
    assert main(create) == 0
    key = json.loads(capsys.readouterr().out)
    headers = {"Authorization": f"Bearer {key['token']}"}
    with httpx.Client(base_url=cloud.base_url, headers=headers, trust_env=False) as client:
        for _ in range(5):  # The function has cached the key by now.
            assert client.get("/v1/predictions").status_code == 200
        assert client.post("/v1/predictions", json={}).status_code == 403
        assert main(["keys", "revoke", key["id"], "--local"]) == 0
        assert client.get("/v1/predictions").status_code == 401


def test_the_local_key_is_there_after_the_start(cloud: EmbeddedCloud, api: httpx.Client) -> None:
    assert cloud.token.startswith("dk_")
    assert submit(api, "the first key")["status"] in {"starting", "processing", "succeeded"}
