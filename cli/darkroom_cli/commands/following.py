"""What a command does with one prediction: wait, download, show."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from darkroom_cli.errors import INTERRUPTED, FailedError, UnreachableError
from darkroom_cli.screen import complain
from darkroom_cli.text import PICTURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom_cli.options import Run
    from darkroom_cli.predictions import Prediction
    from darkroom_cli.screen import Screen
    from darkroom_cli.service import Service


Waited = TypeVar("Waited")


def follow(run: Run, service: Service, shown: Prediction, out: Path | None) -> None:
    """Show a prediction, after its end and with its files where the options say so.

    Raises FailedError if it did not succeed.
    """
    from darkroom_cli import files

    if run.flags.open and out is None:
        out = Path()
    if run.flags.watch or out is not None:
        shown = _watched(run, service, shown)
    saved: list[Path] = []
    if out is not None and shown.status == "succeeded":
        folder = files.folder(out)
        names = _interruptible(shown, lambda: files.save(service, shown, folder, shown.id))
        saved = [folder / name for name, _ in names]
    if run.flags.json:
        run.screen.show(
            {**shown.body, **({"saved": [str(path) for path in saved]} if saved else {})}
        )
    else:
        _show(run.screen, shown, saved)
    for path in saved if run.flags.open else ():
        if path.suffix[1:] in PICTURES:
            typer.launch(str(path))
    if shown.ended and shown.status != "succeeded":
        raise FailedError(f"{shown.id} {shown.status}: {shown.error or 'no reason is given'}")


def _watched(run: Run, service: Service, shown: Prediction) -> Prediction:
    from darkroom_cli.predictions import watch

    def wait() -> Prediction:
        with run.screen.waiting(f"{shown.id} {shown.status}") as tell:
            return watch(service, shown, lambda now: tell(f"{now.id} {now.status}"))

    return _interruptible(shown, wait)


def _interruptible(shown: Prediction, wait: Callable[[], Waited]) -> Waited:
    """Wait. If Ctrl-C or the network ends that, say what goes on."""
    goes_on = "" if shown.ended else "The prediction goes on; "
    text = f"{goes_on}`darkroom get {shown.id} --out .` fetches its pictures."
    try:
        return wait()
    except KeyboardInterrupt:
        interrupted(text)
        raise
    except UnreachableError:
        complain(text)
        raise


def interrupted(text: str) -> None:
    """Say what goes on. The next Ctrl-C ends the process at once."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    complain(text)


def _show(screen: Screen, shown: Prediction, saved: list[Path]) -> None:
    screen.say(f"{shown.id} {shown.status}")
    for path in saved:
        screen.say(str(path))
    if not saved and shown.status == "succeeded":
        for file in shown.files():
            screen.say(file.url)
    if shown.ended:
        screen.say(f"cost {cost_of(shown) or 'unknown'}")
    else:
        screen.note(f"`darkroom get {shown.id} --watch` waits for it.")


def cost_of(shown: Prediction) -> str:
    """Return what it has cost; empty if that is not known."""
    from darkroom_cli.models import money

    return money(shown.cost)
