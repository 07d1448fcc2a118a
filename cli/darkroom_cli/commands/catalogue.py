"""models: what a deployment offers, and what each model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from darkroom_cli.errors import UsageError
from darkroom_cli.options import Json, Quiet, run_of
from darkroom_cli.text import short

if TYPE_CHECKING:
    from darkroom_cli.models import Model
    from darkroom_cli.screen import Screen


def models(
    ctx: typer.Context,
    search: Annotated[
        str | None, typer.Argument(help="owner/name of one model, or words to search for.")
    ] = None,
    *,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the models, or show the inputs and the price of one.

    \b
    Examples:
      darkroom models
      darkroom models upscaling
      darkroom models black-forest-labs/flux-schnell
      darkroom models flux-schnell --json
    """
    from darkroom_cli import models as catalogue

    run = run_of(ctx, json=json_, quiet=quiet)
    with run.service() as service:
        if search and "/" in search:
            found = [catalogue.model(service, search)]
            if not found[0].body:
                raise UsageError(f"This deployment lists no model {search}.")
        else:
            found = list(catalogue.models(service))
            named = [one for one in found if one.reference.rpartition("/")[2] == search]
            found = named or [one for one in found if _matches(one, search or "")]
    if run.flags.json:
        for one in found:
            run.screen.show(one.body)
        return
    if len(found) == 1:
        _show_model(run.screen, found[0])
        return
    if not found:
        run.screen.note("No model matches.")
    run.screen.table(
        ("model", "tasks", "price", "seconds"),
        [
            (
                one.reference,
                ", ".join(one.tasks),
                catalogue.price(one.details),
                _seconds(one.details.get("expected_seconds")),
            )
            for one in found
        ],
    )


def _matches(model: Model, words: str) -> bool:
    text = f"{model.reference} {model.body.get('description')} {' '.join(model.tasks)}".lower()
    return all(word in text for word in words.lower().split())


def _show_model(screen: Screen, model: Model) -> None:
    from darkroom_cli.models import price

    screen.say(f"{model.reference}: {short(model.body.get('description'), 500)}")
    screen.say(
        f"tasks {', '.join(model.tasks)}; price {price(model.details)}; "
        f"seconds {_seconds(model.details.get('expected_seconds'))}"
    )
    status = model.details.get("status")
    if isinstance(status, dict):
        screen.say(f"deprecated; successor: {short(status.get('successor', 'none'), 100)}")
    screen.say()
    rows = []
    for one in model.inputs or ():
        kind = "file" if one.file else one.kind
        kind = f"list of {kind}s" if one.file and one.kind == "array" else kind
        default = "required" if one.required else one.described.get("default", "")
        rows.append((one.name, kind, one.allowed(), default, one.described.get("description", "")))
    screen.table(("input", "type", "values", "default", "description"), rows)


def _seconds(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "unknown"
