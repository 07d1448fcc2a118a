"""Parts that may be replaced at any time: the functions and their triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from darkroom.api.routes import gateway_keys
from darkroom.handlers.persist import PersistSettings

from ..bundling import lambda_code, lock_file
from ..constructs.events_in import EventsIn
from ..constructs.http_api import ASKED_WITH, DEFAULT_ROUTE, MCP_HEADERS, HttpApi
from ..constructs.python_function import FunctionDefaults, PythonFunction
from ..constructs.queues import FailureQueue, TaskQueue
from ..flags import DarkroomStack
from ..grants import data, read_stream, statements, take_messages
from ..nag import acknowledge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_s3 as s3
    from constructs import Construct
    from darkroom.runtime.function import Function, Schedule, Stream, WorkQueue

    from ..config import StageConfig
    from .cdn import CdnStack
    from .stateful import StatefulStack


WAITING = {"wait", "openai", "mcp"}
"""The doors that hold requests."""
SLOW_PART = 5
"""Share of callback consumers (one in five) that may serve slow or failing endpoints of one
tenant."""
VISIBILITY_FACTOR = 6
"""A queue's visibility timeout in multiples of its function's timeout, as AWS recommends."""


TARGETS_OF_A_RULE = 4
"""EventBridge allows five targets per rule."""


class ServiceStack(DarkroomStack):
    """Holds no state. It can be deleted and created again on top of the stateful stack."""

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
            cors_headers=(*ASKED_WITH, *(MCP_HEADERS if "mcp" in config.doors else ())),
            domain=config.domain,
            log_retention=config.log_retention,
            infrequent_access_log=config.infrequent_access_log,
        )
        self.declared = {
            name: function
            for name, function in config.functions().items()
            if name not in config.origins()
        }
        """The functions of this stage but those of the CDN, by their names in logical ids and
        outputs."""
        self.queues = {
            queue.name: self._task_queue(function, queue)
            for function in self.declared.values()
            for queue in function.queues
        }
        self.failures = self._failure_queues()
        """Failure queues of functions without a work queue, by the function's name."""
        self.bus = events.EventBus(self, "Events", description="What became of predictions")
        self.functions = self._make_functions()
        self.api.add_routes(
            {
                name: (self.functions[name].function, _route_keys(function))
                for name, function in self.declared.items()
                if function.routes
            }
        )
        self._take_events()
        for name, function in self.declared.items():
            self._feed(self.functions[name], function)
        self._write_outputs()

    def admit(self, tenant: str) -> str:
        """Return the source whose `Prediction Requested` events belong to the tenant."""
        return self._events_in.admit(tenant)

    def _take_events(self) -> None:
        self._events_in = EventsIn(
            self,
            "EventsIn",
            bus=self.bus,
            intake=self.queues["Intake"],
            log_retention=self._config.log_retention,
        )
        self.unmatched = self._events_in.unmatched
        """The log group of events that no rule matches."""
        publishers = [
            name for name, function in self.declared.items() if _publishes_events(function)
        ]
        self._events_in.deny_foreign_publishers([self.functions[name].role for name in publishers])
        for given in self._config.event_sources:
            self._events_in.add(given)

    def _task_queue(self, consumer: Function[Any, Any], queue: WorkQueue) -> TaskQueue:
        override = self._config.queue_visibility_s
        tasks = TaskQueue(
            self,
            f"{queue.name}Tasks",
            visibility_s=override or VISIBILITY_FACTOR * consumer.timeout_s,
            max_receives=queue.max_receives,
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
        codes = {
            lock: lambda_code(self, catalogue=config.catalogue, lock=lock_file(lock))
            for lock in sorted({function.lock for function in self.declared.values()})
        }
        defaults = FunctionDefaults.of(config)
        resources, switches = self._resources(), config.switches
        environment = self._environment()
        return {
            name: PythonFunction(
                self,
                name,
                defaults=defaults,
                code=codes[function.lock],
                declared=function,
                environment={
                    variable: value
                    for variable, value in environment.items()
                    if variable in function.settings.names()
                },
                statements=statements(function, resources, switches, self._fed_by(function)),
                reserved_concurrency=getattr(config.concurrency, function.reserve)
                if function.reserve
                else None,
            )
            for name, function in self.declared.items()
        }

    def _resources(self) -> dict[str, Sequence[str]]:
        """Map every resource name that a right may use to its ARNs."""
        queues = {}
        for name, tasks in self.queues.items():
            queues[f"{name.lower()}_queue"] = [tasks.queue.queue_arn]
            queues[f"{name.lower()}_dlq"] = [tasks.dlq.queue_arn]
        machines = [
            self.format_arn(
                service="states",
                resource="stateMachine",
                resource_name=name,
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            )
            for name in self._config.state_machines
        ]
        bus = {"bus": [self.bus.event_bus_arn], "state_machines": machines}
        return {**data(self._stateful), **queues, **bus}

    def _fed_by(self, function: Function[Any, Any]) -> list[iam.PolicyStatement]:
        """Return the permissions of Lambda's pollers that invoke this function."""
        taken = [take_messages(self.queues[q.name].queue.queue_arn) for q in function.queues]
        if function.stream:
            failures = self.failures[function.name.title()].queue_arn
            taken += read_stream(self._stateful.predictions, failures)
        return taken

    def _environment(self) -> dict[str, str]:
        """Return every variable that some function reads, with this deployment's value."""
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
            **dict(self._queue_variables()),
            "SLOW_CALLBACKS": str(max(1, config.queue_concurrency // SLOW_PART)),
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
                default=",".join(PersistSettings.output_hosts),
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
        if WAITING & set(config.doors):
            environment["WAIT_S"] = str(config.longest_wait_s)
        if config.cors_origins:
            environment["CORS_ORIGINS"] = ",".join(config.cors_origins)
        if "console" in config.doors:
            environment |= self._console_origins(environment["S3_ENDPOINT"])
        if "wait" in config.doors:
            environment["WATCH_KEY_SECRET"] = stateful.link_key.secret_arn
        if "thumbnails" in config.doors:
            environment["THUMBNAILS"] = _flag(value=True)
        if config.links_to_thumbnails:
            environment["THUMBNAIL_KEY_SECRET"] = stateful.link_key.secret_arn
        if config.local_callbacks:
            environment["LOCAL_CALLBACKS"] = cdk.CfnParameter(
                self,
                "LocalCallbacks",
                default="false",
                allowed_values=["true", "false"],
                description="Let callbacks go to 127.0.0.1",
            ).value_as_string
        return environment

    def _console_origins(self, s3_endpoint: str) -> dict[str, str]:
        """Return the origins for the console's Content-Security-Policy. Those of the buckets are
        the hosts that functions presign URLs for; empty parts of a list count for nothing."""

        def bucket(given: s3.Bucket) -> str:
            return f"https://{given.bucket_name}.s3.{self.region}.{self.url_suffix}"

        uploads = bucket(self._stateful.uploads)
        outputs = f"https://{self._cdn.domain}" if self._cdn else bucket(self._stateful.outputs)
        return {
            "PICTURE_ORIGINS": ",".join((outputs, uploads, s3_endpoint)),
            "UPLOAD_ORIGINS": ",".join((uploads, s3_endpoint)),
        }

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

    def _queue_variables(self) -> Iterator[tuple[str, str]]:
        for name, tasks in self.queues.items():
            yield f"{name.upper()}_QUEUE", tasks.queue.queue_url
            yield f"{name.upper()}_DLQ", tasks.dlq.queue_url

    def _failure_queues(self) -> dict[str, FailureQueue]:
        """Create failure queues for functions that a stream or a schedule invokes. A work queue has
        its own."""
        return {
            name: FailureQueue(self, f"{name}Failures")
            for name, function in self.declared.items()
            if function.stream or function.schedule
        }

    def _feed(self, made: PythonFunction, function: Function[Any, Any]) -> None:
        """Connect the function to the triggers that it declares besides routes."""
        for number, queue in enumerate(function.queues):
            made.consume(
                self.queues[queue.name].queue,
                batch_size=queue.batch_size,
                max_concurrency=self._config.concurrency.each_queue,
                id_=queue.name if number else "Messages",
            )
        if function.stream:
            self._follow_the_stream(function.name.title(), function.stream)
        if function.schedule:
            self._call_each_minute(function.name.title(), function.schedule)

    def _follow_the_stream(self, name: str, stream: Stream) -> None:
        lambda_.EventSourceMapping(
            self,
            "Changes",
            target=self.functions[name].function,
            event_source_arn=self._stateful.predictions.table_stream_arn,
            # From the oldest record: records written while the mapping is created must not be
            # skipped.
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=stream.batch_size,
            # Changes of one prediction stay in order with any factor.
            parallelization_factor=self._config.concurrency.each_shard,
            bisect_batch_on_error=True,
            retry_attempts=10,
            max_record_age=Duration.hours(6),
            report_batch_item_failures=True,
            on_failure=sources.SqsDlq(self.failures[name]),
            filters=[lambda_.FilterCriteria.filter(pattern) for pattern in stream.filters],
        )

    def _call_each_minute(self, name: str, schedule: Schedule) -> None:
        sweep, sweeps = self.functions[name].function, self._config.sweeps
        # The next tick is the retry. A delayed tick would only run next to it.
        at_most_old = Duration.minutes(schedule.minutes)
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
                dead_letter_queue=self.failures[name],
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
                schedule=events.Schedule.rate(Duration.minutes(schedule.minutes)),
                targets=made[first : first + TARGETS_OF_A_RULE],
            )

    def _write_outputs(self) -> None:
        for name, value in {
            "ApiId": self.api.api.api_id,
            "ApiUrl": self.api.url,
            "EventBus": self.bus.event_bus_name,
            "UnmatchedEvents": self._events_in.unmatched,
            **{f"{name}Queue": tasks.queue.queue_url for name, tasks in self.queues.items()},
            **{f"{name}Dlq": tasks.dlq.queue_url for name, tasks in self.queues.items()},
            **{f"{name}Failures": queue.queue_url for name, queue in self.failures.items()},
            **{f"Function{name}": f.function.function_name for name, f in self.functions.items()},
        }.items():
            # The construct needs its own id, because a resource may already have this one.
            cdk.CfnOutput(self, f"{name}Output", value=value).override_logical_id(name)


def _route_keys(function: Function[Any, Any]) -> tuple[str, ...]:
    keys = gateway_keys(function)
    return (*keys, DEFAULT_ROUTE) if function.default_route else keys


def _publishes_events(function: Function[Any, Any]) -> bool:
    """Whether the function puts events on the bus."""
    return any("bus" in right.on for right in function.rights)


def _flag(*, value: bool) -> str:
    return "true" if value else "false"
