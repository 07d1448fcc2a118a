"""Deploys a cloud assembly into the embedded AWS, as `cdk deploy` would into a real one."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.processes import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ACCOUNT = "000000000000"
REGION = "us-east-1"
SECRET_KEY = "test"  # noqa: S105 - the emulator's own, which signatures are checked against
BOOTSTRAP_VERSION = "30"

LEFT_OUT_TYPES = frozenset({"AWS::Events::EventBusPolicy"})
"""Resource types that the embedded AWS lacks. It evaluates no policies, so nothing is missing."""

_TERMINAL = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class Aws:
    """Clients of the embedded AWS, independent of the developer's own AWS settings."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.Session(
            # An access key of twelve digits selects the account.
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
        )

    def client(self, service: str, *, endpoint: str | None = None, connections: int = 10) -> Any:
        """Return a boto3 client. Untyped, because the service is known only at run time. URLs that
        it presigns are for the `endpoint`."""
        return self._session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=endpoint or self.endpoint,
            config=Config(
                proxies={},
                max_pool_connections=connections,
                signature_version="s3v4" if service == "s3" else None,
                s3={"addressing_style": "path"},
                read_timeout=90,
                # It sometimes answers 500 when it reads something that another request is changing.
                # An invocation is not repeated, because it may have run.
                retries={"total_max_attempts": 1 if service == "lambda" else 4},
            ),
        )


def deploy(assembly: Path, aws: Aws, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create or update every stack of the assembly in order. Returns all their outputs.

    A stack gets the parameters that its template declares. Properties that the embedded AWS drops
    from a template (TTL, CORS) are set again through its API. Raises StartError that names the
    failures.
    """
    manifest = json.loads((assembly / "manifest.json").read_text())
    stacks = {
        name: artifact
        for name, artifact in manifest["artifacts"].items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    templates = _publish_assets(assembly, aws)
    outputs: dict[str, str] = {}
    for name in _in_order(stacks):
        properties = stacks[name]["properties"]
        template = json.loads((assembly / properties["templateFile"]).read_text())
        declared = template.get("Parameters", {})
        stack = properties.get("stackName", name)
        _apply(
            aws,
            stack,
            templates[properties["templateFile"]],
            {key: value for key, value in parameters.items() if key in declared},
        )
        outputs |= _outputs(aws, stack)
        _restore_dropped(aws, stack, template)
    return outputs


def _in_order(stacks: Mapping[str, Any]) -> list[str]:
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for needed in stacks[name].get("dependencies", []):
                if needed in stacks:
                    visit(needed)
            order.append(name)

    for name in stacks:
        visit(name)
    return order


def _publish_assets(assembly: Path, aws: Aws) -> dict[str, str]:
    """Upload every file asset. Returns the URLs of the files, including templates, by path."""
    s3, urls, buckets = aws.client("s3"), {}, set()
    aws.client("ssm").put_parameter(
        Name="/cdk-bootstrap/hnb659fds/version",
        Value=BOOTSTRAP_VERSION,
        Type="String",
        Overwrite=True,
    )
    for listing in sorted(assembly.glob("*.assets.json")):
        for asset in json.loads(listing.read_text())["files"].values():
            source = assembly / asset["source"]["path"]
            body = _zipped(source) if asset["source"]["packaging"] == "zip" else _read(source)
            for place in asset["destinations"].values():
                bucket = _placed(place["bucketName"])
                if bucket not in buckets:
                    s3.create_bucket(Bucket=bucket)
                    buckets.add(bucket)
                s3.put_object(Bucket=bucket, Key=place["objectKey"], Body=body)
                urls[asset["source"]["path"]] = f"{aws.endpoint}/{bucket}/{place['objectKey']}"
    return urls


def _read(source: Path) -> bytes:
    if not source.name.endswith(".template.json"):
        return source.read_bytes()
    template = json.loads(source.read_text())
    template["Resources"] = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] not in LEFT_OUT_TYPES
    }
    return json.dumps(template).encode()


def _placed(text: str) -> str:
    for name, value in (("AccountId", ACCOUNT), ("Region", REGION), ("Partition", "aws")):
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def _zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _apply(aws: Aws, stack: str, template: str, parameters: Mapping[str, str]) -> None:
    cloudformation = aws.client("cloudformation")
    exists = any(
        found["StackName"] == stack
        for found in cloudformation.describe_stacks()["Stacks"]
        if found["StackStatus"] != "DELETE_COMPLETE"
    )
    change = cloudformation.update_stack if exists else cloudformation.create_stack
    try:
        change(
            StackName=stack,
            TemplateURL=template,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        status = _settled(cloudformation, stack)
    except ClientError as error:  # its text may contain the whole template
        if "No updates are to be performed" in str(error):
            return
        raise StartError(f"Stack {stack} was refused: {str(error)[:1000]}") from None
    if status not in _TERMINAL:
        raise StartError(f"Stack {stack} ended as {status}:\n{_failures(cloudformation, stack)}")


def _settled(cloudformation: Any, stack: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        status = str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            return status
        time.sleep(0.05)


def _failures(cloudformation: Any, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')[:400]}"
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]
    return "\n".join(failed[:5])


def _outputs(aws: Aws, stack: str) -> dict[str, str]:
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {out["OutputKey"]: out["OutputValue"] for out in described.get("Outputs", [])}


def _restore_dropped(aws: Aws, stack: str, template: Mapping[str, Any]) -> None:
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        ttl = properties.get("TimeToLiveSpecification")
        cors = properties.get("CorsConfiguration")
        if resource["Type"] in {"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"} and ttl:
            aws.client("dynamodb").update_time_to_live(
                TableName=_physical_id(aws, stack, logical_id), TimeToLiveSpecification=ttl
            )
        if resource["Type"] == "AWS::ApiGatewayV2::Api" and cors:
            aws.client("apigatewayv2").update_api(
                ApiId=_physical_id(aws, stack, logical_id), CorsConfiguration=cors
            )


def _physical_id(aws: Aws, stack: str, logical_id: str) -> str:
    found = aws.client("cloudformation").describe_stack_resources(
        StackName=stack, LogicalResourceId=logical_id
    )
    return str(found["StackResources"][0]["PhysicalResourceId"])
