"""Who calls a function, as AWS names it, and whether the function's permissions let that caller in.

No emulator evaluates them, so a permission that matches nothing shows on AWS alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.synthesis import Template

GATEWAY = "apigateway.amazonaws.com"
CONCRETE = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}


def arn_like(pattern: str, arn: str) -> bool:
    """IAM's ArnLike: `*` and `?` within each of the six parts, and never across a colon."""
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(map(_matches, wanted, given))


def _matches(pattern: str, part: str) -> bool:
    signs = {"*": ".*", "?": "."}
    regular = "".join(signs.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(regular, part, re.DOTALL) is not None


def route_arn(api: str, stage: str, route: str) -> str:
    """The source ARN of a call that API Gateway makes for a route of an HTTP API.

    `GET /v1/files/{id}` is `…/GET/v1/files/{id}`. The default route has no method and no path:
    `…/$default`, a segment less than any other.
    """
    region, account = CONCRETE["AWS::Region"], CONCRETE["AWS::AccountId"]
    method, _, path = route.partition(" ")
    return f"arn:aws:execute-api:{region}:{account}:{api}/{stage}/{method}{path}"


def calls(template: Template) -> Iterator[tuple[str, str, str]]:
    """Route key, function and source ARN of every call that the template's APIs make."""
    integrations = dict(template.resources("ApiGatewayV2::Integration"))
    stages = [s["Properties"]["StageName"] for _, s in template.resources("ApiGatewayV2::Stage")]
    for _, route in template.resources("ApiGatewayV2::Route"):
        properties = route["Properties"]
        _, (_, target) = properties["Target"]["Fn::Join"]
        uri = integrations[target["Ref"]]["Properties"]["IntegrationUri"]
        for stage in stages:
            arn = route_arn(properties["ApiId"]["Ref"], stage, properties["RouteKey"])
            yield properties["RouteKey"], uri["Fn::GetAtt"][0], arn


def admitted(template: Template, function: str, principal: str, arn: str) -> bool:
    """Whether some permission of the function lets the caller in."""
    return any(
        properties["FunctionName"]["Fn::GetAtt"][0] == function
        and properties["Principal"] == principal
        and properties["Action"] == "lambda:InvokeFunction"
        and arn_like(_concrete(properties["SourceArn"]), arn)
        for properties in (p["Properties"] for _, p in template.resources("Lambda::Permission"))
    )


def _concrete(value: object) -> str:
    """An ARN of a template, with logical ids in the place of what AWS would put there."""
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return CONCRETE.get(name, name)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return name
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(_concrete, parts))
    raise ValueError(f"cannot read {value}")
