"""`ops rotate cdn-key`: at every moment CloudFront trusts the key with which the functions sign."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from ops import cdn_key, cdn_rotation
from ops.deployment import Deployment, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = "unit"
IDS = {"CdnPublicKey": "K1", "OtherCdnPublicKey": "K2"}
OUTPUTS = {
    "CdnPublicKey": ("CdnPublicKeyInUse", "CdnKeyId"),
    "OtherCdnPublicKey": ("OtherCdnPublicKeyInUse", "OtherCdnKeyId"),
}


class StoppedError(Exception):
    """The operator's process ended."""


@dataclass
class Stack:
    """CloudFormation with the CDN's stack, and CloudFront's rule on public keys."""

    parameters: dict[str, str]
    status: str = "UPDATE_COMPLETE"
    polls: int = 0
    broken: bool = False

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        if self.polls:
            self.polls -= 1
        elif self.status == "UPDATE_IN_PROGRESS":
            self.status = "UPDATE_ROLLBACK_COMPLETE" if self.broken else "UPDATE_COMPLETE"
        given = self.parameters.items()
        return {
            "Stacks": [
                {
                    "StackName": f"Darkroom-{STAGE}-Cdn",
                    "StackStatus": self.status,
                    "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in given],
                    "Outputs": [
                        {"OutputKey": key, "OutputValue": value}
                        for key, value in self.outputs().items()
                    ],
                }
            ]
        }

    def get_paginator(self, _: str) -> Stack:
        return self

    def paginate(self) -> list[dict[str, Any]]:
        return [self.describe_stacks()]

    def update_stack(self, **given: Any) -> None:
        assert given["UsePreviousTemplate"]
        assert {one["ParameterKey"] for one in given["Parameters"]} == set(self.parameters)
        for one in given["Parameters"]:
            name = one["ParameterKey"]
            if not one.get("UsePreviousValue"):
                value = one["ParameterValue"]
                assert not (self.parameters[name] and value), "CloudFront changes no key in place"
                self.parameters[name] = value
        self.status, self.polls = "UPDATE_IN_PROGRESS", 2

    def outputs(self) -> dict[str, str]:
        shown: dict[str, str] = {}
        for place, (in_use, id_) in OUTPUTS.items():
            if self.parameters[place]:
                # CloudFormation drops the line break at the end.
                shown |= {in_use: self.parameters[place].rstrip(), id_: IDS[place]}
        return shown


@dataclass
class Session:
    """A boto3 session; CloudFormation is a double, everything else is moto's."""

    session: Any
    stack: Stack

    def client(self, service: str, **options: Any) -> Any:
        return (
            self.stack if service == "cloudformation" else self.session.client(service, **options)
        )


@dataclass
class World:
    """A stage with a CDN, its clock, and an operator whose process may end while waiting."""

    deployment: Deployment
    stack: Stack
    now: float = 1_800_000_000
    stops: bool = False
    trusted: list[bool] = field(default_factory=list)

    def rotate(self) -> str:
        found = replace(self.deployment, outputs=self.stack.outputs())
        return cdn_rotation.rotate(found, STAGE, sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.trusted.append(self.signs_with_what_is_trusted())
        if self.stops:
            raise StoppedError

    def stored(self) -> dict[str, Any]:
        return cdn_key.read(self.deployment, STAGE)

    def signs_with_what_is_trusted(self) -> bool:
        stored = self.stored()
        public = cdn_key.one_line(cdn_key.public_half(stored["private_key"]))
        place = next(name for name, id_ in IDS.items() if id_ == stored["key_id"])
        return cdn_key.one_line(self.stack.parameters[place]) == public


@pytest.fixture
def make(deployment: Deployment) -> Callable[..., World]:
    def world(place: str = "CdnPublicKey") -> World:
        public, _ = cdn_key.ensure(deployment, STAGE)
        stack = Stack({name: public if name == place else "" for name in IDS} | {"Boot": "x"})
        session = cast("Any", Session(deployment.session, stack))
        found = replace(deployment, session=session, outputs=stack.outputs())
        cdn_key.name_it(found, STAGE)
        return World(found, stack)

    return world


@pytest.mark.parametrize("place", IDS)
def test_the_new_key_takes_the_empty_place_and_the_old_one_goes_two_hours_later(
    make: Callable[..., World], place: str
) -> None:
    world = make(place)
    (other,) = set(IDS) - {place}
    old = world.stored()
    assert IDS[other] in world.rotate()
    new = world.stored()
    assert new["key_id"] == IDS[other]
    assert new["private_key"] != old["private_key"]
    assert all(world.stack.parameters[name] for name in IDS)

    world.now += 7000
    with pytest.raises(SetupError, match="are good until"):
        world.rotate()
    world.now += 300
    assert "complete" in world.rotate()
    assert not world.stack.parameters[place]
    assert world.signs_with_what_is_trusted()
    assert world.trusted
    assert all(world.trusted)
    assert world.stored() == {name: new[name] for name in ("key_id", "private_key", "made_at")}
    # `make deploy` keeps the key where it is.
    public = cdn_key.public_half(new["private_key"])
    assert cdn_key.parameter(world.stack.outputs(), public) == other
    assert IDS[place] in world.rotate()


def test_a_rotation_that_was_stopped_goes_on_with_the_same_key(
    make: Callable[..., World],
) -> None:
    world = make()
    world.stops = True
    with pytest.raises(StoppedError):
        world.rotate()
    made = world.stored()["next_private_key"]
    world.stops = False
    world.stack.polls, world.stack.status = 0, "UPDATE_COMPLETE"
    world.rotate()
    assert world.stored()["private_key"] == made


def test_a_deployment_that_fails_changes_no_signature(make: Callable[..., World]) -> None:
    world = make()
    world.stack.broken = True
    with pytest.raises(SetupError, match="ROLLBACK"):
        world.rotate()
    assert world.stored()["key_id"] == "K1"
    assert "retired_at" not in world.stored()


def test_a_stage_without_a_cdn(deployment: Deployment) -> None:
    with pytest.raises(SetupError, match="no CDN"):
        cdn_rotation.rotate(deployment, STAGE)


def test_a_key_that_the_cdn_was_not_deployed_with(make: Callable[..., World]) -> None:
    world = make()
    stored = json.dumps({"private_key": cdn_key.new_private_key()})
    world.deployment.client("secretsmanager").put_secret_value(
        SecretId=cdn_key.secret_name(STAGE), SecretString=stored
    )
    with pytest.raises(SetupError, match="make deploy"):
        world.rotate()
