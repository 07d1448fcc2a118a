"""`ops setup`: creates what a deployment needs besides its stacks, and checks it at every run."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx
from botocore.exceptions import ClientError
from darkroom.domain.keys import new_token
from darkroom.replicate.hooks import HOOK_PATH

from ops import capacity, cdn_key, rotate
from ops.deployment import SetupError, fields
from ops.keys import list_keys, put_key
from ops.replicate import Replicate, http

if TYPE_CHECKING:
    import argparse

    from ops.deployment import Deployment

FIRST_TENANT = "default"
"""The tenant of the first API key, unless --tenant names another."""
CHECK_KEY = "darkroom-setup/{}.txt"


@dataclass(frozen=True, slots=True)
class Step:
    """Result of one step."""

    name: str
    state: str
    """`made`, `kept`, `ok`, `warning`, `missing` or `failed`. The last two fail the command."""
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `setup` besides the stage."""
    parser.add_argument(
        "--keys-only",
        action="store_true",
        help="make the CDN's key pair and print its public half; needs no stacks",
    )
    parser.add_argument(
        "--parameter",
        action="store_true",
        help="with --keys-only: print NAME=KEY, for the CDN's stack as it is deployed",
    )
    parser.add_argument(
        "--new",
        action="store_true",
        help="with --keys-only: of a stage that is of an app of your own, and not deployed yet",
    )
    parser.add_argument(
        "--replicate-token-stdin",
        action="store_true",
        help="read Replicate's token from the first line of stdin, not from REPLICATE_API_TOKEN",
    )
    parser.add_argument("--tenant", help=f"tenant of the API key (default: {FIRST_TENANT})")
    parser.add_argument("--json", action="store_true")


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Run `python -m ops setup`. Returns 0 if everything exists and answers. May be repeated any
    time."""
    stage = "local" if given.local else given.stage
    if given.keys_only:
        return _give_key(deployment, stage, given)
    with http(deployment) as client:
        setup = Setup(deployment, client, stage)
        setup.run(_given_token(given, setup), given.tenant)
    failed = [step for step in setup.steps if step.state in {"missing", "failed"}]
    if given.json:
        print(json.dumps({"steps": [asdict(s) for s in setup.steps], "token": setup.token}))
    elif setup.token:
        print("An API key was made. Its token is not shown again:")
        print(setup.token)
    return 1 if failed else 0


def _give_key(deployment: Deployment, stage: str, given: argparse.Namespace) -> int:
    """Print the public key and create the pair if it is missing. Prints nothing for a stage without
    a CDN.

    Raises SetupError for an unknown stage before it creates anything.
    """
    if not given.local and not _wants_key(deployment, stage, new=given.new):
        _say(f"{stage} has no CDN, and needs no key")
        return 0
    public_key, made = cdn_key.ensure(deployment, stage)
    parameter = cdn_key.parameter(deployment.outputs, public_key)
    if made:
        _say(f"made the CDN's key pair, in the secret {cdn_key.secret_name(stage)}")
    if given.json:
        print(json.dumps({"parameter": parameter, "public_key": public_key}))
    else:
        print(f"{parameter}={public_key}" if given.parameter else public_key, end="")
    return 0


def _wants_key(deployment: Deployment, stage: str, *, new: bool) -> bool:
    import app  # starts the CDK, which takes some seconds
    from infra.config import UnknownStageError

    try:
        return app.stage(stage).cdn
    except UnknownStageError as error:
        # An app that uses the construct names its stages itself, so an unknown stage needs one
        # confirmation.
        if new or deployment.outputs or deployment.secret(cdn_key.secret_name(stage)):
            return True
        raise SetupError(
            f"{error}. If it is one of an app of yours that is not deployed yet, add --new."
        ) from None


def _given_token(given: argparse.Namespace, setup: Setup) -> str | None:
    if given.replicate_token_stdin:
        return sys.stdin.readline().strip() or None
    # A token of the developer's shell is for the real Replicate, not for the emulator.
    return None if setup.deployment.emulator else os.environ.get("REPLICATE_API_TOKEN")


class Setup:
    """One run over a deployment. `steps` has the results, `token` a new API key's token."""

    def __init__(self, deployment: Deployment, http: httpx.Client, stage: str) -> None:
        self.deployment = deployment
        self.steps: list[Step] = []
        self.token: str | None = None
        self._http = http
        self._stage = stage
        self._secrets = deployment.client("secretsmanager")
        self.told = deployment.environment("Submit")
        """The functions' environment variables, with the URLs that this deployment really uses."""
        self._replicate = Replicate(http, self.told["REPLICATE_URL"])

    def run(self, replicate_token: str | None, tenant: str | None) -> None:
        """Run all steps in the order of their dependencies. Raises SetupError."""
        self._check_account()
        if self.told.get("CDN_DOMAIN"):
            self._name_cdn_key()
        token = self._store_replicate_token(replicate_token)
        if token:
            self._store_webhook_secret(token)
        self._make_first_key(tenant)
        self._check_api()
        if self.told.get("CDN_DOMAIN"):
            self._check_cdn()

    def _done(self, name: str, state: str, text: str) -> None:
        self.steps.append(Step(name, state, text))
        _say(f"{state:<8}{name}: {text}")

    # The account

    def _check_account(self) -> None:
        try:
            found = capacity.look(self.deployment)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            self._done("concurrency", "warning", f"cannot be looked at: {code}")
            return
        if found:
            state = "ok" if not found.remedy else "warning" if found.enough else "failed"
            self._done("concurrency", state, "; ".join(filter(None, (found.text, found.remedy))))

    # The CDN's key

    def _name_cdn_key(self) -> None:
        key_id, made = cdn_key.name_it(self.deployment, self._stage)
        if key_id:
            self._done("CDN key", "made" if made else "kept", f"CloudFront calls it {key_id}")
        else:
            text = "the stage was deployed with another one: run `make deploy` again"
            self._done("CDN key", "failed", text)

    # Replicate

    def _store_replicate_token(self, given: str | None) -> str | None:
        name = self.deployment.outputs["ReplicateTokenSecret"]
        stored = (self.deployment.secret(name) or "").strip()
        token = given or stored
        if not token:
            text = "set REPLICATE_API_TOKEN, or pipe it in with --replicate-token-stdin"
            self._done("Replicate token", "missing", text)
            return None
        account = self._replicate.account(token)
        if token != stored:
            self._secrets.put_secret_value(SecretId=name, SecretString=token)
        whose = f"of the account {account.get('username', 'without a name')}"
        self._done("Replicate token", "kept" if token == stored else "made", whose)
        return token

    def _store_webhook_secret(self, token: str) -> None:
        name = self.deployment.outputs["ReplicateWebhookSecret"]
        current = self._replicate.webhook_secret(token)
        stored = fields(self.deployment.secret(name))
        if stored.get("current") == current:
            self._done("webhook secret", "kept", "the one that Replicate signs with")
            return
        pair = rotate.succeeded_by(stored, current, rotate.WEBHOOK_OVERLAP_H)
        self._secrets.put_secret_value(SecretId=name, SecretString=json.dumps(pair))
        self._done("webhook secret", "made", "fetched from Replicate")

    # Darkroom's own keys

    def _make_first_key(self, tenant: str | None) -> None:
        dynamodb, table = self.deployment.client("dynamodb"), self.deployment.outputs
        tenants = {row["tenant"] for row in list_keys(dynamodb, table["ControlsTable"])}
        if tenant in tenants or (tenant is None and tenants):
            self._done("API key", "kept", f"of {', '.join(sorted(tenants))}")
            return
        self.token = new_token()
        wanted = tenant or FIRST_TENANT
        put_key(dynamodb, table["ControlsTable"], self.token, tenant=wanted, name="setup")
        self._done("API key", "made", f"of tenant {wanted}")

    # Reachability

    def _check_api(self) -> None:
        url = self.told["PUBLIC_URL"]
        self._expect("API", 401, "GET", f"{url}/v1/predictions", "refuses a call without a key")
        self._expect(
            "webhooks", 401, "POST", f"{url}{HOOK_PATH}0", "refused where nothing is signed"
        )

    def _check_cdn(self) -> None:
        """Store a file next to the outputs and read it like a client would."""
        s3, bucket = self.deployment.client("s3"), self.deployment.outputs["OutputsBucket"]
        signer = cdn_key.signer(self.deployment, self._stage, self.told["CDN_DOMAIN"])
        if signer is None:
            return  # reported already
        key = CHECK_KEY.format(secrets.token_hex(8))
        s3.put_object(Bucket=bucket, Key=key, Body=b"darkroom")
        try:
            url = signer.output_url(key)
            self._expect("CDN, signed", 200, "GET", url, "serves a file of the bucket")
            bare = url.partition("?")[0]
            self._expect("CDN, unsigned", 403, "GET", bare, "refuses one without a signature")
        finally:
            s3.delete_object(Bucket=bucket, Key=key)

    def _expect(self, name: str, status: int, method: str, url: str, text: str) -> None:
        try:
            found = self._http.request(method, url).status_code
        except httpx.HTTPError as error:
            self._done(name, "failed", f"cannot be reached: {type(error).__name__}")
            return
        if found == status:
            self._done(name, "ok", text)
        else:
            text = f"answered {found} and not {status}; a change needs some minutes to arrive"
            self._done(name, "failed", text)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
