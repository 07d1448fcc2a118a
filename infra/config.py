"""Stage configuration: everything that differs between stages."""

from __future__ import annotations

import json
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from aws_cdk.aws_cloudfront import PriceClass
from aws_cdk.aws_lambda import ApplicationLogLevel, SystemLogLevel
from aws_cdk.aws_logs import RetentionDays
from darkroom.api.waiting import LONGEST_S
from darkroom.domain.events import SOURCE, TENANT
from darkroom.domain.timings import Timings
from darkroom.handlers.persist import PersistSettings
from darkroom.runtime.function import declared
from darkroom.runtime.settings import Submitting
from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.runtime.function import Function


class UnknownStageError(Exception):
    """No stage has this name."""


CHECKED = ConfigDict(extra="forbid")
"""Unknown settings are refused, and so is a value that does not fit its field's type."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
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

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.hosted_zone_id is None) != (self.hosted_zone_name is None):
            raise ValueError("hosted_zone_id and hosted_zone_name go together")
        return self


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CdnDomain:
    """A custom domain for outputs. You manage its DNS: an alias to the stack output CdnTarget."""

    name: str
    certificate_arn: str
    """An ACM certificate for `name`; it must be in us-east-1, in whatever region the stacks are."""


_SOURCE = "^[A-Za-z0-9]([A-Za-z0-9.-]{0,80}[A-Za-z0-9])?$"


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class EventSource:
    """An application that requests predictions by events."""

    source: Annotated[str, Field(pattern=_SOURCE)]
    """The `source` of its events: letters, digits, dots and dashes."""
    tenant: Annotated[str, Field(pattern=f"^{TENANT.pattern}$")]
    """The tenant that owns its predictions."""
    principals: tuple[str, ...] = ()
    """ARNs of the only IAM roles and users that may use the source; other accounts are allowed. If
    empty, every principal of this account that may put events on the bus may use it."""

    @field_validator("source")
    @classmethod
    def _is_not_reserved(cls, source: str) -> str:
        if source == SOURCE or source.startswith("aws."):
            raise ValueError(f"{source!r} cannot be an application's source")
        return source


WAIT_IN_A_SMALL_ACCOUNT_S = 5
FEWEST_OF_A_QUEUE = 2
"""The minimum that Lambda allows."""
RELAYS_PER_SHARD = 10
"""The maximum that Lambda allows. A single relay falls behind at ten times Replicate's default rate
limit."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Concurrency:
    """Limits of concurrent invocations."""

    webhook: int | None
    """Reserved for the webhook function, or None."""
    wait: int | None
    """Reserved for each function that holds requests, or None."""
    mcp: int | None
    """Reserved for the function `mcp`, or None."""
    each_queue: int
    """Maximum for each queue."""
    each_shard: int
    """Maximum for each shard of the table's stream. An on-demand table starts with four shards."""


MOST_SWEEPS = 8
LEVELS_WITH_METRICS = (
    ApplicationLogLevel.INFO,
    ApplicationLogLevel.DEBUG,
    ApplicationLogLevel.TRACE,
)
"""Metrics are log lines at INFO."""
LONGEST_OUTPUT_S = 100
"""The maximum of `Timings.output_budget_s` within the time-out of the function `persist`."""
LARGEST_COPY = 5_000_000_000
"""The largest object that S3 copies in one call. Cached results are copied that way."""


def all_doors() -> tuple[str, ...]:
    """Return the names of all optional parts that functions declare."""
    return tuple(sorted({f.door for f in declared().values() if f.door is not None}))


OPTIONAL_STACKS = ("Cdn", "Observability")
"""Stacks that a stage may leave out. The embedded cloud always does, since it lacks their types."""


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class StageConfig:
    """The settings of one deployment."""

    name: str
    retain: bool = True
    """Keep tables, buckets and secrets when their stack is deleted, and protect the tables."""
    recovery_days: Annotated[int, Field(ge=1, le=35)] | None = 35
    """Point-in-time recovery of the tables Predictions and Controls, 1 to 35 days."""
    retention_days: Annotated[int, Field(ge=1)] = Submitting.retention_days
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
    throttle_rate: Annotated[int, Field(ge=1)] = 50
    """Requests per second for each route, before any limit of a tenant. The API as a whole is
    limited only by the account's quota."""
    throttle_burst: Annotated[int, Field(ge=1)] = 100
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
    webhook_concurrency: Annotated[int, Field(ge=1)] | None = None
    """Concurrency reserved for the webhook function, so that a flood of submits cannot starve it.
    An account must keep 100 unreserved."""
    wait_concurrency: Annotated[int, Field(ge=1)] = 100
    """Concurrency reserved for each of the doors `wait` and `openai`, which is also the maximum of
    requests that wait at once. Requests above it get a 503 and are retried by clients."""
    mcp_concurrency: Annotated[int, Field(ge=1)] = 50
    """Concurrency reserved for the door `mcp`, which is also the maximum of requests that it serves
    at once, those that wait included. Requests above it get a 503."""
    wait_s: Annotated[int, Field(ge=1, le=LONGEST_S)] = LONGEST_S
    """The longest wait of the doors `wait`, `openai` and `mcp` in one request, in seconds. A small
    account waits at most 5."""
    queue_concurrency: Annotated[int, Field(ge=FEWEST_OF_A_QUEUE, le=1000)] = 5
    """Maximum of concurrent invocations for each queue (2 to 1000)."""
    sweeps: Annotated[int, Field(ge=1, le=MOST_SWEEPS)] = 1
    """Number of sweeps, 1 to 8, that run side by side every minute and share the due records. One
    sweep handles some 2,000 records per minute; docs/scale.md tells which rate needs how many."""
    queue_visibility_s: Annotated[int, Field(ge=1)] | None = None
    """Overrides the visibility timeout of all queues. The default is 6 times the function's
    timeout."""
    timings: Timings = field(default_factory=Timings)
    catalogue: Path | None = None
    """A folder of *.json files laid over the packaged catalogue, `aliases.json` included. A file
    replaces the packaged file of the same name."""
    max_output_bytes: Annotated[int, Field(ge=1, le=LARGEST_COPY)] = (
        PersistSettings.max_output_bytes
    )
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
    runbook_url: Annotated[str, Field(pattern="^https://")] | None = None
    """URL of docs/runbook.md rendered as a page; each alarm links to its entry there. Without it,
    alarms link to the dashboard, which contains the same entries."""
    monthly_budget_usd: Annotated[int, Field(ge=1)] | None = None
    """Alarm when one day's cost at Replicate exceeds a thirtieth of this budget. Nothing is
    stopped."""
    local_callbacks: bool = False
    """Adds the parameter LocalCallbacks, which allows callbacks to 127.0.0.1."""

    @field_validator("log_level")
    @classmethod
    def _writes_metrics(cls, level: ApplicationLogLevel) -> ApplicationLogLevel:
        if level not in LEVELS_WITH_METRICS:
            raise ValueError(f"log_level {level.value}: metrics and alarms need INFO")
        return level

    @field_validator("doors")
    @classmethod
    def _are_known(cls, doors: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(doors) - set(all_doors()):
            known = ", ".join(all_doors()) or "none"
            raise ValueError(f"doors: {', '.join(sorted(unknown))}; known: {known}")
        return doors

    @field_validator("timings")
    @classmethod
    def _fit_persist(cls, timings: Timings) -> Timings:
        if timings.output_budget_s > LONGEST_OUTPUT_S:
            raise ValueError(
                f"output_budget_s: persist's own time-out leaves {LONGEST_OUTPUT_S} s at most"
            )
        return timings

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

    def origins(self) -> Mapping[str, Function[Any, Any]]:
        """Return the functions that are origins of the CDN, by the same names. The other functions
        are behind the API."""
        functions = self.functions() if self.cdn else {}
        return {name: function for name, function in functions.items() if function.behind_cdn}

    @property
    def switches(self) -> frozenset[str]:
        """The switches of this stage, which rights with a `when` depend on."""
        on = {
            "dedicated_account": self.dedicated_account,
            "open_models": self.open_models,
            "state_machines": bool(self.state_machines),
            "cdn": self.cdn,
            "no cdn": not self.cdn,
            "tokens in urls": "wait" in self.doors or self.links_to_thumbnails,
            **{f"door {door}": True for door in self.doors},
        }
        return frozenset(name for name, is_on in on.items() if is_on)

    @property
    def links_to_thumbnails(self) -> bool:
        """Whether thumbnails are behind the API, where tokens open them."""
        return "thumbnails" in self.doors and not self.cdn

    @property
    def concurrency(self) -> Concurrency:
        """The limits of concurrent invocations that this stage deploys."""
        if self.small_account:
            return Concurrency(
                webhook=None, wait=None, mcp=None, each_queue=FEWEST_OF_A_QUEUE, each_shard=1
            )
        return Concurrency(
            webhook=self.webhook_concurrency,
            wait=self.wait_concurrency,
            mcp=self.mcp_concurrency,
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
