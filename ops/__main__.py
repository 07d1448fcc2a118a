"""The operator's commands: `python -m ops setup|keys|limits|models|usage|doctor|live|rotate|…`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import httpx
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from darkroom.domain.model import InvalidModelError

from ops import (
    audit,
    callbacks,
    cost,
    doctor,
    keys,
    limits,
    live,
    model_entry,
    models,
    redrive,
    restore,
    rotate,
    setup,
    tenants,
    usage,
)
from ops.deployment import Deployment, NotFoundError, SetupError, find
from ops.live.budget import BudgetError

REFUSALS = (
    NotFoundError,
    SetupError,
    callbacks.RotationRefusedError,
    cost.CostError,
    keys.KeyRefusedError,
    limits.LimitRefusedError,
    model_entry.EntryRefusedError,
    BudgetError,
    InvalidModelError,
    redrive.RedriveError,
    restore.RestoreRefusedError,
    rotate.RotationRefusedError,
    tenants.UnknownTenantError,
    usage.UsageRefusedError,
)
"""Errors whose text is written for the operator and contains no secret."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. An error is printed as one line on stderr."""
    given = _parser().parse_args(arguments)
    if getattr(given, "local_port", None):
        given.local = True
    try:
        if hasattr(given, "run_offline"):
            return int(given.run_offline(given))
        deployment = find(
            local=given.local,
            port=given.local_port,
            stage=given.stage,
            table=getattr(given, "table", None),
            stacks=not getattr(given, "keys_only", False),
        )
        return int(given.run(deployment, given))
    except REFUSALS as error:
        print(error, file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"AWS: {str(error)[:500]}{_remedy(error)}", file=sys.stderr)
    except httpx.HTTPError as error:
        print(f"The emulated provider: {str(error)[:500]}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return int(given.could_not_run)


def _remedy(error: Exception) -> str:
    match error:
        case NoRegionError():
            return " Choose one: export AWS_REGION=eu-west-1"
        case NoCredentialsError() | ProfileNotFound():
            return ". Choose a profile of `aws configure list-profiles`: export AWS_PROFILE=NAME"
    return ""


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--local", action="store_true", help="the embedded cloud of `make run`")
    where.add_argument(
        "--local-port", type=int, metavar="PORT", help="of several of them, the one on PORT"
    )
    by_default = os.environ.get("STAGE") or "dev"
    where.add_argument(
        "--stage", default=by_default, help="the deployed stage (default: $STAGE, else dev)"
    )
    table = argparse.ArgumentParser(add_help=False)
    table.add_argument("--table", help="the Controls table, if the stacks may not be read")

    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    keys.add_parsers(commands, [where, table])
    limits.add_parsers(commands, [where, table])
    usage.add_parser(commands, [where, table])
    models.add_parsers(commands, [where])
    rotate.add_parsers(commands, [where])
    doctor.add_parser(commands, [where])
    live.add_parser(commands, [where])
    restore.add_parser(commands, [where])
    cost.add_parser(commands)
    sweep = commands.add_parser("sweep", parents=[where], help="run one tick of the sweep now")
    sweep.set_defaults(run=_sweep)
    _add_setup(commands, where)
    _add_audit(commands, where)
    _add_redrive(commands, where)
    _add_callbacks(commands, [where, table])
    parser.set_defaults(could_not_run=1)
    return parser


def _add_setup(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "setup",
        parents=[where],
        help="keys, Replicate's token and webhook secret, first API key, reachability",
    )
    setup.add_arguments(parser)
    parser.set_defaults(run=setup.command)


def _add_audit(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "audit",
        parents=[where],
        help="compare records, files, queues, deliveries; exit 1 on any difference",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--hash", action="store_true", help="read every stored byte again")
    parser.add_argument(
        "--settled", action="store_true", help="nothing may be unfinished: all traffic has ended"
    )
    parser.set_defaults(run=audit.command, could_not_run=2)


def _add_redrive(commands: Any, where: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "redrive", parents=[where], help="move dead letters back to their queue"
    )
    parser.add_argument(
        "queue",
        nargs="?",
        default="all",
        help=f"one that has failures; all (the default) leaves out {', '.join(redrive.BY_NAME)}",
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=redrive.command, could_not_run=2)


def _add_callbacks(commands: Any, where: list[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("callbacks", help="clients' callbacks")
    rotate = parser.add_subparsers(dest="action", required=True).add_parser(
        "rotate", parents=where, help="a new signing secret for one tenant"
    )
    rotate.add_argument("--tenant", required=True)
    rotate.add_argument(
        "--overlap-hours", type=float, default=24, help="both secrets sign (default: %(default)s)"
    )
    tenants.add_new(rotate)
    rotate.set_defaults(run=callbacks.command)


def _sweep(deployment: Deployment, _: argparse.Namespace) -> int:
    answer = deployment.client("lambda").invoke(
        FunctionName=deployment.outputs["FunctionSweep"], Payload=b"{}"
    )
    result = json.loads(answer["Payload"].read())
    print(json.dumps(result))
    return 1 if "FunctionError" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
