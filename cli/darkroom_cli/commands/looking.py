"""list, get and cancel: predictions that there are."""

from __future__ import annotations

from typing import Annotated

import typer

from darkroom_cli.commands.following import cost_of, follow
from darkroom_cli.options import Json, Open, Out, Quiet, Watch, run_of
from darkroom_cli.text import short


def list_(
    ctx: typer.Context,
    *,
    status: Annotated[
        str | None,
        typer.Option("--status", help="starting, processing, succeeded, failed or canceled."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="owner/name.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", "-t", help="A tag of a create.")] = None,
    end_user: Annotated[str | None, typer.Option("--end-user", help="For whom.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Created at this time or later, in ISO 8601.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", help="Created earlier.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """List predictions, the newest first.

    \b
    Examples:
      darkroom list
      darkroom list --status failed --limit 100
      darkroom list --tag spring --after 2026-11-01 --json
    """
    from darkroom_cli.predictions import listed

    run = run_of(ctx, json=json_, quiet=quiet)
    query = {
        "status": status,
        "model": model,
        "tag": tag,
        "end_user": end_user,
        "created_after": after,
        "created_before": before,
    }
    asked = {name: text for name, text in query.items() if text is not None}
    rows = []
    with run.service() as service:
        for one in listed(service, asked, limit):
            if run.flags.json:
                run.screen.show(one.body)
            given = one.body.get("input")
            prompt = given.get("prompt", "") if isinstance(given, dict) else ""
            rows.append(
                (
                    one.id,
                    one.status,
                    one.body.get("model"),
                    short(one.body.get("created_at"), 19),
                    cost_of(one),
                    short(prompt, 60),
                )
            )
    if not run.flags.json:
        run.screen.table(("id", "status", "model", "created", "cost", "prompt"), rows)


def get(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="The prediction's id.")],
    *,
    out: Out = None,
    watch: Watch = False,
    open_: Open = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show a prediction, wait for it, or download its pictures.

    \b
    Examples:
      darkroom get 4x2k8m5r7c9tq3w6v1b0n8j5zd
      darkroom get 4x2k8m5r7c9tq3w6v1b0n8j5zd --watch
      darkroom get 4x2k8m5r7c9tq3w6v1b0n8j5zd --out pictures
    """
    from darkroom_cli.predictions import find, named

    run = run_of(ctx, watch=watch, open=open_, json=json_, quiet=quiet)
    wanted = named(id_)
    with run.service() as service:
        follow(run, service, find(service, wanted), out)


def cancel(
    ctx: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of predictions.")],
    *,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cancel predictions. One that is being stored, or has ended, stays as it is.

    \b
    Example:
      darkroom cancel 4x2k8m5r7c9tq3w6v1b0n8j5zd
    """
    from darkroom_cli.predictions import PATH, named, prediction

    run = run_of(ctx, json=json_, quiet=quiet)
    wanted = [named(id_) for id_ in ids]
    with run.service() as service:
        for id_ in wanted:
            found = prediction(service.post(f"{PATH}/{id_}/cancel", body={}))
            if run.flags.json:
                run.screen.show(found.body)
            run.screen.say(f"{found.id} {found.status}")
