"""`ops live`: the verdict of each row, and the parts that exist on AWS only. tests/e2e/test_live.py
runs all of it."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from botocore.exceptions import ClientError
from darkroom.catalog import Catalogue
from darkroom.domain.signature import load_keys, sign
from darkroom.runtime.function import declared

from ops import live
from ops.__main__ import _parser, main
from ops.deployment import SetupError
from ops.keys import list_keys
from ops.live import platform
from ops.live.behind import Called, Hooks, Relayed, Requested, Task, Ticks, event_sources
from ops.live.budget import CANCEL_TRIES, BudgetError, cheapest, check, most, plan
from ops.live.calls import (
    Consoled,
    Hit,
    Listed,
    Pictured,
    Read,
    Served,
    Small,
    Stopped,
    Stored,
    Unserved,
    Uploaded,
    Waited,
)
from ops.live.logs import Logs, Report, denials, read_report
from ops.live.platform import AccessLog, Alarms, Denied, Invoked, Keys, Times
from ops.live.receiver import Receiver, receiving
from ops.live.report import Outcome, Result
from ops.live.rows import EMBEDDED_LACKS, ROWS, Row
from ops.live.run import Api, RefusedError, Run, TooLongError, temporary_key
from ops.live.upstream import Asked, Echo, Shown, difference
from ops.live.verdict import FAIL, NOT_AVAILABLE, OK, Facts, Verdict, fail, ok

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ops.deployment import Deployment
    from tests.ops.stacks import Stacks

SCHNELL = "black-forest-labs/flux-schnell"
ALL = Facts(
    embedded=False,
    cdn=True,
    alarms=True,
    cache=True,
    event_source=True,
    receiver=True,
    state_machine=True,
    platform_lines=True,
    wait=True,
    mcp=True,
    openai=True,
    thumbnails=True,
    console=True,
)
EMBEDDED = replace(ALL, embedded=True, cdn=False, alarms=False, state_machine=False)


# Rows


def report(**numbers: float) -> Report:
    """Return the report of a warm invocation of submit, as assumed."""
    usual = {"duration_ms": 290, "billed_ms": 290, "memory_mb": 384, "most_mb": 110}
    return Report(**{**usual, **numbers})


def times(*reports: Report) -> Times:
    return Times({"Submit": reports})


COLD = report(init_ms=900, duration_ms=400)
SEEN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "default route": (
        Unserved(unknown_path=404, wrong_method=405, head=200),
        (
            Unserved(unknown_path=500, wrong_method=500, head=500),
            Unserved(unknown_path=200, wrong_method=405, head=200),
            Unserved(unknown_path=404, wrong_method=500, head=200),
            Unserved(unknown_path=404, wrong_method=405, head=503),
        ),
    ),
    "upload": (
        Uploaded(201, 201, 204, 72),
        (
            Uploaded(500, 201, 204, 72),
            Uploaded(201, 403, 0, 0),
            Uploaded(201, 201, 403, 0),
            Uploaded(201, 201, 204, 0),
        ),
    ),
    "stored": (
        Stored("succeeded", None, 0.003, ("image/webp",)),
        (Stored("failed", "output_expired"), Stored("succeeded", None, 0.003, ())),
    ),
    "output, presigned": (
        Read(200, True, 403, 200),
        (Read(403, False, 403, 403), Read(200, False, 403, 200), Read(200, True, 200, 200)),
    ),
    "output, CDN": (
        Read(200, True, 403, 200),
        (Read(403, False, 403, 403), Read(200, True, 403, 400), Read(200, True, 200, 200)),
    ),
    "cache hit": (
        Hit("a", "succeeded", "a", None, 0),
        (
            Hit("a", "starting", None, "p", None),
            Hit("a", "succeeded", "b", None, 0),
            Hit("a", "succeeded", "a", None, 0.003),
            Hit("a", "failed", "a", None, 0),
        ),
    ),
    "door wait": (
        Waited(200, 200, 404, "succeeded", to_any_origin=True),
        (
            Waited(404, 200, 404, "succeeded", to_any_origin=True),
            Waited(200, 404, 404, None, to_any_origin=True),
            Waited(200, 200, 200, "succeeded", to_any_origin=True),
            Waited(200, 200, 404, "processing", to_any_origin=True),
            Waited(200, 0, 0, None, to_any_origin=False),
        ),
    ),
    "door mcp": (
        Served(6, 401, "Bearer", "succeeded", "succeeded", 1),
        (
            Served(0, 401, "Bearer", "succeeded", "succeeded", 1),
            Served(6, 200, None, "succeeded", "succeeded", 1),
            Served(6, 401, None, "succeeded", "succeeded", 1),
            Served(6, 401, "Bearer", None, "succeeded", 1),
            Served(6, 401, "Bearer", "failed", "succeeded", 1),
            Served(6, 401, "Bearer", "starting", "processing", 0),
            Served(6, 401, "Bearer", "starting", "succeeded", 0),
        ),
    ),
    "door console": (
        Consoled(200, 200, pictures=True, uploads=True),
        (
            Consoled(404, 200, pictures=True, uploads=True),
            Consoled(200, 404, pictures=True, uploads=True),
            Consoled(200, 200, pictures=False, uploads=True),
            Consoled(200, 200, pictures=True, uploads=False),
        ),
    ),
    "door openai": (
        Pictured(303, relative=True, status=200, same_bytes=True, unknown="model_not_found"),
        (
            Pictured(404, relative=False, status=404, same_bytes=False, unknown="model_not_found"),
            Pictured(303, relative=False, status=200, same_bytes=True, unknown="model_not_found"),
            Pictured(303, relative=True, status=504, same_bytes=False, unknown="model_not_found"),
            Pictured(303, relative=True, status=200, same_bytes=False, unknown="model_not_found"),
            Pictured(303, relative=True, status=200, same_bytes=True, unknown=None),
        ),
    ),
    "door thumbnails": (
        Small(200, 200, "image/webp", smaller=True, forged=404),
        (
            Small(404, 404, "application/problem+json", smaller=True, forged=404),
            Small(200, 502, None, smaller=False, forged=404),
            Small(200, 200, "image/png", smaller=True, forged=404),
            Small(200, 200, "image/webp", smaller=False, forged=404),
            Small(200, 200, "image/webp", smaller=True, forged=200),
            Small(0, 0, None, smaller=False, forged=0),
        ),
    ),
    "cancel": (
        Stopped("canceled", "canceled", "canceled"),
        (Stopped("succeeded", None, "succeeded"), Stopped("canceled", "canceled", "processing")),
    ),
    "deadline": (
        Stopped("canceled", "deadline_exceeded", "aborted"),
        (
            Stopped("succeeded", None, "succeeded"),
            Stopped("canceled", "canceled", "canceled"),
            Stopped("canceled", "deadline_exceeded", "succeeded"),
        ),
    ),
    "lists": (
        Listed({"tag": True, "model": True}),
        (Listed(), Listed({"tag": False}), Listed({"tag": True}, ("tag",))),
    ),
    "webhook": (Hooks(2), (Hooks(0), Hooks(1, ("no_match",)))),
    "webhook echo": (
        Echo(by_get=True, in_list=True, dedicated=False),
        (
            Echo(by_get=False, in_list=False, dedicated=False),
            Echo(by_get=True, in_list=False, dedicated=False),
        ),
    ),
    "input and version": (
        Shown("exact", "hidden", "the same", "https", None),
        (Shown("exact", "64 hex digits", "the same", "https", "it runs another version"),),
    ),
    "empty filter": (
        Asked(201, "succeeded", 0, "exact"),
        (Asked(500), Asked(201, "failed"), Asked(201)),
    ),
    "relay's filter": (
        Relayed(6, 3, ("processing", "storing", "succeeded")),
        (
            Relayed(6, 0, ()),
            Relayed(6, 6, ("processing", "storing", "succeeded")),
            Relayed(6, 4, ("submitted", "processing", "succeeded")),
        ),
    ),
    "callback": (
        Called("delivered", 204, listens=True, signed=2),
        (
            Called("pending", 500, listens=False),
            Called("delivered", 204, listens=True),
            Called("delivered", 204, listens=True, signed=1, unsigned=1),
        ),
    ),
    "intake queue": (Requested("succeeded"), (Requested("failed"), Requested(""))),
    "event": (Requested("succeeded"), (Requested("failed"), Requested(""))),
    "task": (Task("SUCCEEDED"), (Task("FAILED", "Darkroom.request_rejected"),)),
    "sweep": (Ticks(1), (Ticks(0),)),
    "functions": (
        Invoked({"Submit": 2, "Deliver": 0}, ("Deliver",)),
        (Invoked({"Submit": 2, "Deliver": 0}), Invoked({})),
    ),
    "rights": (Denied({}, 12), (Denied({"Relay": ("events:PutEvents",)}, 12), Denied({}, 0))),
    "cold starts": (
        times(COLD, report()),
        (
            times(report()),
            times(report(init_ms=900, duration_ms=2_000), report()),
            times(COLD, report(most_mb=370)),
            Times({}),
        ),
    ),
    "billed durations": (times(COLD, report()), (times(COLD), times(COLD, report(billed_ms=900)))),
    "waiting": (times(COLD, report()), (times(COLD), times(COLD, report(billed_ms=900)))),
    "access log": (
        AccessLog("INFREQUENT_ACCESS", 1),
        (AccessLog("INFREQUENT_ACCESS", 0), AccessLog("missing", 0)),
    ),
    "CDN key rotation": (
        Keys(same_reference="PublicKeyAlreadyExists"),
        (Keys(second="TooManyPublicKeys"), Keys(again="PublicKeyAlreadyExists")),
    ),
    "alarms": (Alarms({"OK": 19}), (Alarms(), Alarms({"ALARM": 1}, ("SweepStopped",)))),
}
"""By row: a good observation, and bad ones."""


def test_each_row_has_a_way_to_break_it() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert set(SEEN) == set(names)
    assert all(broken for _, broken in SEEN.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_well_is_ok_and_what_is_broken_fails(row: Row[Any]) -> None:
    well, broken = SEEN[row.name]
    assert row.judge(well).state == OK
    for seen in broken:
        verdict = row.judge(seen)
        assert verdict.state == FAIL, seen
        assert verdict.text
        assert verdict.remedy


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (Echo(by_get=False, in_list=False, dedicated=True), "version, input and time"),
        (Asked(422), "refused"),
        (Asked(201, "succeeded", 1, "exact"), "as if absent"),
        (Keys(), "taken as well"),
        (Called("delivered", 200, listens=False), "answered 200"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_was_found_out_is_said(seen: Any, text: str) -> None:
    row = next(row for row in ROWS if type(SEEN[row.name][0]) is type(seen))
    assert row.judge(seen).state == OK
    assert text in row.judge(seen).text


def not_available(facts: Facts) -> dict[str, Verdict]:
    found = {row.name: row.missing(facts) for row in ROWS}
    return {name: verdict for name, verdict in found.items() if verdict is not None}


def test_what_cannot_be_on_the_embedded_cloud_is_a_fixed_list() -> None:
    lacking = not_available(EMBEDDED)
    assert tuple(lacking) == EMBEDDED_LACKS
    assert {verdict.state for verdict in lacking.values()} == {NOT_AVAILABLE}
    assert all(verdict.text for verdict in lacking.values())


def test_a_whole_stage_has_every_row() -> None:
    assert not_available(ALL) == {}


@pytest.mark.parametrize(
    ("lacks", "rows"),
    [
        ("cdn", {"output, CDN", "CDN key rotation"}),
        ("alarms", {"alarms"}),
        ("cache", {"cache hit"}),
        ("event_source", {"event"}),
        ("receiver", {"callback"}),
        ("state_machine", {"task"}),
        ("wait", {"door wait"}),
        ("mcp", {"door mcp"}),
        ("openai", {"door openai"}),
        ("thumbnails", {"door thumbnails"}),
        ("console", {"door console"}),
        ("platform_lines", {"functions", "cold starts", "billed durations", "waiting"}),
    ],
)
def test_what_a_stage_is_without_is_not_looked_at(lacks: str, rows: set[str]) -> None:
    assert set(not_available(replace(ALL, **{lacks: False}))) == rows


# Money


def test_the_most_counts_every_create() -> None:
    catalogue = Catalogue.load()
    assert cheapest(catalogue) == SCHNELL
    core = replace(
        ALL, cache=False, event_source=False, state_machine=False, mcp=False, openai=False
    )
    picture, a_deadline = 3_000, 975 * 15
    creates = 1 + CANCEL_TRIES + 1 + 1
    assert most(plan(core, SCHNELL), catalogue) == creates * picture + a_deadline
    more = replace(core, cache=True, event_source=True, mcp=True, openai=True)
    assert most(plan(more, SCHNELL), catalogue) == (creates + 4) * picture + a_deadline
    assert most(plan(ALL, SCHNELL), catalogue) > 300_000, "an upscaling may run for half an hour"


def test_a_budget_that_does_not_suffice_is_refused() -> None:
    catalogue, paid = Catalogue.load(), plan(EMBEDDED, SCHNELL)
    needed = most(paid, catalogue)
    assert check(paid, catalogue, needed / 1_000_000) == needed
    with pytest.raises(BudgetError, match="more than --budget-usd"):
        check(paid, catalogue, 0.01)


@pytest.mark.parametrize("budget", ["nan", "inf", "-1", "some"])
def test_a_budget_is_a_sum(budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["live", "--budget-usd", budget])
    assert ended.value.code == 2
    assert "--budget-usd" in capsys.readouterr().err


# AWS


@dataclass
class Lambda:
    """The logging configuration of the functions, as Lambda returns it."""

    levels: dict[str, str]
    fails_at: str = ""
    changed: list[tuple[str, str]] = field(default_factory=list)
    waited: list[str] = field(default_factory=list)

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        told = {"REPLICATE_URL": "https://upstream", "PUBLIC_URL": "https://api"}
        logging = {
            "LogFormat": "JSON",
            "LogGroup": f"logs-of-{FunctionName}",
            "SystemLogLevel": self.levels[FunctionName],
        }
        return {"LoggingConfig": logging, "Environment": {"Variables": told}}

    def update_function_configuration(
        self,
        FunctionName: str,  # noqa: N803
        LoggingConfig: dict[str, str],  # noqa: N803
    ) -> None:
        if FunctionName == self.fails_at:
            error = {"Error": {"Code": "ResourceConflictException", "Message": ""}}
            raise ClientError(cast("Any", error), "UpdateFunctionConfiguration")
        assert LoggingConfig["LogGroup"] == f"logs-of-{FunctionName}"
        self.levels[FunctionName] = LoggingConfig["SystemLogLevel"]
        self.changed.append((FunctionName, LoggingConfig["SystemLogLevel"]))

    def get_waiter(self, name: str) -> Lambda:
        assert name == "function_updated_v2"
        return self

    def wait(self, FunctionName: str) -> None:  # noqa: N803
        self.waited.append(FunctionName)


@dataclass
class Session:
    """A boto3 session; some services are doubles, everything else is moto's."""

    session: Any
    doubles: dict[str, Any]
    region_name: str = "eu-west-1"

    def client(self, service: str, **options: Any) -> Any:
        return self.doubles.get(service) or self.session.client(service, **options)


@pytest.fixture
def functions() -> Lambda:
    return Lambda({"submit": "WARN", "relay": "WARN"})


@pytest.fixture
def stage(deployment: Deployment, functions: Lambda) -> Deployment:
    outputs = {"FunctionSubmit": "submit", "FunctionRelay": "relay", "ApiId": "api"}
    session = cast("Any", Session(deployment.session, {"lambda": functions}))
    return replace(deployment, session=session, outputs=deployment.outputs | outputs)


def log(stage: Deployment, function: str, *lines: str) -> None:
    logs, group = stage.client("logs"), f"logs-of-{function}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)


def a_run(stage: Deployment, api: httpx.Client | None = None, **given: Any) -> Run:
    client = api or httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(404)))
    told = {"PUBLIC_URL": "https://api", "REPLICATE_URL": "https://upstream"}
    return Run(
        deployment=stage,
        stage="prod",
        http=client,
        facts=replace(ALL, embedded=True),  # For its short pauses.
        told=told,
        api=Api(client, "https://api", "dk_x"),
        tenant="live-1",
        logs=Logs(stage, time.time()),
        model=SCHNELL,
        picture_usd=0.003,
        patience_s=0.3,
        **given,
    )


REPORTED = json.dumps(
    {
        "time": "2026-11-30T10:00:00.000Z",
        "type": "platform.report",
        "record": {
            "requestId": "r",
            "status": "success",
            "metrics": {
                "durationMs": 101.5,
                "billedDurationMs": 1002,
                "initDurationMs": 900.25,
                "memorySizeMB": 384,
                "maxMemoryUsedMB": 110,
            },
        },
    }
)
AS_TEXT = (
    "REPORT RequestId: r\tDuration: 101.5 ms\tBilled Duration: 1002 ms\tMemory Size: 384 MB\t"
    "Max Memory Used: 110 MB\tInit Duration: 900.25 ms\t"
)


@pytest.mark.parametrize("line", [REPORTED, AS_TEXT], ids=["JSON", "text"])
def test_reports_are_read_in_both_forms(line: str) -> None:
    found = Report(duration_ms=101.5, billed_ms=1002, memory_mb=384, most_mb=110, init_ms=900.25)
    assert read_report(line) == found


def test_a_warm_invocation_reports_no_init() -> None:
    warm = json.loads(REPORTED)
    del warm["record"]["metrics"]["initDurationMs"]
    for line in (json.dumps(warm), AS_TEXT.partition("\tInit")[0]):
        found = read_report(line)
        assert found is not None
        assert found.init_ms is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        "START RequestId: r",
        "REPORT RequestId: r",
        '{"type": "platform.report"}',
        '{"type": "platform.report", "record": {"metrics": 7}}',
        '{"type": "platform.report", "record": {"metrics": {"durationMs": "long"}}}',
        '{"type": "platform.start", "record": {}}',
    ],
)
def test_other_lines_are_no_reports(line: str) -> None:
    assert read_report(line) is None


REFUSED = (
    "botocore.exceptions.ClientError: An error occurred (AccessDeniedException) when calling the "
    "PutItem operation: User: arn:aws:sts::1:assumed-role/r is not authorized to perform: "
    "dynamodb:PutItem on resource: t because no policy allows it"
)


@pytest.mark.parametrize(
    ("line", "action"),
    [
        (
            REFUSED,
            "dynamodb:PutItem",
        ),
        (
            "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
            "GetObject",
        ),
        ('{"level": "ERROR", "message": "AccessDenied"}', "?"),
    ],
)
def test_refusals_by_aws_are_found_and_named(line: str, action: str) -> None:
    assert denials([line, '{"message": "answered"}', line]) == [action]


def test_lines_of_a_functions_log_are_read(stage: Deployment) -> None:
    about = {"prediction": "p1", "message": "relayed"}
    log(stage, "relay", json.dumps(about), "no JSON", REPORTED, json.dumps({"prediction": "p2"}))
    logs = Logs(stage, time.time())
    assert logs.functions == ["Relay", "Submit"]
    assert logs.about("Relay", "p1") == [about]
    assert [one.billed_ms for one in logs.reports("Relay")] == [1002]
    assert logs.lines("Submit") == [], "it has not written anything yet"
    assert Logs(stage, time.time() + 3600).lines("Relay") == []


def test_what_lambda_and_the_functions_log_is_seen(stage: Deployment) -> None:
    log(stage, "relay", REPORTED, "not authorized to perform: events:PutEvents on resource")
    log(stage, "submit", '{"message": "answered"}')
    run = a_run(stage)
    assert platform.see_denied(run) == Denied({"Relay": ("events:PutEvents",)}, 2)


def test_lambdas_own_lines_are_put_back_as_they_were(stage: Deployment, functions: Lambda) -> None:
    functions.levels["relay"] = "ERROR"
    assert not platform.speaks(stage)
    said: list[str] = []
    with contextlib.suppress(KeyboardInterrupt), platform.platform_lines(stage, said.append):
        assert platform.speaks(stage)
        assert set(functions.waited) == {"submit", "relay"}
        raise KeyboardInterrupt
    assert functions.levels == {"submit": "WARN", "relay": "ERROR"}
    assert len(said) == 2


def test_lines_that_cannot_be_put_back_are_said(stage: Deployment, functions: Lambda) -> None:
    said: list[str] = []
    with platform.platform_lines(stage, said.append):
        functions.fails_at = "submit"
    assert "back to WARN" in said[-1]


def test_cloudfronts_keys_are_tried_and_gone(stage: Deployment) -> None:
    seen = platform.see_keys(a_run(stage))
    assert platform.judge_keys(seen).state == OK
    listed = stage.client("cloudfront").list_public_keys()["PublicKeyList"]
    assert listed.get("Items", []) == []


def test_alarms_are_those_of_the_stage(stage: Deployment) -> None:
    cloudwatch = stage.client("cloudwatch")
    for name in ("Darkroom-prod-Observability-A", "Darkroom-dev-Observability-B"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            MetricName="m",
            Namespace="n",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Statistic="Sum",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    seen = platform.see_alarms(a_run(stage))
    assert seen == Alarms({"ALARM": 1}, ("Darkroom-prod-Observability-A",))


def test_times_are_those_of_functions_that_were_asked(stage: Deployment) -> None:
    log(stage, "relay", REPORTED)
    run = a_run(stage)
    run.once("invoked", lambda: Invoked({"Relay": 1, "Submit": 0}, ("Submit",)))
    seen = platform.see_times(run)
    assert list(seen.reports) == ["Relay"]
    assert [one.init_ms for one in seen.reports["Relay"]] == [900.25]


@pytest.mark.parametrize("arn_end", ["", ":*"])
def test_the_access_log_is_asked_for_lines(stage: Deployment, arn_end: str) -> None:
    group = "/aws/vendedlogs/Darkroom-prod-Service/access"
    arn = f"arn:aws:logs:eu-west-1:123456789012:log-group:{group}{arn_end}"
    cast("Any", stage.session).doubles["apigatewayv2"] = Gateway(arn)
    run = a_run(stage)
    assert platform.see_access_log(run) == AccessLog("missing", 0)
    logs = stage.client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    event = {"timestamp": int(time.time() * 1000), "message": "{}"}
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=[event])
    assert platform.see_access_log(run).lines == 1


@dataclass
class Gateway:
    """The API's only stage."""

    arn: str

    def get_stages(self, ApiId: str) -> dict[str, Any]:  # noqa: N803
        assert ApiId == "api"
        return {"Items": [{"AccessLogSettings": {"DestinationArn": self.arn}}]}


@pytest.mark.parametrize("function", ["Submit", "Webhook", "Relay", "Persist", "Read", "Dispatch"])
def test_what_docs_cost_assumes_is_compared(function: str) -> None:
    assert function.lower() in declared()
    found = platform.assumptions(function)
    assert found is not None
    assert found.cpu_ms > 0
    assert found.waits_ms > 0
    assert "dynamodb GetItem" in found.calls or function == "Relay"


# A run


def test_the_temporary_key_is_revoked_whatever_happens(deployment: Deployment) -> None:
    dynamodb, table = deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
    with (
        contextlib.suppress(KeyboardInterrupt),
        temporary_key(deployment, print) as (token, tenant),
    ):
        assert [row["tenant"] for row in list_keys(dynamodb, table)] == [tenant]
        assert tenant.startswith("live-")
        assert token.startswith("dk_")
        raise KeyboardInterrupt
    assert list(list_keys(dynamodb, table)) == []


def served(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer))


def test_at_the_end_what_still_runs_is_stopped_and_nothing_else(stage: Deployment) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        over = {"id": "over", "status": "succeeded"}
        late = {"id": "late", "status": "starting"}
        if request.url.path == "/v1/predictions":
            return httpx.Response(200, json={"results": [over]})
        return httpx.Response(200, json=late)

    run = a_run(stage, served(answer))
    run.api.made = ["over", "late"]
    ended: list[str] = []

    def breaks() -> None:
        raise RefusedError("no")

    run.endings += [breaks, lambda: ended.append("probe")]
    run.stop()
    assert asked[-1] == "POST /v1/predictions/late/cancel"
    assert sum("/cancel" in one for one in asked) == 1
    assert ended == ["probe"]


def test_a_new_key_may_be_unknown_for_a_moment(stage: Deployment) -> None:
    answers = [httpx.Response(401), httpx.Response(201, json={"id": "p"})]
    run = a_run(stage, served(lambda _: answers.pop(0)))
    assert run.api.create({})["id"] == "p"
    assert run.api.made == ["p"]


def test_a_refused_create_is_a_fail_and_is_not_tried_again(stage: Deployment) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(402)

    run = a_run(stage, served(answer))
    for row in (row for row in ROWS if row.name in {"stored", "webhook"}):
        verdict = live.look(run, row)
        assert (verdict.state, verdict.text) == (FAIL, "POST /v1/predictions answered 402")
    assert len(asked) == 1


def test_nothing_is_waited_for_longer_than_that(stage: Deployment) -> None:
    run = a_run(stage)
    with pytest.raises(TooLongError, match=r"not within 0.3 s: the moon"):
        run.until(lambda: None, "the moon")
    assert not run.comes(lambda: False, 0)
    assert run.comes(lambda: True, 0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TooLongError("not within 3 s"), "not within 3 s"),
        (httpx.ConnectError("https://x/?t=secret"), "ConnectError"),
        (ValueError("r8_secret"), "ValueError"),
        (
            ClientError(cast("Any", {"Error": {"Code": "AccessDenied", "Message": "m"}}), "Get"),
            "AWS: AccessDenied for Get",
        ),
    ],
)
def test_whatever_a_row_raises_is_its_own_fail(
    stage: Deployment, error: Exception, text: str
) -> None:
    def breaks(_: Run) -> None:
        raise error

    verdict = live.look(a_run(stage), Row("odd", "", breaks, lambda _: ok("")))
    assert verdict.state == FAIL
    assert text in verdict.text
    assert "secret" not in verdict.text


def test_difference_names_no_value() -> None:
    sent = {"prompt": "a", "seed": 1, "x": 2}
    assert difference(sent, sent) == "exact"
    assert difference(sent, None) == "not shown"
    shown = {"prompt": "***", "seed": 1, "y": 3}
    assert difference(sent, shown) == "left out: x; added: y; changed: prompt"


def test_sources_of_events_are_read_from_the_rules() -> None:
    pattern = {"source": ["com.shop"], "detail-type": ["Prediction Requested"]}
    template = '{"tenant":"shop","id":<a>,"detail":<b>}'
    others = [
        ({"$or": []}, '{"timestamp":<time>}'),
        ({"source": ["darkroom"], "detail-type": ["Prediction Failed"]}, ""),
        (pattern, ""),
    ]
    assert event_sources([*others, (pattern, template)]) == [("com.shop", "shop")]


# Callbacks


def test_the_receiver_tells_signed_callbacks_from_others() -> None:
    secret, now = "whsec_" + "c2Vj" * 8, time.time()
    (key,) = load_keys([secret])
    body, at = b'{"status": "succeeded"}', int(now)
    headers = {
        "webhook-id": "p1_completed",
        "webhook-timestamp": str(at),
        "webhook-signature": sign("p1_completed", at, body, key=key),
    }
    with receiving(None, 0) as receiver, httpx.Client(trust_env=False, timeout=60) as client:
        assert receiver.listens
        assert client.post(receiver.url, content=body, headers=headers).status_code == 204
        assert client.post(receiver.url, content=b"{}", headers=headers).status_code == 204
        other = {**headers, "webhook-id": "p2_completed"}
        assert client.post(receiver.url, content=body, headers=other).status_code == 204
        assert client.post(receiver.url, content=body).status_code == 204
    assert receiver.signed("p1", secret) == (1, 1)
    assert receiver.signed("p1", "none") == (0, 2)


def test_a_receiver_elsewhere_is_only_called() -> None:
    with receiving("https://example.com/hook", None) as receiver:
        assert receiver == Receiver("https://example.com/hook")


# The report

SECRETS = (
    "dk_" + "a" * 49,
    "r8_" + "b" * 37,
    "whsec_" + "c" * 32,
    "https://x/hooks/replicate/1?t=dddddddddddddddd",
    "https://b.s3/x?X-Amz-Signature=eeee&X-Amz-Credential=ffff",
    "https://d.cloudfront.net/x?Expires=1&Signature=gggg&Key-Pair-Id=K",
)


def outcome(*results: Result) -> Outcome:
    return Outcome(
        stage="prod",
        region="eu-west-1",
        version="0.2.0",
        began=0,
        seconds=61.5,
        budget_usd=0.5,
        most=38_625,
        spent=21_000,
        results=results,
    )


def test_the_report_says_what_was_seen(tmp_path: Path) -> None:
    table = ok("of 1").showing(("function", "ms"), ("Submit", "290"))
    page = tmp_path / "sub" / "live.md"
    told = outcome(
        Result("stored", "it works", table),
        Result("odd | name", "nothing", fail("broke", "mend it")),
        Result("task", "a task", Verdict(NOT_AVAILABLE, "none was given")),
    )
    beside = told.write(page)
    text, shown = page.read_text(), json.loads(beside.read_text())
    assert beside.name == "live.json"
    assert "| stored | OK | of 1 | it works |" in text
    assert "| odd \\| name | FAIL | broke → mend it | nothing |" in text
    assert "| task | n/a | none was given | a task |" in text
    assert "## Stored\n\n| function | ms |\n|---|---|\n| Submit | 290 |" in text
    assert "$0.0210; at most $0.0386 of 0.5 allowed" in text
    assert "**Rows FAIL.**" in text
    assert (shown["passed"], shown["spent_usd"], shown["began"][:4]) == (False, 0.021, "1970")
    assert [row["state"] for row in shown["rows"]] == ["OK", "FAIL", "n/a"]
    assert shown["rows"][0]["table"] == [["function", "ms"], ["Submit", "290"]]


def test_ok_and_not_available_pass() -> None:
    results = (Result("a", "", ok("")), Result("b", "", Verdict(NOT_AVAILABLE, "")))
    assert outcome(*results).passed
    assert "**All rows are OK" in outcome(*results).as_markdown()


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:12])
def test_no_secret_is_in_a_report(secret: str) -> None:
    told = outcome(Result("a", secret, fail(secret, secret).showing((secret,), (secret,))))
    for text in (told.as_markdown(), json.dumps(told.as_json())):
        assert "***" in text
        for letter in "abcdefg":
            assert letter * 4 not in text


# The command


def test_a_real_stage_wants_a_budget(
    stage: Deployment,
    stacks: Stacks,
    functions: Lambda,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = live_arguments("--stage", "prod")
    events = cast("Any", _NoRules())
    session = cast("Any", stage.session)
    session.doubles["events"] = events
    told = replace(stage, outputs=stage.outputs | {"EventBus": "bus"})
    with pytest.raises(BudgetError, match="--budget-usd"):
        live.command(told, given)
    with pytest.raises(BudgetError, match="Nothing was created"):
        live.command(told, live_arguments("--stage", "prod", "--budget-usd", "0.001"))
    assert functions.changed == []


class _NoRules:
    def list_rules(self, **_: str) -> dict[str, Any]:
        return {"Rules": []}


def live_arguments(*arguments: str) -> Any:
    return _parser().parse_args(["live", *arguments])


def test_a_port_alone_is_reached_by_nobody(stage: Deployment) -> None:
    cast("Any", stage.session).doubles["events"] = _NoRules()
    told = replace(stage, outputs=stage.outputs | {"EventBus": "bus"})
    given = live_arguments("--budget-usd", "1", "--receiver-port", "8000")
    with pytest.raises(SetupError, match="--receiver URL"):
        live.command(told, given)


def test_events_of_an_unknown_source_are_refused(stage: Deployment) -> None:
    cast("Any", stage.session).doubles["events"] = _NoRules()
    told = replace(stage, outputs=stage.outputs | {"EventBus": "bus"})
    with pytest.raises(SetupError, match=r"com\.shop"):
        live.command(told, live_arguments("--budget-usd", "1", "--event-source", "com.shop"))


def test_the_report_is_a_page(stage: Deployment, tmp_path: Path) -> None:
    given = live_arguments("--report", str(tmp_path / "live.json"))
    with pytest.raises(SetupError, match="the page"):
        live.command(stage, given)
