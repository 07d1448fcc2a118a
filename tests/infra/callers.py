"""The callers of functions and their principals, which the functions' permissions must admit.

No emulator evaluates permissions, so a permission that matches nothing fails on AWS only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.infra.deployed import ACCOUNT, ARNS, REGION, Deployed
from tests.support.iam import Decision, Request, decide

if TYPE_CHECKING:
    from collections.abc import Iterator

GATEWAY = "apigateway.amazonaws.com"
SCHEDULE = "events.amazonaws.com"


def route_arn(api: str, stage: str, route: str) -> str:
    """Return the source ARN of a call that API Gateway makes for a route of an HTTP API.

    `GET /v1/files/{id}` is `…/GET/v1/files/{id}`. The default route has no method and no path:
    `…/$default`, one segment fewer than any other.
    """
    method, _, path = route.partition(" ")
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{stage}/{method}{path}"


def invoked(function: str, by: str, source: str) -> Request:
    """Return the function's invocation by a service for one of its resources."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
    arn = ARNS["Lambda::Function"].format(function)
    return Request(by, "lambda:InvokeFunction", arn, context)


def by_routes(deployed: Deployed) -> Iterator[tuple[str, Request]]:
    """Yield route key and request of every call that the APIs make."""
    integrations = dict(deployed.of_type("ApiGatewayV2::Integration"))
    stages = [stage["StageName"] for _, stage in deployed.of_type("ApiGatewayV2::Stage")]
    for _, route in deployed.of_type("ApiGatewayV2::Route"):
        integration = integrations[route["Target"].removeprefix("integrations/")]
        function = integration["IntegrationUri"].rpartition(":")[2]
        for stage in stages:
            arn = route_arn(route["ApiId"], stage, route["RouteKey"])
            yield route["RouteKey"], invoked(function, GATEWAY, arn)


def by_rules(deployed: Deployed) -> Iterator[Request]:
    """Yield EventBridge's calls for its rules: invocations, messages, and dead letters."""
    for name, rule in deployed.of_type("Events::Rule"):
        # The ARN of a rule on a bus other than the default one contains the bus.
        source = ARNS["Events::Rule"].format(name)
        for target in rule["Targets"]:
            if ":function:" in target["Arn"]:
                yield invoked(target["Arn"].rpartition(":")[2], SCHEDULE, source)
            elif ":log-group:" in target["Arn"]:
                for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
                    yield from _logged(action, f"{target['Arn']}:log-stream:2027")
            else:
                yield _sent(target["Arn"], source)
            if "DeadLetterConfig" in target:
                yield _sent(target["DeadLetterConfig"]["Arn"], source)


def _logged(action: str, stream: str) -> Iterator[Request]:
    """Yield the writes to CloudWatch Logs by EventBridge, or by the service that delivers for it.

    Neither is documented to name the rule.
    """
    for by in (SCHEDULE, "delivery.logs.amazonaws.com"):
        yield Request(by, action, stream)


def _sent(queue: str, rule: str) -> Request:
    context = {
        "aws:SourceArn": rule,
        "aws:SourceAccount": ACCOUNT,
        "aws:SecureTransport": "true",
    }
    return Request(SCHEDULE, "sqs:SendMessage", queue, context)


def on_buckets(deployed: Deployed) -> Iterator[Request]:
    """Yield CloudFront's reads, and S3's logs."""
    tls = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    for name, _ in deployed.of_type("CloudFront::Distribution"):
        context = {**tls, "aws:SourceArn": ARNS["CloudFront::Distribution"].format(name)}
        yield Request(
            "cloudfront.amazonaws.com", "s3:GetObject", "arn:aws:s3:::Outputs/a/b.png", context
        )
    for name, bucket in deployed.of_type("S3::Bucket"):
        logging = bucket.get("LoggingConfiguration")
        if logging:
            place = f"{ARNS['S3::Bucket'].format(logging['DestinationBucketName'])}/"
            context = {
                **tls,
                "aws:SourceArn": ARNS["S3::Bucket"].format(name),
                "aws:SourceAccount": ACCOUNT,
            }
            yield Request(
                "logging.s3.amazonaws.com",
                "s3:PutObject",
                f"{place}{logging['LogFilePrefix']}2027-01-15",
                context,
            )


def admitted(deployed: Deployed, request: Request) -> bool:
    """Whether the policies of resources allow the request of the service."""
    return decide(request, resource=deployed.of_resources) is Decision.ALLOWED
