"""A stage's templates as AWS would deploy them: every reference is a name, a URL or an ARN.

Names are the logical ids without CDK's hash. `Ref` and attributes of a resource follow
CloudFormation's reference of its type.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.infra.synthesis import bare
from tests.support.iam import Request, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.synthesis import Synth, Template
    from tests.support.iam import Statement

REGION, ACCOUNT = "eu-west-1", "123456789012"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = f"{REGION}:{ACCOUNT}"
ARNS = {
    "ApiGatewayV2::Api": f"arn:aws:apigateway:{REGION}::/apis/{{0}}",
    "CloudFront::Distribution": f"arn:aws:cloudfront::{ACCOUNT}:distribution/{{0}}",
    "DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/{{0}}",
    "Events::EventBus": f"arn:aws:events:{_HERE}:event-bus/{{0}}",
    "Events::Rule": f"arn:aws:events:{_HERE}:rule/{{0}}",
    "IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{0}}",
    "Lambda::Function": f"arn:aws:lambda:{_HERE}:function:{{0}}",
    "Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:{{0}}:*",
    "S3::Bucket": "arn:aws:s3:::{0}",
    "SQS::Queue": f"arn:aws:sqs:{_HERE}:{{0}}",
    # AWS appends six characters of its own to the names of secrets.
    "SecretsManager::Secret": f"arn:aws:secretsmanager:{_HERE}:secret:{{0}}-AbCdEf",
}
STREAM = "/stream/2027-01-15T08:00:00.000"


@dataclass(frozen=True)
class Place:
    """A resource of a template."""

    template: Template
    type: str
    properties: dict[str, Any]


class Deployed:
    """The stacks Stateful, Cdn if the stage has one, and Service."""

    def __init__(self, synth: Synth) -> None:
        self._templates = [synth.stateful, synth.service]
        if synth.config.cdn:
            self._templates.append(synth.cdn)

    def of_type(self, type_: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return names and resolved properties of all resources of a type, for example
        `SQS::Queue`."""
        for template in self._templates:
            for id_, resource in template.resources(type_):
                yield bare(id_), self.resolve(template, resource.get("Properties", {}))

    def resolve(self, template: Template, value: Any) -> Any:
        """Return the value with its references replaced."""
        match value:
            case {"Ref": str(id_)}:
                return self._ref(template, id_)
            case {"Fn::GetAtt": [str(id_), str(attribute)]}:
                return self._attribute(template, id_, attribute)
            case {"Fn::ImportValue": str(name)}:
                return self._imported(name)
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(str(self.resolve(template, part)) for part in parts)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([\w:]+)\}", lambda m: self._ref(template, m[1]), text)
            case {"Fn::If": [_, then, _]}:
                return self.resolve(template, then)
            case {"Fn::Split": _} | {"Fn::Select": _}:
                return "derived"
            case dict():
                return {name: self.resolve(template, each) for name, each in value.items()}
            case list():
                return [self.resolve(template, each) for each in value]
        return value

    def _ref(self, template: Template, id_: str) -> str:
        if id_ in PSEUDO:
            return PSEUDO[id_]
        if id_ not in template.body["Resources"]:
            return str(template.body["Parameters"][id_].get("Default", ""))
        type_ = template.body["Resources"][id_]["Type"]
        if type_ == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{bare(id_)}"
        if type_ == "AWS::SecretsManager::Secret":
            return self._attribute(template, id_, "Arn")
        return bare(id_)

    def _attribute(self, template: Template, id_: str, attribute: str) -> str:
        type_ = template.body["Resources"][id_]["Type"].removeprefix("AWS::")
        if attribute == "Arn":
            return ARNS[type_].format(bare(id_))
        if attribute == "StreamArn":
            return ARNS[type_].format(bare(id_)) + STREAM
        if attribute in {"Name", "QueueName", "Id"}:
            return bare(id_)
        return f"{bare(id_)}.{attribute}"

    def _imported(self, name: str) -> str:
        for template in self._templates:
            if name in template.exports:
                return str(self.resolve(template, template.exports[name]))
        raise ValueError(f"nothing exports {name}")

    # Inputs of IAM's decisions

    @cached_property
    def functions(self) -> dict[str, dict[str, Any]]:
        """Properties of the functions, by the name of their module's class: `Submit`."""
        return {
            name.removesuffix("Function"): properties
            for name, properties in self.of_type("Lambda::Function")
        }

    @cached_property
    def granted(self) -> dict[str, list[Statement]]:
        """The statements of each function's role."""
        roles = dict(self.of_type("IAM::Role"))
        return {
            name: [
                statement
                for policy in roles[self.role(name).rpartition("/")[2]]["Policies"]
                for statement in policy["PolicyDocument"]["Statement"]
            ]
            for name in self.functions
        }

    def role(self, function: str) -> str:
        """Return the ARN of the function's role."""
        return str(self.functions[function]["Role"])

    @cached_property
    def of_resources(self) -> list[Statement]:
        """The statements of all policies of resources, including permissions of functions."""
        found = [
            statement
            for type_ in ("S3::BucketPolicy", "SQS::QueuePolicy")
            for _, properties in self.of_type(type_)
            for statement in properties["PolicyDocument"]["Statement"]
        ]
        found += [p["Statement"] for _, p in self.of_type("Events::EventBusPolicy")]
        for _, properties in self.of_type("Logs::ResourcePolicy"):
            found += json.loads(properties["PolicyDocument"])["Statement"]
        return found + [_permission(p) for _, p in self.of_type("Lambda::Permission")]

    @cached_property
    def addresses(self) -> dict[str, str]:
        """ARNs of resources by the values that functions use: name, URL, ARN."""
        found: dict[str, str] = {}
        for template in self._templates:
            for id_, resource in template.resources():
                if resource["Type"].removeprefix("AWS::") in ARNS:
                    arn = self._attribute(template, id_, "Arn")
                    found |= {self._ref(template, id_): arn, arn: arn}
        return found

    def arn_of(self, function: str, variable: str) -> str:
        """Return the resource that a variable of the function's environment names."""
        value = str(self.functions[function]["Environment"]["Variables"][variable])
        # The CDN's key exists before the stacks.
        return self.addresses.get(value) or ARNS["SecretsManager::Secret"].format(value)


def _permission(properties: dict[str, Any]) -> Statement:
    """Return the statement of the function's policy that Lambda makes of a permission."""
    condition: dict[str, Any] = {"ArnLike": {"aws:SourceArn": properties["SourceArn"]}}
    if "SourceAccount" in properties:
        condition["StringEquals"] = {"aws:SourceAccount": properties["SourceAccount"]}
    return {
        "Effect": "Allow",
        "Principal": {"Service": properties["Principal"]},
        "Action": properties["Action"],
        "Resource": properties["FunctionName"],
        "Condition": condition,
    }


def by_lambda(deployed: Deployed) -> Iterator[tuple[str, Request]]:
    """Yield Lambda's requests with the functions' roles: polling of their sources and writing of
    logs."""
    for _, mapping in deployed.of_type("Lambda::EventSourceMapping"):
        function = mapping["FunctionName"].removesuffix("Function")
        source = mapping["EventSourceArn"]
        if ":sqs:" in source:
            actions = "sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes"
        else:
            actions = (
                "dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator "
                "dynamodb:ListStreams"
            )
        for action in actions.split():
            yield function, request(deployed, function, action, source)
        failures = mapping.get("DestinationConfig", {}).get("OnFailure", {})
        for arn in listed(failures.get("Destination", [])):
            yield function, request(deployed, function, "sqs:SendMessage", arn)
    for function, properties in deployed.functions.items():
        group = properties["LoggingConfig"]["LogGroup"]
        stream = ARNS["Logs::LogGroup"].format(group).removesuffix("*") + "log-stream:2027"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield function, request(deployed, function, action, stream)


def request(
    deployed: Deployed, function: str, action: str, resource: str, **context: str | list[str]
) -> Request:
    """Return a request with a function's role, as every client of AWS sends it: over TLS 1.3."""
    general = {"aws:SecureTransport": "true", "aws:PrincipalArn": deployed.role(function)}
    if action.startswith("s3:"):
        general["s3:TlsVersion"] = "1.3"
    return Request(deployed.role(function), action, resource, {**general, **context})
