"""Requests that come as events: one rule per source, which alone says whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnResource
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct
from darkroom.domain.events import REQUESTED, SOURCE

from ..config import EventSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .queues import TaskQueue


class EventsIn(Construct):
    """Turns `Prediction Requested` on the bus into messages of the intake queue.

    No event can name its tenant: the rule of its source writes it into the message. Who may put
    events of a source, so, speaks for its tenant.
    """

    def __init__(self, scope: Construct, id_: str, *, bus: events.EventBus, intake: TaskQueue):
        super().__init__(scope, id_)
        self._bus = bus
        self._intake = intake
        self._sources: dict[str, EventSource] = {}

    def only_ours(self, roles: Sequence[iam.IRole]) -> None:
        """Nobody but these roles puts events that look like Darkroom's own."""
        self._deny("OnlyDarkroomTellsOfPredictions", SOURCE, [role.role_arn for role in roles])

    def add(self, given: EventSource) -> None:
        """Take requests from the source, for its tenant. Raises ValueError for a second tenant."""
        known = self._sources.setdefault(given.source, given)
        if known.tenant != given.tenant:
            raise ValueError(f"{given.source} stands for {known.tenant} already")
        name = "".join(word.title() for word in given.source.replace("-", ".").split("."))
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
        """The source whose requests are the tenant's: one that exists, or a new one.

        One that is kept to named principals would refuse whoever is to be admitted.
        """
        for known in self._sources.values():
            if known.tenant == tenant and not known.principals:
                return known.source
        given = EventSource(source=f"requests.{tenant}", tenant=tenant)
        self.add(given)
        return given.source

    def _allow(self, name: str, given: EventSource) -> None:
        """For principals of another account; one's own need no more than their own policy."""
        statement = iam.PolicyStatement(
            principals=[iam.ArnPrincipal(arn) for arn in given.principals],
            actions=["events:PutEvents"],
            resources=[self._bus.event_bus_arn],
            conditions={
                # A call may hold events of several sources.
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
        # Not CfnEventBusPolicy: whoever reads all its properties is warned of a deprecated one.
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
