"""`ops callbacks rotate`: creates a new signing secret for a tenant's callbacks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from darkroom.aws.controls import DynamoControls
from darkroom.aws.items import attribute, to_item
from darkroom.domain import row_keys
from darkroom.domain.events import TENANT

from ops import tenants

if TYPE_CHECKING:
    import argparse

    from ops.deployment import Deployment

LONGEST_OVERLAP_H = 24 * 30


class RotationRefusedError(Exception):
    """The rotation is not possible as requested. The text is for the operator."""


def rotate(dynamodb: Any, table: str, tenant: str, overlap_hours: float) -> tuple[int, int]:
    """Return the new version, and the time (milliseconds) until which the previous one also signs.

    Only one previous secret can be kept, so a rotation during an overlap is rejected. The exception
    is `overlap_hours` 0, because a leaked secret must be replaced at once. Raises
    RotationRefusedError.
    """
    if not TENANT.fullmatch(tenant):
        raise RotationRefusedError(f"No tenant can be called {tenant!r}.")
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_H:
        raise RotationRefusedError(f"The overlap is 0 to {LONGEST_OVERLAP_H} hours.")
    now = time.time_ns() // 1_000_000
    held = DynamoControls(dynamodb, table).secret_version(tenant)
    if now < held.previous_until and overlap_hours:
        ends = datetime.fromtimestamp(held.previous_until / 1000, UTC)
        raise RotationRefusedError(
            f"The last rotation's overlap lasts until {ends:%Y-%m-%d %H:%M}Z: wait, or give "
            "--overlap-hours 0, which ends the older secret now."
        )
    until = now + int(overlap_hours * 3_600_000)
    try:
        dynamodb.update_item(
            TableName=table,
            Key=to_item({"pk": row_keys.tenant(tenant)}),
            UpdateExpression="SET secret_version = :new, previous_until = :until",
            ConditionExpression="attribute_not_exists(secret_version) OR secret_version = :old",
            ExpressionAttributeValues={
                ":new": attribute(held.current + 1),
                ":old": attribute(held.current),
                ":until": attribute(until),
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise RotationRefusedError("Somebody else has just rotated it.") from None
    return held.current + 1, until


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Rotate, and print where the tenant finds the new secret. The secret itself is not printed."""
    dynamodb, table = deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
    tenants.check_known(dynamodb, table, given.tenant, new=given.new)
    version, until = rotate(dynamodb, table, given.tenant, given.overlap_hours)
    ends = datetime.fromtimestamp(until / 1000, UTC)
    print(f"Callbacks of tenant {given.tenant} are now signed with secret version {version}.")
    print(f"The one before signs beside it until {ends:%Y-%m-%d %H:%M}Z.")
    print("The tenant reads the new one from GET /v1/webhooks/default/secret.")
    return 0
