"""login, logout and usage."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated

import typer

from darkroom_cli import configuration
from darkroom_cli.errors import UsageError
from darkroom_cli.options import Insecure, Json, Quiet, run_of
from darkroom_cli.text import short


def login(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Argument(help="The deployment's address.")] = None,
    *,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the key from standard input.")
    ] = False,
    insecure_http: Insecure = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Keep address and API key for later commands.

    The key is asked for without an echo, or read from standard input; it is never an argument,
    which the shell's history and every process could read. It is tried before it is kept, in a
    file that you alone can read. DARKROOM_URL and DARKROOM_TOKEN stand above what is kept.

    \b
    Examples:
      darkroom login https://images.example.com
      darkroom login https://images.example.com --key-stdin < key.txt
    """
    from darkroom_cli.service import Service

    run = run_of(ctx, insecure_http=insecure_http, json=json_, quiet=quiet)
    asks = sys.stdin.isatty() and not key_stdin
    url = url or os.environ.get("DARKROOM_URL")
    if url is None:
        if not asks:
            raise UsageError("Which address? Give it after `login`.")
        url = typer.prompt("Address of the deployment", err=True)
    url = configuration.address(url, insecure_http=run.flags.insecure_http)
    key = getpass.getpass("API key: ") if asks else sys.stdin.readline(2000)
    account = configuration.Account(url, configuration.key(key), run.flags.insecure_http)
    with Service(account, patience_s=5) as service:
        tenant = short(service.get("/v1/account").get("username"), 200)
    path = configuration.keep(account, os.environ)
    if run.flags.json:
        run.screen.show({"url": url, "tenant": tenant})
    run.screen.say(f"{tenant} at {service.host}; the key is in {path}")


def logout(ctx: typer.Context, *, json_: Json = False, quiet: Quiet = False) -> None:
    """Forget the address and the key that `login` kept.

    \b
    Example:
      darkroom logout
    """
    run = run_of(ctx, json=json_, quiet=quiet)
    there_was = configuration.forget(os.environ)
    if run.flags.json:
        run.screen.show({"forgotten": there_was})
    run.screen.say(
        "The key is forgotten; it stays valid until the operator revokes it."
        if there_was
        else "There was no key."
    )


def usage(
    ctx: typer.Context,
    *,
    from_: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-11-01; 30 days ago.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last day; today.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", "-t", help="A tag of creates.")] = None,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show predictions and cost by day and model.

    \b
    Examples:
      darkroom usage
      darkroom usage --from 2026-11-01 --to 2026-11-30 --tag spring
    """
    from darkroom_cli.models import dollars, money

    run = run_of(ctx, json=json_, quiet=quiet)
    query = {"from": from_, "to": to, "tag": tag}
    with run.service() as service:
        found = service.get("/v1/usage", {k: text for k, text in query.items() if text is not None})
    if run.flags.json:
        run.screen.show(found)
        return
    results = found.get("results")
    days = [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []
    rows = [
        (one.get("day"), one.get("model"), one.get("predictions"), money(one.get("cost")))
        for one in days
    ]
    run.screen.table(("day", "model", "predictions", "cost"), rows)
    cost = found.get("cost")
    total = dollars(cost) if isinstance(cost, int | float) else "unknown"
    run.screen.say(
        f"{short(found.get('from'), 10)} to {short(found.get('to'), 10)}: "
        f"{short(found.get('predictions'), 20)} predictions, {total}"
    )
