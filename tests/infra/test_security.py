"""Security properties of the templates themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import assertions
from aws_cdk import aws_cloudfront as cloudfront

from app import build
from tests.infra.synthesis import NO_BUNDLING

if TYPE_CHECKING:
    from tests.infra.synthesis import Synth

GUIDE = Path(__file__).parents[2] / "docs" / "security.md"
LOGGED = {
    *("requestId", "routeKey", "status", "responseLatency"),
    *("identity.sourceIp", "integrationErrorMessage"),
}
"""Variables of API Gateway that contain neither path, query, header nor body."""


def test_a66_no_authorizer_whose_result_could_be_kept_for_another_path(prod: Synth) -> None:
    assert not list(prod.service.resources("ApiGatewayV2::Authorizer"))
    routes = [route["Properties"] for _, route in prod.service.resources("ApiGatewayV2::Route")]
    assert len(routes) > 20
    assert {route.get("AuthorizationType", "NONE") for route in routes} == {"NONE"}


def test_a68_the_access_log_can_hold_no_secret(prod: Synth) -> None:
    stages = [stage for _, stage in prod.service.resources("ApiGatewayV2::Stage")]
    assert stages
    for stage in stages:
        text = stage["Properties"]["AccessLogSettings"]["Format"]
        assert set(re.findall(r"\$context\.([\w.]+)", text)) <= LOGGED
        assert all(value.startswith("$context.") for value in json.loads(text).values())


def test_a68_no_function_is_made_to_log_what_it_is_given(prod: Synth) -> None:
    """Powertools prints whole events if this variable is set, whatever the code does."""
    for _, function in prod.service.resources("Lambda::Function"):
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        assert variables.get("POWERTOOLS_LOGGER_LOG_EVENT", "false") == "false"
        assert variables.get("POWERTOOLS_LOG_LEVEL") != "DEBUG"


def test_the_guides_firewall_stands_before_the_api_and_the_outputs(tmp_path: Path) -> None:
    """Its code is executed as written there."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    written: dict[str, Any] = {}
    exec(code, written)  # noqa: S102 - our own page
    alone = cdk.App()
    front = written["ApiFront"](
        alone, "Front", api_host="origin.example.com", env=cdk.Environment(region="us-east-1")
    )
    template = assertions.Template.from_stack(front)
    template.resource_count_is("AWS::WAFv2::WebACL", 1)
    template.has_resource_properties(
        "AWS::CloudFront::Distribution",
        {"DistributionConfig": {"WebACLId": {"Fn::GetAtt": ["Firewall", "Arn"]}}},
    )
    app = build(outdir=str(tmp_path), context={**NO_BUNDLING, "stage": "prod"})
    cdn: Any = app.node.find_child("Darkroom-prod-Cdn")
    arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/Firewall/x"
    distribution: cloudfront.Distribution = cdn.distribution
    distribution.attach_web_acl_id(arn)
    assertions.Template.from_stack(cdn).has_resource_properties(
        "AWS::CloudFront::Distribution", {"DistributionConfig": {"WebACLId": arn}}
    )
