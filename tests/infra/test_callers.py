"""Every caller of a function or user of a resource is admitted by its policy.

No emulator evaluates policies, so an oracle of IAM's decisions does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from infra.config import Domain, StageConfig
from tests.infra.callers import (
    GATEWAY,
    SCHEDULE,
    admitted,
    by_routes,
    by_rules,
    invoked,
    on_buckets,
    route_arn,
)
from tests.infra.deployed import ACCOUNT, ARNS, Deployed, request
from tests.support.iam import Decision, Request, arn_like, decide

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

API = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3"
DOMAIN = Domain(name="img.example.com", certificate_arn="arn:aws:acm:eu-west-1:1:certificate/x")
ANOTHER_RULE = ARNS["Events::Rule"].format("Another")
STAGES = ["local", "dev", "prod"]


@pytest.fixture
def deployed(stage: str, request: pytest.FixtureRequest) -> Deployed:
    return Deployed(request.getfixturevalue(stage))


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        # CDK's pattern for all routes of a function, and the three kinds of callers.
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "GET /v1/files"), True),
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "POST /{base}/v1/models/{a}"), True),
        (f"{API}/*/*/*", route_arn("a1b2c3", "$default", "$default"), False),
        (f"{API}/*/$default", route_arn("a1b2c3", "$default", "$default"), True),
        (f"{API}/*/$default", route_arn("a1b2c3", "$default", "GET /v1/files"), False),
        (f"{API}/*/*", route_arn("a1b2c3", "prod", "$default"), True),
    ],
)
def test_the_patterns_of_routes(pattern: str, arn: str, matches: bool) -> None:
    assert arn_like(pattern, arn) is matches


def refused(deployed: Deployed) -> list[str]:
    found = list(by_routes(deployed))
    assert "$default" in {route for route, _ in found}
    return [route for route, each in found if not admitted(deployed, each)]


@pytest.mark.parametrize("stage", STAGES)
def test_aws_h1_every_route_may_call_its_function(deployed: Deployed) -> None:
    """The default route too: a function answers unknown paths, HEAD and wrong methods."""
    assert refused(deployed) == []


def test_aws_h1_also_with_a_domain(synth: Callable[[StageConfig], Synth]) -> None:
    assert refused(Deployed(synth(replace(StageConfig.prod(), domain=DOMAIN)))) == []


@pytest.mark.parametrize("stage", ["prod"])
def test_a_function_without_routes_lets_the_gateway_in_nowhere(deployed: Deployed) -> None:
    calls = [each for _, each in by_routes(deployed)]
    served = {each.resource for each in calls}
    others = {ARNS["Lambda::Function"].format(f"{name}Function") for name in deployed.functions}
    assert others - served
    for each in calls:
        for function in others - served:
            assert not admitted(deployed, replace(each, resource=function))


@pytest.mark.parametrize("stage", STAGES)
def test_rules_reach_their_targets_and_where_they_put_what_fails(deployed: Deployed) -> None:
    calls = list(by_rules(deployed))
    assert any(":function:Sweep" in each.resource for each in calls)
    assert [each for each in calls if not admitted(deployed, each)] == []
    for each in (each for each in calls if "aws:SourceArn" in each.context):
        another = replace(each, context={**each.context, "aws:SourceArn": ANOTHER_RULE})
        assert not admitted(deployed, another)


@pytest.mark.parametrize("stage", STAGES)
def test_the_cdn_reads_outputs_and_s3_writes_its_log(deployed: Deployed) -> None:
    assert [each for each in on_buckets(deployed) if not admitted(deployed, each)] == []


@pytest.mark.parametrize("stage", ["local", "prod"])
def test_without_any_one_statement_of_a_resource_somebody_is_refused(deployed: Deployed) -> None:
    callers = [each for _, each in by_routes(deployed)]
    callers += [*by_rules(deployed), *on_buckets(deployed)]
    allowing = [s for s in deployed.of_resources if s["Effect"] == "Allow"]
    for number, statement in enumerate(allowing):
        others = allowing[:number] + allowing[number + 1 :]
        assert any(decide(each, resource=others) is not Decision.ALLOWED for each in callers), (
            statement
        )


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("unsafe", [{"aws:SecureTransport": "false"}, {"s3:TlsVersion": "1.1"}])
def test_nobody_comes_to_buckets_and_queues_without_tls(
    deployed: Deployed, unsafe: dict[str, str]
) -> None:
    places = {name: arn for name, arn in deployed.addresses.items() if ":s3:" in arn}
    if "aws:SecureTransport" in unsafe:
        places |= {name: arn for name, arn in deployed.addresses.items() if ":sqs:" in arn}
    for arn in places.values():
        action = "s3:GetObject" if ":s3:" in arn else "sqs:SendMessage"
        below = f"{arn}/x" if ":s3:" in arn else arn
        each = request(deployed, "Submit", action, below, **unsafe)
        everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        assert decide(each, everything, deployed.of_resources) is Decision.DENIED


@pytest.mark.parametrize("stage", STAGES)
def test_only_darkrooms_own_functions_tell_of_predictions(deployed: Deployed) -> None:
    bus = next(arn for arn in deployed.addresses.values() if ":event-bus/" in arn)
    everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    told = {"events:source": ["shop", "darkroom"]}
    may = {
        function
        for function in deployed.functions
        if decide(
            request(deployed, function, "events:PutEvents", bus, **told),
            everything,
            deployed.of_resources,
        )
        is Decision.ALLOWED
    }
    assert may == {"Relay", "Sweep", "Intake", "Deliver"}
    outside = Request(f"arn:aws:iam::{ACCOUNT}:role/Admin", "events:PutEvents", bus, told)
    assert decide(outside, everything, deployed.of_resources) is Decision.DENIED


@pytest.mark.parametrize("stage", ["prod"])
def test_a_service_does_nothing_for_resources_that_are_not_ours(deployed: Deployed) -> None:
    for by in (GATEWAY, SCHEDULE):
        for function in deployed.functions:
            for source in (f"{API}/$default/GET/v1/files", f"{API}/$default/$default"):
                assert not admitted(deployed, invoked(f"{function}Function", by, source))
