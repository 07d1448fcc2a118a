"""Requests by events: one rule per source, which alone decides the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import ArnFormat, CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct
from darkroom.domain.events import REQUESTED, SOURCE

from ..config import EventSource
from ..nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .queues import TaskQueue


class EventsIn(Construct):
    """Turns `Prediction Requested` events on the bus into messages of the intake queue.

    An event cannot name its tenant; the rule of its source adds it to the message. A principal that
    may put events of a source therefore acts for the source's tenant.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        bus: events.EventBus,
        intake: TaskQueue,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id_)
        self._bus = bus
        self._intake = intake
        self._sources: dict[str, EventSource] = {}
        # The same prefix that the console uses for log groups of rules.
        self.unmatched = f"/aws/events/{Stack.of(self).stack_name}/unmatched"
        """Name of the log group with one line for each event on the bus that no rule matches. Its
        metric IncomingLogEvents counts them."""
        self._group = logs.LogGroup(
            self,
            "UnmatchedLog",
            log_group_name=self.unmatched,
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._unmatched = self._log_unmatched()

    def deny_foreign_publishers(self, roles: Sequence[iam.IRole]) -> None:
        """Deny every other principal to put events with Darkroom's own source."""
        self._deny("OnlyDarkroomTellsOfPredictions", SOURCE, [role.role_arn for role in roles])

    def add(self, given: EventSource) -> None:
        """Accept requests from the source for its tenant. Raises ValueError if it has another
        tenant."""
        known = self._sources.setdefault(given.source, given)
        if known.tenant != given.tenant:
            raise ValueError(f"{given.source} stands for {known.tenant} already")
        name = "".join(word.title() for word in given.source.replace("-", ".").split("."))
        self._unmatched.event_pattern = self._nobodys()
        events.Rule(
            self,
            name,
            event_bus=self._bus,
            description=f"Predictions that {given.source} asks for, for {given.tenant}",
            event_pattern=events.EventPattern(source=[given.source], detail_type=[REQUESTED]),
            targets=[
                targets.SqsQueue(
                    self._intake.queue,
                    message=events.RuleTargetInput.from_object(
                        {
                            "tenant": given.tenant,
                            "id": events.EventField.event_id,
                            "detail": events.EventField.from_path("$.detail"),
                        }
                    ),
                    dead_letter_queue=self._intake.dlq,
                )
            ],
        )
        if given.principals:
            self._allow(name, given)
            self._deny(f"Only{name}", given.source, given.principals)

    def admit(self, tenant: str) -> str:
        """Return a source whose requests belong to the tenant: an existing one, or a new one.

        A source that is restricted to named principals is skipped, since it would deny the
        caller's.
        """
        for known in self._sources.values():
            if known.tenant == tenant and not known.principals:
                return known.source
        given = EventSource(source=f"requests.{tenant}", tenant=tenant)
        self.add(given)
        return given.source

    def _log_unmatched(self) -> events.CfnRule:
        """Log unmatched events, since a misspelled source or detail-type would otherwise be lost
        silently. Only the source, detail-type, id and time are logged, never the detail."""
        logs.CfnResourcePolicy(
            self,
            "UnmatchedLogPolicy",
            policy_name=f"{Stack.of(self).stack_name}-unmatched-events",
            policy_document=Stack.of(self).to_json_string(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {
                                "Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
                            },
                            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": self._group.log_group_arn,
                        }
                    ],
                }
            ),
        )
        paths = {"source": "$.source", "type": "$.detail-type", "id": "$.id", "time": "$.time"}
        line = "source <source>, detail-type <type>, id <id>"
        rule = events.CfnRule(
            self,
            "Unmatched",
            event_bus_name=self._bus.event_bus_name,
            description="Events that no rule of Darkroom's takes, for the log group of them",
            event_pattern=self._nobodys(),
            targets=[
                events.CfnRule.TargetProperty(
                    id="Log",
                    arn=Stack.of(self).format_arn(
                        service="logs",
                        resource="log-group",
                        resource_name=self._group.log_group_name,
                        arn_format=ArnFormat.COLON_RESOURCE_NAME,
                    ),
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map=paths,
                        input_template=f'{{"timestamp":<time>,"message":"{line}"}}',
                    ),
                )
            ],
        )
        reason = "What it counts is lost already, and a line of a log is no work for anybody."
        acknowledge(rule, {"Serverless::Serverless-EventBusDLQ": reason})
        return rule

    def _nobodys(self) -> dict[str, Any]:
        """Return the pattern of events that are neither Darkroom's own nor requests of a known
        source."""
        known = sorted(self._sources)
        stranger = {"source": [{"anything-but": [SOURCE, *known]}]}
        if not known:
            return stranger
        misnamed = {"source": known, "detail-type": [{"anything-but": [REQUESTED]}]}
        return {"$or": [stranger, misnamed]}

    def _allow(self, name: str, given: EventSource) -> None:
        """Allow principals of other accounts. Those of this account need only their own policy."""
        statement = iam.PolicyStatement(
            principals=[iam.ArnPrincipal(arn) for arn in given.principals],
            actions=["events:PutEvents"],
            resources=[self._bus.event_bus_arn],
            conditions={
                # One PutEvents call may contain events of several sources.
                "ForAllValues:StringEquals": {"events:source": given.source},
                "Null": {"events:source": "false"},
                "StringEquals": {"events:detail-type": REQUESTED},
            },
        )
        self._state(f"Allow{name}", statement)

    def _deny(self, sid: str, source: str, but: Sequence[str]) -> None:
        statement = iam.PolicyStatement(
            effect=iam.Effect.DENY,
            principals=[iam.StarPrincipal()],
            actions=["events:PutEvents"],
            resources=[self._bus.event_bus_arn],
            conditions={
                "ForAnyValue:StringEquals": {"events:source": source},
                "ArnNotEquals": {"aws:PrincipalArn": list(but)},
            },
        )
        self._state(sid, statement)

    def _state(self, sid: str, statement: iam.PolicyStatement) -> None:
        # Not CfnEventBusPolicy: reading all its properties raises a deprecation warning.
        CfnResource(
            self,
            f"Policy{sid}",
            type="AWS::Events::EventBusPolicy",
            properties={
                "EventBusName": self._bus.event_bus_name,
                "StatementId": sid,
                "Statement": statement.to_json(),
            },
        )
