"""What may be replaced at any time: the functions, and what calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from darkroom.adapters.items import RELAY
from darkroom.api.routes import aliases
from darkroom.runtime import settings
from darkroom.services.intake import MOST_RECEIVES

from ..bundling import lambda_code
from ..constructs.events_in import EventsIn
from ..constructs.http_api import DEFAULT_ROUTE, HttpApi
from ..constructs.python_function import FunctionDefaults, PythonFunction
from ..constructs.queues import MAX_RECEIVES, FailureQueue, TaskQueue
from ..flags import DarkroomStack
from ..grants import grants
from ..nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct
    from darkroom.runtime.settings import Settings

    from ..config import StageConfig
    from .cdn import CdnStack
    from .stateful import StatefulStack


@dataclass(frozen=True)
class Shape:
    """A function's size, settings and routes."""

    settings: type[Settings]
    memory_mb: int
    timeout_s: int
    routes: tuple[str, ...] = ()


SHAPES: Mapping[str, Shape] = {
    # The body that asks for most takes less than 256 MB (tests/bench/test_memory.py). Not less than
    # half as much again: the share of a processor that a cold start gets goes by the memory.
    "Submit": Shape(
        settings.SubmitSettings,
        384,
        15,
        aliases("Submit"),
    ),
    "Intake": Shape(settings.IntakeSettings, 512, 60),
    "Read": Shape(
        settings.ReadSettings,
        512,
        10,
        (*aliases("Read"), DEFAULT_ROUTE),
    ),
    "Cancel": Shape(settings.CancelSettings, 512, 15, aliases("Cancel")),
    "Files": Shape(
        settings.FilesSettings,
        512,
        30,
        aliases("Files"),
    ),
    "Webhook": Shape(settings.WebhookSettings, 512, 10, ("POST /hooks/replicate/{id}",)),
    "Dispatch": Shape(settings.DispatchSettings, 512, 60),
    "Relay": Shape(settings.RelaySettings, 256, 60),
    "Persist": Shape(settings.PersistSettings, 512, 120),
    "Deliver": Shape(settings.DeliverSettings, 512, 60),
    "Deliveries": Shape(settings.DeliveriesSettings, 512, 10, aliases("Deliveries")),
    "Sweep": Shape(settings.SweepSettings, 512, 55),
}
SLOW_PART = 5
"""One in so many consumers of callbacks may be at one tenant's slow or failing endpoints."""
VISIBILITY_FACTOR = 6
"""A queue's visibility time-out, in time-outs of its function: what AWS advises."""


TARGETS_OF_A_RULE = 4
"""AWS lets an event rule have five."""

WITH_EFFECTS = tuple(
    {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {RELAY: {"BOOL": [said]}}}}
    # Absent where an earlier version wrote the item: such a change is let through.
    for said in (True, {"exists": False})
)
"""The changes that the relay is invoked for: `lifecycle.may_cause` says it of each record."""


class ServiceStack(DarkroomStack):
    """Holds no state: it can be deleted and created again under the stateful stack."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: StageConfig,
        stateful: StatefulStack,
        cdn: CdnStack | None,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(scope, id_, env=env, description="Darkroom: API, functions, queues")
        self._config = config
        self._stateful = stateful
        self._cdn = cdn
        self.api = HttpApi(
            self,
            "HttpApi",
            name=config.service_name,
            throttle_rate=config.throttle_rate,
            throttle_burst=config.throttle_burst,
            cors_origins=config.cors_origins,
            domain=config.domain,
            log_retention=config.log_retention,
            infrequent_access_log=config.infrequent_access_log,
        )
        self.dispatch = self._task_queue("Dispatch")
        self.persist = self._task_queue("Persist")
        self.deliver = self._task_queue("Deliver")
        # Step Functions' tasks and their heartbeats never wait behind a client's endpoint.
        self.tasks = self._task_queue("Tasks", consumer="Deliver")
        # Putting a request off is no failure: the function itself gives up, a little earlier.
        self.intake = self._task_queue("Intake", max_receives=MOST_RECEIVES + MAX_RECEIVES)
        self.relay_failures = FailureQueue(self, "RelayFailures")
        self.bus = events.EventBus(self, "Events", description="What became of predictions")
        self.functions = self._make_functions()
        self.api.add_routes(
            {
                name: (self.functions[name].function, shape.routes)
                for name, shape in SHAPES.items()
                if shape.routes
            }
        )
        self._take_events()
        self._consume_queues()
        self._follow_the_stream()
        self._sweep_every_minute()
        self._write_outputs()

    def admit(self, tenant: str) -> str:
        """The source whose `Prediction Requested` events are the tenant's."""
        return self._events_in.admit(tenant)

    def _take_events(self) -> None:
        self._events_in = EventsIn(
            self,
            "EventsIn",
            bus=self.bus,
            intake=self.intake,
            log_retention=self._config.log_retention,
        )
        self.unmatched = self._events_in.unmatched
        """The log group of events that no rule of ours takes."""
        tells = "Relay", "Sweep", "Intake", "Deliver"
        self._events_in.only_ours([self.functions[name].role for name in tells])
        for given in self._config.event_sources:
            self._events_in.add(given)

    def _task_queue(
        self, name: str, max_receives: int = MAX_RECEIVES, consumer: str = ""
    ) -> TaskQueue:
        by_default = VISIBILITY_FACTOR * SHAPES[consumer or name].timeout_s
        override = self._config.queue_visibility_s
        tasks = TaskQueue(
            self,
            f"{name}Tasks",
            visibility_s=override or by_default,
            max_receives=max_receives,
        )
        if override:
            acknowledge(
                tasks.queue,
                {
                    "CloudFormation-Validate::E3505": "For the embedded cloud, where redelivery is "
                    "to show within seconds; AWS would refuse so short a time-out.",
                },
            )
        return tasks

    def _make_functions(self) -> dict[str, PythonFunction]:
        config = self._config
        defaults = FunctionDefaults(
            code=lambda_code(self, catalogue=config.catalogue),
            log_retention=config.log_retention,
            log_level=config.log_level,
            system_log_level=config.system_log_level,
            tracing=config.tracing,
        )
        statements = grants(
            stateful=self._stateful,
            bus=self.bus,
            dispatch=self.dispatch.queue,
            persist=self.persist.queue,
            deliver=self.deliver.queue,
            tasks=self.tasks.queue,
            relay_failures=self.relay_failures,
            intake=self.intake,
            state_machines=[
                self.format_arn(
                    service="states",
                    resource="stateMachine",
                    resource_name=name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
                for name in config.state_machines
            ],
            cdn=self._cdn is not None,
            dedicated_account=config.dedicated_account,
            open_models=config.open_models,
        )
        environment = self._environment()
        reserved = {"Webhook": config.concurrency.webhook}
        return {
            name: PythonFunction(
                self,
                name,
                defaults=defaults,
                settings=shape.settings,
                environment={
                    variable: value
                    for variable, value in environment.items()
                    if variable in shape.settings.names()
                },
                statements=statements[name],
                memory_mb=shape.memory_mb,
                timeout_s=shape.timeout_s,
                reserved_concurrency=reserved.get(name),
            )
            for name, shape in SHAPES.items()
        }

    def _environment(self) -> dict[str, str]:
        """Every variable that some function reads, with this deployment's value."""
        config, stateful = self._config, self._stateful
        environment = {
            "POWERTOOLS_SERVICE_NAME": config.service_name,
            "PREDICTIONS_TABLE": stateful.predictions.table_name,
            "CONTROLS_TABLE": stateful.controls.table_name,
            "DELIVERIES_TABLE": stateful.deliveries.table_name,
            "OUTPUTS_BUCKET": stateful.outputs.bucket_name,
            "UPLOADS_BUCKET": stateful.uploads.bucket_name,
            "REPLICATE_TOKEN_SECRET": stateful.replicate_token.secret_arn,
            "REPLICATE_WEBHOOK_SECRET": stateful.replicate_webhook.secret_arn,
            "LINK_KEY_SECRET": stateful.link_key.secret_arn,
            "CALLBACK_KEY_SECRET": stateful.callback_key.secret_arn,
            "DISPATCH_QUEUE": self.dispatch.queue.queue_url,
            "PERSIST_QUEUE": self.persist.queue.queue_url,
            "DELIVER_QUEUE": self.deliver.queue.queue_url,
            "TASKS_QUEUE": self.tasks.queue.queue_url,
            "SLOW_CALLBACKS": str(max(1, config.queue_concurrency // SLOW_PART)),
            "INTAKE_QUEUE": self.intake.queue.queue_url,
            "INTAKE_DLQ": self.intake.dlq.queue_url,
            "TASKS": _flag(value=bool(config.state_machines)),
            "EVENT_BUS": self.bus.event_bus_name,
            "TIMINGS": config.timing_overrides(),
            "RETENTION_DAYS": str(config.retention_days),
            "MAX_OUTPUT_BYTES": str(config.max_output_bytes),
            "OPEN_MODELS": _flag(value=config.open_models),
            "STRICT_INPUTS": _flag(value=config.strict_inputs),
            "RESULT_CACHE": _flag(value=config.result_cache),
            "DEDICATED_ACCOUNT": _flag(value=config.dedicated_account),
            "PUBLIC_URL": self._public_url(),
            "REPLICATE_URL": cdk.CfnParameter(
                self,
                "ReplicateUrl",
                default="https://api.replicate.com",
                description="Where predictions are created",
            ).value_as_string,
            "OUTPUT_HOSTS": cdk.CfnParameter(
                self,
                "OutputHosts",
                default="replicate.delivery,*.replicate.delivery",
                description="Hosts that outputs may be copied from, separated by commas",
            ).value_as_string,
            "S3_ENDPOINT": cdk.CfnParameter(
                self,
                "S3Endpoint",
                default="",
                description="Where presigned URLs point; empty: S3's own address",
            ).value_as_string,
        }
        if self._cdn:
            environment["CDN_DOMAIN"] = self._cdn.domain
            environment["CDN_KEY_SECRET"] = stateful.cdn_key.secret_name
        if config.local_callbacks:
            environment["LOCAL_CALLBACKS"] = cdk.CfnParameter(
                self,
                "LocalCallbacks",
                default="false",
                allowed_values=["true", "false"],
                description="Let callbacks go to 127.0.0.1",
            ).value_as_string
        return environment

    def _public_url(self) -> str:
        given = cdk.CfnParameter(
            self,
            "PublicUrl",
            default="",
            description="Where clients and Replicate reach the API; empty: its own address",
        ).value_as_string
        is_given = cdk.CfnCondition(
            self,
            "PublicUrlGiven",
            expression=cdk.Fn.condition_not(cdk.Fn.condition_equals(given, "")),
        )
        return cdk.Fn.condition_if(is_given.logical_id, given, self.api.url).to_string()

    def _consume_queues(self) -> None:
        at_most = self._config.concurrency.each_queue
        for name, tasks, batch_size in (
            ("Intake", self.intake, 5),
            ("Dispatch", self.dispatch, 5),
            ("Persist", self.persist, 1),
            # One at a time: an endpoint that is slow to answer holds up no other.
            ("Deliver", self.deliver, 1),
        ):
            self.functions[name].consume(
                tasks.queue, batch_size=batch_size, max_concurrency=at_most
            )
        self.functions["Deliver"].consume(
            self.tasks.queue, batch_size=5, max_concurrency=at_most, id_="Tasks"
        )

    def _follow_the_stream(self) -> None:
        lambda_.EventSourceMapping(
            self,
            "Changes",
            target=self.functions["Relay"].function,
            event_source_arn=self._stateful.predictions.table_stream_arn,
            # From the oldest: records written while the mapping is made must not be skipped.
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=25,
            # One prediction's changes stay in order, whatever the number.
            parallelization_factor=self._config.concurrency.each_shard,
            bisect_batch_on_error=True,
            retry_attempts=10,
            max_record_age=Duration.hours(6),
            report_batch_item_failures=True,
            on_failure=sources.SqsDlq(self.relay_failures),
            filters=[lambda_.FilterCriteria.filter(pattern) for pattern in WITH_EFFECTS],
        )

    def _sweep_every_minute(self) -> None:
        sweep, sweeps = self.functions["Sweep"].function, self._config.sweeps
        self.sweep_failures = FailureQueue(self, "SweepFailures")
        # The next tick is the retry: one that comes late would only run beside it.
        at_most_old = Duration.minutes(1)
        sweep.configure_async_invoke(retry_attempts=0, max_event_age=at_most_old)
        acknowledge(
            sweep,
            {
                "Serverless-LambdaAsyncFailureDestination": "A tick carries nothing to keep: what "
                "a failed one left is still due, and the next one takes it.",
            },
        )
        made = [
            targets.LambdaFunction(
                sweep,
                dead_letter_queue=self.sweep_failures,
                event=events.RuleTargetInput.from_object({"part": part, "parts": sweeps}),
                retry_attempts=0,
                max_event_age=at_most_old,
            )
            for part in range(sweeps)
        ]
        for first in range(0, sweeps, TARGETS_OF_A_RULE):
            events.Rule(
                self,
                f"EveryMinute{first or ''}",
                schedule=events.Schedule.rate(Duration.minutes(1)),
                targets=made[first : first + TARGETS_OF_A_RULE],
            )

    def _write_outputs(self) -> None:
        for name, value in {
            "ApiId": self.api.api.api_id,
            "ApiUrl": self.api.url,
            "EventBus": self.bus.event_bus_name,
            "IntakeQueue": self.intake.queue.queue_url,
            "UnmatchedEvents": self._events_in.unmatched,
            "IntakeDlq": self.intake.dlq.queue_url,
            "DispatchQueue": self.dispatch.queue.queue_url,
            "PersistQueue": self.persist.queue.queue_url,
            "DeliverQueue": self.deliver.queue.queue_url,
            "TasksQueue": self.tasks.queue.queue_url,
            "DispatchDlq": self.dispatch.dlq.queue_url,
            "PersistDlq": self.persist.dlq.queue_url,
            "DeliverDlq": self.deliver.dlq.queue_url,
            "TasksDlq": self.tasks.dlq.queue_url,
            "RelayFailures": self.relay_failures.queue_url,
            "SweepFailures": self.sweep_failures.queue_url,
            **{f"Function{name}": f.function.function_name for name, f in self.functions.items()},
        }.items():
            # The construct needs an id of its own: a resource may already have this one.
            cdk.CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)


def _flag(*, value: bool) -> str:
    return "true" if value else "false"
