"""The Lambda assets: a clean copy of the code, and its dependencies built for arm64 by uv. There is
one for each lock file, which a few functions have of their own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import darkroom
import jsii
import uv
from aws_cdk import AssetHashType, BundlingOptions, ILocalBundling, Stage
from aws_cdk import aws_lambda as lambda_
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import check
from darkroom.runtime import function

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_cdk import Stack

PACKAGE = Path(darkroom.__file__).resolve().parent
"""The functions' code: beside this package in the wheel, below functions/ in the repository."""


def lock_file(name: str) -> Path:
    """A lock of the functions': beside this package in the wheel, in functions/ in the
    repository."""
    beside = Path(__file__).resolve().with_name(name)
    return beside if beside.is_file() else PACKAGE.parent / name


LOCK = lock_file(function.LOCK)
RUNTIME = lambda_.Runtime.PYTHON_3_13
ARCHITECTURE = lambda_.Architecture.ARM_64
PYTHON = "3.13"
PLATFORM = "aarch64-manylinux_2_28"
"""Lambda's Python 3.13 runs on Amazon Linux 2023 with glibc 2.34; Pillow's wheels need 2.28."""
BUNDLER_VERSION = "3"
"""Part of the asset's hash. Raise it when a change here changes the content of the asset."""


UNUSED = (
    "bin",
    ".lock",
    # Parsers of C declarations; cryptography needs only cffi's compiled half.
    "cffi",
    "pycparser",
    # A megabyte of JavaScript that renders an API in a browser.
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    # Used by `make openapi` only; they need pydantic, which the asset does not contain.
    "darkroom/api/bodies.py",
    "darkroom/api/events.py",
    "darkroom/api/openapi.py",
    "darkroom/api/parameters.py",
    "darkroom/catalog/entry.py",
    "darkroom/api/schemas.py",
)
"""Files of the wheels and of the package that no function imports."""


class BundlingError(Exception):
    """The asset could not be built."""


@dataclass(frozen=True)
class Staged:
    """A folder with the sources of the asset before its dependencies are installed, and its
    hash."""

    folder: Path
    asset_hash: str


def lambda_code(stack: Stack, *, catalogue: Path | None, lock: Path = LOCK) -> lambda_.Code:
    """The code of every function with this lock, with the stage's catalogue laid over the packaged
    one.

    If the context disables bundling, the asset contains the sources only. That is enough for the
    embedded cloud and for reading the template.
    """
    if catalogue is not None:
        check(Catalogue.load(over=catalogue))
    build = Path(cast("Stage", Stage.of(stack)).outdir) / "darkroom"
    # Nothing is compiled without bundling, so every machine produces the same templates.
    bytecode = stack.bundling_required and runtimes_python() is not None
    staged = stage(PACKAGE, lock, catalogue=catalogue, build=build, bytecode=bytecode)
    return lambda_.Code.from_asset(
        str(staged.folder),
        # CDK's own hash would cover the staged folder only and miss the platform.
        asset_hash=staged.asset_hash,
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=BundlingOptions(
            image=RUNTIME.bundling_image,  # never pulled: local bundling succeeds or raises
            # jsii passes the options as one object, but the generated type splits them.
            local=cast("ILocalBundling", UvBundler(staged.folder)),
        )
        if stack.bundling_required
        else None,
    )


def stage(
    package: Path, lock: Path, *, catalogue: Path | None, build: Path, bytecode: bool
) -> Staged:
    """Copy the sources into a folder of `build` that is named after their content.

    Caches and files outside the package and its lock are left out. `bytecode` tells whether the
    asset will contain bytecode; it is part of the hash because CDK never uploads the same hash
    twice.
    """
    files = _sources(package, lock, catalogue)
    asset_hash = _hash(files, bytecode=bytecode)
    folder = build / f"asset-{asset_hash[:16]}"
    if not folder.exists():
        build.mkdir(parents=True, exist_ok=True)
        # Copied aside and then renamed, so a concurrent synth never sees a partial copy.
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


def _sources(package: Path, lock: Path, catalogue: Path | None) -> dict[str, Path]:
    files = {"requirements.txt": lock}
    for path in package.rglob("*"):
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
            files[f"darkroom/{path.relative_to(package).as_posix()}"] = path
    if catalogue is not None:
        if not catalogue.is_dir():
            raise BundlingError(f"the stage's catalogue {catalogue} is not a folder")
        files |= {f"darkroom/catalog/{path.name}": path for path in catalogue.glob("*.json")}
    return dict(sorted(files.items()))


def _hash(files: Mapping[str, Path], *, bytecode: bool) -> str:
    digest = hashlib.sha256()
    for part in (BUNDLER_VERSION, PYTHON, PLATFORM, *(["bytecode"] if bytecode else [])):
        digest.update(f"{part}\0".encode())
    for name, path in files.items():
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@jsii.implements(ILocalBundling)
class UvBundler:
    """Builds the asset without Docker. Every failure raises, because returning False would make CDK
    start Docker and hide the cause behind Docker's message."""

    def __init__(self, source: Path, *, uv_command: str | None = None) -> None:
        self._source = source
        self._uv = uv_command

    def try_bundle(self, output_dir: str, options: BundlingOptions) -> bool:  # noqa: ARG002
        """Build the asset in `output_dir`. Raises BundlingError with uv's own message."""
        target = Path(output_dir)
        run(install_command(self._uv or uv.find_uv_bin(), self._source, target))
        shutil.copytree(self._source, target, dirs_exist_ok=True)
        for unused in (*map(target.joinpath, UNUSED), *target.rglob("__pycache__")):
            if unused.is_dir():
                shutil.rmtree(unused)
            else:
                unused.unlink(missing_ok=True)
        compile_bytecode(target)
        return True


def install_command(uv_command: str, source: Path, target: Path) -> list[str]:
    """Install wheels for the functions' platform only, each verified against its hash in the
    lock."""
    return [
        *(uv_command, "pip", "install", "--quiet", "--no-config"),
        *("--python", sys.executable, "--target", str(target)),
        *("--python-platform", PLATFORM, "--python-version", PYTHON),
        # The lock has all that is wanted: a dependency that it leaves out has no hash either.
        *("--only-binary", ":all:", "--require-hashes", "--no-deps"),
        *("--link-mode", "copy"),  # hard links into uv's cache would let later edits corrupt it
        *("--requirement", str(source / "requirements.txt")),
    ]


def run(command: list[str]) -> None:
    """Run the command to its end. Raises BundlingError with the command's output."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except OSError as error:
        raise BundlingError(f"{command[0]} does not start: {error}") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip()
        raise BundlingError(f"{Path(command[0]).name} failed: {said}") from error


def compile_bytecode(target: Path) -> None:
    """Compile .pyc files into the asset.

    /var/task is read-only, so without them every cold start compiles all modules again. Only an
    interpreter of the runtime's own minor version can write them. `unchecked-hash` is used because
    the zip archive resets the file times that the default mode compares.
    """
    python = runtimes_python()
    if python is None:
        print(
            f"no Python {PYTHON} found: the asset ships without bytecode, cold starts are slower",
            file=sys.stderr,
        )
        return
    run(
        [
            *(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", str(target), "-p", "/var/task", str(target)),
        ]
    )


def runtimes_python() -> str | None:
    """Return an interpreter of the runtime's minor version, or None if this machine has none."""
    return next(filter(_is_runtimes, _interpreters()), None)


def _interpreters() -> Iterator[str]:
    """Yield this interpreter, the one on PATH, and those installed by pyenv and uv."""
    yield sys.executable
    on_path = shutil.which(f"python{PYTHON}")
    if on_path:
        yield on_path
    for kept in (".pyenv/versions/", ".local/share/uv/python/cpython-"):
        yield from map(str, sorted(Path.home().glob(f"{kept}{PYTHON}.*/bin/python{PYTHON}")))


def _is_runtimes(python: str) -> bool:
    probe = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    found = subprocess.run(probe, check=False, capture_output=True, text=True)  # noqa: S603
    return found.stdout.strip() == PYTHON
