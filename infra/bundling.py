"""The one Lambda asset: a clean copy of the code, and its dependencies built for arm64 by uv."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import jsii
import uv
from aws_cdk import AssetHashType, BundlingOptions, ILocalBundling
from aws_cdk import aws_lambda as lambda_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import Stack

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE = lambda_.Architecture.ARM_64
PYTHON = "3.13"
PLATFORM = "aarch64-manylinux2014"
BUNDLER_VERSION = "1"
"""Part of the asset's hash: raise it when a change here changes what lands in the asset."""


class BundlingError(Exception):
    """The asset could not be built."""


@dataclass(frozen=True)
class Staged:
    """A folder with what goes into the asset before its dependencies, and the asset's hash."""

    folder: Path
    asset_hash: str


def lambda_code(stack: Stack, *, catalogue: Path | None) -> lambda_.Code:
    """The code of every function, with the stage's catalogue laid over the packaged one.

    Where the context switches bundling off, the sources alone: that is enough for an embedded cloud
    and for reading the template.
    """
    staged = stage(ROOT / "functions", catalogue=catalogue, build=ROOT / "build")
    return lambda_.Code.from_asset(
        str(staged.folder),
        # CDK's own hash would look at the staged folder alone and miss the platform.
        asset_hash=staged.asset_hash,
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            image=RUNTIME.bundling_image,  # never pulled: local bundling succeeds or raises
            # jsii passes the options as one object, the generated type takes them apart.
            local=cast("ILocalBundling", UvBundler(staged.folder)),
        )
        if stack.bundling_required
        else None,
    )


def stage(functions: Path, *, catalogue: Path | None, build: Path) -> Staged:
    """Copy the sources into `build`, under a name made of their content.

    Neither caches nor files outside `darkroom/` and `requirements.txt` take part.
    """
    files = _sources(functions, catalogue)
    asset_hash = _hash(files)
    folder = build / f"asset-{asset_hash[:16]}"
    if not folder.exists():
        build.mkdir(parents=True, exist_ok=True)
        # Copied aside and renamed: another synth at the same time never sees half of it.
        with tempfile.TemporaryDirectory(dir=build) as scratch:
            copy = Path(scratch) / "copy"
            for name, source in files.items():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy / name)
            try:
                copy.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
    return Staged(folder, asset_hash)


def _sources(functions: Path, catalogue: Path | None) -> dict[str, Path]:
    files = {"requirements.txt": functions / "requirements.txt"}
    for path in (functions / "darkroom").rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
            files[path.relative_to(functions).as_posix()] = path
    if catalogue is not None:
        if not catalogue.is_dir():
            raise BundlingError(f"the stage's catalogue {catalogue} is not a folder")
        files |= {f"darkroom/catalog/{path.name}": path for path in catalogue.glob("*.json")}
    return dict(sorted(files.items()))


def _hash(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for part in (BUNDLER_VERSION, PYTHON, PLATFORM):
        digest.update(f"{part}\0".encode())
    for name, path in files.items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@jsii.implements(ILocalBundling)
class UvBundler:
    """Builds the asset without Docker. Every failure raises: answering False would make CDK start
    Docker, and hide the cause behind Docker's message."""

    def __init__(self, source: Path, *, uv_command: str | None = None) -> None:
        self._source = source
        self._uv = uv_command

    def try_bundle(self, output_dir: str, options: BundlingOptions) -> bool:  # noqa: ARG002
        """Raises BundlingError with uv's own message."""
        target = Path(output_dir)
        run(install_command(self._uv or uv.find_uv_bin(), self._source, target))
        shutil.copytree(self._source, target, dirs_exist_ok=True)
        shutil.rmtree(target / "bin", ignore_errors=True)
        (target / ".lock").unlink(missing_ok=True)
        for cache in list(target.rglob("__pycache__")):
            shutil.rmtree(cache)
        compile_bytecode(target)
        return True


def install_command(uv_command: str, source: Path, target: Path) -> list[str]:
    """Wheels for the functions' platform only, each with the hash the lock names."""
    return [
        *(uv_command, "pip", "install", "--quiet", "--no-config"),
        *("--python", sys.executable, "--target", str(target)),
        *("--python-platform", PLATFORM, "--python-version", PYTHON),
        *("--only-binary", ":all:", "--require-hashes"),
        *("--link-mode", "copy"),  # hard links into uv's cache would let later edits spoil it
        *("--requirement", str(source / "requirements.txt")),
    ]


def run(command: list[str]) -> None:
    """Run to the end. Raises BundlingError with what the command wrote."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        raise BundlingError(f"{command[0]} does not start: {error}") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip()
        raise BundlingError(f"{Path(command[0]).name} failed: {said}") from error


def compile_bytecode(target: Path) -> None:
    """Ship .pyc files: without them every cold start compiles again, /var/task being read-only.

    Only an interpreter of the runtime's own minor version can write them. `unchecked-hash`, as the
    zip archive resets the file times that ordinary ones are checked against.
    """
    python = shutil.which(f"python{PYTHON}")
    probe = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    found = python and subprocess.run(probe, check=False, capture_output=True, text=True)  # noqa: S603
    if not python or not found or found.stdout.strip() != PYTHON:
        print(
            f"no python{PYTHON} on PATH: the asset ships without bytecode, cold starts are slower",
            file=sys.stderr,
        )
        return
    run(
        [
            *(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(target), "-p", "/var/task", str(target)),
        ]
    )
