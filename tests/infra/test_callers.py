"""Every caller of a function is let in by its permissions, which no emulator evaluates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.config import Domain, StageConfig
from tests.infra.callers import GATEWAY, admitted, arn_like, calls, route_arn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

API = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3"
DOMAIN = Domain(name="img.example.com", certificate_arn="arn:aws:acm:eu-west-1:1:certificate/x")


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        # What CDK writes for all routes of a function, and the three kinds of callers.
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "GET /v1/files"), True),
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "POST /{base}/v1/models/{a}"), True),
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "$default"), False),
        (f"{API}/*/$default", route_arn("a1b2c3", "$default", "$default"), True),
        (f"{API}/*/$default", route_arn("a1b2c3", "$default", "GET /v1/files"), False),
        (f"{API}/*/*", route_arn("a1b2c3", "prod", "$default"), True),
        # AWS's own examples of ArnLike.
        ("arn:aws:sns:*:123456789012:My*", "arn:aws:sns:eu-west-1:123456789012:MyTopic", True),
        ("arn:aws:sns:*:MyTopic", "arn:aws:sns:eu-west-1:123456789012:MyTopic", False),
        ("arn:aws:s3:::bucket/?/x", "arn:aws:s3:::bucket/a/x", True),
        ("arn:aws:s3:::bucket/?/x", "arn:aws:s3:::bucket/ab/x", False),
    ],
)
def test_arn_like_is_iams(pattern: str, arn: str, matches: bool) -> None:
    assert arn_like(pattern, arn) is matches


def refused(synth: Synth) -> list[str]:
    found = list(calls(synth.service))
    assert "$default" in {route for route, _, _ in found}
    return [
        route
        for route, function, arn in found
        if not admitted(synth.service, function, GATEWAY, arn)
    ]


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_aws_h1_every_route_may_call_its_function(
    stage: str, request: pytest.FixtureRequest
) -> None:
    """The default route too: unknown paths, HEAD and wrong methods are answered by a function."""
    assert refused(request.getfixturevalue(stage)) == []


def test_aws_h1_also_with_a_domain(synth: Callable[[StageConfig], Synth]) -> None:
    assert refused(synth(replace(StageConfig.prod(), domain=DOMAIN))) == []


def test_a_function_without_routes_lets_the_gateway_in_nowhere(prod: Synth) -> None:
    served = {function for _, function, _ in calls(prod.service)}
    arns = [arn for _, _, arn in calls(prod.service)]
    others = {id_ for id_, _ in prod.service.resources("Lambda::Function")} - served
    assert others
    for function in others:
        assert not any(admitted(prod.service, function, GATEWAY, arn) for arn in arns)


def test_the_schedule_may_call_the_sweep(prod: Synth) -> None:
    rules = [
        (id_, target["Arn"]["Fn::GetAtt"][0])
        for id_, rule in prod.service.resources("Events::Rule")
        for target in rule["Properties"]["Targets"]
        if target["Arn"].get("Fn::GetAtt", [""])[0].startswith("Sweep")
    ]
    assert len(rules) == 1
    for rule, function in rules:
        assert admitted(prod.service, function, "events.amazonaws.com", rule)
