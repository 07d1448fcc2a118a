"""`ops rotate`: replaces secrets, with an overlap in which both are accepted."""

from __future__ import annotations

import json
import os
import secrets
import string
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from darkroom.aws.secrets import CACHED_S

from ops import cdn_rotation
from ops.deployment import SetupError, fields
from ops.replicate import Replicate, http

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ops.deployment import Deployment

SETTLE_S = CACHED_S + 30
"""Time after which every function has read a secret again, whatever its cache contained."""
LINK_OVERLAP_H = 26
"""A prediction lives for 24 hours at most, and its webhook is retried for a minute."""
WEBHOOK_OVERLAP_H = 24
CALLBACK_OVERLAP_H = 24
LONGEST_OVERLAP_H = 24 * 30
_HOUR_MS = 3_600_000
_KEY_LENGTH = 64


class RotationRefusedError(Exception):
    """The secret cannot be rotated now, or not as requested. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """Result of a rotation; `changed` is False if nothing had to be done."""

    changed: bool
    text: str


def succeeded_by(stored: dict[str, Any], current: str, overlap_hours: float) -> dict[str, Any]:
    """Return the pair with `current` as the new value and the stored one, if any, as the
    previous."""
    previous = stored.get("current")
    if not previous:
        return {"current": current}
    until = _now_ms() + int(overlap_hours * _HOUR_MS)
    return {"current": current, "previous": previous, "previous_until": until}


class Rotation:
    """Rotates secrets of one deployment. Secrets Manager has no locks, so only one operator may run
    it."""

    def __init__(
        self,
        deployment: Deployment,
        replicate: Replicate,
        *,
        say: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._deployment = deployment
        self._replicate = replicate
        self._say = say
        self._sleep = sleep

    def replicate_token(self, new: str | None, *, other_account: bool = False) -> Rotated:
        """Store the token if Replicate accepts it. Raises SetupError or RotationRefusedError."""
        if not new:
            raise RotationRefusedError(
                "Set REPLICATE_API_TOKEN to the new token, or pipe it in with "
                "--replicate-token-stdin."
            )
        stored = self._text("ReplicateTokenSecret").strip()
        whose = self._replicate.account(new).get("username")
        if new == stored:
            return Rotated(changed=False, text=f"It is stored already: of the account {whose}.")
        if stored and not other_account:
            self._same_account(stored, whose)
        self._put("ReplicateTokenSecret", new)
        minutes = SETTLE_S / 60
        return Rotated(
            changed=True,
            text=f"Stored: of the account {whose}. Functions use the old token for up to "
            f"{minutes:g} minutes: take it back at Replicate after that.",
        )

    def _same_account(self, stored: str, whose: str | None) -> None:
        try:
            before = self._replicate.account(stored).get("username")
        except SetupError:
            return  # the old token is revoked already, so there is nothing to compare
        if before != whose:
            raise RotationRefusedError(
                f"The stored token is of the account {before}, this one of {whose}, which knows "
                "nothing of the predictions in flight. Wait until none is, then give "
                "--other-account."
            )

    def webhook_secret(self, wait_s: float = 0) -> Rotated:
        """Fetch Replicate's signing secret. The previous one stays valid for a day.

        With `wait_s`, poll that long until Replicate has another secret than the stored one.
        """
        stored = fields(self._deployment.secret(self._name("ReplicateWebhookSecret")))
        token = self._text("ReplicateTokenSecret").strip()
        if not token:
            raise RotationRefusedError("Replicate's token is not stored: see `ops setup`.")
        ends = time.monotonic() + wait_s
        current = self._replicate.webhook_secret(token)
        while current == stored.get("current"):
            left = ends - time.monotonic()
            if left <= 0:
                return Rotated(changed=False, text="Replicate signs with the stored one.")
            self._say(f"Replicate still signs with the stored one; {left:.0f} s left")
            self._sleep(min(2, left))
            current = self._replicate.webhook_secret(token)
        pair = succeeded_by(stored, current, WEBHOOK_OVERLAP_H)
        self._put("ReplicateWebhookSecret", json.dumps(pair))
        return Rotated(
            changed=True,
            text=f"Fetched from Replicate. The one before is valid for {WEBHOOK_OVERLAP_H} hours.",
        )

    def link_key(self, settle_s: float = SETTLE_S) -> Rotated:
        """Create a new key for the tokens in webhook URLs. The previous one is accepted for 26
        hours."""
        self._follow("LinkKeySecret", LINK_OVERLAP_H, settle_s)
        text = f"New links carry the new key; the one before is taken for {LINK_OVERLAP_H} hours."
        return Rotated(changed=True, text=text)

    def callback_key(
        self, overlap_hours: float = CALLBACK_OVERLAP_H, settle_s: float = SETTLE_S
    ) -> Rotated:
        """Create a new master key, which changes every tenant's secret. Both sign until the overlap
        ends."""
        if not 0 <= overlap_hours <= LONGEST_OVERLAP_H:
            raise RotationRefusedError(f"The overlap is 0 to {LONGEST_OVERLAP_H} hours.")
        self._follow("CallbackKeySecret", overlap_hours, settle_s)
        return Rotated(
            changed=True,
            text="Every tenant now reads a new secret from GET /v1/webhooks/default/secret; "
            f"callbacks are signed with the old one too for {overlap_hours:g} hours.",
        )

    def _follow(self, output: str, overlap_hours: float, settle_s: float) -> None:
        """Introduce a new key in two steps: first all functions accept it along with the old one,
        and only then is it used.

        In a single step, a function with a cached secret would reject tokens that another function
        makes with the new key. The sweep would not recognize its own link and would create a
        prediction twice.
        """
        text = self._text(output)
        stored = fields(text) if text.startswith("{") else {"current": text}
        current = stored.get("current")
        if not current:
            raise RotationRefusedError("There is no key yet: the stacks make it.")
        if "begun_at" in stored:
            new, begun_at = str(stored["previous"]), int(stored["begun_at"])
            self._say("going on with the rotation that was begun before")
        else:
            if overlap_hours:  # a leaked key must be replaced at once
                self._refuse_overlap(stored)
            new, begun_at = _random_key(), _now_ms()
            self._put_pair(output, {"current": current, "previous": new, "begun_at": begun_at})
            self._say("all functions are to take the new key beside the old one")
        self._settle(begun_at / 1000 + settle_s)
        until = _now_ms() + int(overlap_hours * _HOUR_MS)
        self._put_pair(output, {"current": new, "previous": current, "previous_until": until})

    def _refuse_overlap(self, stored: dict[str, Any]) -> None:
        until = stored.get("previous_until")
        if isinstance(until, int) and _now_ms() < until:
            ends = datetime.fromtimestamp(until / 1000, UTC)
            raise RotationRefusedError(
                f"The one before the current key is in use until {ends:%Y-%m-%d %H:%M}Z, and there "
                "is room for two: wait until then."
            )

    def _settle(self, until_s: float) -> None:
        while (left := until_s - time.time()) > 0:
            self._say(f"{left:.0f} s until all functions have read it (Ctrl-C: run it again later)")
            self._sleep(min(30, left))

    def _text(self, output: str) -> str:
        return self._deployment.secret(self._name(output)) or ""

    def _put_pair(self, output: str, pair: dict[str, Any]) -> None:
        self._put(output, json.dumps(pair))

    def _put(self, output: str, text: str) -> None:
        self._deployment.client("secretsmanager").put_secret_value(
            SecretId=self._name(output), SecretString=text
        )

    def _name(self, output: str) -> str:
        return self._deployment.outputs[output]


def _random_key() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(_KEY_LENGTH))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# The command


def add_parsers(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the commands `rotate replicate-token|webhook-secret|link-key|callback-key|cdn-key`."""
    rotate = commands.add_parser("rotate", help="new secrets, with an overlap")
    kinds = rotate.add_subparsers(dest="secret", required=True)

    def add(name: str, run: Callable[..., Rotated], help_: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = kinds.add_parser(name, parents=parents, help=help_)
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(run=_command, rotate=run)
        return parser

    token = add("replicate-token", _token, "the token that calls Replicate")
    token.add_argument(
        "--replicate-token-stdin",
        action="store_true",
        help="read it from the first line of stdin, not from REPLICATE_API_TOKEN",
    )
    token.add_argument("--other-account", action="store_true", help="it may be of another account")
    webhook = add("webhook-secret", _webhook, "fetch what Replicate signs webhooks with")
    webhook.add_argument(
        "--wait-seconds",
        type=float,
        default=0,
        help="ask for so long, until Replicate has changed it: start this first, then change it",
    )
    link = add("link-key", _link, "the key of the tokens in webhook URLs")
    callback = add("callback-key", _callback, "the master key of all tenants' callback secrets")
    callback.add_argument(
        "--overlap-hours", type=float, default=CALLBACK_OVERLAP_H, help="both sign (default: 24)"
    )
    for parser in (link, callback):
        parser.add_argument(
            "--settle-seconds",
            type=float,
            default=SETTLE_S,
            help="until all functions have read the secret again (default: %(default)s)",
        )
    cdn = add("cdn-key", _cdn, "the key that signs outputs' URLs: in two runs, two hours apart")
    cdn.add_argument(
        "--settle-seconds",
        type=float,
        default=cdn_rotation.SETTLE_S,
        help="until CloudFront knows the new key everywhere (default: %(default)s)",
    )


def _command(deployment: Deployment, given: argparse.Namespace) -> int:
    with http(deployment) as client:
        replicate = Replicate(client, deployment.environment("Submit")["REPLICATE_URL"])
        rotated = given.rotate(Rotation(deployment, replicate, say=_say), deployment, given)
    if given.json:
        print(json.dumps({"changed": rotated.changed, "text": rotated.text}))
    else:
        print(rotated.text)
    waited_in_vain = not rotated.changed and getattr(given, "wait_seconds", 0) > 0
    return 1 if waited_in_vain else 0


def _token(rotation: Rotation, deployment: Deployment, given: argparse.Namespace) -> Rotated:
    if given.replicate_token_stdin:
        new = sys.stdin.readline().strip() or None
    else:
        # A token of the developer's shell is for the real Replicate, not for the emulator.
        new = None if deployment.emulator else os.environ.get("REPLICATE_API_TOKEN")
    return rotation.replicate_token(new, other_account=given.other_account)


def _webhook(rotation: Rotation, _: Deployment, given: argparse.Namespace) -> Rotated:
    return rotation.webhook_secret(given.wait_seconds)


def _link(rotation: Rotation, _: Deployment, given: argparse.Namespace) -> Rotated:
    return rotation.link_key(given.settle_seconds)


def _callback(rotation: Rotation, _: Deployment, given: argparse.Namespace) -> Rotated:
    return rotation.callback_key(given.overlap_hours, given.settle_seconds)


def _cdn(_: Rotation, deployment: Deployment, given: argparse.Namespace) -> Rotated:
    stage = "local" if given.local else given.stage
    text = cdn_rotation.rotate(deployment, stage, settle_s=given.settle_seconds, say=_say)
    return Rotated(changed=True, text=text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
