"""Finds a deployment: the embedded cloud by its local.json, a real one by its stacks' outputs."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from darkroom.aws.predictions import DynamoPredictions

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
STACKS = ("Stateful", "Cdn", "Service", "Observability")
OPTIONAL_STACKS = ("Cdn", "Observability")
"""Stacks that a stage may leave out."""
REGION_VARIABLES = ("AWS_REGION", "AMAZON_REGION")
"""The CDK command line reads them before AWS_DEFAULT_REGION; boto3 does not read them at all."""
_NOT_RUNNING = "The embedded cloud is not running: start it with `make run`"


class NotFoundError(Exception):
    """There is no such deployment. The text is for the operator."""


class SetupError(Exception):
    """A deployment cannot be set up. The text is for the operator."""


@dataclass(frozen=True)
class Deployment:
    """The outputs of a deployment's stacks, and a session with access to its resources."""

    session: boto3.Session
    endpoint: str | None
    outputs: dict[str, str]
    emulator: str | None = None
    """URL of the emulated provider, if there is one. It lists every prediction ever created."""
    authority: Path | None = None
    """Certificate authority to trust in addition to the public ones: that of the embedded cloud."""

    def client(self, service: str) -> Any:
        """Return a boto3 client for this deployment's account and region."""
        # A proxy of the operator's shell cannot reach the loopback of this machine.
        config = Config(proxies={}) if self.endpoint else None
        return self.session.client(  # type: ignore[call-overload]
            service, endpoint_url=self.endpoint, config=config
        )

    def secret(self, name: str) -> str | None:
        """Return a secret's text by name or ARN; None if the secret or its value does not exist
        yet."""
        try:
            found = self.client("secretsmanager").get_secret_value(SecretId=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        return found.get("SecretString") or None

    def environment(self, function: str) -> dict[str, str]:
        """Return a function's environment variables, such as the URLs that this deployment really
        uses."""
        found = self.client("lambda").get_function_configuration(
            FunctionName=self.outputs[f"Function{function}"]
        )
        return dict(found["Environment"]["Variables"])


def functions(outputs: Mapping[str, str]) -> dict[str, str]:
    """Return the functions' names in AWS by their names in Darkroom."""
    prefix = "Function"
    named = {key: name for key, name in outputs.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): name for key, name in named.items()}


def predictions(deployment: Deployment) -> DynamoPredictions:
    """Return the store of records, with the adapter that the functions use."""
    table, controls = (deployment.outputs[f"{name}Table"] for name in ("Predictions", "Controls"))
    return DynamoPredictions(deployment.client("dynamodb"), table, controls)


def fields(text: str | None) -> dict[str, Any]:
    """Return a secret's JSON object; empty if it is not one."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def find(
    *,
    local: bool,
    stage: str,
    port: int | None = None,
    table: str | None = None,
    stacks: bool = True,
) -> Deployment:
    """Find a deployment. Raises NotFoundError.

    `table` is the name of the Controls table and avoids reading the stacks. `port` selects an
    embedded cloud other than the first. If `stacks` is False, the stacks need not exist and
    `outputs` may be empty.
    """
    found = _announced(port) if local else Deployment(_session(), None, {})
    if not stacks:
        return found if found.outputs else replace(found, outputs=_outputs_if_any(found, stage))
    if table:
        return replace(found, outputs={"ControlsTable": table})
    return found if found.outputs else replace(found, outputs=_outputs(found, stage))


def _session() -> boto3.Session:
    """Return a session in the region where the CDK command line deploys. In another region a key
    would be created where no stack uses it."""
    regions = (os.environ.get(name) for name in REGION_VARIABLES)
    return boto3.Session(region_name=next(filter(None, regions), None))


def refreshed(deployment: Deployment, stage: str) -> Deployment:
    """Return the deployment with the present outputs of its stacks."""
    return replace(deployment, outputs=_outputs(deployment, stage))


def embedded(endpoint: str, emulator: str | None) -> Deployment:
    """Return the embedded cloud whose AWS endpoint is `endpoint`. Raises NotFoundError without
    stacks.

    Removes AWS_PROFILE, because boto3 fails if it names a profile that this machine does not have.
    """
    os.environ.pop("AWS_PROFILE", None)
    session = boto3.Session(
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's own
        region_name="us-east-1",
    )
    found = Deployment(session, endpoint, {}, emulator)
    return replace(found, outputs=_outputs(found, "local"))


def _announced(port: int | None) -> Deployment:
    running = _running()
    chosen = next((one for one in running if port in {None, one.port}), None)
    if chosen is None or (port is None and chosen.beside):
        missing = f"No embedded cloud is running on port {port}" if port else _NOT_RUNNING
        raise NotFoundError(f"{missing}.{_others(running)}")
    if port is None and len(running) > 1:
        print(f"The embedded cloud on {chosen.port}.{_others(running[1:])}", file=sys.stderr)
    told = chosen.told
    # With the real provider no token is announced, since it is the developer's secret.
    emulator = told["replicate_url"] if told.get("replicate_token") else None
    found = embedded(told["aws_endpoint"], emulator)
    return replace(found, authority=Path(told["ca_file"]) if told.get("ca_file") else None)


@dataclass(frozen=True)
class _Announcement:
    told: dict[str, Any]
    port: int | None
    beside: bool


def _running() -> list[_Announcement]:
    """Return every embedded cloud of this checkout that is alive, the first one first."""
    folder = Path(os.environ.get("DARKROOM_STATE_DIR") or ROOT / ".darkroom")
    found = []
    for path in (folder / "local.json", *sorted(folder.glob("local-*.json"))):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(path.read_text())
            if told["aws_endpoint"] and told["replicate_url"] and _is_alive(told.get("pid")):
                port = urlsplit(told.get("base_url", "")).port
                found.append(_Announcement(told, port, beside=path.name != "local.json"))
    return found


def _is_alive(process: int | None) -> bool:
    try:
        os.kill(process or os.getpid(), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _others(running: list[_Announcement]) -> str:
    named = " or ".join(f"--local-port {one.port}" for one in running)
    return f" Also running: {named}" if named else ""


def _outputs_if_any(deployment: Deployment, stage: str) -> dict[str, str]:
    try:
        return _outputs(deployment, stage)
    except NotFoundError:
        return {}


def _outputs(deployment: Deployment, stage: str) -> dict[str, str]:
    cloudformation = deployment.client("cloudformation")
    outputs: dict[str, str] = {}
    names = {f"Darkroom-{stage}-{stack}" for stack in STACKS}
    for page in cloudformation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            if stack["StackName"] in names:
                outputs |= {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
    if not outputs:
        raise NotFoundError(f"This account and region hold no stage {stage!r} of Darkroom.")
    return outputs
