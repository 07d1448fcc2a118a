"""The Lambda asset, bundled as for a deployment: its size, and the size of its parts."""

from __future__ import annotations

import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable

METHOD = (
    "The functions' code and its locked arm64 wheels with bytecode, deflated as CDK does it; MB "
    "of 10^6 bytes."
)
LARGEST = 6
"""Number of parts listed by name."""


def run(progress: Callable[[str], None]) -> list[Result]:
    """Bundle and zip. Needs the package registry or uv's cache."""
    # It starts a JavaScript engine, so it is imported only where needed.
    from infra.bundling import LOCK, PACKAGE, UvBundler, stage

    with tempfile.TemporaryDirectory() as scratch:
        progress("bundling")
        staged = stage(PACKAGE, LOCK, catalogue=None, build=Path(scratch), bytecode=True)
        asset = Path(scratch) / "asset"
        asset.mkdir()
        UvBundler(staged.folder).try_bundle(str(asset), None)  # type: ignore[arg-type]
        progress("zipping")
        archive = Path(scratch) / "asset.zip"
        parts: Counter[str] = Counter()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in sorted(asset.rglob("*")):
                if path.is_file():
                    name = path.relative_to(asset)
                    zipped.write(path, name)
                    parts[name.parts[0].partition(".")[0]] += zipped.getinfo(
                        name.as_posix()
                    ).compress_size
        whole = archive.stat().st_size
        compiled = any(asset.rglob("*.pyc"))
    without = "" if compiled else " WITHOUT bytecode: no interpreter of the runtime's version."
    return [
        Result("asset.zip_mb", round(whole / 1e6, 2), "MB", None, METHOD + without),
        *(
            Result(f"asset.part.{name}", round(size / 1e6, 2), "MB", round(size / whole, 3), METHOD)
            for name, size in parts.most_common(LARGEST)
        ),
    ]
