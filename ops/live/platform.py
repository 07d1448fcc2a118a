"""Rows about AWS itself: rights, invocations, cold starts, times, access log, CDN, alarms."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from ops import cdn_key
from ops.cost import VCPU_MB
from ops.deployment import functions
from ops.live import calls
from ops.live.logs import denials
from ops.live.verdict import Verdict, fail, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ops.deployment import Deployment
    from ops.live.logs import Report
    from ops.live.run import Run

DURATIONS = Path(__file__).resolve().parents[2] / "bench" / "durations.json"
LOGGED_WITHIN_S = 180.0
SPOKEN = {"INFO", "DEBUG"}
"""System log levels at which Lambda writes `platform.report`."""
SLOWEST_FIRST_MS = 1500.0
"""Limit above a warm invocation: half of the time that submit has for its create."""
FULL = 0.9
"""Share of a function's memory above which it counts as full."""
FACTOR, SLACK_MS = 1.5, 25.0
"""Tolerance by which a mean may exceed the assumption of docs/cost.md."""
ACCESS_LINES_S = 600


# Lambda's own lines


def speaks(deployment: Deployment) -> bool:
    """Whether every function's invocations are reported. The embedded cloud reports all."""
    return deployment.endpoint is not None or all(
        _level(deployment, name) in SPOKEN for name in functions(deployment.outputs).values()
    )


def _level(deployment: Deployment, name: str) -> str:
    found = deployment.client("lambda").get_function_configuration(FunctionName=name)
    return str(found.get("LoggingConfig", {}).get("SystemLogLevel", ""))


@contextmanager
def platform_lines(deployment: Deployment, say: Callable[[str], None]) -> Iterator[None]:
    """Let Lambda report each invocation during the run, and restore the levels at the end.

    A changed function starts cold, so every cold start is seen.
    """
    names = functions(deployment.outputs).values()
    before = {name: _level(deployment, name) for name in names}
    try:
        say("Lambda's own lines are switched on")
        _set_levels(deployment, dict.fromkeys(before, "INFO"))
        yield
    finally:
        try:
            _set_levels(deployment, {name: level or "WARN" for name, level in before.items()})
            say("Lambda's own lines are as they were")
        except (BotoCoreError, ClientError, WaiterError) as error:
            levels = ", ".join(sorted(set(before.values())))
            say(f"set the functions' system log level back to {levels}: {type(error).__name__}")


def _set_levels(deployment: Deployment, levels: dict[str, str]) -> None:
    client = deployment.client("lambda")
    for name, level in levels.items():
        logging = client.get_function_configuration(FunctionName=name)["LoggingConfig"]
        client.update_function_configuration(
            FunctionName=name, LoggingConfig={**logging, "SystemLogLevel": level}
        )
    waiter = client.get_waiter("function_updated_v2")
    for name in levels:
        waiter.wait(FunctionName=name)


# Rights, invocations


@dataclass(frozen=True, slots=True)
class Denied:
    """Actions that AWS denied, by function."""

    actions: Mapping[str, tuple[str, ...]]
    functions: int
    """Number of functions whose logs were read."""


def see_denied(run: Run) -> Denied:
    """Search every function's log."""
    names = run.logs.functions
    found = {name: tuple(denials(run.logs.lines(name))) for name in names}
    return Denied({name: actions for name, actions in found.items() if actions}, len(names))


def judge_denied(seen: Denied) -> Verdict:
    """Pass if no function lacks a right."""
    if seen.actions:
        named = (f"{name}: {', '.join(actions)}" for name, actions in seen.actions.items())
        return fail("; ".join(named), "add it to infra/grants.py, and report it")
    if not seen.functions:
        return fail("the stacks name no function", "`make deploy`")
    return ok(f"no refusal in the logs of {seen.functions} functions")


@dataclass(frozen=True, slots=True)
class Invoked:
    """Number of invocations of each function."""

    times: Mapping[str, int]
    unasked: tuple[str, ...] = ()
    """Functions that this run does not use."""


def see_invoked(run: Run) -> Invoked:
    """Count Lambda's own reports, once for all rows. They may arrive late."""
    return run.once("invoked", lambda: _invoked(run))


def _invoked(run: Run) -> Invoked:
    calls.main(run)
    run.api.read("GET", f"/v1/predictions/{calls.main_id(run)}/deliveries")
    if run.facts.wait:
        calls.see_wait(run)
    if run.facts.mcp:
        calls.see_mcp(run)
    if run.facts.openai:
        calls.see_openai(run)
    if run.facts.thumbnails:
        calls.see_thumbnails(run)
    if run.facts.console:
        calls.see_console(run)
    called = run.facts.receiver or run.facts.state_machine
    # The embedded cloud runs those that wait in its front process.
    idle = {"Deliver": not called, "Wait": run.facts.embedded, "Imagewait": run.facts.embedded}
    unasked = tuple(name for name, is_idle in idle.items() if is_idle)

    def times() -> dict[str, int]:
        return {name: len(run.logs.reports(name)) for name in run.logs.functions}

    def all_ran() -> bool:
        return all(number or name in unasked for name, number in times().items())

    run.comes(all_ran, LOGGED_WITHIN_S / (10 if run.facts.embedded else 1))
    return Invoked(times(), unasked)


def judge_invoked(seen: Invoked) -> Verdict:
    """Pass if every function that the run uses was invoked."""
    idle = [n for n, times in seen.times.items() if not times and n not in seen.unasked]
    table = (("function", "invocations"), *((n, str(t)) for n, t in seen.times.items()))
    if idle or not seen.times:
        text = f"not invoked: {', '.join(idle) or 'any'}"
        return fail(text, "see its trigger in Lambda, and its log").showing(*table)
    unasked = f"; nothing here calls {', '.join(seen.unasked)}" if seen.unasked else ""
    return ok(f"all ran{unasked}").showing(*table)


# Cold starts, times


@dataclass(frozen=True, slots=True)
class Times:
    """Lambda's reports of each function, the oldest first."""

    reports: Mapping[str, tuple[Report, ...]]
    unasked: tuple[str, ...] = ()


def see_times(run: Run) -> Times:
    """Read the reports of the whole run."""
    seen = see_invoked(run)
    reports = {name: tuple(run.logs.reports(name)) for name in run.logs.functions}
    return Times({n: r for n, r in reports.items() if n not in seen.unasked}, seen.unasked)


def judge_cold(seen: Times) -> Verdict:
    """Pass if init does the work, so that the first invocation is about as fast as the others."""
    table = [("function", "init ms", "first ms", "others' mean ms", "most MB", "of MB")]
    wrong = []
    for name, reports in seen.reports.items():
        first = next((one for one in reports if one.init_ms is not None), None)
        if first is None:
            wrong.append(f"{name}: no cold start was seen")
            continue
        warm = _warm(reports)
        most = max(one.most_mb for one in reports)
        if first.duration_ms > (warm or 0) + SLOWEST_FIRST_MS:
            wrong.append(f"{name}: the first takes {first.duration_ms:.0f} ms")
        if most > FULL * first.memory_mb:
            wrong.append(f"{name}: {most:.0f} of {first.memory_mb:.0f} MB")
        table.append(
            (
                name,
                f"{first.init_ms:.0f}",
                f"{first.duration_ms:.0f}",
                "-" if warm is None else f"{warm:.0f}",
                f"{most:.0f}",
                f"{first.memory_mb:.0f}",
            )
        )
    if wrong or not seen.reports:
        remedy = "see `Function.handler`, and memory_mb in the module of the function"
        return fail("; ".join(wrong) or "nothing was reported", remedy).showing(*table)
    return ok(f"of {len(seen.reports)} functions").showing(*table)


def _warm(reports: tuple[Report, ...]) -> float | None:
    warm = [one.duration_ms for one in reports if one.init_ms is None]
    return mean(warm) if warm else None


def judge_billed(seen: Times) -> Verdict:
    """Compare means of warm invocations with the assumptions of `ops cost`."""
    return _compare(seen, "billed", lambda spent, _: spent, lambda cpu, waits: cpu + waits)


def judge_waiting(seen: Times) -> Verdict:
    """Compare the same without processor time, which `assumed_ms` of bench/durations.json stands
    for."""
    return _compare(
        seen, "waiting", lambda spent, cpu: max(0.0, spent - cpu), lambda _, waits: waits
    )


def _compare(
    seen: Times,
    what: str,
    measured: Callable[[float, float], float],
    assumed: Callable[[float, float], float],
) -> Verdict:
    table = [("function", f"{what} ms", "assumed ms", "calls")]
    wrong = []
    for name, reports in seen.reports.items():
        timing = assumptions(name)
        warm = [one for one in reports if one.init_ms is None]
        if timing is None or not warm:
            continue
        cpu = timing.cpu_ms / min(1.0, warm[0].memory_mb / VCPU_MB)
        is_, should = (
            measured(mean(one.billed_ms for one in warm), cpu),
            assumed(cpu, timing.waits_ms),
        )
        if is_ > should * FACTOR + SLACK_MS:
            wrong.append(f"{name} {is_:.0f} ms, assumed {should:.0f}")
        table.append((name, f"{is_:.0f}", f"{should:.0f}", timing.calls))
    if len(table) == 1:
        return fail("no warm invocation was reported", "run it again at once")
    if wrong:
        remedy = "put it into assumed_ms of bench/durations.json, and docs/cost.md"
        return fail("; ".join(wrong), remedy).showing(*table)
    return ok(f"of {len(table) - 1} functions, as assumed").showing(*table)


@dataclass(frozen=True, slots=True)
class Assumed:
    """Assumed values of one invocation."""

    cpu_ms: float
    """At one whole processor."""
    waits_ms: float
    calls: str


def assumptions(function: str) -> Assumed | None:
    """Return a function's values in bench/durations.json on the first path that has it."""
    durations = json.loads(DURATIONS.read_text())
    for path in durations["paths"].values():
        if timing := path.get(function.lower()):
            waits = {call: float(number) for call, number in timing["waits"].items()}
            spent = sum(number * durations["assumed_ms"][call] for call, number in waits.items())
            named = ", ".join(f"{number:g} {call}" for call, number in waits.items())
            return Assumed(float(timing["cpu_ms"]), spent, named)
    return None


# The access log


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Whether the gateway's access log lines arrive."""

    kind: str
    """Class of its log group."""
    lines: int


def see_access_log(run: Run) -> AccessLog:
    """Query Logs Insights, the only access to a group of the class Infrequent Access."""
    api = run.deployment.outputs["ApiId"]
    (stage,) = run.deployment.client("apigatewayv2").get_stages(ApiId=api)["Items"]
    arn = str(stage.get("AccessLogSettings", {}).get("DestinationArn", ""))
    group = arn.partition(":log-group:")[2].removesuffix(":*")
    logs = run.deployment.client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    kind = next((str(g.get("logGroupClass", "STANDARD")) for g in found), "missing")
    if kind == "missing":
        return AccessLog(kind, 0)

    def lines() -> int:
        query = logs.start_query(
            logGroupName=group,
            startTime=int(run.began),
            endTime=int(time.time()) + 1,
            queryString="fields @message | limit 20",
        )["queryId"]
        done = run.until(lambda: _answered(logs, query), "an answer of Logs Insights")
        return len(done["results"])

    return AccessLog(kind, run.seen(lines, LOGGED_WITHIN_S))


def _answered(logs: Any, query: str) -> dict[str, Any] | None:
    found = dict(logs.get_query_results(queryId=query))
    return None if found["status"] in {"Scheduled", "Running"} else found


def judge_access_log(seen: AccessLog) -> Verdict:
    """Pass if the gateway may write to a group of its class."""
    if seen.lines:
        return ok(f"lines arrive in a group of the class {seen.kind}")
    remedy = "set infrequent_access_log=False in the stage"
    return fail(f"no line in a group of the class {seen.kind}", remedy)


# The CDN's key


@dataclass(frozen=True, slots=True)
class Keys:
    """CloudFront's answers to public keys added next to the stage's own."""

    second: str = ""
    """Error code for a key with its own reference; empty if accepted."""
    again: str = ""
    """Error code for a third key with the name of the second; empty if accepted."""
    same_reference: str = ""
    """Error code for another key with a used reference; empty if accepted."""


def see_keys(run: Run) -> Keys:
    """Create public keys as a rotation would, untrusted by any key group, and delete them."""
    cloudfront = run.deployment.client("cloudfront")
    name = f"Darkroom-{run.stage}-live-{secrets.token_hex(4)}"

    def made(reference: str) -> str:
        try:
            key = cloudfront.create_public_key(
                PublicKeyConfig={
                    "CallerReference": f"{name}-{reference}",
                    "Name": name,
                    "EncodedKey": cdn_key.public_half(cdn_key.new_private_key()),
                }
            )
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        cloudfront.delete_public_key(Id=key["PublicKey"]["Id"], IfMatch=key["ETag"])
        return ""

    return Keys(second=made("1"), again=made("2"), same_reference=made("1"))


def judge_keys(seen: Keys) -> Verdict:
    """Pass if the slots can be filled again and again."""
    used = f"refused ({seen.same_reference})" if seen.same_reference else "taken as well"
    text = f"a caller reference that was used before is {used}"
    if seen.second or seen.again:
        code = seen.second or seen.again
        return fail(f"a new key is refused: {code}", "see docs/operations.md, `cdn-key`")
    return ok(f"a place can be filled anew; {text}")


# Alarms


@dataclass(frozen=True, slots=True)
class Alarms:
    """Names of the stage's alarms by state."""

    states: Mapping[str, int] = field(default_factory=dict)
    ringing: tuple[str, ...] = ()


def see_alarms(run: Run) -> Alarms:
    """Read the alarms of the stage's stack, whose names begin with the stack's name."""
    pages = run.deployment.client("cloudwatch").get_paginator("describe_alarms")
    states = {
        one["AlarmName"]: one["StateValue"]
        for page in pages.paginate(AlarmNamePrefix=f"Darkroom-{run.stage}-Observability")
        for one in page["MetricAlarms"]
    }
    counted = {state: list(states.values()).count(state) for state in sorted(set(states.values()))}
    return Alarms(counted, tuple(n for n, state in states.items() if state == "ALARM"))


def judge_alarms(seen: Alarms) -> Verdict:
    """Pass if they exist and none is ringing."""
    if seen.ringing:
        return fail(f"ringing: {', '.join(seen.ringing)}", "see docs/runbook.md")
    if not seen.states:
        return fail("there are none", "`make deploy`")
    return ok(", ".join(f"{number} {state}" for state, number in seen.states.items()))
