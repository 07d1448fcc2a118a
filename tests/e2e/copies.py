"""A tenant with many predictions, all copies of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.keys import new_token
from darkroom.domain.link import new_id

from ops.keys import put_key

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud


def tenant_of_copies(cloud: EmbeddedCloud, id_: str, number: int, *, tenant: str) -> str:
    """Copy the row of a finished prediction so often, each a millisecond younger. Returns the
    token of a new tenant that has nothing else."""
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["PredictionsTable"]
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": id_}})["Item"]
    kept = {name: value for name, value in item.items() if not name.startswith("due_")}
    rows = []
    for count in range(number):
        created = {"N": str(int(item["created_at"]["N"]) + count)}
        copy = {"id": {"S": new_id()}, "tenant": {"S": tenant}, "created_at": created}
        rows.append({"PutRequest": {"Item": {**kept, **copy}}})
    for start in range(0, number, 25):
        some = {table: rows[start : start + 25]}
        left = dynamodb.batch_write_item(RequestItems=some)["UnprocessedItems"]
        assert not left
    token = new_token()
    put_key(dynamodb, cloud.outputs["ControlsTable"], token, tenant=tenant, name="copies")
    return token
