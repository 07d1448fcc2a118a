"""The HTTP API: routes, throttling, CORS, custom domain, and an access log without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct
from darkroom.api.http import ANSWERED_WITH

from ..nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_lambda as lambda_

    from ..config import Domain

DEFAULT_ROUTE = "$default"
"""Serves requests that match no other route: unknown paths, and methods that a path does not
have."""

ACCESS_LOG = {
    # The route and never the path: paths contain ids, and the webhook's query contains its token.
    "request": "$context.requestId",
    "route": "$context.routeKey",
    "status": "$context.status",
    "ms": "$context.responseLatency",
    "ip": "$context.identity.sourceIp",
    "error": "$context.integrationErrorMessage",
}


_STAINLESS = (
    "arch",
    "async",
    "custom-poll-interval",
    "helper-method",
    "lang",
    "os",
    "package-version",
    "poll-helper",
    "raw-response",
    "read-timeout",
    "retry-count",
    "runtime",
    "runtime-version",
    "timeout",
)
ASKED_WITH = (
    "authorization",
    "cancel-after",
    "content-type",
    "darkroom-cache",
    "darkroom-wait",
    "idempotency-key",
    "prefer",
    "user-agent",
    *(f"x-stainless-{name}" for name in _STAINLESS),
)
"""Headers that a browser may send from another origin: those that the functions read, and those
that generated clients add to every request."""
MCP_HEADERS = ("mcp-protocol-version", "mcp-method", "mcp-name")
"""Those of a stage that has the door `mcp`, besides."""


class HttpApi(Construct):
    """An API without routes; `add_routes` connects the functions.

    It is created before the functions, because they need its URL in their environment.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        throttle_rate: int,
        throttle_burst: int,
        cors_origins: tuple[str, ...],
        cors_headers: tuple[str, ...],
        domain: Domain | None,
        log_retention: logs.RetentionDays,
        infrequent_access_log: bool,
    ) -> None:
        super().__init__(scope, id_)
        self.api = apigw.HttpApi(
            self,
            "Api",
            api_name=name,
            create_default_stage=False,
            cors_preflight=_cors(cors_origins, cors_headers) if cors_origins else None,
            disable_execute_api_endpoint=domain is not None and domain.close_default_endpoint,
        )
        custom = _custom_domain(self, domain) if domain else None
        stage = apigw.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(rate_limit=throttle_rate, burst_limit=throttle_burst),
            domain_mapping=apigw.DomainMappingOptions(domain_name=custom) if custom else None,
        )
        classes = logs.LogGroupClass
        access_log = logs.LogGroup(
            self,
            "AccessLines",
            # Log groups with this prefix share one entry in the account's resource policy for AWS's
            # log delivery; each other name adds an entry, and the policy has room for some dozens.
            # A log group cannot change its class, so another class needs another name.
            log_group_name=f"/aws/vendedlogs/{Stack.of(self).stack_name}/"
            + ("access" if infrequent_access_log else "access-standard"),
            log_group_class=classes.INFREQUENT_ACCESS if infrequent_access_log else None,
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        cast(
            "apigw.CfnStage", stage.node.default_child
        ).access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=access_log.log_group_arn,
            format=json.dumps(ACCESS_LOG, separators=(",", ":")),
        )
        self.url: str = f"https://{domain.name}" if domain else self.api.api_endpoint
        """The URL for clients and for Replicate; no trailing slash."""
        acknowledge(
            self,
            {
                "AwsSolutions-APIG4": "Authentication is in the functions: an API key on every "
                "route, a signature and a link token on the webhook's.",
            },
        )

    def add_routes(
        self, functions: Mapping[str, tuple[lambda_.IFunction, tuple[str, ...]]]
    ) -> None:
        """Add the routes of each function. `functions` maps a function's id to the function and its
        route keys: `METHOD /path`, or `$default`."""
        for name, (function, routes) in functions.items():
            # One permission for all its routes, because a function's resource policy is limited to
            # 20 kB.
            integration = integrations.HttpLambdaIntegration(
                name, function, scope_permission_to_route=False
            )
            for route in routes:
                apigw.HttpRoute(
                    self,
                    f"Route {route}",
                    http_api=self.api,
                    route_key=_route_key(route),
                    integration=integration,
                )
            if DEFAULT_ROUTE in routes:
                self._admit_default_route(function)

    def _admit_default_route(self, function: lambda_.IFunction) -> None:
        """Permit the gateway to call the function for the default route. The permission for all
        routes covers `stage/METHOD/path` only, but the gateway calls `stage/$default` and answers
        500 without this."""
        function.add_permission(
            "DefaultRoute",
            principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
            source_arn=Stack.of(self).format_arn(
                service="execute-api",
                resource=self.api.api_id,
                resource_name=f"*/{DEFAULT_ROUTE}",
            ),
        )


def _route_key(route: str) -> apigw.HttpRouteKey:
    if route == DEFAULT_ROUTE:
        return apigw.HttpRouteKey.DEFAULT
    method, path = route.split(" ")
    return apigw.HttpRouteKey.with_(path, apigw.HttpMethod[method])


def _cors(origins: tuple[str, ...], headers: tuple[str, ...]) -> apigw.CorsPreflightOptions:
    return apigw.CorsPreflightOptions(
        allow_origins=list(origins),
        allow_methods=[
            apigw.CorsHttpMethod.GET,
            apigw.CorsHttpMethod.HEAD,
            apigw.CorsHttpMethod.POST,
            apigw.CorsHttpMethod.DELETE,
        ],
        allow_headers=list(headers),
        expose_headers=list(ANSWERED_WITH),
        max_age=Duration.hours(1),
    )


def _custom_domain(scope: Construct, domain: Domain) -> apigw.DomainName:
    custom = apigw.DomainName(
        scope,
        "Domain",
        domain_name=domain.name,
        certificate=acm.Certificate.from_certificate_arn(
            scope, "Certificate", domain.certificate_arn
        ),
        security_policy=apigw.SecurityPolicy.TLS_1_2,
    )
    if domain.hosted_zone_id and domain.hosted_zone_name:
        route53.ARecord(
            scope,
            "Alias",
            zone=route53.HostedZone.from_hosted_zone_attributes(
                scope,
                "Zone",
                hosted_zone_id=domain.hosted_zone_id,
                zone_name=domain.hosted_zone_name,
            ),
            record_name=domain.name,
            target=route53.RecordTarget.from_alias(
                targets.ApiGatewayv2DomainProperties(
                    custom.regional_domain_name, custom.regional_hosted_zone_id
                )
            ),
        )
    return custom
