"""batch: a picture of each row of a file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom_cli.commands.following import interrupted
from darkroom_cli.errors import FailedError, RefusedError, UnreachableError, UsageError
from darkroom_cli.options import DryRun, Json, ModelOption, Quiet, Run, run_of
from darkroom_cli.screen import complain
from darkroom_cli.text import short

if TYPE_CHECKING:
    from darkroom_cli.batch import Batch, Quote, Result
    from darkroom_cli.rows import Problem
    from darkroom_cli.screen import Screen

MOST_PROBLEMS = 20


def batch(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The rows: a .csv or a .jsonl file.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for pictures and results.csv.")],
    model: ModelOption = None,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=64, help="Predictions at the same time.")
    ] = 8,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave bad rows out, and make the others.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with a run that has begun.")
    ] = False,
    dry_run: DryRun = False,
    json_: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make a picture of each row of a file.

    Each column is an input of the model, by its name; the column `model` names the row's own
    model. @PATH uploads a file. All rows are checked before the first is made.

    It may be stopped or killed at any time: started again with the same --out it goes on, makes no
    row twice and loses none. What it has done is in a journal beside the folder,
    FOLDER.journal.jsonl.

    \b
    Examples:
      darkroom batch prompts.csv --model flux-schnell --out pictures --dry-run
      darkroom batch prompts.csv --model flux-schnell --out pictures
      darkroom batch prompts.csv --model flux-schnell --out pictures --resume
      darkroom batch prompts.jsonl --out pictures --at-once 16 --json
    """
    from darkroom_cli import batch as batches
    from darkroom_cli import journal
    from darkroom_cli import models as catalogue
    from darkroom_cli.rows import read

    run = run_of(ctx, json=json_, quiet=quiet)
    with run.service() as service:
        rows, problems = read(file, lambda name: catalogue.model(service, name), model)
        _complain_of(problems)
        if problems and not keep_going:
            raise UsageError("Nothing was made. --keep-going makes the other rows.")
        if not rows:
            raise UsageError("There is no row to make.")
        service.patience_s = batches.PATIENCE_S
        if dry_run:
            with run.screen.counting("pricing", len(rows)) as tell:
                quote = batches.price(
                    service, rows, lambda number: tell(f"row {number} is priced", False)
                )
            _show_quote(run.screen, quote, len(rows))
            return
        path = journal.beside(out)
        if resume and not path.exists():
            raise UsageError(f"There is no {path}: no run with this --out has begun.")
        tenant = short(service.get("/v1/account").get("username"), 200)
        with journal.opened(path, url=service.account.url, tenant=tenant) as opened:
            _work(run, batches.Batch(service, opened, rows, out), at_once)


def _complain_of(problems: list[Problem]) -> None:
    for problem in problems[:MOST_PROBLEMS]:
        complain(problem)
    if len(problems) > MOST_PROBLEMS:
        complain(f"and {len(problems) - MOST_PROBLEMS} more")


def _work(run: Run, work: Batch, at_once: int) -> None:
    """Run a batch, and show what becomes of each row. Raises FailedError if not all succeeded."""
    if work.journal.begun:
        run.screen.note(
            f"Going on with {work.journal.path}: {work.fresh()} of {len(work.rows)} "
            "rows are new or have changed since."
        )
        if work.left_out():
            run.screen.note(
                f"{work.left_out()} rows of the journal are no longer in the file as "
                "they were; what was made of them stays."
            )
    results: list[Result] = []
    try:
        with run.screen.counting("making", len(work.rows)) as count:

            def tell(one: Result) -> None:
                results.append(one)
                if run.flags.json:
                    run.screen.show(_as_json(one))
                count(_line(one), one.status != "succeeded")

            work.run(at_once, tell)
    except KeyboardInterrupt:
        interrupted(f"The predictions go on; `darkroom {_again()}` finds them.")
        raise
    except (RefusedError, UnreachableError):
        complain(f"`darkroom {_again()}` goes on with it.")
        raise
    unfinished = [one for one in results if one.status != "succeeded"]
    run.screen.say(
        f"{len(results) - len(unfinished)} of {len(work.rows)} rows succeeded; "
        f"the table is {work.out / 'results.csv'}"
    )
    if any(one.status == "open" for one in unfinished):
        raise UnreachableError("Files of some rows did not arrive: run it again.")
    if unfinished:
        raise FailedError(f"{len(unfinished)} rows did not succeed.")


def _again() -> str:
    """Return the command line that goes on with this run."""
    words = sys.argv[1:]
    return shlex.join(words if "--resume" in words else [*words, "--resume"])


def _as_json(one: Result) -> dict[str, object]:
    return {
        "row": one.row.number,
        "line": one.row.line,
        "model": one.row.version,
        "prediction": one.prediction or None,
        "status": one.status,
        "files": list(one.files),
        "cost": one.cost,
        "error": one.error or None,
    }


def _line(one: Result) -> str:
    end = " ".join(one.files) or short(one.error, 300)
    return f"row {one.row.number}: {one.status} {end}".rstrip()


def _show_quote(screen: Screen, quote: Quote, count: int) -> None:
    from darkroom_cli.models import dollars

    for problem in quote.refused:
        complain(problem)
    if screen.json:
        screen.show(
            {
                "rows": count,
                "most": quote.dollars,
                "unknown": quote.unknown,
                "refused": len(quote.refused),
            }
        )
    unknown = f", and {quote.unknown} rows of unknown price" if quote.unknown else ""
    screen.say(f"{count} rows: {dollars(quote.dollars)} at most{unknown}")
    if quote.refused:
        raise UsageError(f"{len(quote.refused)} rows would be rejected.")
