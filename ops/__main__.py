"""`python -m ops keys create|list|revoke` and `python -m ops sweep`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError
from darkroom.domain.keys import SCOPES, new_token

from ops.deployment import Deployment, NotFoundError, find
from ops.keys import KeyRefusedError, list_keys, put_key, revoke_key


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code; what went wrong is one line on stderr."""
    given = _parser().parse_args(arguments)
    try:
        deployment = find(local=given.local, stage=given.stage, table=getattr(given, "table", None))
        return int(given.run(deployment, given))
    except (NotFoundError, KeyRefusedError) as error:
        print(error, file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"AWS: {str(error)[:500]}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--local", action="store_true", help="the embedded cloud of `make run`")
    where.add_argument("--stage", default="prod", help="the deployed stage (default: prod)")
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--table", help="the Controls table, if the stacks may not be read")

    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    keys = commands.add_parser("keys", help="API keys").add_subparsers(dest="action", required=True)
    create = keys.add_parser("create", parents=[where, table], help="prints the token, once")
    create.add_argument("--tenant", required=True)
    create.add_argument("--name", default="", help="what the key is for")
    create.add_argument("--scopes", default=",".join(SCOPES), help="default: %(default)s")
    create.set_defaults(run=_create)
    keys.add_parser("list", parents=[where, table]).set_defaults(run=_list)
    revoke = keys.add_parser("revoke", parents=[where, table])
    revoke.add_argument("id", help="as `keys list` shows it")
    revoke.set_defaults(run=_revoke)
    sweep = commands.add_parser("sweep", parents=[where], help="run one tick of the sweep now")
    sweep.set_defaults(run=_sweep)
    return parser


def _create(deployment: Deployment, given: argparse.Namespace) -> int:
    token = new_token()
    put_key(
        deployment.client("dynamodb"),
        deployment.outputs["ControlsTable"],
        token,
        tenant=given.tenant,
        name=given.name,
        scopes=given.scopes.split(","),
    )
    print(f"A key of tenant {given.tenant} for {given.scopes}. The token is not shown again:")
    print(token)
    return 0


def _list(deployment: Deployment, _: argparse.Namespace) -> int:
    rows = list_keys(deployment.client("dynamodb"), deployment.outputs["ControlsTable"])
    for row in sorted(rows, key=lambda row: (row["tenant"], row["created_at"])):
        made = datetime.fromtimestamp(row["created_at"] / 1000, UTC)
        scopes = ",".join(row["scopes"])
        print(f"{row['id']}  {row['tenant']:<20}  {made:%Y-%m-%d %H:%M}Z  {scopes}  {row['name']}")
    return 0


def _revoke(deployment: Deployment, given: argparse.Namespace) -> int:
    dynamodb, table = deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
    row = revoke_key(dynamodb, table, given.id)
    print(f"Revoked {row['id']} of tenant {row['tenant']}.")
    return 0


def _sweep(deployment: Deployment, _: argparse.Namespace) -> int:
    answer = deployment.client("lambda").invoke(
        FunctionName=deployment.outputs["FunctionSweep"], Payload=b"{}"
    )
    result = json.loads(answer["Payload"].read())
    print(json.dumps(result))
    return 1 if "FunctionError" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
