"""Least privilege: exactly the actions and resources of each function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import StageConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth

CONSUME = "sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage"
SECRET = "secretsmanager:GetSecretValue"
CDN_KEY = (
    "arn:AWS::Partition:secretsmanager:AWS::Region:AWS::AccountId:secret:"
    "darkroom/prod/cdn-key-??????"
)
"""By name, because the secret exists before the stacks. AWS appends six characters to its ARN."""
LOGS = "logs:CreateLogStream logs:PutLogEvents"

GRANTS = {
    "Submit": {
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls": "dynamodb:GetItem",
        "Controls REPEAT#*": "dynamodb:UpdateItem",
        "Controls IDEM#*": "dynamodb:PutItem",
        "Controls SPEND#* USAGE#* TAGGED#* RATE#*": "dynamodb:UpdateItem",
        "Uploads/*": "s3:GetObject s3:PutObject",
        "Outputs/*": "s3:GetObject s3:PutObject",
        CDN_KEY: SECRET,
        "ReplicateToken": SECRET,
        "LinkKey": SECRET,
        "SubmitLogs": LOGS,
    },
    "Intake": {
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls": "dynamodb:GetItem",
        "Controls IDEM#*": "dynamodb:PutItem",
        "Controls SPEND#* USAGE#* TAGGED#* RATE#*": "dynamodb:UpdateItem",
        "Uploads/*": "s3:GetObject s3:PutObject",
        "Outputs/*": "s3:GetObject s3:PutObject",
        "IntakeTasksQueue": "sqs:ChangeMessageVisibility " + CONSUME,
        "IntakeTasksDlq": "sqs:SendMessage",
        "Events": "events:PutEvents",
        "ReplicateToken": SECRET,
        "LinkKey": SECRET,
        "IntakeLogs": LOGS,
    },
    "Read": {
        "Predictions": "dynamodb:BatchGetItem dynamodb:GetItem",
        "Predictions id revision watched_until relay": "dynamodb:UpdateItem",
        "DispatchTasksQueue": "sqs:SendMessage",
        "Predictions/index/tenant": "dynamodb:Query",
        "Controls": "dynamodb:GetItem",
        "Controls USAGE#* TAGGED#*": "dynamodb:BatchGetItem",
        "Uploads/*": "s3:GetObject",
        CDN_KEY: SECRET,
        "CallbackKey": SECRET,
        "ReadLogs": LOGS,
    },
    "Cancel": {
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls": "dynamodb:GetItem",
        "Controls SPEND#* USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "Controls RATE#*": "dynamodb:UpdateItem",
        "Uploads/*": "s3:GetObject",
        CDN_KEY: SECRET,
        "ReplicateToken": SECRET,
        "CancelLogs": LOGS,
    },
    "Files": {
        "Controls": "dynamodb:GetItem",
        "Controls RATE#*": "dynamodb:UpdateItem",
        "Uploads/*": "s3:DeleteObject s3:GetObject s3:PutObject",
        "Uploads */files/*": "s3:ListBucket",
        "FilesLogs": LOGS,
    },
    "Webhook": {
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls SPEND#* USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "ReplicateWebhook": SECRET,
        "LinkKey": SECRET,
        "WebhookLogs": LOGS,
    },
    "Dispatch": {
        "DispatchTasksQueue": CONSUME,
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls RATE#*": "dynamodb:UpdateItem",
        "Controls SPEND#* USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "Uploads/*": "s3:GetObject",
        "Outputs/*": "s3:GetObject",
        "ReplicateToken": SECRET,
        "LinkKey": SECRET,
        "DispatchLogs": LOGS,
    },
    "Relay": {
        "Predictions.StreamArn": "dynamodb:DescribeStream dynamodb:GetRecords "
        "dynamodb:GetShardIterator dynamodb:ListStreams",
        "Predictions": "dynamodb:UpdateItem",
        "Controls USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "Controls CACHE#*": "dynamodb:PutItem",
        "Deliveries": "dynamodb:PutItem",
        "DispatchTasksQueue": "sqs:SendMessage",
        "PersistTasksQueue": "sqs:SendMessage",
        "DeliverTasksQueue": "sqs:SendMessage",
        "RelayFailures": "sqs:SendMessage",
        "Events": "events:PutEvents",
        "RelayLogs": LOGS,
    },
    "Persist": {
        "PersistTasksQueue": CONSUME,
        "Predictions": "dynamodb:GetItem dynamodb:PutItem",
        "Controls RUNTIMES": "dynamodb:GetItem dynamodb:UpdateItem",
        "Controls SPEND#* USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "Outputs/*": "s3:AbortMultipartUpload s3:GetObject s3:PutObject",
        "Outputs */????/??/*/": "s3:ListBucket",
        "PersistLogs": LOGS,
    },
    "Deliver": {
        "DeliverTasksQueue": f"{CONSUME} sqs:SendMessage",
        "TasksTasksQueue": CONSUME,
        "Events": "events:PutEvents",
        "Deliveries": "dynamodb:GetItem dynamodb:PutItem",
        "Predictions": "dynamodb:GetItem",
        "Controls": "dynamodb:GetItem",
        "Controls HOOK#*": "dynamodb:PutItem",
        "Uploads/*": "s3:GetObject",
        CDN_KEY: SECRET,
        "CallbackKey": SECRET,
        "DeliverLogs": LOGS,
    },
    "Deliveries": {
        "Predictions": "dynamodb:GetItem",
        "Controls": "dynamodb:GetItem",
        "Controls HOOK#*": "dynamodb:PutItem",
        "Controls RATE#*": "dynamodb:UpdateItem",
        "Deliveries": "dynamodb:GetItem dynamodb:PutItem dynamodb:Query",
        "DeliverTasksQueue": "sqs:SendMessage",
        "DeliveriesLogs": LOGS,
    },
    "Sweep": {
        "Predictions": "dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem "
        "dynamodb:UpdateItem",
        "Predictions/index/due": "dynamodb:Query",
        "Controls SPEND#* USAGE#* TAGGED#*": "dynamodb:UpdateItem",
        "Deliveries": "dynamodb:PutItem dynamodb:UpdateItem",
        "Deliveries/index/due": "dynamodb:Query",
        "DispatchTasksQueue": "sqs:SendMessage",
        "PersistTasksQueue": "sqs:SendMessage",
        "DeliverTasksQueue": "sqs:SendMessage",
        "Events": "events:PutEvents",
        "ReplicateToken": SECRET,
        "SweepLogs": LOGS,
    },
}


NARROWED = {
    ("ForAllValues:StringLike", "dynamodb:LeadingKeys"),
    ("ForAllValues:StringEquals", "dynamodb:Attributes"),
    ("StringLike", "s3:prefix"),
}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def held(synth: Synth, role: dict[str, Any]) -> dict[str, str]:
    """Return the actions by resource, with its restricting keys; fails on any other condition."""
    actions: dict[str, set[str]] = {}
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            condition = statement.get("Condition")
            keys = ""
            if condition is not None:
                ((operator, ((key, narrowed),)),) = ((o, c.items()) for o, c in condition.items())
                assert (operator, key) in NARROWED
                keys = " " + " ".join(listed(narrowed))
            for resource in listed(statement["Resource"]):
                place = actions.setdefault(synth.shown(resource) + keys, set())
                place.update(listed(statement["Action"]))
    return {resource: " ".join(sorted(names)) for resource, names in actions.items()}


@pytest.mark.parametrize("function", GRANTS)
def test_a_function_holds_exactly_these_actions(prod: Synth, function: str) -> None:
    roles = prod.service.properties("IAM::Role")
    assert held(prod, roles[f"{function}Role"]) == GRANTS[function]


WAIT = {
    "Predictions": "dynamodb:GetItem",
    "Predictions id revision watched_until relay": "dynamodb:UpdateItem",
    "Controls": "dynamodb:GetItem",
    "DispatchTasksQueue": "sqs:SendMessage",
    "Uploads/*": "s3:GetObject",
    CDN_KEY: SECRET,
    "LinkKey": SECRET,
    "WaitLogs": LOGS,
}


def test_the_door_wait_holds_no_token_and_changes_the_rights_of_read_alone(
    synth: Callable[[StageConfig], Synth],
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("wait",)))
    roles = opened.service.properties("IAM::Role")
    assert held(opened, roles["WaitRole"]) == WAIT
    for function, grants in GRANTS.items():
        also = {"LinkKey": SECRET} if function == "Read" else {}
        assert held(opened, roles[f"{function}Role"]) == grants | also


MCP = {
    **GRANTS["Submit"],
    "Predictions": "dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem",
    "Predictions id revision watched_until relay": "dynamodb:UpdateItem",
    "Predictions/index/tenant": "dynamodb:Query",
    "Controls USAGE#*": "dynamodb:BatchGetItem",
    "DispatchTasksQueue": "sqs:SendMessage",
    "McpLogs": LOGS,
}


def test_the_door_mcp_holds_what_its_tools_need_and_changes_no_other_rights(
    synth: Callable[[StageConfig], Synth],
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("mcp",)))
    roles = opened.service.properties("IAM::Role")
    expected = {name: actions for name, actions in MCP.items() if name != "SubmitLogs"}
    assert held(opened, roles["McpRole"]) == expected
    for function, grants in GRANTS.items():
        assert held(opened, roles[f"{function}Role"]) == grants


def test_the_door_console_holds_no_right_but_to_its_log(
    synth: Callable[[StageConfig], Synth],
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("console",)))
    roles = opened.service.properties("IAM::Role")
    assert held(opened, roles["ConsoleRole"]) == {"ConsoleLogs": LOGS}
    for function, grants in GRANTS.items():
        assert held(opened, roles[f"{function}Role"]) == grants


IMAGES = {
    name: actions
    for name, actions in GRANTS["Submit"].items()
    if name not in {CDN_KEY, "SubmitLogs"}
} | {"ImagesLogs": LOGS}
IMAGEWAIT = {
    "Predictions": "dynamodb:GetItem",
    "Predictions id revision watched_until relay": "dynamodb:UpdateItem",
    "Controls": "dynamodb:GetItem",
    "DispatchTasksQueue": "sqs:SendMessage",
    "Outputs/*": "s3:AbortMultipartUpload s3:GetObject s3:PutObject",
    CDN_KEY: SECRET,
    "ImagewaitLogs": LOGS,
}


def test_what_waits_behind_the_door_openai_holds_no_token_and_nobody_else_changes(
    synth: Callable[[StageConfig], Synth],
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("openai",)))
    roles = opened.service.properties("IAM::Role")
    assert held(opened, roles["ImagesRole"]) == IMAGES
    assert held(opened, roles["ImagewaitRole"]) == IMAGEWAIT
    for function, grants in GRANTS.items():
        assert held(opened, roles[f"{function}Role"]) == grants


def test_what_a_stage_switches_is_granted_then_and_to_whom_it_concerns(
    synth: Callable[[StageConfig], Synth],
) -> None:
    """Without a CDN, S3 grants a presigned URL its signer's rights."""
    done = synth(
        replace(
            StageConfig.prod(),
            cdn=False,
            dedicated_account=True,
            open_models=True,
            state_machines=("pictures",),
        )
    )
    machine = "arn:AWS::Partition:states:AWS::Region:AWS::AccountId:stateMachine:pictures"
    answers = "states:SendTaskFailure states:SendTaskHeartbeat states:SendTaskSuccess"
    roles = done.service.properties("IAM::Role")
    for function, grants in GRANTS.items():
        expected = dict(grants)
        if expected.pop(CDN_KEY, None):
            expected.setdefault("Outputs/*", "s3:GetObject")
        if function in {"Submit", "Intake"}:
            expected["Controls SCHEMA#*"] = "dynamodb:PutItem"
        if function in {"Submit", "Intake", "Dispatch"}:
            expected["Controls PID#*"] = "dynamodb:PutItem"
        if function in {"Webhook", "Sweep"}:
            expected["Controls PID#*"] = "dynamodb:GetItem dynamodb:PutItem"
        if function in {"Relay", "Sweep"}:
            expected["TasksTasksQueue"] = "sqs:SendMessage"
        if function == "Deliver":
            expected[machine] = answers
        if function == "Intake":
            expected[machine] = "states:SendTaskFailure"
        assert held(done, roles[f"{function}Role"]) == expected


def test_each_function_has_its_own_role_for_lambda_alone(prod: Synth) -> None:
    functions = prod.service.properties("Lambda::Function")
    roles = prod.service.properties("IAM::Role")
    assert {name: prod.shown(f["Role"]) for name, f in functions.items()} == {
        f"{name}Function": f"{name}Role" for name in GRANTS
    }
    assert set(roles) == {f"{name}Role" for name in GRANTS}
    for role in roles.values():
        assert "ManagedPolicyArns" not in role
        assert role["AssumeRolePolicyDocument"]["Statement"] == [
            {
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
            }
        ]


def test_nothing_else_grants_anything(prod: Synth) -> None:
    """No policy besides the roles, and no action or resource that is only a wildcard."""
    for template in (prod.stateful, prod.cdn, prod.service):
        iam = {r["Type"] for _, r in template.resources() if r["Type"].startswith("AWS::IAM::")}
        assert iam <= {"AWS::IAM::Role"}
    for grants in GRANTS.values():
        for resource, actions in grants.items():
            assert resource != "*"
            assert "*" not in actions


def test_each_function_is_called_by_one_kind_of_caller(prod: Synth) -> None:
    callers: dict[str, set[str]] = {}
    for permission in prod.service.properties("Lambda::Permission").values():
        assert "SourceArn" in permission
        callers.setdefault(prod.shown(permission["FunctionName"]), set()).add(
            permission["Principal"]
        )
    gateway, schedule = {"apigateway.amazonaws.com"}, {"events.amazonaws.com"}
    assert callers == {
        f"{name}Function": gateway if function.routes else schedule
        for name, function in prod.config.functions().items()
        if function.routes or function.schedule
    }
