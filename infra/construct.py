"""Darkroom as one construct for your own app."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct
from darkroom.domain.events import OF_PREDICTIONS, REQUESTED, SOURCE, TENANT

from .config import StageConfig
from .constructs.python_function import bucket_export
from .constructs.queues import FailureQueue
from .nag import acknowledge
from .stacks.cdn import CdnStack
from .stacks.observability import ObservabilityStack
from .stacks.service import ServiceStack
from .stacks.stateful import StatefulStack

if TYPE_CHECKING:
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_sns as sns

    Target = lambda_.IFunction | sqs.IQueue | sfn.IStateMachine | events.IRuleTarget

BY_DEFAULT = StageConfig(name="prod", cdn=False)
"""The default: data is retained and protected. No CDN, because its key must exist before the
stacks."""

EVENTS = tuple(name.removeprefix("Prediction ") for name in OF_PREDICTIONS)
"""Event names that `on` takes. `Rejected` reports a `Prediction Requested` that was not
accepted."""


class Darkroom(Construct):
    """Creates Darkroom's stacks next to yours, and grants your functions access to them.

    The stacks are named `Darkroom-{config.name}-…` regardless of the construct's place in the tree,
    so that moving it replaces nothing and `python -m ops … --stage {config.name}` finds them.
    `tenant` is the default tenant of the grants and rules below; each method's own `tenant`
    overrides it.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StageConfig = BY_DEFAULT,
        tenant: str = "default",
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self._tenant = _checked(tenant)
        beside = cdk.Stage.of(self)
        if beside is None:
            raise ValueError("Darkroom makes stacks, so it must be inside an App or a Stage")
        name = f"Darkroom-{config.name}"
        self._stateful = StatefulStack(beside, f"{name}-Stateful", config=config, env=env)
        cdn = None
        if config.cdn:
            cdn = CdnStack(beside, f"{name}-Cdn", config=config, stateful=self._stateful, env=env)
        self._service = ServiceStack(
            beside, f"{name}-Service", config=config, stateful=self._stateful, cdn=cdn, env=env
        )
        self._observability = None
        if config.observability:
            self._observability = ObservabilityStack(
                beside,
                f"{name}-Observability",
                config=config,
                stateful=self._stateful,
                service=self._service,
                cdn=cdn,
                env=env,
            )
        for stack in (self._stateful, cdn, self._service, self._observability):
            if stack:
                cdk.Tags.of(stack).add("darkroom:stage", config.name)

    @property
    def api_url(self) -> str:
        """The URL of the API, without a trailing slash and without `/v1`."""
        return self._service.api.url

    @property
    def bus(self) -> events.EventBus:
        """The bus that carries Darkroom's events, see docs/events.md."""
        return self._service.bus

    @property
    def outputs(self) -> s3.Bucket:
        """The bucket of outputs. An event's `key` names the object."""
        return self._stateful.outputs

    @property
    def alarm_topic(self) -> sns.Topic | None:
        """The topic that alarms notify; None without `observability`."""
        return self._observability.topic if self._observability else None

    def grant_submit(self, function: lambda_.Function, *, tenant: str | None = None) -> None:
        """Allow the function to request predictions by events, without an API key.

        It may put only `Prediction Requested` on the bus, with the source that is mapped to the
        tenant. Sets DARKROOM_BUS and DARKROOM_SOURCE in its environment.
        """
        source = self._service.admit(_checked(tenant or self._tenant))
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["events:PutEvents"],
                resources=[self.bus.event_bus_arn],
                conditions={
                    # One PutEvents call may contain events of several sources.
                    "ForAllValues:StringEquals": {"events:source": source},
                    "Null": {"events:source": "false"},
                    "StringEquals": {"events:detail-type": REQUESTED},
                },
            )
        )
        function.add_environment("DARKROOM_BUS", self.bus.event_bus_name)
        function.add_environment("DARKROOM_SOURCE", source)

    def grant_read(self, function: lambda_.Function, *, tenant: str | None = None) -> None:
        """Allow the function to read the tenant's outputs. Sets DARKROOM_OUTPUTS in its
        environment."""
        prefix = f"{_checked(tenant or self._tenant)}/*"
        objects = self._stateful.objects_arn(self.outputs).removesuffix("*") + prefix
        function.add_to_role_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[objects])
        )
        function.add_environment("DARKROOM_OUTPUTS", self.outputs.bucket_name)
        bucket = bucket_export(cdk.Stack.of(function).resolve(objects))
        acknowledge(
            function,
            {f"AwsSolutions-IAM5[Resource::{bucket}/{prefix}]": "The outputs of one tenant."},
        )

    def on_succeeded(
        self, target: Target, *, tenant: str | None = None, scope: Construct | None = None
    ) -> events.Rule:
        """Send `Prediction Succeeded` to the target, at least once; see `on`."""
        return self.on("Succeeded", target=target, tenant=tenant, scope=scope)

    def on(
        self,
        *what: str,
        target: Target,
        tenant: str | None = None,
        scope: Construct | None = None,
    ) -> events.Rule:
        """Send the named EVENTS to the target, at least once.

        The rule is created in the target's own stack, so that no two stacks depend on each other.
        It gets a dead-letter queue for events that the target does not accept. Any other rule
        target brings its own dead-letter queue and needs `scope`, the construct in which the rule
        is created. Raises ValueError without one.
        """
        if not what or (unknown := set(what) - set(EVENTS)):
            named = f"no event is called {', '.join(unknown)}" if what else "no event is named"
            raise ValueError(f"{named}: say one or more of {', '.join(EVENTS)}")
        if scope is None:
            if not isinstance(target, _RESOURCES):
                raise ValueError(
                    "a rule target is in no stack: say `scope`, where its rule is made"
                )
            scope = target
        whose = _checked(tenant or self._tenant)
        rule = events.Rule(
            scope,
            f"Darkroom{''.join(what)}{'' if tenant is None else whose.title()}",
            event_bus=self.bus,
            event_pattern=events.EventPattern(
                source=[SOURCE],
                detail_type=[f"Prediction {name}" for name in what],
                detail={"tenant": [whose]},
            ),
        )
        rule.add_target(_rule_target(rule, target))
        return rule


_RESOURCES = (lambda_.FunctionBase, sqs.QueueBase, sfn.StateMachine)


def _rule_target(rule: events.Rule, target: Target) -> events.IRuleTarget:
    match target:
        case lambda_.FunctionBase():
            return targets.LambdaFunction(target, dead_letter_queue=FailureQueue(rule, "Dlq"))
        case sqs.QueueBase():
            return targets.SqsQueue(target, dead_letter_queue=FailureQueue(rule, "Dlq"))
        case sfn.StateMachine():
            return targets.SfnStateMachine(target, dead_letter_queue=FailureQueue(rule, "Dlq"))
        case _:
            return cast("events.IRuleTarget", target)


def _checked(tenant: str) -> str:
    if not TENANT.fullmatch(tenant):
        raise ValueError("a tenant's name has 1 to 63 of A-Z a-z 0-9 . _ -")
    return tenant
