"""What a command prints: for people, or as JSON for programs. Every text from outside passes
`visible` on its way."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom_cli.text import short, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NARROW = 60


@dataclass(frozen=True)
class Screen:
    """Standard output has results alone, and with `json` nothing but JSON; all else is on standard
    error."""

    json: bool = False
    quiet: bool = False

    def show(self, value: object) -> None:
        """Print a result as one line of JSON, whose escapes hide no character."""
        print(json.dumps(value, ensure_ascii=True), flush=True)

    def say(self, text: object = "") -> None:
        """Print a line of a result for people."""
        if not self.json:
            print(visible(text), flush=True)

    def note(self, text: object) -> None:
        """Print what is not a result, unless it is to be quiet."""
        if not self.quiet:
            complain(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows: as a table on a terminal, else each as a line with tabs."""
        if not sys.stdout.isatty():
            for row in rows:
                print("\t".join(visible(" ".join(str(cell).split())) for cell in row), flush=True)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(short(cell, 500), overflow="fold") for cell in row))
        Console(markup=False, highlight=False, emoji=False).print(table)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show that something goes on; the function that is returned says what."""
        if self.quiet or not sys.stderr.isatty() or _dumb():
            last = [""]

            def tell(line: str) -> None:
                if line != last[0]:
                    self.note(line)
                    last[0] = line

            yield tell
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        with console.status(Text(visible(text))) as status:
            yield lambda line: status.update(Text(visible(line)))

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[str, bool], None]]:
        """Show how many of `total` are done. The function that is returned counts one; its line is
        printed where no bar can be drawn, or if it is to be noticed."""
        if self.quiet or not (sys.stderr.isatty() and sys.stdout.isatty()) or _dumb():
            yield lambda line, _: self.note(line)
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        label = TextColumn("{task.description}", markup=False)
        with Progress(label, *columns, console=console) as progress:
            task = progress.add_task(visible(text), total=total)

            def count(line: str, notice: bool) -> None:  # noqa: FBT001
                if notice:
                    console.print(Text(visible(line)))
                progress.advance(task)

            yield count


def complain(text: object) -> None:
    """Print a line on standard error."""
    print(visible(text), file=sys.stderr, flush=True)


def tolerant() -> None:
    """Let every text be printed, whatever the terminal's encoding has no character for."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _dumb() -> bool:
    return os.environ.get("TERM", "") in {"", "dumb"}
