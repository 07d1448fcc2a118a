"""The Darkroom construct: the places of its stacks and rules, and the grantees of its grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

from infra import Darkroom, EventSource, StageConfig
from infra.construct import BY_DEFAULT
from tests.infra.synthesis import NO_BUNDLING

if TYPE_CHECKING:
    from pathlib import Path

    from constructs import Construct


@pytest.fixture
def app(tmp_path: Path) -> cdk.App:
    return cdk.App(outdir=str(tmp_path), context=NO_BUNDLING)


@pytest.fixture
def mine(app: cdk.App) -> cdk.Stack:
    """Another stack of the app."""
    return cdk.Stack(app, "Mine")


def function(scope: Construct, id_: str = "Function") -> lambda_.Function:
    return lambda_.Function(
        scope,
        id_,
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
        handler="index.handler",
        runtime=lambda_.Runtime.PYTHON_3_13,
    )


def rules(stack: cdk.Stack) -> list[dict[str, Any]]:
    found = assertions.Template.from_stack(stack).find_resources("AWS::Events::Rule")
    return [rule["Properties"] for rule in found.values()]


def test_by_default_everything_is_kept() -> None:
    assert BY_DEFAULT.retain
    assert BY_DEFAULT.recovery_days == 35
    assert StageConfig(name="any") == StageConfig(name="any", retain=True, recovery_days=35)


def test_its_stacks_keep_their_names_wherever_it_stands(app: cdk.App, mine: cdk.Stack) -> None:
    env = cdk.Environment(account="111122223333", region="eu-west-1")
    stage = cdk.Stage(app, "Live", env=env)
    inside = cdk.Stack(stage, "Inside")
    Darkroom(inside, "Pictures", config=StageConfig(name="photos"))
    names = {stack.stack_name for stack in stage.synth().stacks}
    ours = {f"Darkroom-photos-{name}" for name in ("Stateful", "Cdn", "Service")}
    assert names == ours | {"Live-Inside"}
    Darkroom(mine, "Pictures", env=env)
    found = app.node.find_child("Darkroom-prod-Service")
    assert isinstance(found, cdk.Stack)
    assert found.region == "eu-west-1"


def test_what_it_shows(app: cdk.App, mine: cdk.Stack) -> None:
    darkroom = Darkroom(app, "Darkroom")
    cdk.CfnOutput(mine, "Url", value=darkroom.api_url)
    cdk.CfnOutput(mine, "Bus", value=darkroom.bus.event_bus_arn)
    cdk.CfnOutput(mine, "Outputs", value=darkroom.outputs.bucket_name)
    shown = assertions.Template.from_stack(mine).find_outputs("*")
    imports = {name: output["Value"]["Fn::ImportValue"] for name, output in shown.items()}
    assert imports["Url"].startswith("Darkroom-prod-Service:")
    assert imports["Bus"].startswith("Darkroom-prod-Service:")
    assert imports["Outputs"].startswith("Darkroom-prod-Stateful:")


def test_functions_queues_and_state_machines_take_events(app: cdk.App, mine: cdk.Stack) -> None:
    darkroom = Darkroom(app, "Darkroom", tenant="shop")
    machine = sfn.StateMachine(
        mine, "Machine", definition_body=sfn.DefinitionBody.from_chainable(sfn.Pass(mine, "Pass"))
    )
    for target in (function(mine), sqs.Queue(mine, "Queue"), machine):
        darkroom.on_succeeded(target)
    made = rules(mine)
    assert len(made) == 3
    for rule in made:
        assert rule["EventPattern"]["detail-type"] == ["Prediction Succeeded"]
        assert rule["EventPattern"]["detail"] == {"tenant": ["shop"]}
        (target,) = rule["Targets"]
        assert "Dlq" in target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]


def test_one_target_may_listen_for_two_tenants(app: cdk.App, mine: cdk.Stack) -> None:
    darkroom = Darkroom(app, "Darkroom")
    queue = sqs.Queue(mine, "Queue")
    darkroom.on_succeeded(queue)
    darkroom.on_succeeded(queue, tenant="other")
    whose = [rule["EventPattern"]["detail"]["tenant"] for rule in rules(mine)]
    assert sorted(whose) == [["default"], ["other"]]


def test_another_rule_target_says_where_its_rule_is(app: cdk.App, mine: cdk.Stack) -> None:
    darkroom = Darkroom(app, "Darkroom")
    target = targets.SqsQueue(sqs.Queue(mine, "Queue"))
    with pytest.raises(ValueError, match="scope"):
        darkroom.on_succeeded(target)
    darkroom.on("Failed", target=target, scope=mine)
    (rule,) = rules(mine)
    assert rule["EventPattern"]["detail-type"] == ["Prediction Failed"]


def test_an_event_that_does_not_exist_is_refused(app: cdk.App, mine: cdk.Stack) -> None:
    darkroom = Darkroom(app, "Darkroom")
    with pytest.raises(ValueError, match=r"Succeded.*Started, .*Succeeded"):
        darkroom.on("Succeded", target=sqs.Queue(mine, "Queue"))
    with pytest.raises(ValueError, match="no event"):
        darkroom.on(target=sqs.Queue(mine, "Other"))


def test_submitting_uses_the_source_that_the_stage_names(app: cdk.App, mine: cdk.Stack) -> None:
    source = EventSource(source="com.example.shop", tenant="shop")
    config = StageConfig(name="shared", cdn=False, event_sources=(source,))
    darkroom = Darkroom(app, "Darkroom", config=config, tenant="shop")
    darkroom.grant_submit(function(mine, "Ours"))
    darkroom.grant_submit(function(mine, "Theirs"), tenant="other")
    functions = assertions.Template.from_stack(mine).find_resources("AWS::Lambda::Function")
    sources = {
        id_[:4]: found["Properties"]["Environment"]["Variables"]["DARKROOM_SOURCE"]
        for id_, found in functions.items()
    }
    assert sources == {"Ours": "com.example.shop", "Thei": "requests.other"}


def test_a_source_that_is_kept_to_others_is_not_used(app: cdk.App, mine: cdk.Stack) -> None:
    partner = EventSource(
        source="com.example.shop",
        tenant="shop",
        principals=("arn:aws:iam::111111111111:root",),
    )
    config = StageConfig(name="shared", cdn=False, event_sources=(partner,))
    Darkroom(app, "Darkroom", config=config, tenant="shop").grant_submit(function(mine, "Ours"))
    (found,) = assertions.Template.from_stack(mine).find_resources("AWS::Lambda::Function").values()
    source = found["Properties"]["Environment"]["Variables"]["DARKROOM_SOURCE"]
    assert source == "requests.shop"


@pytest.mark.parametrize("tenant", ["", "*", "a/b", "x" * 64])
def test_what_is_no_tenants_name_is_refused(tenant: str, app: cdk.App, mine: cdk.Stack) -> None:
    with pytest.raises(ValueError, match="tenant's name"):
        Darkroom(app, "Darkroom", tenant=tenant)
    darkroom = Darkroom(app, "Other")
    if tenant:
        with pytest.raises(ValueError, match="tenant's name"):
            darkroom.grant_read(function(mine), tenant=tenant)
