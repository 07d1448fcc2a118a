"""`ops rotate`: no valid webhook, link or callback is rejected at any moment."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from darkroom.aws.secrets import SecretsManagerStore

from ops.deployment import SetupError
from ops.replicate import Replicate
from ops.rotate import LINK_OVERLAP_H, SETTLE_S, Rotation, RotationRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.deployment import Deployment

WHSEC = "whsec_" + "b2xk" * 8
NEW_WHSEC = "whsec_" + "bmV3" * 8
HOUR_MS = 3_600_000


@dataclass
class Upstream:
    """Replicate, as far as the commands need it."""

    accounts: dict[str, str] = field(default_factory=lambda: {"r8_old": "us", "r8_new": "us"})
    webhook_secrets: list[str] = field(default_factory=lambda: [WHSEC])
    """The last one is repeated."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        account = self.accounts.get(request.headers["authorization"].removeprefix("Bearer "))
        if account is None:
            return httpx.Response(401)
        if request.url.path == "/v1/account":
            return httpx.Response(200, json={"username": account})
        assert request.url.path == "/v1/webhooks/default/secret"
        rest = self.webhook_secrets
        return httpx.Response(200, json={"key": rest.pop(0) if len(rest) > 1 else rest[0]})


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def rotating(deployment: Deployment, upstream: Upstream) -> Iterator[Callable[..., Rotation]]:
    """Makes a rotation with the test's own `sleep`."""
    with httpx.Client(transport=httpx.MockTransport(upstream.answer)) as client:
        replicate = Replicate(client, "https://upstream")
        yield lambda sleep: Rotation(deployment, replicate, sleep=sleep)


@pytest.fixture
def rotation(rotating: Callable[..., Rotation], slept: list[float]) -> Rotation:
    return rotating(slept.append)


@pytest.fixture
def stored(deployment: Deployment) -> Callable[[str], Any]:
    def read(name: str) -> Any:
        text = deployment.secret(name) or ""
        return json.loads(text) if text.startswith("{") else text

    return read


@pytest.fixture
def functions(deployment: Deployment) -> Callable[[], SecretsManagerStore]:
    """Returns the secrets of a function that starts now."""

    def start() -> SecretsManagerStore:
        return SecretsManagerStore(
            deployment.client("secretsmanager"),
            "ReplicateTokenSecret",
            "ReplicateWebhookSecret",
            "LinkKeySecret",
            "CallbackKeySecret",
        )

    return start


def put(deployment: Deployment, name: str, value: Any) -> None:
    deployment.client("secretsmanager").put_secret_value(
        SecretId=name, SecretString=json.dumps(value)
    )


# Our own keys


@dataclass
class Watched:
    """Records what functions see while the rotation waits, and then lets no time pass."""

    functions: Callable[[], SecretsManagerStore]
    seen: list[tuple[bytes, ...]] = field(default_factory=list)

    def __call__(self, _: float) -> None:
        self.seen.append(self.functions().link_keys())
        raise KeyboardInterrupt


def test_the_link_key_is_taken_by_all_before_it_is_used_by_any(
    functions: Callable[[], SecretsManagerStore],
    rotating: Callable[..., Rotation],
    rotation: Rotation,
) -> None:
    (old,) = functions().link_keys()
    watched = Watched(functions)
    with pytest.raises(KeyboardInterrupt):
        rotating(watched).link_key()
    ((first, new),) = watched.seen
    assert first == old
    assert new not in {old, b""}
    # Interrupted there, the rotation continues with the same key.
    rotation.link_key(settle_s=0)
    assert functions().link_keys() == (new, old)


def test_it_waits_until_every_function_has_read_again(
    rotating: Callable[..., Rotation], slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time()]
    monkeypatch.setattr("ops.rotate.time.time", lambda: now[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    rotating(sleep).link_key()
    # The clock advances only by the sleep, and the rotation records its start again.
    assert SETTLE_S <= sum(slept) <= SETTLE_S + 60


def test_the_old_link_key_outlives_every_prediction_that_carries_it(
    rotation: Rotation, stored: Callable[[str], Any]
) -> None:
    rotation.link_key(settle_s=0)
    pair = stored("LinkKeySecret")
    left = pair["previous_until"] - time.time() * 1000
    assert left == pytest.approx(LINK_OVERLAP_H * HOUR_MS, abs=60_000)
    with pytest.raises(RotationRefusedError, match="in use until"):
        rotation.link_key(settle_s=0)
    assert stored("LinkKeySecret") == pair


def test_when_the_overlap_is_over_it_can_be_rotated_again(
    deployment: Deployment, rotation: Rotation, functions: Callable[[], SecretsManagerStore]
) -> None:
    over = int(time.time() * 1000) - 1
    pair = {"current": "k" * 64, "previous": "o" * 64, "previous_until": over}
    put(deployment, "LinkKeySecret", pair)
    assert functions().link_keys() == (b"k" * 64,)
    rotation.link_key(settle_s=0)
    new, previous = functions().link_keys()
    assert previous == b"k" * 64
    assert len(new) == 64


def test_the_callback_key_of_a_new_deployment_becomes_a_pair(
    rotation: Rotation, functions: Callable[[], SecretsManagerStore]
) -> None:
    (old,) = functions().callback_keys()
    rotation.callback_key(settle_s=0)
    new, previous = functions().callback_keys()
    assert previous == old
    assert new != old


def test_a_leaked_callback_key_goes_at_once(
    rotation: Rotation, functions: Callable[[], SecretsManagerStore]
) -> None:
    rotation.callback_key(settle_s=0)
    leaked, older = functions().callback_keys()
    with pytest.raises(RotationRefusedError, match="in use until"):
        rotation.callback_key(settle_s=0)
    rotation.callback_key(overlap_hours=0, settle_s=0)
    (only,) = functions().callback_keys()
    assert only not in {leaked, older}


# Replicate's keys


def test_the_webhook_secret_that_replicate_changed_follows_the_stored_one(
    deployment: Deployment,
    rotation: Rotation,
    upstream: Upstream,
    functions: Callable[[], SecretsManagerStore],
) -> None:
    put(deployment, "ReplicateWebhookSecret", {"current": WHSEC})
    assert not rotation.webhook_secret().changed
    (old,) = functions().webhook_keys()
    upstream.webhook_secrets = [NEW_WHSEC]
    assert rotation.webhook_secret().changed
    new, previous = functions().webhook_keys()
    assert previous == old
    assert new != old
    assert not rotation.webhook_secret().changed
    assert functions().webhook_keys() == (new, old)


def test_it_waits_for_replicate_to_change_it(
    deployment: Deployment, rotation: Rotation, upstream: Upstream, slept: list[float]
) -> None:
    put(deployment, "ReplicateWebhookSecret", {"current": WHSEC})
    upstream.webhook_secrets = [WHSEC, WHSEC, NEW_WHSEC]
    assert rotation.webhook_secret(wait_s=60).changed
    assert slept == [2, 2]


def test_a_new_token_of_the_same_account_is_stored(
    rotation: Rotation, stored: Callable[[str], Any]
) -> None:
    rotated = rotation.replicate_token("r8_new")
    assert rotated.changed
    assert "r8_new" not in rotated.text
    assert stored("ReplicateTokenSecret") == "r8_new"
    assert not rotation.replicate_token("r8_new").changed


@pytest.mark.parametrize("token", ["r8_wrong", "r8_new\nx: y", "r8_é"])
def test_a_token_that_replicate_does_not_take_is_not_stored(
    rotation: Rotation, stored: Callable[[str], Any], token: str
) -> None:
    with pytest.raises(SetupError) as refused:
        rotation.replicate_token(token)
    assert token not in str(refused.value)
    assert stored("ReplicateTokenSecret") == "r8_old"


def test_another_account_is_taken_only_where_that_is_meant(
    rotation: Rotation, upstream: Upstream, stored: Callable[[str], Any]
) -> None:
    upstream.accounts["r8_new"] = "them"
    with pytest.raises(RotationRefusedError, match="of the account us"):
        rotation.replicate_token("r8_new")
    assert stored("ReplicateTokenSecret") == "r8_old"
    assert rotation.replicate_token("r8_new", other_account=True).changed


def test_a_token_that_was_taken_back_at_replicate_is_replaced(
    rotation: Rotation, upstream: Upstream, stored: Callable[[str], Any]
) -> None:
    del upstream.accounts["r8_old"]
    assert rotation.replicate_token("r8_new").changed
    assert stored("ReplicateTokenSecret") == "r8_new"


def test_no_token_is_refused(rotation: Rotation) -> None:
    with pytest.raises(RotationRefusedError, match="REPLICATE_API_TOKEN"):
        rotation.replicate_token(None)
