"""The templates and assets of the local stage, synthesized by the CDK app and cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from local.processes import ROOT, Child, StartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT = 4
"""Number of synths in the cache; the oldest are deleted."""

_SOURCES = (
    "app.py",
    "cdk.json",
    "requirements.txt",
    "infra",
    "functions",
    "local/catalogue",
    "local/stage.py",
)
_READ = {".css", ".html", ".js", ".json", ".py", ".svg", ".txt"}


def synthesise(
    *, cache: Path, logs: Path, say: Callable[[str], None], origins: tuple[str, ...] = ()
) -> Path:
    """Return the cloud assembly of the local stage. Raises StartError with the CDK app's output.

    Browsers on the `origins` may call the stage.
    """
    ready = cache / _key(origins)
    if not (ready / "manifest.json").exists():
        say("Making the CloudFormation templates (once per change, about ten seconds) …")
        started = time.monotonic()
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache))
        try:
            _run_app(draft, logs, origins)
            if not ready.exists():  # another start may have been faster
                draft.rename(ready)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        say(f"Templates made in {time.monotonic() - started:.0f} s.")
    os.utime(ready)
    _prune(cache)
    return ready


def _run_app(outdir: Path, logs: Path, origins: tuple[str, ...]) -> None:
    context = {
        "stage": "local",
        "cors_origins": ",".join(origins),
        "aws:cdk:bundling-stacks": [],
    }
    app = Child(
        [sys.executable, "app.py"],
        env={**os.environ, "CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(context)},
        log=logs / "synth.log",
    )
    try:
        code = app.wait()
    finally:
        app.stop()
    if code or not (outdir / "manifest.json").exists():
        raise StartError(f"The CDK app failed. The end of {app.log}:\n{app.tail(30)}")


def _key(origins: tuple[str, ...]) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}{origins}".encode())
    for path in _source_files():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _source_files() -> Iterator[Path]:
    for name in _SOURCES:
        source = ROOT / name
        if source.is_file():
            yield source
            continue
        for path in sorted(source.rglob("*")):
            if path.suffix in _READ and "__pycache__" not in path.parts:
                yield path


def _prune(cache: Path) -> None:
    made: list[tuple[float, Path]] = []
    for path in cache.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process has deleted or renamed it
            made.append((path.stat().st_mtime, path))
    for changed, old in sorted(made, reverse=True)[KEPT:]:
        # An hour's grace, since another process may be using a younger one.
        if time.time() - changed > 3600:
            shutil.rmtree(old, ignore_errors=True)
