"""Who calls a function, and in what name: what the functions' permissions have to let in.

No emulator evaluates them, so a permission that matches nothing shows on AWS alone.
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
    """The source ARN of a call that API Gateway makes for a route of an HTTP API.

    `GET /v1/files/{id}` is `…/GET/v1/files/{id}`. The default route has no method and no path:
    `…/$default`, a segment less than any other.
    """
    method, _, path = route.partition(" ")
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api}/{stage}/{method}{path}"


def invoked(function: str, by: str, source: str) -> Request:
    """The function's invocation by a service, which says for which of its resources it calls."""
    context = {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT}
    arn = ARNS["Lambda::Function"].format(function)
    return Request(by, "lambda:InvokeFunction", arn, context)


def by_routes(deployed: Deployed) -> Iterator[tuple[str, Request]]:
    """Route key and request of every call that the APIs make."""
    integrations = dict(deployed.of_type("ApiGatewayV2::Integration"))
    stages = [stage["StageName"] for _, stage in deployed.of_type("ApiGatewayV2::Stage")]
    for _, route in deployed.of_type("ApiGatewayV2::Route"):
        integration = integrations[route["Target"].removeprefix("integrations/")]
        function = integration["IntegrationUri"].rpartition(":")[2]
        for stage in stages:
            arn = route_arn(route["ApiId"], stage, route["RouteKey"])
            yield route["RouteKey"], invoked(function, GATEWAY, arn)


def by_rules(deployed: Deployed) -> Iterator[Request]:
    """What EventBridge does for its rules: it invokes, sends, and keeps what it could not."""
    for name, rule in deployed.of_type("Events::Rule"):
        # A rule of another bus than the default one has the bus in its ARN.
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
    """CloudWatch Logs takes an event from EventBridge, or from the service that delivers for it.

    Neither is documented to say for which rule it writes.
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
    """What CloudFront reads, and what S3 logs."""
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
    """Whether the policies of resources let the service do it."""
    return decide(request, resource=deployed.of_resources) is Decision.ALLOWED
