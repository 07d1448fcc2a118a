"""Rotation of the CDN's key: adds the new key to the empty slot, and later removes the old one."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ops import cdn_key
from ops.deployment import SetupError, refreshed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ops.deployment import Deployment

SETTLE_S = 300
"""Time until all of CloudFront knows a new key."""
URLS_OUT_S = 2 * 3600
"""Lifetime of URLs signed with the old key: one hour, plus five minutes in which functions still
sign with it, plus a margin."""
PLACES = ("CdnPublicKey", "OtherCdnPublicKey")
"""Parameters of the CDN's stack. CloudFront does not allow changing a key, so they alternate."""
_POLL_S = 5.0


def rotate(
    deployment: Deployment,
    stage: str,
    *,
    settle_s: float = SETTLE_S,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> str:
    """Run the next step of the rotation and return it as a sentence. An interrupted run can be
    repeated.

    Raises SetupError if no step is possible.
    """
    if not any(key in deployment.outputs for key, _ in cdn_key.PLACES):
        raise SetupError("This stage has no CDN.")
    return _Rotation(deployment, stage, say, sleep, clock).run(settle_s)


class _Rotation:
    def __init__(
        self,
        deployment: Deployment,
        stage: str,
        say: Callable[[str], None],
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._deployment = deployment
        self._stage = stage
        self._say = say
        self._sleep = sleep
        self._clock = clock
        self._stack = f"Darkroom-{stage}-Cdn"
        self._secret = cdn_key.secret_name(stage)
        self._stored = cdn_key.read(deployment, stage)
        self._cloudformation = deployment.client("cloudformation")

    def run(self, settle_s: float) -> str:
        given = self._parameters()
        current = cdn_key.public_half(self._stored["private_key"])
        place = next((name for name in PLACES if _same(given[name], current)), None)
        if place is None:
            raise SetupError("The CDN was deployed with another key: run `make deploy` first.")
        other = next(name for name in PLACES if name != place)
        if "retired_at" in self._stored:
            return self._take_out(other)
        return self._bring_in(other, given[other], settle_s)

    def _bring_in(self, place: str, held: str, settle_s: float) -> str:
        if "next_private_key" not in self._stored:
            self._put({**self._stored, "next_private_key": cdn_key.new_private_key()})
        private_key = self._stored["next_private_key"]
        public_key = cdn_key.public_half(private_key)
        if not held:
            self._say(f"{self._stack}: {place} takes the new key")
            self._update(place, public_key)
            self._say(f"{settle_s:g} s until CloudFront knows it everywhere")
            self._sleep(settle_s)
        elif not _same(held, public_key):
            raise SetupError(f"The parameter {place} of {self._stack} holds an unknown key.")
        outputs = refreshed(self._deployment, self._stage).outputs
        key_id = cdn_key.id_of(outputs, public_key)
        if key_id is None:
            raise SetupError(f"{self._stack} does not tell CloudFront's id of the new key.")
        now = int(self._clock())
        self._put({"key_id": key_id, "private_key": private_key, "made_at": now, "retired_at": now})
        return (
            f"New URLs are signed with {key_id}. Run this again after {_time(now + URLS_OUT_S)}: "
            "it takes the old key out."
        )

    def _take_out(self, place: str) -> str:
        ends = self._stored["retired_at"] + URLS_OUT_S
        if self._clock() < ends:
            raise SetupError(
                f"URLs that the old key signed are good until {_time(ends)}: run this again then."
            )
        if self._parameters()[place]:
            self._say(f"{self._stack}: {place} is emptied")
            self._update(place, "")
        self._put({name: self._stored[name] for name in self._stored if name != "retired_at"})
        return "The old key is gone: the rotation is complete."

    def _put(self, stored: dict[str, Any]) -> None:
        self._deployment.client("secretsmanager").put_secret_value(
            SecretId=self._secret, SecretString=json.dumps(stored)
        )
        self._stored = stored

    def _describe(self) -> dict[str, Any]:
        return dict(self._cloudformation.describe_stacks(StackName=self._stack)["Stacks"][0])

    def _parameters(self) -> dict[str, str]:
        found = self._describe().get("Parameters", [])
        given = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found}
        return given | {place: given.get(place, "") for place in PLACES}

    def _update(self, place: str, value: str) -> None:
        others = [name for name in self._parameters() if name != place]
        parameters: list[dict[str, Any]] = [
            {"ParameterKey": name, "UsePreviousValue": True} for name in others
        ]
        self._cloudformation.update_stack(
            StackName=self._stack,
            UsePreviousTemplate=True,
            Parameters=[*parameters, {"ParameterKey": place, "ParameterValue": value}],
        )
        while (status := self._describe()["StackStatus"]).endswith("_IN_PROGRESS"):
            self._say(f"{self._stack}: {status}")
            self._sleep(_POLL_S)
        if status != "UPDATE_COMPLETE":
            raise SetupError(f"{self._stack} is {status}: see its events in CloudFormation.")


def _same(one: str, other: str) -> bool:
    return cdn_key.one_line(one) == cdn_key.one_line(other)


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z"
