"""Options that several commands share, and what they mean for one run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom_cli import configuration
from darkroom_cli.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom_cli.service import Service


@dataclass(frozen=True)
class Flags:
    """The options that may stand before the command or after it."""

    watch: bool = False
    open: bool = False
    json: bool = False
    quiet: bool = False
    insecure_http: bool = False


Watch = Annotated[bool, typer.Option("--watch", "-w", help="Wait for the end.")]

Open = Annotated[
    bool, typer.Option("--open", help="Wait, download the pictures and show them in a viewer.")
]

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object in a line, and nothing else.")
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors alone.")]

Insecure = Annotated[
    bool,
    typer.Option("--insecure-http", help="Allow a deployment that is reached without TLS."),
]

Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Wait, and download the pictures to this folder.")
]

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="KEY=VALUE",
        help="An input of the model. @PATH uploads a file. May be repeated.",
    ),
]

Tags = Annotated[
    list[str] | None, typer.Option("--tag", "-t", help="A tag to find it by. May be repeated.")
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check it and print its price at most; make nothing.")
]

ModelOption = Annotated[str | None, typer.Option("--model", "-m", help="owner/name, or an alias.")]


@dataclass(frozen=True)
class Run:
    """One command: its options, wherever they stood, and its ways to print and to call."""

    flags: Flags

    @property
    def screen(self) -> Screen:
        """Return what it prints to."""
        return Screen(json=self.flags.json, quiet=self.flags.quiet)

    @contextmanager
    def service(self) -> Iterator[Service]:
        """Call the service of the user's account. Raises UsageError."""
        from darkroom_cli.service import Service

        account = configuration.account(os.environ, insecure_http=self.flags.insecure_http)
        with Service(account) as service:
            yield service


def run_of(ctx: typer.Context, **given: bool) -> Run:
    """Join a command's options with those before it."""
    before: Flags = ctx.find_root().obj
    return Run(
        Flags(
            **{
                name: getattr(before, name) or given.get(name, False)
                for name in Flags.__dataclass_fields__
            }
        )
    )
