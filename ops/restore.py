"""`ops restore`: copies rows of a restored table into the table of the stage.

DynamoDB restores to a point in time under another name, while the stacks keep using their own
table.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ops.deployment import Deployment

TABLES = {"predictions": ("PredictionsTable", "id"), "controls": ("ControlsTable", "pk")}
"""Tables that can be restored: the output that names each, and its key. Deliveries are derived from
records."""
_SAID_EVERY = 1000


class RestoreRefusedError(Exception):
    """The restore is not possible as requested. The text is for the operator."""


@dataclass(slots=True)
class Restored:
    """Counts of the copy's rows by result."""

    read: int = 0
    put: int = 0
    """Written to the table: missing there or, if `overwrite` was requested, different."""
    kept: int = 0
    """Left as they are in the table."""
    expired: int = 0
    """Past their expiry, and therefore not restored."""


def restore(
    dynamodb: Any,
    copy: str,
    table: str,
    key: str,
    *,
    only: str = "",
    overwrite: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Restore the copy's rows whose key begins with `only`. May be interrupted and repeated."""
    result, now_s = Restored(), time.time()
    for item in _rows(dynamodb, copy, key, only):
        result.read += 1
        if "expires_at" in item and int(item["expires_at"]["N"]) <= now_s:
            result.expired += 1
        elif _put(dynamodb, table, key, item, overwrite=overwrite, dry_run=dry_run):
            result.put += 1
        else:
            result.kept += 1
        if result.read % _SAID_EVERY == 0:
            say(f"{result.read} read, {result.put} put back")
    return result


def _rows(dynamodb: Any, copy: str, key: str, only: str) -> Iterator[dict[str, Any]]:
    narrowed = {
        "FilterExpression": "begins_with(#key, :only)",
        "ExpressionAttributeNames": {"#key": key},
        "ExpressionAttributeValues": {":only": {"S": only}},
    }
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=copy, ConsistentRead=True, **(narrowed if only else {})
    )
    for page in pages:
        yield from page["Items"]


def _put(
    dynamodb: Any, table: str, key: str, item: dict[str, Any], *, overwrite: bool, dry_run: bool
) -> bool:
    """Return True if the row was written, or would be in a dry run."""
    if overwrite or dry_run:
        found = dynamodb.get_item(TableName=table, Key={key: item[key]}, ConsistentRead=True)
        held = found.get("Item")
        if held == item or (held is not None and not overwrite):
            return False
    if dry_run:
        return True
    # Without `overwrite` an existing row wins, even one written after the check.
    missing = {
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": key},
    }
    try:
        dynamodb.put_item(TableName=table, Item=item, **({} if overwrite else missing))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


# The command


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command `restore`."""
    parser = commands.add_parser(
        "restore", parents=parents, help="rows of a restored copy back into the stage's table"
    )
    parser.add_argument("what", choices=TABLES)
    parser.add_argument("--from", dest="copy", required=True, metavar="TABLE", help="the copy")
    parser.add_argument(
        "--only", default="", metavar="BEGINNING", help="keys that begin so, as TENANT# or an id"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="rows that differ as well; needs --only"
    )
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=command)


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Restore, and print the counts. Raises RestoreRefusedError."""
    if given.overwrite and not given.only:
        raise RestoreRefusedError(
            "--overwrite without --only would take back all that has happened since."
        )
    output, key = TABLES[given.what]
    table = deployment.outputs[output]
    if given.copy == table:
        raise RestoreRefusedError(f"{table} is the table itself: name the copy.")
    result = restore(
        deployment.client("dynamodb"),
        given.copy,
        table,
        key,
        only=given.only,
        overwrite=given.overwrite,
        dry_run=given.dry_run,
        say=_say,
    )
    if given.json:
        print(json.dumps(asdict(result)))
    else:
        would = "would be " if given.dry_run else ""
        print(
            f"{result.read} rows read: {result.put} {would}put back, {result.kept} kept as they "
            f"are, {result.expired} past their time."
        )
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
