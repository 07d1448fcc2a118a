"""The tenant of a request by event is set by the rule, and the bus's policy restricts its
source."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import EventSource, StageConfig
from local.deploy import LEFT_OUT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

SHOP = "arn:aws:iam::111122223333:role/shop"
UNMATCHED = "EventsInUnmatched"
OURS = {"Relay", "Sweep", "Intake", "Deliver"}


@pytest.fixture(scope="module")
def shops(synth: Callable[[StageConfig], Synth]) -> Synth:
    """Two applications, one of them of another account, and a state machine."""
    sources = (
        EventSource(source="shop.example", tenant="acme", principals=(SHOP,)),
        EventSource(source="batch-jobs", tenant="other"),
    )
    config = replace(
        StageConfig.prod(), event_sources=sources, state_machines=("darkroom-pictures",)
    )
    return synth(config)


def rules(synth: Synth) -> dict[str, dict[str, Any]]:
    found = synth.service.properties("Events::Rule")
    return {name: r for name, r in found.items() if "EventPattern" in r and name != UNMATCHED}


def policies(synth: Synth) -> dict[str, Any]:
    found = synth.service.properties("Events::EventBusPolicy").values()
    for policy in found:
        assert synth.shown(policy["EventBusName"]) == "Events"
        assert synth.shown(policy["Statement"]["Resource"]) == "Events"
        assert policy["Statement"]["Action"] == "events:PutEvents"
    return {policy["StatementId"]: policy["Statement"] for policy in found}


def test_a_rule_writes_its_tenant_into_the_message(shops: Synth) -> None:
    tenants = {}
    for rule in rules(shops).values():
        assert shops.shown(rule["EventBusName"]) == "Events"
        assert rule["EventPattern"]["detail-type"] == ["Prediction Requested"]
        (source,) = rule["EventPattern"]["source"]
        (target,) = rule["Targets"]
        assert shops.shown(target["Arn"]) == "IntakeTasksQueue"
        assert shops.shown(target["DeadLetterConfig"]["Arn"]) == "IntakeTasksDlq"
        transformer = target["InputTransformer"]
        assert transformer["InputPathsMap"] == {"id": "$.id", "detail": "$.detail"}
        template = transformer["InputTemplate"]
        assert template.endswith(',"id":<id>,"detail":<detail>}')
        tenants[source] = template.partition(",")[0]
    assert tenants == {"shop.example": '{"tenant":"acme"', "batch-jobs": '{"tenant":"other"'}


def matches(pattern: dict[str, Any], event: dict[str, str]) -> bool:
    """Match as EventBridge does, as far as these patterns need it."""
    if "$or" in pattern:
        return any(matches(each, event) for each in pattern["$or"])
    return all(
        any(
            event[name] not in one["anything-but"] if isinstance(one, dict) else event[name] == one
            for one in wanted
        )
        for name, wanted in pattern.items()
    )


@pytest.mark.parametrize(
    ("source", "type_", "lost"),
    [
        ("shop.example", "Prediction Requested", False),
        ("batch-jobs", "Prediction Requested", False),
        ("darkroom", "Prediction Succeeded", False),
        ("shop.exmaple", "Prediction Requested", True),
        ("shop.example", "Prediction requested", True),
        ("somebody.else", "Anything", True),
    ],
)
def test_newcomer_friction_11_what_no_rule_takes_is_counted(
    shops: Synth, prod: Synth, source: str, type_: str, lost: bool
) -> None:
    event = {"source": source, "detail-type": type_}
    rule = shops.service.properties("Events::Rule")[UNMATCHED]
    taken = [name for name, r in rules(shops).items() if matches(r["EventPattern"], event)]
    assert matches(rule["EventPattern"], event) is lost
    assert bool(taken) is (not lost and source != "darkroom")
    nobody = prod.service.properties("Events::Rule")[UNMATCHED]["EventPattern"]
    assert matches(nobody, event) is (source != "darkroom")


def test_what_is_logged_of_such_an_event_is_its_name_and_no_word_of_it(shops: Synth) -> None:
    rule = shops.service.properties("Events::Rule")[UNMATCHED]
    assert shops.shown(rule["EventBusName"]) == "Events"
    (target,) = rule["Targets"]
    assert set(target["InputTransformer"]["InputPathsMap"].values()) == {
        "$.source",
        "$.detail-type",
        "$.id",
        "$.time",
    }
    group = shops.service.properties("Logs::LogGroup")["EventsInUnmatchedLog"]
    assert group["LogGroupName"] == "/aws/events/Darkroom-prod-Service/unmatched"
    assert group["RetentionInDays"]
    assert "EventsInUnmatchedLog" in json.dumps(target["Arn"])
    (policy,) = shops.service.properties("Logs::ResourcePolicy").values()
    document = json.dumps(policy["PolicyDocument"])
    assert "EventsInUnmatchedLog" in document
    assert "events.amazonaws.com" in document


def test_only_the_rules_may_send_to_the_intake_queue(shops: Synth) -> None:
    senders = set()
    for policy in shops.service.properties("SQS::QueuePolicy").values():
        if [shops.shown(queue) for queue in policy["Queues"]] != ["IntakeTasksQueue"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow":
                assert statement["Principal"] == {"Service": "events.amazonaws.com"}
                senders.add(shops.shown(statement["Condition"]["ArnEquals"]["aws:SourceArn"]))
    assert senders == set(rules(shops))


def test_nobody_else_puts_events_that_look_like_darkrooms(prod: Synth) -> None:
    ((name, statement),) = policies(prod).items()
    assert name == "OnlyDarkroomTellsOfPredictions"
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    condition = statement["Condition"]
    assert condition["ForAnyValue:StringEquals"] == {"events:source": "darkroom"}
    allowed = condition["ArnNotEquals"].pop("aws:PrincipalArn")
    assert {prod.shown(arn) for arn in allowed} == {f"{name}Role" for name in OURS}
    assert condition.keys() == {"ForAnyValue:StringEquals", "ArnNotEquals"}
    putting = {
        name
        for name, role in prod.service.properties("IAM::Role").items()
        if "events:PutEvents" in str(role["Policies"])
    }
    assert putting == {f"{name}Role" for name in OURS}


def test_a_source_with_principals_is_theirs_alone(shops: Synth) -> None:
    found = policies(shops)
    assert set(found) == {
        "OnlyDarkroomTellsOfPredictions",
        "AllowShopExample",
        "OnlyShopExample",
    }
    assert found["AllowShopExample"] | {"Resource": None} == {
        "Effect": "Allow",
        "Principal": {"AWS": SHOP},
        "Action": "events:PutEvents",
        "Resource": None,
        "Condition": {
            "ForAllValues:StringEquals": {"events:source": "shop.example"},
            "Null": {"events:source": "false"},
            "StringEquals": {"events:detail-type": "Prediction Requested"},
        },
    }
    assert found["OnlyShopExample"]["Effect"] == "Deny"
    assert found["OnlyShopExample"]["Condition"] == {
        "ForAnyValue:StringEquals": {"events:source": "shop.example"},
        "ArnNotEquals": {"aws:PrincipalArn": [SHOP]},
    }


def test_tasks_of_the_named_state_machines_alone_are_answered(shops: Synth, prod: Synth) -> None:
    machine = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:stateMachine:darkroom-pictures"
    held = {}
    for name, role in shops.service.properties("IAM::Role").items():
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if "states:" in str(statement["Action"]):
                    assert shops.shown(statement["Resource"]) == machine
                    held[name] = statement["Action"]
    assert held == {
        "IntakeRole": "states:SendTaskFailure",
        "DeliverRole": [
            "states:SendTaskFailure",
            "states:SendTaskHeartbeat",
            "states:SendTaskSuccess",
        ],
    }
    functions = shops.service.properties("Lambda::Function")
    assert functions["IntakeFunction"]["Environment"]["Variables"]["TASKS"] == "true"
    assert "states:" not in str(prod.service.properties("IAM::Role"))


@pytest.mark.parametrize(
    ("source", "tenant"),
    [
        ("darkroom", "acme"),
        ("aws.s3", "acme"),
        ("", "acme"),
        ("a b", "acme"),
        ('a"', "acme"),
        ("shop", ""),
        ("shop", '"}'),
        ("shop", "a/b"),
    ],
)
def test_a_source_or_tenant_that_cannot_be_is_refused(source: str, tenant: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be|tenant\n|source\n"):
        EventSource(source=source, tenant=tenant)


def test_one_source_does_not_stand_for_two_tenants(synth: Callable[[StageConfig], Synth]) -> None:
    sources = tuple(EventSource(source="shop", tenant=tenant) for tenant in ("acme", "other"))
    with pytest.raises(ValueError, match="shop stands for acme already"):
        synth(replace(StageConfig.dev(), event_sources=sources))


def test_the_embedded_cloud_leaves_out_the_buss_policy_and_nothing_that_is_used(
    local: Synth,
) -> None:
    assert {"AWS::Events::EventBusPolicy"} == LEFT_OUT_TYPES
    resources = dict(local.service.resources())
    left_out = {id_ for id_, r in resources.items() if r["Type"] in LEFT_OUT_TYPES}
    assert left_out
    kept = json.dumps([r for id_, r in resources.items() if id_ not in left_out])
    assert not any(id_ in kept for id_ in left_out)
