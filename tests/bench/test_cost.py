"""The bill: arithmetic with counts, durations, prices and the templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.__main__ import main
from ops.cost import CostError, Model, Templates, total

if TYPE_CHECKING:
    from pathlib import Path

PRICES: dict[str, Any] = {
    "as_of": "2026-01",
    "region": "here",
    "million": {
        "http_api_requests": 1.0,
        "lambda_requests": 0.5,
        "write_units": 2.0,
        "read_units": 0.25,
        "sqs_requests": 4.0,
        "events": 1.5,
        "s3_puts": 5.0,
        "state_transitions": 25.0,
        "durable_operations": 8.0,
    },
    "gb_second_arm": 0.00001,
    "log_gb": 0.5,
    "log_gb_infrequent": 0.2,
    "durable_gb_written": 0.25,
    "gb_month": {"dynamodb": 0.25, "recovery": 0.2, "s3": 0.02},
    "month": {"secret": 0.4, "alarm": 0.1, "metric": 0.3, "dashboard": 3.0},
}
COUNTED: dict[str, Any] = {
    "plain": {
        "http_requests": 3,
        "invocations": {"submit": 1, "relay": 2},
        "write_units": 7,
        "read_units": 4,
        "log_bytes": 3000,
        "record_bytes": 700,
        "aws": {"sqs SendMessage": 1, "sqs ReceiveMessage": 1, "s3 PutObject": 1},
    },
    "tick": {"calls": 2, "read_units": 1.0, "log_bytes": 100},
}
DURATIONS: dict[str, Any] = {
    "assumed_ms": {"GET output": 100.0},
    "paths": {
        "plain": {
            "submit": {"cpu_ms": 10.0, "waits": {}},
            "relay": {"cpu_ms": 5.0, "waits": {"GET output": 0.5}},
        },
        "tick": {"sweep": {"cpu_ms": 1.0, "waits": {}}},
    },
}


def every_minute(targets: int) -> dict[str, Any]:
    properties = {"ScheduleExpression": "rate(1 minute)", "Targets": [{}] * targets}
    return {"Type": "AWS::Events::Rule", "Properties": properties}


def template(**more: Any) -> dict[str, Any]:
    def function(name: str, memory: int, **logging: str) -> dict[str, Any]:
        properties = {
            "Handler": f"darkroom.handlers.{name}.handler",
            "MemorySize": memory,
            "LoggingConfig": logging,
        }
        return {"Type": "AWS::Lambda::Function", "Properties": properties}

    return {
        "Resources": {
            "A": function("submit", 1769),
            "B": function("relay", 1024, SystemLogLevel="WARN"),
            "C": function("sweep", 1024),
            "D": {"Type": "AWS::SecretsManager::Secret"},
            "F": every_minute(1),
            "E": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {"AccessLogSettings": {"Format": "x" * 40}},
            },
            **more,
        }
    }


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "a.template.json").write_text(json.dumps(template()))
    return Model(Templates.read(tmp_path), COUNTED, DURATIONS, PRICES)


def test_each_line_is_its_quantity_at_its_price(model: Model) -> None:
    lines = {line.name: line for line in model.bill("plain")}
    dollars = {name: line.dollars for name, line in lines.items()}
    assert dollars["API Gateway"] == 3.0
    assert dollars["Lambda, requests"] == 1.5
    assert dollars["DynamoDB, writes"] == 14.0
    assert dollars["DynamoDB, reads"] == 1.0
    assert dollars["SQS"] == 8.0
    assert dollars["EventBridge"] == 0.0
    assert dollars["S3, PUT"] == 5.0
    # 3,000 of the functions, 560 of Lambda for the one that is not quiet.
    assert lines["CloudWatch logs"].quantity == 3000 + 560
    assert dollars["CloudWatch logs"] == pytest.approx(1.78)
    assert lines["API Gateway, log"].quantity == 3 * 40
    assert dollars["API Gateway, log"] == pytest.approx(0.06)
    assert total(model.bill("plain")) == sum(dollars.values())


def test_the_access_log_is_priced_by_the_class_of_its_group(tmp_path: Path) -> None:
    log = {"Format": "x" * 40, "DestinationArn": {"Fn::GetAtt": ["Lines", "Arn"]}}
    cheap = template(
        E={"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"AccessLogSettings": log}},
        Lines={
            "Type": "AWS::Logs::LogGroup",
            "Properties": {"LogGroupClass": "INFREQUENT_ACCESS"},
        },
    )
    (tmp_path / "a.template.json").write_text(json.dumps(cheap))
    model = Model(Templates.read(tmp_path), COUNTED, DURATIONS, PRICES)
    dollars = {line.name: line.dollars for line in model.bill("plain")}
    assert dollars["API Gateway, log"] == pytest.approx(0.024)
    assert dollars["CloudWatch logs"] == pytest.approx(1.78)


def test_a_function_is_billed_for_its_share_of_a_processor_and_for_waiting(model: Model) -> None:
    assert model.milliseconds("submit", "plain") == 10.0
    assert model.milliseconds("relay", "plain") == pytest.approx(5 * 1769 / 1024 + 50)
    time = next(line for line in model.bill("plain") if line.name == "Lambda, time")
    relay = 2 * (5 * 1769 / 1024 + 50) / 1000
    assert time.quantity == pytest.approx(0.01 * 1769 / 1024 + relay)


def test_a_function_without_a_duration_is_an_error_and_not_free(model: Model) -> None:
    model.templates.functions["read"] = model.templates.functions["submit"]
    with pytest.raises(CostError, match="lacks read"):
        model.milliseconds("read", "plain")


def test_what_is_paid_by_the_month(model: Model) -> None:
    monthly = {line.name: line.dollars for line in model.monthly()}
    assert monthly["secret"] == 0.4
    assert monthly["sweep, requests"] == pytest.approx(0.0216)


def test_each_sweep_of_a_minute_is_paid(tmp_path: Path) -> None:
    eight = template(F=every_minute(5), G=every_minute(3), H={"Type": "AWS::Events::Rule"})
    (tmp_path / "a.template.json").write_text(json.dumps(eight))
    model = Model(Templates.read(tmp_path), COUNTED, DURATIONS, PRICES)
    monthly = {line.name: line.dollars for line in model.monthly()}
    assert monthly["sweep, requests"] == pytest.approx(8 * 0.0216)


def test_aws_l5_a_month_counts_all_that_is_paid_without_use(tmp_path: Path) -> None:
    """Each metric of an alarm, the secret outside the templates, our metrics, polls of queues."""
    watched = [{"Id": "a", "MetricStat": {}}, {"Id": "b", "MetricStat": {}}, {"Expression": "a+b"}]
    cdn = {"Variables": {"CDN_KEY_SECRET": "darkroom/prod/cdn-key"}}
    given = template(
        One={"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Ticks"}},
        Two={"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": watched}},
        Queue={"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"BatchSize": 1}},
        Stream={
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"StartingPosition": "TRIM_HORIZON"},
        },
        Reads={
            "Type": "AWS::Lambda::Function",
            "Properties": {"Handler": "darkroom.handlers.read.handler", "Environment": cdn},
        },
    )
    (tmp_path / "a.template.json").write_text(json.dumps(given))
    model = Model(Templates.read(tmp_path), COUNTED, DURATIONS, PRICES)
    lines = {line.name: (line.quantity, line.dollars) for line in model.monthly()}
    assert lines["alarm"] == (3, pytest.approx(0.3))
    assert lines["secret"] == (2, pytest.approx(0.8))
    assert lines["metric"] == (1, pytest.approx(0.3))
    assert lines["queues, polls"] == (648_000, pytest.approx(2.592))


def test_aws_l6_what_is_kept_is_kept_a_week_longer_than_its_record(model: Model) -> None:
    """As an expired version; and recoverable data is paid for twice."""
    lines = {line.name: line for line in model.kept("plain", 90, 1.0)}
    assert lines["S3, pictures"].dollars == pytest.approx(1000 * 98 / 30 * 0.02)
    records = lines["DynamoDB, records"]
    assert records.quantity == pytest.approx((700 + 3 * 100) / 1000 * 3)
    assert lines["DynamoDB, recovery"].dollars == pytest.approx(records.quantity * 0.2)


def test_no_templates_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--assembly", str(tmp_path)]) == 1
    assert "no templates" in capsys.readouterr().err
    (tmp_path / "a.template.json").write_text(json.dumps(template()))
    assert main(["cost", "--assembly", str(tmp_path), "--path", "nowhere"]) == 1
    assert "no such path" in capsys.readouterr().err
