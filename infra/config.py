"""What differs between stages, and nothing else does."""

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

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from darkroom.runtime.function import Function


class UnknownDoorError(ValueError):
    """No function belongs to an optional part of this name."""


class UnknownStageError(Exception):
    """No stage has this name."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A custom domain for the API. Replicate calls back to URLs that were baked into predictions
    hours ago, so a domain of your own outlives a replaced API."""

    name: str
    certificate_arn: str
    """An ACM certificate for `name` in the stack's own region."""
    hosted_zone_id: str | None = None
    hosted_zone_name: str | None = None
    """Both or neither: with them the alias record is made, without them point DNS yourself."""
    close_default_endpoint: bool = False
    """Turn the execute-api address off. Predictions in flight must not still name it."""

    def __post_init__(self) -> None:
        if (self.hosted_zone_id is None) != (self.hosted_zone_name is None):
            raise ValueError("hosted_zone_id and hosted_zone_name go together")


@dataclass(frozen=True, kw_only=True)
class CdnDomain:
    """A domain of your own for outputs. DNS is yours: an alias to the output CdnTarget."""

    name: str
    certificate_arn: str
    """An ACM certificate for `name` in us-east-1, wherever the stacks are."""


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """An application that asks for predictions by events."""

    source: str
    """The source that its events name; letters, digits, dots and dashes."""
    tenant: str
    """Whose its predictions are."""
    principals: tuple[str, ...] = ()
    """ARNs of the only IAM roles and users that may use the source, of other accounts as well.
    Without any: whoever of this account may put events on the bus."""

    def __post_init__(self) -> None:
        ours = self.source == SOURCE or self.source.startswith("aws.")
        if ours or not _SOURCE.fullmatch(self.source):
            raise ValueError(f"{self.source!r} cannot be an application's source")
        if not TENANT.fullmatch(self.tenant):
            raise ValueError(f"{self.tenant!r} is no tenant's name")


_SOURCE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,80}[A-Za-z0-9])?")

WAIT_IN_A_SMALL_ACCOUNT_S = 5
FEWEST_OF_A_QUEUE = 2
"""The least that Lambda allows."""
RELAYS_PER_SHARD = 10
"""The most that Lambda allows. One alone falls behind at ten times Replicate's default limit."""


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """Invocations at once."""

    webhook: int | None
    """Reserved for the webhook function, if any are."""
    wait: int | None
    """Reserved for the function `wait`, if any are."""
    each_queue: int
    """For each queue, at most."""
    each_shard: int
    """For each shard of the table's stream; an on-demand table begins with four."""


LARGEST_COPY = 5_000_000_000
"""S3 copies no larger object in one call, as a cached result is."""


def all_doors() -> tuple[str, ...]:
    """The optional parts of a stage: those that functions declare."""
    return tuple(sorted({f.door for f in declared().values() if f.door is not None}))


OPTIONAL_STACKS = ("Cdn", "Observability")
"""What a stage may leave out, and the embedded cloud always does: it lacks the types."""


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """The settings of one deployment."""

    name: str
    retain: bool = True
    """Keep tables, buckets and secrets when their stack goes, and protect the tables."""
    recovery_days: int | None = 35
    """Point-in-time recovery of the tables Predictions and Controls, 1 to 35 days."""
    retention_days: int = 90
    """Life of a record. Outputs expire a day later, so a record never shows a file that is gone."""
    log_retention: RetentionDays = RetentionDays.ONE_MONTH
    log_level: ApplicationLogLevel = ApplicationLogLevel.INFO
    """INFO or more. Metrics are lines at INFO, so that above it no alarm would ever go off."""
    system_log_level: SystemLogLevel = SystemLogLevel.WARN
    """Of Lambda's own lines. Below WARN it writes two for each invocation, which cost as much as
    Darkroom's; duration and errors are in its metrics all the same."""
    infrequent_access_log: bool = True
    """The API's access log in the class Infrequent Access, at half the price. No page of AWS says
    that the gateway may write to one, and none that it may not: False where it is refused."""
    tracing: bool = False
    throttle_rate: int = 50
    """Requests a second of each route, before any tenant's own limit; the API as a whole has the
    account's quota alone."""
    throttle_burst: int = 100
    cors_origins: tuple[str, ...] = ()
    """Origins whose browsers may call the API; none by default."""
    domain: Domain | None = None
    cdn: bool = True
    """Show outputs through CloudFront; without it by URLs that S3 itself signs."""
    cdn_domain: CdnDomain | None = None
    cdn_price_class: PriceClass = PriceClass.PRICE_CLASS_100
    """From which edge locations: 100 is North America and Europe, the cheapest."""
    small_account: bool = False
    """The account allows fewer than 200 invocations at once; a new one may have 10. Nothing is
    reserved then, and queues and stream take the fewest that AWS lets them, so that the functions
    behind the API find room. The settings `…_concurrency` have no effect."""
    webhook_concurrency: int | None = None
    """Reserved for the webhook function, so that a flood of submits cannot starve it. An account
    must keep 100 unreserved."""
    wait_concurrency: int = 100
    """Of the door `wait`: reserved for it, and the most that wait at once. Whoever comes above it
    gets a 503, and asks again."""
    wait_s: int = LONGEST_S
    """Of the door `wait`: the longest wait in one request, in seconds. A small account waits for 5
    at most."""
    queue_concurrency: int = 5
    """At most so many invocations at once for each queue (2 to 1000)."""
    sweeps: int = 1
    """Sweeps that share what is due, side by side in each minute, up to 8. One takes up some 2,000
    records a minute; docs/scale.md says which rate needs how many."""
    queue_visibility_s: int | None = None
    """Overrides the visibility time-out of all queues; by default 6 times the function's."""
    timings: Timings = field(default_factory=Timings)
    catalogue: Path | None = None
    """A folder of *.json laid over the packaged catalogue, `aliases.json` included: a file of the
    same name replaces the packaged one."""
    max_output_bytes: int = PersistSettings.max_output_bytes
    """A prediction with a larger file fails. What it takes to arrive within is in `timings`."""
    open_models: bool = False
    """Let any pinned version through, not only catalogue models."""
    strict_inputs: bool = False
    """Refuse an input that the model's schema does not name; without it the client is warned."""
    dedicated_account: bool = False
    """Nothing but this deployment uses the Replicate account."""
    result_cache: bool = True
    """Answer a request that equals an earlier one of its tenant with the stored result."""
    event_sources: tuple[EventSource, ...] = ()
    """Who may ask for predictions by events, and for which tenant."""
    state_machines: tuple[str, ...] = ()
    """Names of the state machines whose tasks may wait for a prediction."""
    doors: tuple[str, ...] = ()
    """The optional parts that the stage has. One that is left out has no function, route, alarm or
    right. All those that there are: `all_doors()`."""
    observability: bool = False
    """A dashboard, and alarms to a topic."""
    alarm_emails: tuple[str, ...] = ()
    """Who is told of alarms; each has to confirm an e-mail of AWS first."""
    runbook_url: str | None = None
    """Where docs/runbook.md is read as a page: alarms link to their entry in it. Without one they
    link to the dashboard, which shows the entries too."""
    monthly_budget_usd: int | None = None
    """Alarms when a day costs more than a thirtieth of it at Replicate; nothing is stopped."""
    local_callbacks: bool = False
    """Adds the LocalCallbacks parameter, which lets callbacks go to 127.0.0.1."""

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
        """An AWS account to try things in: everything goes with the stack."""
        return cls(name="dev", retain=False, recovery_days=1)

    @classmethod
    def prod(cls) -> Self:
        """An AWS account that people rely on."""
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
        """The stage of this name. Raises UnknownStageError."""
        stages = {"dev": cls.dev, "prod": cls.prod}
        if name not in stages:
            raise UnknownStageError(f"no stage {name!r}; choose one of {', '.join(stages)}")
        return stages[name]()

    def functions(self) -> Mapping[str, Function[Any, Any]]:
        """The functions of this stage: the core's, and those of its doors. By their names in
        logical ids and outputs, which are those of their modules with a capital letter."""
        return {
            name.title(): function
            for name, function in declared().items()
            if function.door is None or function.door in self.doors
        }

    @property
    def concurrency(self) -> Concurrency:
        """How many invocations there may be at once."""
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
        """Where nothing is reserved, who waits takes what others need, and so does it for less."""
        return min(self.wait_s, WAIT_IN_A_SMALL_ACCOUNT_S) if self.small_account else self.wait_s

    @property
    def service_name(self) -> str:
        """What logs and metrics are of: tells the stages of one account apart."""
        return f"darkroom-{self.name}"

    def timing_overrides(self) -> str:
        """The timings that differ from the code's own, as the JSON object that TIMINGS takes."""
        default = Timings()
        overrides = {
            f.name: getattr(self.timings, f.name)
            for f in fields(Timings)
            if getattr(self.timings, f.name) != getattr(default, f.name)
        }
        return json.dumps(overrides, sort_keys=True)
