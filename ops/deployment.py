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
from darkroom.adapters.predictions import DynamoPredictions

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
STACKS = ("Stateful", "Cdn", "Service", "Observability")
OPTIONAL_STACKS = ("Cdn", "Observability")
"""What a stage may be without."""
REGION_VARIABLES = ("AWS_REGION", "AMAZON_REGION")
"""Read by the CDK command line before AWS_DEFAULT_REGION, and by boto3 not at all."""
_NOT_RUNNING = "The embedded cloud is not running: start it with `make run`"


class NotFoundError(Exception):
    """There is no such deployment. The text is for the operator."""


class SetupError(Exception):
    """A deployment cannot be set up. The text is for the operator."""


@dataclass(frozen=True)
class Deployment:
    """Where its resources are, and a session that may reach them."""

    session: boto3.Session
    endpoint: str | None
    outputs: dict[str, str]
    emulator: str | None = None
    """Where the emulated provider is, if there is one: it tells all that it ever made."""
    authority: Path | None = None
    """Whom to trust in certificates beside the public authorities: the embedded cloud's own."""

    def client(self, service: str) -> Any:
        """A boto3 client of this deployment's account and region."""
        # A proxy of the operator's shell has no way to the loopback of this machine.
        config = Config(proxies={}) if self.endpoint else None
        return self.session.client(  # type: ignore[call-overload]
            service, endpoint_url=self.endpoint, config=config
        )

    def secret(self, name: str) -> str | None:
        """A secret's text, by its name or ARN; None where it or its value is not there yet."""
        try:
            found = self.client("secretsmanager").get_secret_value(SecretId=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        return found.get("SecretString") or None

    def environment(self, function: str) -> dict[str, str]:
        """What a function is told, such as the addresses that this deployment really uses."""
        found = self.client("lambda").get_function_configuration(
            FunctionName=self.outputs[f"Function{function}"]
        )
        return dict(found["Environment"]["Variables"])


def functions(outputs: Mapping[str, str]) -> dict[str, str]:
    """The names that AWS knows the functions by, by ours."""
    prefix = "Function"
    named = {key: name for key, name in outputs.items() if key.startswith(prefix)}
    return {key.removeprefix(prefix): name for key, name in named.items()}


def predictions(deployment: Deployment) -> DynamoPredictions:
    """The records, as the functions have them."""
    table, controls = (deployment.outputs[f"{name}Table"] for name in ("Predictions", "Controls"))
    return DynamoPredictions(deployment.client("dynamodb"), table, controls)


def fields(text: str | None) -> dict[str, Any]:
    """A secret's JSON object; empty where it holds none."""
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
    """Raises NotFoundError. `table` is the Controls table's name and spares reading the stacks.

    `port` is that of the local one to find, if it is not the first that was started. With `stacks`
    false they need not be there yet, and `outputs` may be empty.
    """
    found = _announced(port) if local else Deployment(_session(), None, {})
    if not stacks:
        return found if found.outputs else replace(found, outputs=_outputs_if_any(found, stage))
    if table:
        return replace(found, outputs={"ControlsTable": table})
    return found if found.outputs else replace(found, outputs=_outputs(found, stage))


def _session() -> boto3.Session:
    """In the region where the CDK command line deploys: in another one a key would be made beside
    no stack."""
    regions = (os.environ.get(name) for name in REGION_VARIABLES)
    return boto3.Session(region_name=next(filter(None, regions), None))


def refreshed(deployment: Deployment, stage: str) -> Deployment:
    """The same, with its stacks' outputs as they are now."""
    return replace(deployment, outputs=_outputs(deployment, stage))


def embedded(endpoint: str, emulator: str | None) -> Deployment:
    """The embedded cloud whose AWS is at `endpoint`. Raises NotFoundError where it has no stacks.

    Changes AWS_PROFILE: boto3 stops at one that this machine lacks.
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
    # With the real provider no token is announced: it is the developer's secret.
    emulator = told["replicate_url"] if told.get("replicate_token") else None
    found = embedded(told["aws_endpoint"], emulator)
    return replace(found, authority=Path(told["ca_file"]) if told.get("ca_file") else None)


@dataclass(frozen=True)
class _Announcement:
    told: dict[str, Any]
    port: int | None
    beside: bool


def _running() -> list[_Announcement]:
    """Every embedded cloud of this checkout that is alive, the first one first."""
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
