"""Finds a deployment: the embedded cloud by its local.json, a real one by its stacks' outputs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[1]
STACKS = ("Stateful", "Service")


class NotFoundError(Exception):
    """There is no such deployment. The text is for the operator."""


@dataclass(frozen=True)
class Deployment:
    """Where its resources are, and a session that may reach them."""

    session: boto3.Session
    endpoint: str | None
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client of this deployment's account and region."""
        return self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]


def find(*, local: bool, stage: str, table: str | None = None) -> Deployment:
    """Raises NotFoundError. `table` is the Controls table's name and spares reading the stacks."""
    if local:
        session, endpoint = _embedded()
        stage = "local"
    else:
        session, endpoint = boto3.Session(), None
    found = Deployment(session, endpoint, {"ControlsTable": table} if table else {})
    return found if table else Deployment(session, endpoint, _outputs(found, stage))


def _embedded() -> tuple[boto3.Session, str]:
    state_dir = Path(os.environ.get("DARKROOM_STATE_DIR") or ROOT / ".darkroom")
    try:
        endpoint = json.loads((state_dir / "local.json").read_text())["aws_endpoint"]
    except (OSError, ValueError, KeyError):
        raise NotFoundError(
            "The embedded cloud is not running: start it with `make run`."
        ) from None
    os.environ.pop("AWS_PROFILE", None)  # boto3 stops at one that this machine lacks
    session = boto3.Session(
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",  # noqa: S106 - the emulator's own
        region_name="us-east-1",
    )
    return session, endpoint


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
