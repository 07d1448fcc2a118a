"""The dashboard and the alarms: their metrics exist, and each alarm documents its response."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from darkroom.runtime.function import declared

from infra import Darkroom, StageConfig
from infra.config import all_doors
from infra.stacks.observability import NAMESPACE
from ops.__main__ import _parser
from tests.infra.synthesis import NO_BUNDLING, bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.synthesis import Synth

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
SOURCES = "".join(p.read_text() for p in (ROOT / "functions" / "darkroom").rglob("*.py"))
DECLARED = [alarm for function in declared().values() for alarm in function.alarms]
MADE_UP = {
    "Refused": {"Refused4xx", "Refused5xx", "Refused402", "Refused429"},
    "Swept": {"SweptStoring", "SweptEffects", "SweptPoll", "SweptCreate", "SweptDeliveries"},
    "Ended": {"EndedSucceeded", "EndedFailed", "EndedCanceled", "EndedAborted"},
}
"""Metrics with computed names, by the beginning of the expression."""


@pytest.fixture(scope="module")
def watched(synth: Callable[[StageConfig], Synth]) -> Synth:
    """Prod with all options."""
    emails = ("ops@example.com",)
    every: dict[str, Any] = {
        "monthly_budget_usd": 300,
        "alarm_emails": emails,
        "doors": all_doors(),
    }
    return synth(replace(StageConfig.prod(), **every))


def alarms(synth: Synth) -> dict[str, dict[str, Any]]:
    return synth.observability.properties("CloudWatch::Alarm")


def metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield an alarm's metrics, in either form of its definition."""
    if "MetricName" in alarm:
        yield alarm
    for entry in alarm.get("Metrics", []):
        if "MetricStat" in entry:
            yield entry["MetricStat"]["Metric"]


def written() -> set[str]:
    """Return the metrics that the functions write."""
    plain = set(re.findall(r'(?:count|measure_s)\(\s*"(\w+)"', SOURCES))
    either = re.findall(r'count\("(\w+)" if [^"]+ else "(\w+)"\)', SOURCES)
    composed = set(re.findall(r'count\(f"(\w+)\{', SOURCES))
    assert composed == set(MADE_UP)
    return plain.union(*either, *(MADE_UP[name] for name in composed))


def dashboard(synth: Synth) -> str:
    (found,) = synth.observability.properties("CloudWatch::Dashboard").values()
    parts = found["DashboardBody"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "X" for part in parts)


def test_each_alarm_has_an_entry_and_each_entry_an_alarm(watched: Synth) -> None:
    entries = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert len(entries) == len(set(entries))
    assert set(entries) == alarms(watched).keys()
    for name, alarm in alarms(watched).items():
        assert described(alarm).endswith(f" as docs/runbook.md#{name.lower()}")


def described(alarm: dict[str, Any]) -> str:
    """Return the alarm's description in the region `here`."""
    parts = alarm["AlarmDescription"]["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else "here" for part in parts)


def test_newcomer_friction_10_every_alarm_links_to_what_to_do(watched: Synth) -> None:
    """The dashboard in the same account, which shows the runbook's entries beside its graphs."""
    (board,) = watched.observability.properties("CloudWatch::Dashboard").values()
    name = board["DashboardName"]["Fn::Join"][1]
    assert name == ["Darkroom-prod-", {"Ref": "AWS::Region"}]
    link = "https://here.console.aws.amazon.com/cloudwatch/home?region=here#dashboards/dashboard/"
    body = json.loads(dashboard(watched))
    texts = [w["properties"]["markdown"] for w in body["widgets"] if w["type"] == "text"]
    for alarm_name, alarm in alarms(watched).items():
        assert f" {link}Darkroom-prod-here " in described(alarm)
        assert len(described(alarm)) <= 1024
        (entry,) = (text for text in texts if text.startswith(f"## {alarm_name}\n"))
        assert "```" in entry
        assert "](" not in entry
    assert any("output()" in text for text in texts)


def test_alarms_link_to_a_page_of_ones_own(synth: Callable[[StageConfig], Synth]) -> None:
    page = "https://git.example.com/darkroom/docs/runbook.md"
    done = synth(replace(StageConfig.prod(), runbook_url=page))
    for name, alarm in alarms(done).items():
        assert alarm["AlarmDescription"].endswith(f" {page}#{name.lower()}")
    with pytest.raises(ValueError, match="https"):
        StageConfig(name="plain", runbook_url="docs/runbook.md")


def test_each_entry_says_what_to_run() -> None:
    for entry in RUNBOOK.split("\n## ")[1:]:
        name, _, text = entry.partition("\n")
        commands = "".join(re.findall(r"```\n(.+?)```", text, re.DOTALL))
        assert re.search(r"python -m ops \w|^aws \w|^logs \w", commands, re.MULTILINE), name


def test_every_operators_command_of_the_runbook_is_one() -> None:
    found = re.findall(r"python -m ops ([a-z][^\n`;<]*)", RUNBOOK)
    assert len(found) > 20
    for command in found:
        _parser().parse_args(shlex.split(command))


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    anchors = {name.lower() for name in re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) <= anchors


def test_alarms_watch_metrics_that_functions_write(watched: Synth) -> None:
    ours = {
        metric["MetricName"]
        for alarm in alarms(watched).values()
        for metric in metrics(alarm)
        if metric["Namespace"] == NAMESPACE
    }
    assert ours == {alarm.metric for alarm in DECLARED} | {"CostMicroUsd"}
    assert ours <= written()


def test_the_dashboard_shows_metrics_that_functions_write(watched: Synth) -> None:
    body = dashboard(watched)
    shown = set(re.findall(rf'"{NAMESPACE}","(\w+)","service"', body))
    assert shown <= written()
    assert {alarm.metric for alarm in DECLARED} <= shown
    for question in (
        "Are we accepting?",
        "Are webhooks arriving?",
        "How far behind is storing?",
        "What did it cost?",
    ):
        assert question in body


def test_what_aws_counts_for_nothing_is_shown_as_it_counts_it(watched: Synth) -> None:
    body = dashboard(watched)
    for metric in ("Count", "4xx", "5xx"):
        assert f'"AWS/ApiGateway","{metric}","ApiId"' in body
    assert '"AWS/Lambda","Invocations","FunctionName"' in body


def test_no_metric_tells_of_a_tenant(watched: Synth) -> None:
    """One dimension, equal for all, which distinguishes two stages of an account."""
    for alarm in alarms(watched).values():
        for metric in metrics(alarm):
            if metric["Namespace"] == NAMESPACE:
                assert metric["Dimensions"] == [{"Name": "service", "Value": "darkroom-prod"}]
    for function in watched.service.properties("Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["POWERTOOLS_SERVICE_NAME"] == "darkroom-prod"


def test_only_what_must_be_there_alarms_when_it_is_missing(watched: Synth) -> None:
    missing = {name: a["TreatMissingData"] for name, a in alarms(watched).items()}
    assert {name for name, what in missing.items() if what == "breaching"} == {"SweepStopped"}
    assert set(missing.values()) == {"breaching", "notBreaching"}


def test_every_dead_letter_queue_is_watched(watched: Synth) -> None:
    queues = {
        watched.shown(alarm["Dimensions"][0]["Value"]).removesuffix(".QueueName")
        for name, alarm in alarms(watched).items()
        if name.endswith("DeadLetters")
    }
    policies = watched.service.properties("SQS::Queue")
    assert queues == {name for name in policies if name.endswith(("Dlq", "Failures"))}


def test_throttles_of_every_function_and_table_are_watched(watched: Synth) -> None:
    found = {
        watched.shown(dimension["Value"])
        for name, alarm in alarms(watched).items()
        if name.endswith("Throttled")
        for metric in metrics(alarm)
        for dimension in metric["Dimensions"]
    }
    stacks = (watched.service, watched.cdn)
    functions = {name for stack in stacks for name in stack.properties("Lambda::Function")}
    tables = set(watched.stateful.properties("DynamoDB::Table"))
    assert found == functions | tables | {"tenant", "due"}
    for alarm in alarms(watched).values():
        assert len(list(metrics(alarm))) <= 10, "more than an alarm takes"


def test_every_alarm_and_its_end_is_told(watched: Synth) -> None:
    (topic,) = (bare(id_) for id_, _ in watched.observability.resources("SNS::Topic"))
    for alarm in alarms(watched).values():
        assert [watched.shown(to) for to in alarm["AlarmActions"]] == [topic]
        assert [watched.shown(to) for to in alarm["OKActions"]] == [topic]
    (address,) = watched.observability.properties("SNS::Subscription").values()
    assert (address["Protocol"], address["Endpoint"]) == ("email", "ops@example.com")


def test_only_this_accounts_alarms_reach_the_topic(watched: Synth) -> None:
    (policy,) = watched.observability.properties("SNS::TopicPolicy").values()
    allowed, denied = policy["PolicyDocument"]["Statement"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    source = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allowed["Condition"] == source
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_budget_makes_an_alarm(watched: Synth, prod: Synth) -> None:
    assert alarms(watched)["SpendingFast"]["Threshold"] == 10_000_000
    of_doors = {
        f"{name.title()}Throttled"
        for name, function in declared().items()
        if function.reserve and function.door in watched.config.doors
    } | {
        alarm.name for function in declared().values() if function.door for alarm in function.alarms
    }
    assert alarms(watched).keys() - alarms(prod).keys() - of_doors == {"SpendingFast"}


def test_nothing_holds_on_to_it(prod: Synth, dev: Synth) -> None:
    """It can be removed at any time, and a stage may omit it."""
    assert prod.observability.exports == {}
    assert not (dev.outdir / "Darkroom-dev-Observability.template.json").exists()


def test_another_app_may_have_it(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path), context=NO_BUNDLING)
    without = Darkroom(app, "Without", config=StageConfig(name="plain", cdn=False))
    assert without.alarm_topic is None
    config = StageConfig(name="photos", cdn=False, observability=True)
    darkroom = Darkroom(app, "Pictures", config=config)
    assert darkroom.alarm_topic is not None
    mine = cdk.Stack(app, "Mine")
    cdk.CfnOutput(mine, "Topic", value=darkroom.alarm_topic.topic_arn)
    app.synth()
    template = json.loads((tmp_path / "Mine.template.json").read_text())
    imported = template["Outputs"]["Topic"]["Value"]["Fn::ImportValue"]
    assert imported.startswith("Darkroom-photos-Observability:")
