"""generate, edit and upscale: one prediction each."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom_cli.commands.following import follow
from darkroom_cli.errors import UnreachableError, UsageError
from darkroom_cli.options import (
    DryRun,
    Inputs,
    Json,
    ModelOption,
    Open,
    Out,
    Quiet,
    Run,
    Tags,
    Watch,
    run_of,
)
from darkroom_cli.screen import complain
from darkroom_cli.text import short

if TYPE_CHECKING:
    from pathlib import Path

    from darkroom_cli.models import Model
    from darkroom_cli.service import Service


def generate(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="owner/name, the name alone, or an alias.")],
    prompt: Annotated[str | None, typer.Argument(help="What the picture should show.")] = None,
    *,
    input_: Inputs = None,
    tag: Tags = None,
    out: Out = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    open_: Open = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture. `darkroom models NAME` shows what a model takes.

    It answers at once, unless it is to wait. A value is of the type that the model's schema says;
    @PATH uploads a file.

    \b
    Examples:
      darkroom generate flux-schnell "a lighthouse above the sea at dawn" --watch
      darkroom generate flux-schnell "a fox" -i num_outputs=4 -i aspect_ratio=16:9 --out pictures
      darkroom generate flux-kontext-pro "make it night" -i input_image=@photo.png --open
      darkroom generate flux-2-pro "a fox" --dry-run
    """
    from darkroom_cli import models as catalogue

    run = run_of(ctx, watch=watch, open=open_, json=json_, quiet=quiet)
    with run.service() as service:
        chosen = catalogue.model(service, model)
        pairs = [*_prompt(prompt), *_pairs(input_)]
        _make(run, service, chosen, pairs, tag, out, dry_run=dry_run)


def edit(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(help="The picture: a path, or a URL.")],
    prompt: Annotated[str, typer.Argument(help="What to change.")],
    *,
    mask: Annotated[
        str | None, typer.Option("--mask", help="Which part: a path or a URL of a mask.")
    ] = None,
    model: ModelOption = None,
    input_: Inputs = None,
    tag: Tags = None,
    out: Out = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    open_: Open = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change a picture as told in words, or the part of it that a mask shows.

    \b
    Examples:
      darkroom edit photo.png "make it winter" --out pictures
      darkroom edit photo.png "a red door" --mask door.png --watch
      darkroom edit photo.png "as a woodcut" --model qwen/qwen-image-edit-plus --open
    """

    run = run_of(ctx, watch=watch, open=open_, json=json_, quiet=quiet)
    with run.service() as service:
        task = "inpainting" if mask else "image-editing"
        chosen = _chosen(run, service, model, task)
        pairs = [(chosen.picture().name, _source(image)), *_prompt(prompt)]
        if mask:
            pairs.append((chosen.picture(mask=True).name, _source(mask)))
        _make(run, service, chosen, [*pairs, *_pairs(input_)], tag, out, dry_run=dry_run)


def upscale(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(help="The picture: a path, or a URL.")],
    *,
    scale: Annotated[
        str | None, typer.Option("--scale", help="By how much to enlarge each side.")
    ] = None,
    model: ModelOption = None,
    input_: Inputs = None,
    tag: Tags = None,
    out: Out = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    open_: Open = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Enlarge a picture.

    \b
    Examples:
      darkroom upscale photo.png --out pictures
      darkroom upscale photo.png --scale 2 --watch
      darkroom upscale photo.png --model recraft-ai/recraft-crisp-upscale --open
    """
    run = run_of(ctx, watch=watch, open=open_, json=json_, quiet=quiet)
    with run.service() as service:
        chosen = _chosen(run, service, model, "upscaling")
        pairs = [(chosen.picture().name, _source(image))]
        if scale is not None:
            pairs.append(("scale", scale))
        _make(run, service, chosen, [*pairs, *_pairs(input_)], tag, out, dry_run=dry_run)


def _chosen(run: Run, service: Service, name: str | None, task: str) -> Model:
    from darkroom_cli import models as catalogue

    if name:
        return catalogue.model(service, name)
    chosen = catalogue.for_task(service, task)
    run.screen.note(f"model: {chosen.reference}")
    return chosen


def _prompt(text: str | None) -> list[tuple[str, str]]:
    return [] if text is None else [("prompt", text)]


def _pairs(given: list[str] | None) -> list[tuple[str, str]]:
    """Split `key=value`. Raises UsageError."""
    pairs = []
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"-i takes KEY=VALUE, and not {short(text, 60)}.")
        pairs.append((name, value))
    return pairs


def _source(text: str) -> str:
    """Return what an input takes for a picture on the command line: a URL as it is, else a path."""
    return text if text.startswith(("https://", "http://", "data:", "@")) else f"@{text}"


def _make(
    run: Run,
    service: Service,
    model: Model,
    pairs: list[tuple[str, str]],
    tags: list[str] | None,
    out: Path | None,
    *,
    dry_run: bool,
) -> None:
    """Create one prediction, and do with it what the options say."""
    from darkroom_cli import files, predictions
    from darkroom_cli.batch import STAND_IN
    from darkroom_cli.models import dollars, given_values

    def upload(path: str) -> str:
        if dry_run:
            files.read(path)
            return STAND_IN
        return files.upload(service, path)

    given = given_values(model, pairs, upload)
    missing = model.missing(given)
    if missing:
        raise UsageError(f"{model.reference} needs {', '.join(missing)}: give it with -i.")
    tagged = tuple(tags or ())
    if dry_run:
        most = predictions.most(service, model.reference, given, tagged)
        if run.flags.json:
            run.screen.show({"most": most})
        run.screen.say("The price is unknown." if most is None else f"{dollars(most)} at most")
        return
    try:
        # The key lets a create be repeated whose answer is lost.
        key = f"darkroom-{secrets.token_hex(16)}"
        made = predictions.create(service, model.reference, given, key, tagged)
    except (KeyboardInterrupt, UnreachableError):
        complain("It may have been accepted all the same: `darkroom list --limit 5` shows it.")
        raise
    follow(run, service, made, out)
