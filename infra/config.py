"""Stage configuration: everything that differs between stages."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from aws_cdk.aws_cloudfront import PriceClass
from aws_cdk.aws_lambda import ApplicationLogLevel, SystemLogLevel
from aws_cdk.aws_logs import RetentionDays
from darkroom.api.waiting import LONGEST_S
from darkroom.domain.events import SOURCE, TENANT
from darkroom.domain.timings import Timings
from darkroom.handlers.persist import PersistSettings
from darkroom.runtime.function import declared
from darkroom.runtime.settings import Submitting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from darkroom.runtime.function import Function


class UnknownDoorError(ValueError):
    """A stage names a door that no function declares."""


class UnknownStageError(Exception):
    """No stage has this name."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A custom domain for the API. Replicate sends webhooks to URLs that were set when the
    prediction was created, possibly hours ago; with a custom domain these URLs stay valid when the
    API is replaced."""

    name: str
    certificate_arn: str
    """An ACM certificate for `name` in the stack's own region."""
    hosted_zone_id: str | None = None
    hosted_zone_name: str | None = None
    """Set both or neither. With both, the alias record is created; without, you manage DNS
    yourself."""
    close_default_endpoint: bool = False
    """Disable the execute-api address. No prediction in flight may still use it for its webhook."""

    def __post_init__(self) -> None:
        if (self.hosted_zone_id is None) != (self.hosted_zone_name is None):
            raise ValueError("hosted_zone_id and hosted_zone_name go together")


@dataclass(frozen=True, kw_only=True)
class CdnDomain:
    """A custom domain for outputs. You manage its DNS: an alias to the stack output CdnTarget."""

    name: str
    certificate_arn: str
    """An ACM certificate for `name`; it must be in us-east-1, in whatever region the stacks are."""


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """An application that requests predictions by events."""

    source: str
    """The `source` of its events: letters, digits, dots and dashes."""
    tenant: str
    """The tenant that owns its predictions."""
    principals: tuple[str, ...] = ()
    """ARNs of the only IAM roles and users that may use the source; other accounts are allowed. If
    empty, every principal of this account that may put events on the bus may use it."""

    def __post_init__(self) -> None:
        ours = self.source == SOURCE or self.source.startswith("aws.")
        if ours or not _SOURCE.fullmatch(self.source):
            raise ValueError(f"{self.source!r} cannot be an application's source")
        if not TENANT.fullmatch(self.tenant):
            raise ValueError(f"{self.tenant!r} is no tenant's name")


_SOURCE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,80}[A-Za-z0-9])?")

WAIT_IN_A_SMALL_ACCOUNT_S = 5
FEWEST_OF_A_QUEUE = 2
"""The minimum that Lambda allows."""
RELAYS_PER_SHARD = 10
"""The maximum that Lambda allows. A single relay falls behind at ten times Replicate's default rate
limit."""


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """Limits of concurrent invocations."""

    webhook: int | None
    """Reserved for the webhook function, or None."""
    wait: int | None
    """Reserved for each function that holds requests, if any are."""
    each_queue: int
    """Maximum for each queue."""
    each_shard: int
    """Maximum for each shard of the table's stream. An on-demand table starts with four shards."""


LARGEST_COPY = 5_000_000_000
"""The largest object that S3 copies in one call. Cached results are copied that way."""


def all_doors() -> tuple[str, ...]:
    """Return the names of all optional parts that functions declare."""
    return tuple(sorted({f.door for f in declared().values() if f.door is not None}))


OPTIONAL_STACKS = ("Cdn", "Observability")
"""Stacks that a stage may leave out. The embedded cloud always does, since it lacks their types."""


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """The settings of one deployment."""

    name: str
    retain: bool = True
    """Keep tables, buckets and secrets when their stack is deleted, and protect the tables."""
    recovery_days: int | None = 35
    """Point-in-time recovery of the tables Predictions and Controls, 1 to 35 days."""
    retention_days: int = Submitting.retention_days
    """Lifetime of a record. Outputs expire one day later, so a record never shows a deleted
    file."""
    log_retention: RetentionDays = RetentionDays.ONE_MONTH
    log_level: ApplicationLogLevel = ApplicationLogLevel.INFO
    """Must be INFO or more verbose. Metrics are log lines at INFO, so no alarm would work above
    it."""
    system_log_level: SystemLogLevel = SystemLogLevel.WARN
    """Level of Lambda's own log lines. Below WARN, Lambda writes two lines for each invocation,
    which cost as much as Darkroom's; duration and errors are available as metrics anyway."""
    infrequent_access_log: bool = True
    """Store the API's access log in the class Infrequent Access, at half the price. AWS does not
    document whether the gateway may write to this class. Set False if the deployment refuses it."""
    tracing: bool = False
    throttle_rate: int = 50
    """Requests per second for each route, before any limit of a tenant. The API as a whole is
    limited only by the account's quota."""
    throttle_burst: int = 100
    cors_origins: tuple[str, ...] = ()
    """Origins whose browsers may call the API; none by default."""
    domain: Domain | None = None
    cdn: bool = True
    """Serve outputs through CloudFront. Without it, outputs have URLs presigned by S3."""
    cdn_domain: CdnDomain | None = None
    cdn_price_class: PriceClass = PriceClass.PRICE_CLASS_100
    """Edge locations that serve outputs. Class 100 is North America and Europe, the cheapest."""
    small_account: bool = False
    """Set when the account allows fewer than 200 concurrent invocations; a new account may have 10.
    Then nothing is reserved, and queues and stream use the smallest concurrency that AWS allows,
    which leaves room for the functions behind the API. The settings `…_concurrency` have no effect.
    """
    webhook_concurrency: int | None = None
    """Concurrency reserved for the webhook function, so that a flood of submits cannot starve it.
    An account must keep 100 unreserved."""
    wait_concurrency: int = 100
    """Of the doors `wait` and `openai`: reserved for each, and the most that wait at once. Whoever
    comes above it gets a 503, and asks again."""
    wait_s: int = LONGEST_S
    """Of the doors `wait` and `openai`: the longest wait in one request, in seconds. A small
    account waits for 5 at most."""
    queue_concurrency: int = 5
    """Maximum of concurrent invocations for each queue (2 to 1000)."""
    sweeps: int = 1
    """Number of sweeps, 1 to 8, that run side by side every minute and share the due records. One
    sweep handles some 2,000 records per minute; docs/scale.md tells which rate needs how many."""
    queue_visibility_s: int | None = None
    """Overrides the visibility timeout of all queues. The default is 6 times the function's
    timeout."""
    timings: Timings = field(default_factory=Timings)
    catalogue: Path | None = None
    """A folder of *.json files laid over the packaged catalogue, `aliases.json` included. A file
    replaces the packaged file of the same name."""
    max_output_bytes: int = PersistSettings.max_output_bytes
    """The largest output file; a prediction with a larger one fails. The time to fetch it is in
    `timings`."""
    open_models: bool = False
    """Accept any pinned version, not only catalogue models."""
    strict_inputs: bool = False
    """Reject an input that the model's schema does not name. Otherwise the client gets a
    warning."""
    dedicated_account: bool = False
    """Declares that only this deployment uses the Replicate account."""
    result_cache: bool = True
    """Answer a request that equals an earlier one of its tenant with the stored result."""
    event_sources: tuple[EventSource, ...] = ()
    """Applications that may request predictions by events, each for one tenant."""
    state_machines: tuple[str, ...] = ()
    """Names of the state machines whose tasks may wait for a prediction."""
    doors: tuple[str, ...] = ()
    """The optional parts of the stage. A part that is left out has no function, route, alarm or
    right. `all_doors()` lists every part."""
    observability: bool = False
    """Create a dashboard, and alarms that notify a topic."""
    alarm_emails: tuple[str, ...] = ()
    """Recipients of alarms. Each has to confirm an e-mail from AWS first."""
    runbook_url: str | None = None
    """URL of docs/runbook.md rendered as a page; each alarm links to its entry there. Without it,
    alarms link to the dashboard, which contains the same entries."""
    monthly_budget_usd: int | None = None
    """Alarm when one day's cost at Replicate exceeds a thirtieth of this budget. Nothing is
    stopped."""
    local_callbacks: bool = False
    """Adds the parameter LocalCallbacks, which allows callbacks to 127.0.0.1."""

    def __post_init__(self) -> None:
        if self.log_level not in {
            ApplicationLogLevel.INFO,
            ApplicationLogLevel.DEBUG,
            ApplicationLogLevel.TRACE,
        }:
            raise ValueError(f"log_level {self.log_level.value}: metrics and alarms need INFO")
        if unknown := set(self.doors) - set(all_doors()):
            known = ", ".join(all_doors()) or "none"
            raise UnknownDoorError(f"doors: {', '.join(sorted(unknown))}; known: {known}")
        if not 1 <= self.wait_s <= LONGEST_S:
            raise ValueError(f"wait_s: 1 to {LONGEST_S}")
        if self.wait_concurrency < 1:
            raise ValueError("wait_concurrency: 1 or more")
        if not 1 <= self.sweeps <= 8:
            raise ValueError("sweeps: 1 to 8")
        if not 0 < self.max_output_bytes <= LARGEST_COPY:
            raise ValueError(f"max_output_bytes: 1 to {LARGEST_COPY}")
        if self.timings.output_budget_s > 100:
            raise ValueError("output_budget_s: persist's own time-out leaves 100 s at most")
        if self.runbook_url is not None and not self.runbook_url.startswith("https://"):
            raise ValueError("runbook_url begins with https://")

    @classmethod
    def dev(cls) -> Self:
        """A stage for experiments. All its data is deleted with the stack."""
        return cls(name="dev", retain=False, recovery_days=1)

    @classmethod
    def prod(cls) -> Self:
        """A stage for production."""
        return cls(
            name="prod",
            retain=True,
            recovery_days=35,
            cdn_price_class=PriceClass.PRICE_CLASS_ALL,
            log_retention=RetentionDays.THREE_MONTHS,
            throttle_rate=500,
            throttle_burst=1000,
            webhook_concurrency=50,
            queue_concurrency=50,
            observability=True,
        )

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the packaged stage of this name. Raises UnknownStageError."""
        stages = {"dev": cls.dev, "prod": cls.prod}
        if name not in stages:
            raise UnknownStageError(f"no stage {name!r}; choose one of {', '.join(stages)}")
        return stages[name]()

    def functions(self) -> Mapping[str, Function[Any, Any]]:
        """Return the functions of this stage: the core and those of its doors. Keys are the names
        used in logical ids and outputs, which are the names of their modules, capitalized."""
        return {
            name.title(): function
            for name, function in declared().items()
            if function.door is None or function.door in self.doors
        }

    @property
    def concurrency(self) -> Concurrency:
        """The limits of concurrent invocations that this stage deploys."""
        if self.small_account:
            return Concurrency(webhook=None, wait=None, each_queue=FEWEST_OF_A_QUEUE, each_shard=1)
        return Concurrency(
            webhook=self.webhook_concurrency,
            wait=self.wait_concurrency,
            each_queue=self.queue_concurrency,
            each_shard=RELAYS_PER_SHARD,
        )

    @property
    def longest_wait_s(self) -> int:
        """The longest wait in seconds. It is shorter in a small account, where nothing is reserved
        and a waiting request takes concurrency that other functions need."""
        return min(self.wait_s, WAIT_IN_A_SMALL_ACCOUNT_S) if self.small_account else self.wait_s

    @property
    def service_name(self) -> str:
        """Name of this stage in logs and metrics; distinguishes the stages of one account."""
        return f"darkroom-{self.name}"

    def timing_overrides(self) -> str:
        """Return the timings that differ from the defaults, as the JSON object that TIMINGS
        takes."""
        default = Timings()
        overrides = {
            f.name: getattr(self.timings, f.name)
            for f in fields(Timings)
            if getattr(self.timings, f.name) != getattr(default, f.name)
        }
        return json.dumps(overrides, sort_keys=True)
