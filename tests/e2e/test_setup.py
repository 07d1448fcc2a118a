"""`ops setup` on the embedded cloud, and its additions for a stage with a CDN."""

from __future__ import annotations

import io
import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from ops import cdn_key
from ops.__main__ import main
from ops.deployment import Deployment, SetupError
from ops.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.driver import Driver

STAGE = "e2e-setup"


@pytest.fixture
def deployment(driver: Driver) -> Deployment:
    return driver.deployment


@pytest.fixture
def announced(announced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, from the shell of a developer who uses Replicate too."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_of_the_developers_shell")


@pytest.fixture
def secrets(deployment: Deployment) -> Iterator[Callable[[str], str]]:
    """Reads Replicate's secrets by their output's name, and restores them after the test."""
    client, outputs = deployment.client("secretsmanager"), deployment.outputs
    names = ("ReplicateTokenSecret", "ReplicateWebhookSecret")

    def read(name: str) -> str:
        return str(client.get_secret_value(SecretId=outputs[name])["SecretString"])

    before = {name: read(name) for name in names}
    yield read
    for name, value in before.items():
        client.put_secret_value(SecretId=outputs[name], SecretString=value)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, stdin: str
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    code = main(["setup", "--local", "--json", *arguments])
    printed = capsys.readouterr().out
    return code, json.loads(printed) if printed else {}


def states(report: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in report["steps"]}


@pytest.mark.usefixtures("announced")
def test_it_stores_what_is_missing_and_keeps_what_is_there(
    driver: Driver,
    deployment: Deployment,
    secrets: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = secrets("ReplicateTokenSecret"), secrets("ReplicateWebhookSecret")
    client = deployment.client("secretsmanager")
    old = json.dumps({"current": "whsec_b2xk"})
    for name, value in (("ReplicateTokenSecret", "r8_old"), ("ReplicateWebhookSecret", old)):
        client.put_secret_value(SecretId=deployment.outputs[name], SecretString=value)

    given = "--replicate-token-stdin", "--tenant", "setup-test"
    code, report = run(monkeypatch, capsys, *given, stdin=f"{driver.cloud.replicate_token}\n")
    assert states(report) == {
        "Replicate token": "made",
        "webhook secret": "made",
        "API key": "made",
        "API": "ok",
        "webhooks": "ok",
    }
    assert code == 0
    assert secrets("ReplicateTokenSecret") == expected[0] == driver.cloud.replicate_token
    stored = json.loads(secrets("ReplicateWebhookSecret"))
    assert stored.pop("previous_until") > time.time() * 1000
    assert stored == {"current": json.loads(expected[1])["current"], "previous": "whsec_b2xk"}
    headers = {"Authorization": f"Bearer {report['token']}"}
    url = f"{driver.cloud.base_url}/v1/predictions"
    assert httpx.get(url, headers=headers, trust_env=False, timeout=60).json()["results"] == []

    code, report = run(monkeypatch, capsys, "--tenant", "setup-test", stdin="")
    assert code == 0
    assert states(report) == {
        "Replicate token": "kept",
        "webhook secret": "kept",
        "API key": "kept",
        "API": "ok",
        "webhooks": "ok",
    }
    assert report["token"] is None
    kept = json.loads(secrets("ReplicateWebhookSecret"))
    assert {name: kept[name] for name in ("current", "previous")} == stored


@pytest.mark.usefixtures("announced")
def test_a_token_that_replicate_refuses_is_not_stored(
    secrets: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = secrets("ReplicateTokenSecret")
    monkeypatch.setattr(sys, "stdin", io.StringIO("r8_wrong\n"))
    assert main(["setup", "--local", "--replicate-token-stdin"]) == 1
    printed = capsys.readouterr()
    assert "does not know this token" in printed.err
    assert "r8_wrong" not in printed.err + printed.out
    assert secrets("ReplicateTokenSecret") == before


@pytest.mark.usefixtures("announced")
def test_the_key_pair_is_made_once_and_only_its_public_half_is_shown(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for _ in range(2):
        assert main(["setup", "--local", "--keys-only"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].startswith("-----BEGIN PUBLIC KEY-----\n")
    stored = json.loads(deployment.secret("darkroom/local/cdn-key") or "")
    assert list(stored) == ["private_key"]
    public = serialization.load_pem_private_key(stored["private_key"].encode(), None).public_key()
    assert serialization.load_pem_public_key(printed[0].encode()) == public


@pytest.mark.usefixtures("announced")
def test_the_parameter_that_a_deployment_gives_the_key_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other place, after a rotation: CloudFront changes no key in place."""
    assert main(["setup", "--local", "--keys-only"]) == 0
    public_key = capsys.readouterr().out
    assert main(["setup", "--local", "--keys-only", "--parameter"]) == 0
    assert capsys.readouterr().out == f"CdnPublicKey={public_key}"
    rotated = {"OtherCdnPublicKeyInUse": f"\n{public_key.strip()}"}
    assert cdn_key.parameter(rotated, public_key) == "OtherCdnPublicKey"
    assert cdn_key.parameter({"OtherCdnPublicKeyInUse": "another"}, public_key) == "CdnPublicKey"


def test_the_key_needs_no_stacks(deployment: Deployment) -> None:
    bare = replace(deployment, outputs={})
    public, made = cdn_key.ensure(bare, f"{STAGE}-bare")
    assert made
    assert cdn_key.ensure(bare, f"{STAGE}-bare") == (public, False)


def test_a_secret_without_a_value_is_filled(deployment: Deployment) -> None:
    name = cdn_key.secret_name(f"{STAGE}-empty")
    deployment.client("secretsmanager").create_secret(Name=name)
    assert deployment.secret(name) is None
    public, made = cdn_key.ensure(deployment, f"{STAGE}-empty")
    assert made
    assert cdn_key.ensure(deployment, f"{STAGE}-empty") == (public, False)


def test_a_foreign_secret_is_left_alone(deployment: Deployment) -> None:
    client = deployment.client("secretsmanager")
    name = cdn_key.secret_name(f"{STAGE}-foreign")
    client.create_secret(Name=name, SecretString="of somebody else")
    with pytest.raises(SetupError, match="holds no private key"):
        cdn_key.ensure(deployment, f"{STAGE}-foreign")
    assert deployment.secret(name) == "of somebody else"


def test_the_key_gets_the_id_that_cloudfront_gave_it(deployment: Deployment) -> None:
    public, _ = cdn_key.ensure(deployment, STAGE)
    unknown = {"CdnPublicKeyInUse": "another", "CdnKeyId": "K1"}
    named = {**unknown, "OtherCdnPublicKeyInUse": f"\n{public}", "OtherCdnKeyId": "K2"}

    def name(outputs: dict[str, str]) -> tuple[str | None, bool]:
        return cdn_key.name_it(replace(deployment, outputs=outputs), STAGE)

    assert name(unknown) == (None, False)
    assert cdn_key.signer(deployment, STAGE, "d111.cloudfront.net") is None
    assert name(named) == ("K2", True)
    assert name(named) == ("K2", False)
    signer = cdn_key.signer(deployment, STAGE, "d111.cloudfront.net")
    assert signer is not None
    assert "&Key-Pair-Id=K2&" in signer.output_url("k")


def with_cdn(deployment: Deployment, stage: str, public_key: str) -> tuple[Setup, list[httpx.URL]]:
    """Return a set-up of a stage whose CDN accepts any URL with a query; and the URLs that it
    requests."""
    asked: list[httpx.URL] = []

    def cloudfront(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200 if request.url.query else 403)

    cdn = {"https://d111.cloudfront.net": httpx.MockTransport(cloudfront)}
    deployed = {"CdnPublicKeyInUse": public_key, "CdnKeyId": "K1"}
    with httpx.Client(mounts=cdn, trust_env=False, timeout=60) as http:
        setup = Setup(replace(deployment, outputs=deployment.outputs | deployed), http, stage)
        setup.told["CDN_DOMAIN"] = "d111.cloudfront.net"
        setup.run(None, None)
    return setup, asked


def test_with_a_cdn_a_file_is_read_through_it(deployment: Deployment) -> None:
    stage = f"{STAGE}-cdn"
    public_key, _ = cdn_key.ensure(deployment, stage)
    setup, asked = with_cdn(deployment, stage, public_key)
    found = {step.name: step.state for step in setup.steps}
    assert found["CDN key"] == "made"
    assert (found["CDN, signed"], found["CDN, unsigned"]) == ("ok", "ok")
    assert [bool(url.query) for url in asked] == [True, False]
    listed = deployment.client("s3").list_objects_v2(
        Bucket=deployment.outputs["OutputsBucket"], Prefix="darkroom-setup/"
    )
    assert listed["KeyCount"] == 0


def test_a_cdn_that_was_deployed_with_another_key_is_a_failure(deployment: Deployment) -> None:
    setup, _ = with_cdn(deployment, f"{STAGE}-other", "another")
    found = {step.name: step.state for step in setup.steps}
    assert found["CDN key"] == "failed"
    assert "CDN, signed" not in found
