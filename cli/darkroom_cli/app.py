"""The command line of `darkroom`: the commands, and what ends one."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from darkroom_cli.commands import account, batches, catalogue, looking, making
from darkroom_cli.errors import INTERRUPTED, CliError
from darkroom_cli.options import Flags, Insecure, Json, Open, Quiet, Watch
from darkroom_cli.screen import complain, tolerant


class Commands(TyperGroup):
    """All commands: turns what ends one into its text and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the line names."""
        try:
            return super().invoke(ctx)
        except CliError as error:
            complain(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever read the output has enough of it. Python would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(1)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # its tracebacks show local values, and one is the key
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    *,
    watch: Watch = False,
    open_: Open = False,
    json_: Json = False,
    quiet: Quiet = False,
    insecure_http: Insecure = False,
) -> None:
    """Make pictures with a deployment of Darkroom, watch them and fetch them.

    \b
    Begin with:
      darkroom login
      darkroom models
      darkroom generate flux-schnell "a lighthouse at dawn" --out pictures

    \b
    Exit codes:
      0    done
      1    a prediction failed or was canceled
      2    the command line, a file or the configuration is wrong
      3    the service rejected it, or a limit did
      4    the service cannot be reached
      130  Ctrl-C
    """
    ctx.obj = Flags(watch, open_, json_, quiet, insecure_http)


for command in (
    account.login,
    account.logout,
    catalogue.models,
    making.generate,
    making.edit,
    making.upscale,
    batches.batch,
    looking.get,
    looking.cancel,
    account.usage,
):
    app.command()(command)
app.command("list")(looking.list_)


def main() -> None:
    """Run the command line of this process."""
    tolerant()
    app(prog_name="darkroom")
