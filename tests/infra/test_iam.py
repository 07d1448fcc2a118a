"""The oracle of IAM decides as AWS documents it: one row for each rule of its reference."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.iam import Decision, Request, arn_like, decide

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Reader"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Scores"
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:resize"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:jobs"
OBJECT = "arn:aws:s3:::pictures/2027/one.png"
GATEWAY = f"arn:aws:execute-api:eu-west-1:{ACCOUNT}:a1b2c3"

ALLOWED, DENIED, NOT_ALLOWED = Decision.ALLOWED, Decision.DENIED, Decision.NOT_ALLOWED


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def only(**condition: Any) -> dict[str, Any]:
    """Return a statement for everything, under one condition; `__` represents the colon of
    operators."""
    operators = {name.replace("__", ":"): keys for name, keys in condition.items()}
    return allow(Condition=operators)


def asked(action: str = "s3:GetObject", resource: str = OBJECT, **context: Any) -> Request:
    """Return a request by the role, with condition keys in which `_` represents the colon."""
    return Request(ROLE, action, resource, {k.replace("_", ":", 1): v for k, v in context.items()})


IDENTITY: dict[str, tuple[list[dict[str, Any]], Request, Decision]] = {
    # Combination of statements
    "nothing is allowed by itself": ([], asked(), NOT_ALLOWED),
    "one statement that allows suffices": ([allow("sqs:*"), allow("s3:*")], asked(), ALLOWED),
    "deny beats allow": ([allow(), deny("s3:GetObject")], asked(), DENIED),
    "deny beats allow in any order": ([deny("s3:GetObject"), allow()], asked(), DENIED),
    "a deny of something else does nothing": ([allow(), deny("s3:PutObject")], asked(), ALLOWED),
    "a deny whose condition fails does nothing": (
        [allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})],
        asked(aws_SecureTransport="true"),
        ALLOWED,
    ),
    # Actions
    "actions have no case": ([allow("S3:getobject")], asked(), ALLOWED),
    "actions take wildcards": ([allow("s3:Get*")], asked(), ALLOWED),
    "a question mark is one character": ([allow("s3:GetObjec?")], asked(), ALLOWED),
    "a question mark is not none": ([allow("s3:GetObject?")], asked(), NOT_ALLOWED),
    "an action is of its service": ([allow("s3-object-lambda:*")], asked(), NOT_ALLOWED),
    "NotAction allows all the others": (
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        asked(),
        ALLOWED,
    ),
    "NotAction does not allow its own": (
        [{"Effect": "Allow", "NotAction": ["s3:*", "iam:*"], "Resource": "*"}],
        asked(),
        NOT_ALLOWED,
    ),
    "NotAction denies all the others": (
        [allow(), {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}],
        asked(),
        DENIED,
    ),
    # Resources
    "a bucket is not its objects": (
        [allow("s3:*", "arn:aws:s3:::pictures")],
        asked(),
        NOT_ALLOWED,
    ),
    "objects are not their bucket": (
        [allow("s3:*", "arn:aws:s3:::pictures/*")],
        asked("s3:ListBucket", "arn:aws:s3:::pictures"),
        NOT_ALLOWED,
    ),
    "a wildcard goes on over slashes": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/*.png")],
        asked(),
        ALLOWED,
    ),
    "a resource has a case": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/2027/ONE.png")],
        asked(),
        NOT_ALLOWED,
    ),
    "a table is not its indexes": (
        [allow("dynamodb:Query", TABLE)],
        asked("dynamodb:Query", f"{TABLE}/index/by_day"),
        NOT_ALLOWED,
    ),
    "a wildcard stays within its part": (
        [allow("sqs:SendMessage", "arn:aws:sqs:*:jobs")],
        asked("sqs:SendMessage", QUEUE),
        NOT_ALLOWED,
    ),
    "a region may be any": (
        [allow("sqs:SendMessage", f"arn:aws:sqs:*:{ACCOUNT}:jobs")],
        asked("sqs:SendMessage", QUEUE),
        ALLOWED,
    ),
    "NotResource allows all the others": (
        [{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::payroll/*"}],
        asked(),
        ALLOWED,
    ),
    "NotResource denies outside": (
        [allow(), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::logs/*"}],
        asked(),
        DENIED,
    ),
    "a variable is the request's own": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/${aws:PrincipalTag/year}/*")],
        Request(ROLE, "s3:GetObject", OBJECT, {"aws:PrincipalTag/year": "2027"}),
        ALLOWED,
    ),
    "a variable's value is no pattern": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/${aws:PrincipalTag/year}/*")],
        Request(ROLE, "s3:GetObject", OBJECT, {"aws:PrincipalTag/year": "*"}),
        NOT_ALLOWED,
    ),
    "a variable without a value fits nothing": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/${aws:PrincipalTag/year}*")],
        asked(),
        NOT_ALLOWED,
    ),
    "a sign in braces is the sign": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/${*}")],
        asked("s3:GetObject", "arn:aws:s3:::pictures/*"),
        ALLOWED,
    ),
    "a sign in braces is nothing else": (
        [allow("s3:GetObject", "arn:aws:s3:::pictures/${*}")],
        asked(),
        NOT_ALLOWED,
    ),
    # Conditions: keys, values, operators
    "values are alternatives": (
        [only(StringEquals={"aws:RequestedRegion": ["eu-west-1", "eu-west-2"]})],
        asked(aws_RequestedRegion="eu-west-2"),
        ALLOWED,
    ),
    "keys are needed together": (
        [only(StringEquals={"aws:RequestedRegion": "eu-west-1", "aws:SourceVpc": "vpc-1"})],
        asked(aws_RequestedRegion="eu-west-1", aws_SourceVpc="vpc-2"),
        NOT_ALLOWED,
    ),
    "operators are needed together": (
        [only(Bool={"aws:SecureTransport": "true"}, StringEquals={"aws:SourceVpc": "vpc-1"})],
        asked(aws_SecureTransport="true"),
        NOT_ALLOWED,
    ),
    "names of keys have no case": (
        [only(StringEquals={"AWS:sourcevpc": "vpc-1"})],
        asked(aws_SourceVpc="vpc-1"),
        ALLOWED,
    ),
    "values have a case": (
        [only(StringEquals={"aws:SourceVpc": "VPC-1"})],
        asked(aws_SourceVpc="vpc-1"),
        NOT_ALLOWED,
    ),
    "unless it is ignored": (
        [only(StringEqualsIgnoreCase={"aws:SourceVpc": "VPC-1"})],
        asked(aws_SourceVpc="vpc-1"),
        ALLOWED,
    ),
    "StringEquals knows no wildcard": (
        [only(StringEquals={"s3:prefix": "home/*"})],
        asked(s3_prefix="home/ann"),
        NOT_ALLOWED,
    ),
    "StringLike does": (
        [only(StringLike={"s3:prefix": ["", "home/*"]})],
        asked(s3_prefix="home/ann"),
        ALLOWED,
    ),
    "a missing key is no match": (
        [only(StringLike={"s3:prefix": "*"})],
        asked(),
        NOT_ALLOWED,
    ),
    "a missing key satisfies a negation": (
        [only(StringNotEquals={"aws:SourceVpc": "vpc-1"})],
        asked(),
        ALLOWED,
    ),
    "a negation is of all its values": (
        [only(StringNotEquals={"aws:SourceVpc": ["vpc-1", "vpc-2"]})],
        asked(aws_SourceVpc="vpc-2"),
        NOT_ALLOWED,
    ),
    "IfExists lets a missing key pass": (
        [only(StringEqualsIfExists={"aws:SourceVpc": "vpc-1"})],
        asked(),
        ALLOWED,
    ),
    "IfExists still compares": (
        [only(StringEqualsIfExists={"aws:SourceVpc": "vpc-1"})],
        asked(aws_SourceVpc="vpc-2"),
        NOT_ALLOWED,
    ),
    "Bool of a missing key is false": (
        [allow(), deny(Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}})],
        asked(),
        ALLOWED,
    ),
    "BoolIfExists denies without the key": (
        [allow(), deny(Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})],
        asked(),
        DENIED,
    ),
    "Null true wants the key absent": (
        [only(Null={"aws:TokenIssueTime": "true"})],
        asked(aws_TokenIssueTime="2027-01-01T00:00:00Z"),
        NOT_ALLOWED,
    ),
    "Null false wants it present": (
        [only(Null={"aws:TokenIssueTime": "false"})],
        asked(aws_TokenIssueTime="2027-01-01T00:00:00Z"),
        ALLOWED,
    ),
    "numbers are compared as numbers": (
        [only(NumericLessThanEquals={"s3:max-keys": "10"})],
        Request(ROLE, "s3:ListBucket", OBJECT, {"s3:max-keys": "9"}),
        ALLOWED,
    ),
    "a number too large": (
        [only(NumericLessThanEquals={"s3:max-keys": "10"})],
        Request(ROLE, "s3:ListBucket", OBJECT, {"s3:max-keys": "11"}),
        NOT_ALLOWED,
    ),
    "TLS below a version": (
        [allow(), deny(Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}})],
        asked(s3_TlsVersion="1.1"),
        DENIED,
    ),
    "an address in its network": (
        [only(IpAddress={"aws:SourceIp": "203.0.113.0/24"})],
        asked(aws_SourceIp="203.0.113.9"),
        ALLOWED,
    ),
    "an address outside": (
        [allow(), deny(Condition={"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}})],
        asked(aws_SourceIp="198.51.100.1"),
        DENIED,
    ),
    # Keys with several values
    "ForAllValues: each is one of them": (
        [only(ForAllValues__StringEquals={"dynamodb:Attributes": ["id", "day"]})],
        asked(dynamodb_Attributes=["id"]),
        ALLOWED,
    ),
    "ForAllValues: one that is not": (
        [only(ForAllValues__StringEquals={"dynamodb:Attributes": ["id", "day"]})],
        asked(dynamodb_Attributes=["id", "salary"]),
        NOT_ALLOWED,
    ),
    "ForAllValues of none is true": (
        [only(ForAllValues__StringEquals={"dynamodb:Attributes": ["id"]})],
        asked(dynamodb_Attributes=[]),
        ALLOWED,
    ),
    "ForAllValues of a missing key is true": (
        [only(ForAllValues__StringEquals={"dynamodb:Attributes": ["id"]})],
        asked(),
        ALLOWED,
    ),
    "unless Null asks for the key": (
        [
            only(
                ForAllValues__StringEquals={"dynamodb:Attributes": ["id"]},
                Null={"dynamodb:Attributes": "false"},
            )
        ],
        asked(),
        NOT_ALLOWED,
    ),
    "ForAnyValue: one suffices": (
        [allow(), deny(Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": ["owner"]}})],
        asked(aws_TagKeys=["cost", "owner"]),
        DENIED,
    ),
    "ForAnyValue of none is false": (
        [only(ForAnyValue__StringEquals={"aws:TagKeys": ["owner"]})],
        asked(aws_TagKeys=[]),
        NOT_ALLOWED,
    ),
    "ForAnyValue of a missing key is false": (
        [only(ForAnyValue__StringNotEquals={"aws:TagKeys": ["owner"]})],
        asked(),
        NOT_ALLOWED,
    ),
    "rows of one's own": (
        [
            allow(
                ["dynamodb:GetItem"],
                TABLE,
                Condition={
                    "ForAllValues:StringEquals": {
                        "dynamodb:LeadingKeys": ["${aws:PrincipalTag/player}"]
                    }
                },
            )
        ],
        Request(
            ROLE,
            "dynamodb:GetItem",
            TABLE,
            {"dynamodb:LeadingKeys": ["ann"], "aws:PrincipalTag/player": "ann"},
        ),
        ALLOWED,
    ),
    "and one row of another's": (
        [
            allow(
                "dynamodb:BatchGetItem",
                TABLE,
                Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["ann#*"]}},
            )
        ],
        asked("dynamodb:BatchGetItem", TABLE, dynamodb_LeadingKeys=["ann#1", "bob#1"]),
        NOT_ALLOWED,
    ),
}


@pytest.mark.parametrize(("statements", "request_", "decision"), IDENTITY.values(), ids=IDENTITY)
def test_a_roles_own_policies(
    statements: list[dict[str, Any]], request_: Request, decision: Decision
) -> None:
    assert decide(request_, identity=statements) is decision


SEND = "sqs:SendMessage"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
RULE = f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/hourly"
OTHER = "arn:aws:iam::999999999999:role/Partner"
INVOKE = "lambda:InvokeFunction"


def to(principal: Any, action: str = SEND, resource: str = QUEUE, **more: Any) -> dict[str, Any]:
    return allow(action, resource, Principal=principal, **more)


def from_rule(**context: str) -> Request:
    keys = {name.replace("_", ":"): value for name, value in context.items()}
    return Request("events.amazonaws.com", SEND, QUEUE, keys)


def invoked(source: str) -> Request:
    return Request(
        "apigateway.amazonaws.com",
        INVOKE,
        FUNCTION,
        {"aws:SourceArn": source, "aws:SourceAccount": ACCOUNT},
    )


def from_gateway(pattern: str, **more: Any) -> dict[str, Any]:
    condition = {"ArnLike": {"AWS:SourceArn": pattern}, **more}
    principal = {"Service": "apigateway.amazonaws.com"}
    return to(principal, INVOKE, FUNCTION, Condition=condition)


RESOURCE: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], Request, Decision]] = {
    # The role's own statements, the resource's, the request, the decision
    "within an account the resource's policy suffices": (
        [],
        [to({"AWS": ROLE})],
        asked(SEND, QUEUE),
        ALLOWED,
    ),
    "or the role's own": ([allow(SEND, QUEUE)], [], asked(SEND, QUEUE), ALLOWED),
    "another role is not meant": (
        [],
        [to({"AWS": f"arn:aws:iam::{ACCOUNT}:role/Writer"})],
        asked(SEND, QUEUE),
        NOT_ALLOWED,
    ),
    "the account leaves it to its own policies": ([], [to(ROOT)], asked(SEND, QUEUE), NOT_ALLOWED),
    "the account's id is the account": (
        [allow(SEND)],
        [to({"AWS": ACCOUNT})],
        asked(SEND, QUEUE),
        ALLOWED,
    ),
    "the resource's deny beats the role's allow": (
        [allow(SEND)],
        [deny("sqs:*", QUEUE, Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})],
        asked(SEND, QUEUE, aws_SecureTransport="false"),
        DENIED,
    ),
    "and the other way round": (
        [deny(SEND)],
        [to({"AWS": ROLE})],
        asked(SEND, QUEUE),
        DENIED,
    ),
    "a star in a list of AWS is anybody": (
        [allow()],
        [deny("sqs:*", QUEUE, Principal={"AWS": "*"})],
        asked(SEND, QUEUE),
        DENIED,
    ),
    "but not the roles that a condition leaves out": (
        [allow()],
        [
            deny(
                "sqs:*",
                QUEUE,
                Principal="*",
                Condition={"ArnNotEquals": {"aws:PrincipalArn": [ROLE, OTHER]}},
            )
        ],
        asked(SEND, QUEUE, aws_PrincipalArn=ROLE),
        ALLOWED,
    ),
    "between accounts the resource's policy is not enough": (
        [],
        [to({"AWS": OTHER})],
        Request(OTHER, SEND, QUEUE),
        NOT_ALLOWED,
    ),
    "nor is the role's own": ([allow()], [], Request(OTHER, SEND, QUEUE), NOT_ALLOWED),
    "both are": ([allow()], [to({"AWS": OTHER})], Request(OTHER, SEND, QUEUE), ALLOWED),
    "a bucket's account is not in its ARN": (
        [allow()],
        [],
        Request(OTHER, "s3:GetObject", OBJECT, owner=ACCOUNT),
        NOT_ALLOWED,
    ),
    "a service by its name": (
        [],
        [to({"Service": "events.amazonaws.com"})],
        from_rule(),
        ALLOWED,
    ),
    "a service has no account": ([], [to(ROOT)], from_rule(), NOT_ALLOWED),
    "another service": ([], [to({"Service": "sns.amazonaws.com"})], from_rule(), NOT_ALLOWED),
    "a service for one of its resources": (
        [],
        [
            to(
                {"Service": "events.amazonaws.com"},
                Condition={"ArnEquals": {"aws:SourceArn": RULE}},
            )
        ],
        from_rule(aws_SourceArn=RULE),
        ALLOWED,
    ),
    "a service for another's": (
        [],
        [
            to(
                {"Service": "events.amazonaws.com"},
                Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
            )
        ],
        from_rule(aws_SourceAccount="999999999999"),
        NOT_ALLOWED,
    ),
    # A function's permissions
    "a route may invoke": (
        [],
        [from_gateway(f"{GATEWAY}/*/*/*")],
        invoked(f"{GATEWAY}/$default/GET/v1/files"),
        ALLOWED,
    ),
    "the default route has a segment less": (
        [],
        [from_gateway(f"{GATEWAY}/*/*/*")],
        invoked(f"{GATEWAY}/$default/$default"),
        NOT_ALLOWED,
    ),
    "another API": (
        [],
        [from_gateway(f"{GATEWAY}/*/*/*")],
        invoked(f"{GATEWAY[:-1]}4/$default/GET/v1/files"),
        NOT_ALLOWED,
    ),
    "the source's account besides": (
        [],
        [from_gateway(f"{GATEWAY}/*", StringEquals={"aws:SourceAccount": "999999999999"})],
        invoked(f"{GATEWAY}/$default/GET/v1/files"),
        NOT_ALLOWED,
    ),
    "a permission is for its function": (
        [],
        [{**from_gateway(f"{GATEWAY}/*"), "Resource": f"{FUNCTION}-other"}],
        invoked(f"{GATEWAY}/$default/GET/v1/files"),
        NOT_ALLOWED,
    ),
    # Permissions to put events
    "events of one's own source alone": (
        [],
        [
            to(
                {"AWS": ROLE},
                "events:PutEvents",
                "*",
                Condition={
                    "ForAllValues:StringEquals": {"events:source": "shop"},
                    "Null": {"events:source": "false"},
                },
            )
        ],
        asked("events:PutEvents", "*", events_source=["shop", "bank"]),
        NOT_ALLOWED,
    ),
}


@pytest.mark.parametrize(("own", "theirs", "request_", "decision"), RESOURCE.values(), ids=RESOURCE)
def test_a_resources_policy_beside_the_roles(
    own: list[dict[str, Any]],
    theirs: list[dict[str, Any]],
    request_: Request,
    decision: Decision,
) -> None:
    assert decide(request_, identity=own, resource=theirs) is decision


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("arn:aws:sns:*:123456789012:My*", "arn:aws:sns:eu-west-1:123456789012:MyTopic", True),
        ("arn:aws:sns:*:MyTopic", "arn:aws:sns:eu-west-1:123456789012:MyTopic", False),
        ("arn:aws:s3:::bucket/?/x", "arn:aws:s3:::bucket/a/x", True),
        ("arn:aws:s3:::bucket/?/x", "arn:aws:s3:::bucket/ab/x", False),
        # Beyond the fifth colon, colons are ordinary characters.
        ("arn:aws:lambda:*:*:function:*", FUNCTION, True),
        ("arn:aws:lambda:*:*:function", FUNCTION, False),
        ("*", FUNCTION, False),
    ],
)
def test_arns_are_compared_part_by_part(pattern: str, arn: str, matches: bool) -> None:
    assert arn_like(pattern, arn) is matches


@pytest.mark.parametrize(
    "statement",
    [
        only(StringMatches={"aws:SourceVpc": "vpc-1"}),
        only(ForSomeValues__StringEquals={"aws:SourceVpc": "vpc-1"}),
        {"Effect": "Allow", "Action": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Unless": {}},
        allow(Action="*", NotAction="iam:*"),
        {**allow(), "Effect": "allow"},
        only(StringEquals={"aws:TagKeys": "owner"}),
    ],
)
def test_what_the_oracle_does_not_know_it_says(statement: dict[str, Any]) -> None:
    """A misspelled operator decides nothing, because AWS would not accept the statement."""
    with pytest.raises(ValueError, match=r"evaluate|operator|Action|Resource|several"):
        decide(asked(aws_TagKeys=["owner"]), identity=[statement])


@pytest.mark.parametrize(
    "principal", [{"Principal": {"Federated": "x"}}, {"NotPrincipal": {"AWS": ROLE}}, {}]
)
def test_a_principal_that_the_oracle_does_not_know(principal: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="principal"):
        decide(asked(), resource=[allow(**principal)])
