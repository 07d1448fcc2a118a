"""The door `thumbnails`: behind the CDN where a stage has one, and behind the API where not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import StageConfig
from tests.support.iam import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth, Template

DOOR = ("thumbnails",)
PATTERNS = ["*.t256.webp", "*.t512.webp", "*.t1024.webp"]


@pytest.fixture(scope="module")
def opened(synth: Callable[[StageConfig], Synth]) -> Synth:
    """A stage with a CDN and the door."""
    return synth(replace(StageConfig.prod(), doors=DOOR))


@pytest.fixture(scope="module")
def bare(synth: Callable[[StageConfig], Synth]) -> Synth:
    """The same without a CDN."""
    return synth(replace(StageConfig.prod(), cdn=False, doors=DOOR))


@pytest.fixture
def distribution(opened: Synth) -> dict[str, Any]:
    (found,) = opened.cdn.properties("CloudFront::Distribution").values()
    return dict(found["DistributionConfig"])


def functions(template: Template) -> dict[str, dict[str, Any]]:
    return template.properties("Lambda::Function")


def told(template: Template, function: str) -> set[str]:
    return set(functions(template)[f"{function}Function"]["Environment"]["Variables"])


def routes(synth: Synth) -> set[str]:
    return {r["RouteKey"] for r in synth.service.properties("ApiGatewayV2::Route").values()}


def held(synth: Synth, template: Template, function: str) -> set[tuple[str, str]]:
    """Each action with its resource; no statement has a condition."""
    (policy,) = template.properties("IAM::Role")[f"{function}Role"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    assert all(each.keys() == {"Effect", "Action", "Resource"} for each in statements)
    return set().union(*(granted(synth, each) for each in statements))


def granted(synth: Synth, statement: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (action, synth.shown(resource))
        for resource in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }


LOGGED = {("logs:CreateLogStream", "ThumbnailLogs"), ("logs:PutLogEvents", "ThumbnailLogs")}
READS_AND_WRITES = {
    ("s3:GetObject", "Outputs/*"),
    *(("s3:PutObject", f"Outputs/{pattern}") for pattern in PATTERNS),
}


def test_the_function_is_in_one_stack_and_is_the_same(opened: Synth, bare: Synth) -> None:
    assert set(functions(opened.cdn)) == {"ThumbnailFunction"}
    assert "ThumbnailFunction" not in functions(opened.service)
    made = [functions(opened.cdn), functions(bare.service)]
    same = ("Code", "Handler", "MemorySize", "Timeout", "Architectures", "Runtime")
    first, second = ([found["ThumbnailFunction"][name] for name in same] for found in made)
    assert first == second
    assert opened.cdn.body["Outputs"]["FunctionThumbnail"]
    assert bare.service.body["Outputs"]["FunctionThumbnail"]


def test_closed_it_adds_nothing(prod: Synth) -> None:
    for template in (prod.stateful, prod.cdn, prod.service, prod.observability):
        assert "humbnail" not in template.path.read_text()
        assert "Lambda::Url" not in template.path.read_text()


# Behind the CDN


def test_it_may_read_outputs_and_write_thumbnails(opened: Synth) -> None:
    assert held(opened, opened.cdn, "Thumbnail") == READS_AND_WRITES | LOGGED
    assert told(opened.cdn, "Thumbnail") == {"OUTPUTS_BUCKET", "POWERTOOLS_SERVICE_NAME"}


def test_its_url_is_for_this_distribution_alone(opened: Synth) -> None:
    (url,) = opened.cdn.properties("Lambda::Url").values()
    assert url["AuthType"] == "AWS_IAM"
    assert "Cors" not in url
    permissions = list(opened.cdn.properties("Lambda::Permission").values())
    # Lambda asks for both since October 2025.
    assert {p["Action"] for p in permissions} == {
        "lambda:InvokeFunctionUrl",
        "lambda:InvokeFunction",
    }
    for permission in permissions:
        assert permission["Principal"] == "cloudfront.amazonaws.com"
        assert opened.shown(permission["SourceArn"]) == (
            "arn:AWS::Partition:cloudfront::AWS::AccountId:distribution/Distribution"
        )
        if permission["Action"] == "lambda:InvokeFunction":
            assert permission["InvokedViaFunctionUrl"] is True


def test_only_thumbnails_go_on_to_it_and_only_if_the_bucket_has_none(
    opened: Synth, distribution: dict[str, Any]
) -> None:
    origins = {origin["Id"]: origin for origin in distribution["Origins"]}
    (group,) = distribution["OriginGroups"]["Items"]
    assert group["FailoverCriteria"]["StatusCodes"]["Items"] == [403, 404]
    first, second = (origins[m["OriginId"]] for m in group["Members"]["Items"])
    assert opened.shown(first["DomainName"]) == "Outputs.RegionalDomainName"
    assert "FunctionUrl" in json.dumps(second["DomainName"])
    assert second["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    behaviors = distribution["CacheBehaviors"]
    assert [behavior["PathPattern"] for behavior in behaviors] == PATTERNS
    assert {behavior["TargetOriginId"] for behavior in behaviors} == {group["Id"]}
    default = distribution["DefaultCacheBehavior"]
    assert opened.shown(origins[default["TargetOriginId"]]["DomainName"]) == (
        "Outputs.RegionalDomainName"
    )


def test_cloudfront_signs_each_request_to_both_origins(
    opened: Synth, distribution: dict[str, Any]
) -> None:
    controls = {
        name: c["OriginAccessControlConfig"]
        for name, c in opened.cdn.properties("CloudFront::OriginAccessControl").items()
    }
    kinds = set()
    for origin in distribution["Origins"]:
        control = controls[opened.shown(origin["OriginAccessControlId"]).removesuffix(".Id")]
        assert control["SigningBehavior"] == "always"
        kinds.add((control["OriginAccessControlOriginType"], "CustomOriginConfig" in origin))
    assert kinds == {("s3", False), ("lambda", True)}
    names = [json.dumps(control["Name"]) for control in controls.values()]
    assert len(set(names)) == len(names)


def test_a_thumbnail_is_served_on_the_terms_of_its_original(distribution: dict[str, Any]) -> None:
    """The signature, methods, cache and headers, among them nosniff, CSP and CORS."""
    default = distribution["DefaultCacheBehavior"]
    assert default["TrustedKeyGroups"] == [{"Ref": "KeyGroup"}]
    for behavior in distribution["CacheBehaviors"]:
        own = {"PathPattern", "TargetOriginId"}
        assert {k: v for k, v in behavior.items() if k not in own} == {
            k: v for k, v in default.items() if k not in own
        }
        assert behavior["AllowedMethods"] == ["GET", "HEAD"]


def test_the_api_has_no_route_for_it_and_no_function_more_rights(
    opened: Synth, prod: Synth
) -> None:
    assert routes(opened) == routes(prod)
    for function in prod.config.functions():
        shows = function in {"Submit", "Read"}
        assert told(opened.service, function) - told(prod.service, function) == (
            {"THUMBNAILS"} if shows else set()
        )
        assert held_json(opened, function) == held_json(prod, function)
    assert opened.stateful.body == prod.stateful.body


def held_json(synth: Synth, function: str) -> str:
    return json.dumps(synth.service.properties("IAM::Role")[f"{function}Role"]["Policies"])


# Behind the API


def test_without_a_cdn_it_has_a_route_and_reads_the_record_and_the_key(bare: Synth) -> None:
    assert held(bare, bare.service, "Thumbnail") == READS_AND_WRITES | LOGGED | {
        ("dynamodb:GetItem", "Predictions"),
        ("secretsmanager:GetSecretValue", "LinkKey"),
    }
    assert "GET /v1/predictions/{id}/files/{number}/thumbnail/{width}" in routes(bare)
    assert not bare.service.properties("Lambda::Url")


def test_without_a_cdn_reads_may_make_the_tokens(
    bare: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    closed = synth(replace(StageConfig.prod(), cdn=False))
    for function in closed.config.functions():
        added = told(bare.service, function) - told(closed.service, function)
        assert added == {
            "Read": {"THUMBNAILS", "THUMBNAIL_KEY_SECRET"},
            "Submit": {"THUMBNAILS"},
        }.get(function, set())
    assert ("secretsmanager:GetSecretValue", "LinkKey") in _read(bare)
    assert ("secretsmanager:GetSecretValue", "LinkKey") not in _read(closed)
    assert bare.stateful.body == closed.stateful.body


def _read(synth: Synth) -> set[tuple[str, str]]:
    (policy,) = synth.service.properties("IAM::Role")["ReadRole"]["Policies"]
    return set().union(*(granted(synth, each) for each in policy["PolicyDocument"]["Statement"]))


# Watching


def test_an_alarm_tells_that_none_are_made(opened: Synth, bare: Synth, prod: Synth) -> None:
    for synth in (opened, bare):
        alarms = synth.observability.properties("CloudWatch::Alarm")
        added = set(alarms) - set(prod.observability.properties("CloudWatch::Alarm"))
        assert added == {"ThumbnailsFail"}
        assert alarms["ThumbnailsFail"]["MetricName"] == "ThumbnailFailed"
        assert "thumbnail" in json.dumps(alarms["RequestsThrottled"])
