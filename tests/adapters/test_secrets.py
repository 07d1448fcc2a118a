"""SecretsManagerStore: valid values, the number of calls to AWS, and the absence of leaks."""

from __future__ import annotations

import base64
import json
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws import secrets as secrets_
from darkroom.aws.secrets import SecretsManagerStore
from darkroom.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.adapters.aws import Aws

KEY, OLD = b"k" * 32, b"o" * 32


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


@dataclass
class Counting:
    """Counts the calls of Secrets Manager, below the cache."""

    client: Any
    reads: list[str] = field(default_factory=list)

    def get_secret_value(self, *, SecretId: str) -> Any:  # noqa: N803 - AWS's own name
        self.reads.append(SecretId)
        return self.client.get_secret_value(SecretId=SecretId)


@pytest.fixture
def made(aws: Aws) -> Callable[..., SecretsManagerStore]:
    def make(value: str | bytes | None = None) -> SecretsManagerStore:
        if isinstance(value, bytes):
            aws.secretsmanager.create_secret(Name="s", SecretBinary=value)
        elif value is not None:
            aws.secretsmanager.create_secret(Name="s", SecretString=value)
        return SecretsManagerStore(Counting(aws.secretsmanager), "s", "s", "s", "s", "s")

    return make


def test_the_token_without_the_line_break_of_a_shell(
    made: Callable[..., SecretsManagerStore],
) -> None:
    assert made("r8_token\n").replicate_token() == "r8_token"


def test_webhook_keys_current_first(made: Callable[..., SecretsManagerStore]) -> None:
    secrets = made(json.dumps({"current": whsec(KEY), "previous": whsec(OLD)}))
    assert secrets.webhook_keys() == (KEY, OLD)


def test_previous_is_optional(made: Callable[..., SecretsManagerStore]) -> None:
    assert made(json.dumps({"current": whsec(KEY), "previous": ""})).webhook_keys() == (KEY,)


def test_link_and_callback_keys(made: Callable[..., SecretsManagerStore]) -> None:
    secrets = made(json.dumps({"current": "k" * 32, "previous": "o" * 40}))
    assert secrets.link_keys() == (b"k" * 32, b"o" * 40)
    assert secrets.callback_keys() == (b"k" * 32, b"o" * 40)


def test_a_callback_key_that_was_never_rotated_is_its_text(
    made: Callable[..., SecretsManagerStore],
) -> None:
    assert made("7" * 64).callback_keys() == (b"7" * 64,)


@pytest.mark.parametrize("left_ms", [-1, 60_000])
def test_the_previous_one_counts_until_its_time(
    made: Callable[..., SecretsManagerStore], left_ms: int
) -> None:
    until = time.time_ns() // 1_000_000 + left_ms
    pair = {"current": "k" * 40, "previous": "o" * 40, "previous_until": until}
    secrets = made(json.dumps(pair))
    expected = (b"k" * 40, b"o" * 40)[: 1 if left_ms < 0 else 2]
    assert secrets.link_keys() == expected
    assert secrets.callback_keys() == expected


def test_the_cdns_key_and_its_id(made: Callable[..., SecretsManagerStore]) -> None:
    secrets = made(json.dumps({"key_id": "K1", "private_key": "pem", "more": 1}))
    assert secrets.cdn_key() == ("K1", "pem")


READS: dict[str, Callable[[SecretsManagerStore], object]] = {
    "token": SecretsManagerStore.replicate_token,
    "webhook": SecretsManagerStore.webhook_keys,
    "link": SecretsManagerStore.link_keys,
    "callback": SecretsManagerStore.callback_keys,
    "cdn": SecretsManagerStore.cdn_key,
}
CANARY = "CANARY"
GARBAGE = {
    "token": [" \n", f"{CANARY}é", f"{CANARY}\r\nx: y"],
    "webhook": [
        CANARY,
        "[]",
        "{}",
        '{"current": 7}',
        json.dumps({"current": CANARY}),
        json.dumps({"current": "whsec_" + CANARY}),
        json.dumps({"current": "whsec_"}),
        json.dumps({"current": whsec(b"short")}),
        json.dumps({"current": whsec(KEY), "previous": CANARY}),
        json.dumps({"previous": CANARY}),
        whsec(KEY),
    ],
    "link": [CANARY, "{}", json.dumps({"current": CANARY}), "x" * 40],
    "callback": [
        CANARY,
        "x" * 31,
        json.dumps({"current": CANARY, "more": "x" * 40}),
        "{" + CANARY + "x" * 40,
    ],
    "cdn": [
        CANARY,
        "[]",
        "{}",
        "7",
        json.dumps({"private_key": CANARY}),
        json.dumps({"key_id": CANARY}),
        json.dumps({"key_id": "", "private_key": CANARY}),
        json.dumps({"key_id": 7, "private_key": CANARY}),
    ],
}


@pytest.mark.parametrize("kind", READS)
def test_an_unset_secret_is_unavailable(
    made: Callable[..., SecretsManagerStore], kind: str
) -> None:
    with pytest.raises(UnavailableError):
        READS[kind](made())


@pytest.mark.parametrize("kind", READS)
def test_a_binary_secret_is_unavailable(
    made: Callable[..., SecretsManagerStore], kind: str
) -> None:
    with pytest.raises(UnavailableError):
        READS[kind](made(b"k" * 64))


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in GARBAGE.items() for value in values]
)
def test_garbage_is_unavailable_and_is_not_repeated(
    made: Callable[..., SecretsManagerStore], kind: str, value: str
) -> None:
    with pytest.raises(UnavailableError) as caught:
        READS[kind](made(value))
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    assert CANARY not in shown
    assert value.strip() not in str(caught.value) or not value.strip()


def test_values_are_cached(made: Callable[..., SecretsManagerStore]) -> None:
    secrets = made(json.dumps({"current": whsec(KEY)}))
    for _ in range(5):
        secrets.webhook_keys()
    assert len(secrets.client.reads) == 1


def test_aws_m2_what_was_read_ahead_is_not_read_again(
    made: Callable[..., SecretsManagerStore],
) -> None:
    secrets = made("t" * 40)
    secrets.read_ahead()
    assert secrets.replicate_token() == "t" * 40
    assert secrets.client.reads == ["s"]


def test_aws_m2_what_could_not_be_read_ahead_is_read_when_it_is_wanted(
    made: Callable[..., SecretsManagerStore], aws: Aws
) -> None:
    secrets = made()
    secrets.read_ahead()
    aws.secretsmanager.create_secret(Name="s", SecretString="t" * 40)
    assert secrets.replicate_token() == "t" * 40


def test_a_refresh_reads_again_at_most_every_30_seconds(
    made: Callable[..., SecretsManagerStore], aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forged webhook requests a refresh, which must not call AWS each time."""
    now = [1000.0]
    monkeypatch.setattr(secrets_.time, "monotonic", lambda: now[0])
    secrets = made(json.dumps({"current": whsec(OLD)}))
    assert secrets.webhook_keys() == (OLD,)
    rotated = json.dumps({"current": whsec(KEY), "previous": whsec(OLD)})
    aws.secretsmanager.put_secret_value(SecretId="s", SecretString=rotated)
    assert secrets.webhook_keys() == (OLD,)
    assert secrets.webhook_keys(refresh=True) == (KEY, OLD)
    for _ in range(100):
        now[0] += 0.29
        assert secrets.webhook_keys(refresh=True) == (KEY, OLD)
    assert len(secrets.client.reads) == 2
    now[0] += 30
    secrets.webhook_keys(refresh=True)
    assert len(secrets.client.reads) == 3
