"""A Lambda function with Darkroom's defaults: own role, own log group, JSON logs, arm64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..bundling import ARCHITECTURE, RUNTIME
from ..nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_sqs as sqs
    from darkroom.runtime.function import Function
    from darkroom.runtime.settings import Settings

    from ..config import StageConfig

RUNTIME_REASON = (
    "Python 3.13 on purpose: supported until 2029, and the version that the locked wheels and "
    "the shipped bytecode are built for."
)

OBJECTS_REASON = (
    "One bucket's objects: their keys begin with a tenant, and tenants come and go without a "
    "deployment."
)
TRACING_REASON = "X-Ray's actions know no resources."


class EnvironmentMismatchError(Exception):
    """The stack and the function's settings class disagree on the environment."""


@dataclass(frozen=True, kw_only=True)
class FunctionDefaults:
    """Settings that all functions of a stage share."""

    log_retention: logs.RetentionDays
    log_level: lambda_.ApplicationLogLevel
    system_log_level: lambda_.SystemLogLevel
    tracing: bool

    @classmethod
    def of(cls, config: StageConfig) -> Self:
        """Return those of a stage."""
        return cls(
            log_retention=config.log_retention,
            log_level=config.log_level,
            system_log_level=config.system_log_level,
            tracing=config.tracing,
        )


class PythonFunction(Construct):
    """One function as its module in `darkroom.handlers` declares it. Its role allows exactly
    `statements` and writing to its own log group.

    Raises EnvironmentMismatchError unless `environment` has every variable that its settings
    require and no unknown one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        defaults: FunctionDefaults,
        code: lambda_.Code,
        declared: Function[Any, Any],
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        reserved_concurrency: int | None = None,
    ) -> None:
        super().__init__(scope, id_)
        check_environment(declared.settings, environment)
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            retention=defaults.log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={
                "Grants": iam.PolicyDocument(
                    statements=[
                        *statements,
                        iam.PolicyStatement(
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[self.log_group.log_group_arn],
                        ),
                        *([_TRACING] if defaults.tracing else []),
                    ]
                )
            },
        )
        self.function = lambda_.Function(
            self,
            "Function",
            code=code,
            handler=f"{declared.module}.handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            # Otherwise CDK would widen the role by itself, for example for event sources.
            role=self.role.without_policy_updates(),
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=defaults.log_level,
            system_log_level_v2=defaults.system_log_level,
            memory_size=declared.memory_mb,
            timeout=Duration.seconds(declared.timeout_s),
            tracing=lambda_.Tracing.ACTIVE if defaults.tracing else lambda_.Tracing.DISABLED,
            reserved_concurrent_executions=reserved_concurrency,
            environment=dict(environment),
        )
        acknowledge(
            self,
            {
                "AwsSolutions-L1": RUNTIME_REASON,
                "Serverless-LambdaLatestVersion": RUNTIME_REASON,
                "Serverless-LambdaDLQ": "Invoked by the gateway, a queue, a stream or a schedule, "
                "each of which has its own place for failures; none of them uses this one.",
                "Serverless-LambdaTracing": "A stage's choice: X-Ray costs start-up time and money "
                "on every request.",
                **self._wildcards(statements),
            },
        )
        if defaults.tracing:
            acknowledge(
                self.role,
                {
                    "AwsSolutions-IAM5[Resource::*]": TRACING_REASON,
                    "Serverless-LambdaStarPermissions": TRACING_REASON,
                },
            )

    def _wildcards(self, statements: Sequence[iam.PolicyStatement]) -> dict[str, str]:
        """Map cdk-nag's ids for statements on all objects of a bucket to the reason for their
        width."""
        stack = Stack.of(self)
        wide = [
            (bucket_export(stack.resolve(arn)), arn.rpartition("/")[2])
            for statement in statements
            for arn in statement.resources
            if "/*" in arn
        ]
        return {
            f"AwsSolutions-IAM5[Resource::{bucket}/{keys}]": OBJECTS_REASON for bucket, keys in wide
        }

    def consume(
        self, queue: sqs.IQueue, *, batch_size: int, max_concurrency: int, id_: str = "Messages"
    ) -> None:
        """Invoke the function with messages of the queue; `statements` must allow it. A second
        queue needs its own id."""
        mapping = lambda_.EventSourceMapping(
            self,
            id_,
            target=self.function,
            event_source_arn=queue.queue_arn,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(
            mapping,
            {
                "Serverless-LambdaEventSourceMappingDestination": "A queue as source takes no "
                "failure destination; its redrive policy moves failures to its own dead-letter "
                "queue.",
            },
        )


def check_environment(settings: type[Settings], environment: Mapping[str, str]) -> None:
    """Raise EnvironmentMismatchError that names every missing and every unknown variable."""
    required = {name.upper() for name in settings.required()}
    missing = required - environment.keys()
    unknown = environment.keys() - settings.names()
    if missing or unknown:
        raise EnvironmentMismatchError(
            f"{settings.__name__}: missing {sorted(missing)}, unknown {sorted(unknown)}"
        )


def bucket_export(arn: Any) -> str:
    """Return the name of the export in the resolved ARN of another stack's objects."""
    name: str = arn["Fn::Join"][1][0]["Fn::ImportValue"]
    return name


_TRACING = iam.PolicyStatement(
    actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources=["*"]
)
