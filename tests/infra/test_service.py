"""API, functions, queues, stream and schedule."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.handlers.relay import WITH_EFFECTS
from darkroom.services.doors.intake import MOST_RECEIVES

from infra.config import StageConfig
from ops.queues import failure_queues, work_queues

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

CORE = StageConfig.prod().functions()
WORK_QUEUES = [queue.name for function in CORE.values() for queue in function.queues]
CONSUMERS = {queue.name: name for name, function in CORE.items() for queue in function.queues}
FAILURE_QUEUES = {f"{name}TasksDlq" for name in WORK_QUEUES} | {"RelayFailures", "SweepFailures"}


def test_functions(prod: Synth) -> None:
    functions = prod.service.properties("Lambda::Function")
    assert functions.keys() == {f"{name}Function" for name in CORE}
    for name, declared in CORE.items():
        function = functions[f"{name}Function"]
        size = function["MemorySize"], function["Timeout"]
        assert size == (declared.memory_mb, declared.timeout_s)
        assert function["Handler"] == f"darkroom.handlers.{declared.name}.handler"
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert "TracingConfig" not in function
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["SystemLogLevel"] == "WARN"


def test_all_functions_share_one_asset(prod: Synth) -> None:
    functions = prod.service.properties("Lambda::Function").values()
    assert len({f["Code"]["S3Key"] for f in functions}) == 1


def test_the_webhook_alone_has_concurrency_of_its_own(prod: Synth) -> None:
    functions = prod.service.properties("Lambda::Function")
    reserved = {n: f.get("ReservedConcurrentExecutions") for n, f in functions.items()}
    assert {n: r for n, r in reserved.items() if r is not None} == {"WebhookFunction": 50}


def test_every_log_group_belongs_to_something_and_ends(prod: Synth) -> None:
    groups = prod.service.properties("Logs::LogGroup")
    used = {
        prod.shown(f["LoggingConfig"]["LogGroup"])
        for f in prod.service.properties("Lambda::Function").values()
    }
    assert used == {f"{name}Logs" for name in CORE}
    assert set(groups) == used | {"HttpApiAccessLines", "EventsInUnmatchedLog"}
    assert {group["RetentionInDays"] for group in groups.values()} == {90}


def test_only_the_access_log_is_of_the_class_that_takes_no_metrics(prod: Synth) -> None:
    """The functions' metrics are extracted from their log groups."""
    groups = prod.service.properties("Logs::LogGroup")
    classes = {name: group.get("LogGroupClass", "STANDARD") for name, group in groups.items()}
    assert {n for n, c in classes.items() if c != "STANDARD"} == {"HttpApiAccessLines"}
    assert classes["HttpApiAccessLines"] == "INFREQUENT_ACCESS"


def test_aws_l1_the_access_logs_name_takes_no_room_in_the_accounts_policy(
    prod: Synth, dev: Synth
) -> None:
    names = [
        synth.service.properties("Logs::LogGroup")["HttpApiAccessLines"]["LogGroupName"]
        for synth in (prod, dev)
    ]
    assert names == [f"/aws/vendedlogs/Darkroom-{s}-Service/access" for s in ("prod", "dev")]


def test_aws_l2_the_access_logs_class_can_be_changed(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    """The class of a group cannot change, and its name is taken while the group exists."""
    plain = synth(replace(StageConfig.prod(), infrequent_access_log=False))
    groups = [
        synthesised.service.properties("Logs::LogGroup")["HttpApiAccessLines"]
        for synthesised in (prod, plain)
    ]
    assert [group.get("LogGroupClass") for group in groups] == ["INFREQUENT_ACCESS", None]
    assert groups[0]["LogGroupName"] != groups[1]["LogGroupName"]


def test_aws_l9_apis_are_told_apart_by_their_stage(prod: Synth, dev: Synth) -> None:
    names = [
        api["Name"]
        for synth in (prod, dev)
        for api in synth.service.properties("ApiGatewayV2::Api").values()
    ]
    assert names == ["darkroom-prod", "darkroom-dev"]


def test_routes(prod: Synth) -> None:
    integrations = prod.service.properties("ApiGatewayV2::Integration")
    functions = {id_: prod.shown(i["IntegrationUri"]) for id_, i in integrations.items()}
    routes = {
        route["RouteKey"]: functions[prod.shown(route["Target"]).removeprefix("integrations/")]
        for route in prod.service.properties("ApiGatewayV2::Route").values()
    }
    expected = {"$default": "Read"}
    served = {key: name for name, function in CORE.items() for key in function.routes}
    for key, name in served.items():
        expected[key] = name
        method, _, path = key.partition(" ")
        if not path.startswith("/v1/"):
            continue
        # The rarer spellings of Read's routes arrive by `$default`, which is Read's own.
        ends = ("", "/{rest+}") if name != "Read" else ("",)
        methods = (method, "HEAD") if method == "GET" and name != "Read" else (method,)
        for spelt, base, end in product(methods, ("", "/{base}"), ends):
            expected[f"{spelt} {base}{path}{end}"] = name
    assert routes == {key: f"{name}Function" for key, name in expected.items()}
    assert {i["PayloadFormatVersion"] for i in integrations.values()} == {"2.0"}


@pytest.mark.parametrize(("stage", "rate", "burst"), [("dev", 50, 100), ("prod", 500, 1000)])
def test_the_api_throttles(
    stage: str, rate: int, burst: int, request: pytest.FixtureRequest
) -> None:
    synth: Synth = request.getfixturevalue(stage)
    (settings,) = synth.service.properties("ApiGatewayV2::Stage").values()
    assert settings["StageName"] == "$default"
    assert settings["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": rate,
        "ThrottlingBurstLimit": burst,
    }


def test_the_access_log_holds_no_path_and_no_query(prod: Synth) -> None:
    """The webhook's query string is a secret."""
    (stage,) = prod.service.properties("ApiGatewayV2::Stage").values()
    log = stage["AccessLogSettings"]
    assert prod.shown(log["DestinationArn"]) == "HttpApiAccessLines"
    assert set(json.loads(log["Format"]).values()) == {
        "$context.requestId",
        "$context.routeKey",
        "$context.status",
        "$context.responseLatency",
        "$context.identity.sourceIp",
        "$context.integrationErrorMessage",
    }


def test_every_queue_is_encrypted_and_takes_tls_only(prod: Synth) -> None:
    queues = prod.service.properties("SQS::Queue")
    assert set(queues) == FAILURE_QUEUES | {f"{name}TasksQueue" for name in WORK_QUEUES}
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    closed = set()
    for policy in prod.service.properties("SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}:
                assert statement["Effect"] == "Deny"
                assert statement["Action"] == "sqs:*"
                assert statement["Principal"] == {"AWS": "*"}
                closed.add(prod.shown(statement["Resource"]))
    assert closed == set(queues)


@pytest.mark.parametrize("name", WORK_QUEUES)
def test_every_work_queue_has_a_dead_letter_queue_of_its_own(prod: Synth, name: str) -> None:
    queues = prod.service.properties("SQS::Queue")
    queue = queues[f"{name}TasksQueue"]
    redrive = queue["RedrivePolicy"]
    assert prod.shown(redrive["deadLetterTargetArn"]) == f"{name}TasksDlq"
    # Intake defers requests on purpose, and gives up by itself a little earlier.
    assert redrive["maxReceiveCount"] == (MOST_RECEIVES + 5 if name == "Intake" else 5)
    assert queue["VisibilityTimeout"] == 6 * CORE[CONSUMERS[name]].timeout_s
    assert queue["MessageRetentionPeriod"] < queues[f"{name}TasksDlq"]["MessageRetentionPeriod"]


def test_failures_are_kept_for_14_days(prod: Synth) -> None:
    queues = prod.service.properties("SQS::Queue")
    kept = {name: queues[name]["MessageRetentionPeriod"] for name in FAILURE_QUEUES}
    assert set(kept.values()) == {14 * 86_400}


def mapping(synth: Synth, function: str, source: str) -> dict[str, Any]:
    (found,) = (
        m
        for m in synth.service.properties("Lambda::EventSourceMapping").values()
        if synth.shown(m["FunctionName"]) == f"{function}Function"
        and synth.shown(m["EventSourceArn"]) == source
    )
    return found


@pytest.mark.parametrize(
    ("name", "batch"),
    [("Intake", 5), ("Dispatch", 5), ("Persist", 1), ("Deliver", 1), ("Tasks", 5)],
)
def test_queues_feed_their_functions(prod: Synth, name: str, batch: int) -> None:
    found = mapping(prod, CONSUMERS[name], f"{name}TasksQueue")
    assert found["BatchSize"] == batch
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["ScalingConfig"] == {"MaximumConcurrency": 50}


def test_the_stream_feeds_relay(prod: Synth) -> None:
    found = mapping(prod, "Relay", "Predictions.StreamArn")
    assert prod.shown(found.pop("EventSourceArn")) == "Predictions.StreamArn"
    assert prod.shown(found["DestinationConfig"]["OnFailure"]["Destination"]) == "RelayFailures"
    del found["DestinationConfig"], found["FunctionName"], found["Tags"]
    assert found == {
        "BatchSize": 25,
        "BisectBatchOnFunctionError": True,
        "FilterCriteria": {
            "Filters": [
                {"Pattern": json.dumps(pattern, separators=(",", ":"))} for pattern in WITH_EFFECTS
            ]
        },
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRecordAgeInSeconds": 6 * 3600,
        "MaximumRetryAttempts": 10,
        "ParallelizationFactor": 10,
        "StartingPosition": "TRIM_HORIZON",
    }


def test_the_sweep_is_not_repeated(prod: Synth) -> None:
    """A failed tick is followed by the next one, a minute later."""
    rule = prod.service.properties("Events::Rule")["EveryMinute"]
    assert rule["ScheduleExpression"] == "rate(1 minute)"
    assert rule["State"] == "ENABLED"
    (target,) = rule["Targets"]
    assert prod.shown(target["Arn"]) == "SweepFunction"
    assert prod.shown(target["DeadLetterConfig"]["Arn"]) == "SweepFailures"
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    assert json.loads(target["Input"]) == {"part": 0, "parts": 1}
    (asynchronous,) = prod.service.properties("Lambda::EventInvokeConfig").values()
    assert prod.shown(asynchronous["FunctionName"]) == "SweepFunction"
    assert asynchronous["MaximumRetryAttempts"] == 0
    assert asynchronous["MaximumEventAgeInSeconds"] == 60


def test_outputs_have_their_stable_names(prod: Synth) -> None:
    outputs = {
        name: prod.shown(output["Value"])
        for name, output in prod.service.body["Outputs"].items()
        if "Export" not in output
    }
    assert outputs == {
        "ApiId": "HttpApi",
        "ApiUrl": "HttpApi.ApiEndpoint",
        "EventBus": "Events",
        "UnmatchedEvents": "/aws/events/Darkroom-prod-Service/unmatched",
        **{f"{name}Queue": f"{name}TasksQueue" for name in WORK_QUEUES},
        **{f"{name}Dlq": f"{name}TasksDlq" for name in WORK_QUEUES},
        "RelayFailures": "RelayFailures",
        "SweepFailures": "SweepFailures",
        **{f"Function{name}": f"{name}Function" for name in CORE},
    }


def test_the_operators_commands_know_every_queue(prod: Synth) -> None:
    """By the outputs alone: newcomer-bug-6."""
    told = {
        name: prod.shown(output["Value"])
        for name, output in prod.service.body["Outputs"].items()
        if "Export" not in output
    }
    known = {told[name] for name in failure_queues(told)}
    assert known == FAILURE_QUEUES
    queues = prod.service.properties("SQS::Queue")
    for dead, work in work_queues(told).values():
        redrive = queues[told[work]]["RedrivePolicy"]
        assert prod.shown(redrive["deadLetterTargetArn"]) == told[dead]
    assert {told[work] for _, work in work_queues(told).values()} == queues.keys() - known


def test_several_sweeps_share_what_is_due(synth: Callable[[StageConfig], Synth]) -> None:
    done = synth(replace(StageConfig.prod(), sweeps=8))
    rules = done.service.properties("Events::Rule")
    each = [rules[name]["Targets"] for name in ("EveryMinute", "EveryMinute4")]
    shares = [json.loads(target["Input"]) for targets in each for target in targets]
    assert [len(targets) for targets in each] == [4, 4]
    assert shares == [{"part": part, "parts": 8} for part in range(8)]
    with pytest.raises(ValueError, match="sweeps"):
        replace(StageConfig.prod(), sweeps=9)
