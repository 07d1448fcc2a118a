"""The asset: the inputs of its hash, its contents, and the errors of every failure."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from darkroom.domain.model import InvalidModelError
from darkroom.runtime.function import declared

from infra.bundling import (
    LOCK,
    PACKAGE,
    UNUSED,
    BundlingError,
    Staged,
    UvBundler,
    compile_bytecode,
    install_command,
    lambda_code,
    lock_file,
    stage,
)

if TYPE_CHECKING:
    from aws_cdk import BundlingOptions


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    folder = tmp_path / "functions"
    write(folder / "requirements.txt", "httpx==0.28.1 --hash=sha256:00\n")
    write(folder / "requirements.in", "httpx\n")
    write(folder / "darkroom" / "handlers" / "read.py", "handler = None\n")
    write(folder / "darkroom" / "catalog" / "flux-dev.json", "{}")
    return folder


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def locked(path: Path) -> set[str]:
    return set(re.findall(r"^[a-z0-9-]+==[^ ]+", path.read_text(), re.MULTILINE))


def staged(functions: Path, catalogue: Path | None = None, *, bytecode: bool = False) -> Staged:
    return stage(
        functions / "darkroom",
        functions / "requirements.txt",
        catalogue=catalogue,
        build=functions.parent / "build",
        bytecode=bytecode,
    )


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_staged_copy_is_the_package_and_its_lock(functions: Path) -> None:
    write(functions / "darkroom" / "__pycache__" / "x.cpython-311.pyc", "stale")
    assert content(staged(functions).folder) == {
        "requirements.txt": "httpx==0.28.1 --hash=sha256:00\n",
        "darkroom/handlers/read.py": "handler = None\n",
        "darkroom/catalog/flux-dev.json": "{}",
    }
    assert [path.name for path in (functions.parent / "build").iterdir()] == [
        staged(functions).folder.name
    ]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ("requirements.txt", "httpx==0.28.2 --hash=sha256:11\n"),
        ("darkroom/handlers/read.py", "handler = print\n"),
        ("darkroom/handlers/new.py", ""),
    ],
)
def test_the_hash_follows_what_lands_in_the_asset(functions: Path, changed: str, text: str) -> None:
    before = staged(functions)
    write(functions / changed, text)
    after = staged(functions)
    assert after.asset_hash != before.asset_hash
    assert content(after.folder)[changed] == text


def test_the_hash_ignores_caches_and_what_stays_behind(functions: Path) -> None:
    before = staged(functions)
    write(functions / "darkroom" / "__pycache__" / "read.cpython-313.pyc", "bytecode")
    write(functions / "darkroom" / "handlers" / "read.pyc", "bytecode")
    write(functions / "requirements.in", "httpx\npydantic\n")
    assert staged(functions) == before


def test_aws_m7_with_bytecode_it_is_another_asset(functions: Path) -> None:
    """An asset uploaded without bytecode must not be reused for one with it."""
    without, compiled = staged(functions), staged(functions, bytecode=True)
    assert compiled.asset_hash != without.asset_hash
    assert content(compiled.folder) == content(without.folder)


@pytest.mark.parametrize(("bundled", "assets"), [(["**"], 2), ([], 1)])
def test_aws_m7_only_what_is_bundled_depends_on_the_machine(
    bundled: list[str], assets: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = cdk.App(outdir=str(tmp_path / "out"), context={"aws:cdk:bundling-stacks": bundled})
    stack = cdk.Stack(app, "Stack")
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    without_other_interpreters(monkeypatch, tmp_path, path)
    lambda_code(stack, catalogue=None)
    write(tmp_path / "bin" / "python3.13", "#!/bin/sh\necho 3.13\n", 0o755)
    lambda_code(stack, catalogue=None)
    assert len(list((tmp_path / "out" / "darkroom").iterdir())) == assets


def test_a_moved_file_is_another_asset(functions: Path) -> None:
    before = staged(functions)
    read = functions / "darkroom" / "handlers" / "read.py"
    read.rename(read.with_name("list.py"))
    assert staged(functions).asset_hash != before.asset_hash


def test_a_stage_lays_its_catalogue_over_ours(functions: Path, tmp_path: Path) -> None:
    catalogue = tmp_path / "models"
    write(catalogue / "flux-dev.json", '{"typical_seconds": 9}')
    write(catalogue / "aliases.json", '{"fast": "flux-dev"}')
    write(catalogue / "notes.txt", "not for the asset")
    plain, laid_over = staged(functions), staged(functions, catalogue)
    assert laid_over.asset_hash != plain.asset_hash
    assert content(laid_over.folder) == {
        **content(plain.folder),
        "darkroom/catalog/flux-dev.json": '{"typical_seconds": 9}',
        "darkroom/catalog/aliases.json": '{"fast": "flux-dev"}',
    }


def test_a_catalogue_that_is_not_there_is_refused(functions: Path, tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match="missing-models"):
        staged(functions, tmp_path / "missing-models")


def test_a_catalogue_with_a_file_that_is_no_entry_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "models" / "acme--portrait.json", '{"model": "acme/portrait"}')
    stack = cdk.Stack(cdk.App(outdir=str(tmp_path / "out")), "Stack")
    with pytest.raises(InvalidModelError, match=r"acme--portrait\.json: official: Field required"):
        lambda_code(stack, catalogue=tmp_path / "models")


def test_the_real_lock_has_a_hash_for_every_requirement() -> None:
    lines = LOCK.read_text().splitlines()
    requirements = [line for line in lines if line and line[0] not in " #"]
    assert len(requirements) > 5
    assert all("==" in line and line.endswith("\\") for line in requirements)


def test_what_the_functions_import_is_in_the_asset() -> None:
    """boto3 and botocore belong to the runtime."""
    given = set(sys.stdlib_module_names) | {"darkroom", "boto3", "botocore"}
    packages = metadata.packages_distributions()
    imported = {
        packages[root][0]
        for path in PACKAGE.rglob("*.py")
        if f"darkroom/{path.relative_to(PACKAGE).as_posix()}" not in UNUSED
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if (root := name.partition(".")[0]) not in given
    }
    lock = LOCK.read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert {"httpcore", "cryptography"} <= imported
    assert {name.lower().replace("_", "-") for name in imported} - locked == {"pillow"}


def test_an_asset_with_more_in_it_has_the_same_besides() -> None:
    more = {function.lock for function in declared().values()} - {LOCK.name}
    assert more == {"pictures.txt"}
    (pillow,) = locked(lock_file("pictures.txt")) - locked(LOCK)
    assert pillow.startswith("pillow==")
    assert locked(lock_file("pictures.txt")) >= locked(LOCK)


def test_wheels_are_for_the_functions_platform_and_checked() -> None:
    command = " ".join(install_command("uv", Path("/source"), Path("/target")))
    for option in (
        "pip install",
        "--target /target",
        "--python-platform aarch64-manylinux_2_28",
        "--python-version 3.13",
        "--only-binary :all:",
        "--require-hashes",
        "--no-deps",
        "--link-mode copy",
        "--requirement /source/requirements.txt",
    ):
        assert option in command


@pytest.mark.parametrize("lock", sorted({function.lock for function in declared().values()}))
def test_each_asset_is_bundled_as_for_a_deployment(lock: str, tmp_path: Path) -> None:
    """By uv itself, from the package registry or uv's cache."""
    sources = stage(PACKAGE, lock_file(lock), catalogue=None, build=tmp_path, bytecode=False)
    asset = tmp_path / "asset"
    asset.mkdir()
    assert UvBundler(sources.folder).try_bundle(str(asset), OPTIONS) is True
    installed = {path.name.removesuffix(".dist-info") for path in asset.glob("*.dist-info")}
    names = {text.partition("==")[0].replace("-", "_") for text in locked(lock_file(lock))}
    assert {name.rpartition("-")[0].replace("-", "_").lower() for name in installed} == names
    assert (asset / "darkroom" / "handlers").is_dir()


OPTIONS: BundlingOptions = None  # type: ignore[assignment]  # the bundler has no use for them


def bundle(source: Path, output: Path, uv: Path) -> None:
    output.mkdir()
    assert UvBundler(source, uv_command=str(uv)).try_bundle(str(output), OPTIONS) is True


# Installs one package as uv does: with scripts, caches and a lock file.
UV = """#!/bin/sh
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/bin" "$2/httpx/__pycache__" "$2/pycparser"
echo > "$2/pycparser/lexer.py"
echo > "$2/bin/httpx"; echo > "$2/.lock"; echo "x = 1" > "$2/httpx/__init__.py"
echo > "$2/httpx/__pycache__/__init__.cpython-311.pyc"
"""


def test_the_asset_holds_dependencies_beside_the_package(
    functions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_other_interpreters(monkeypatch, tmp_path, "/usr/bin:/bin")
    source = staged(functions).folder
    bundle(source, tmp_path / "out", write(tmp_path / "uv", UV, 0o755))
    assert content(tmp_path / "out").keys() == content(source).keys() | {"httpx/__init__.py"}


def test_a_failing_install_raises_with_its_own_message(functions: Path, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'hash mismatch for httpx' >&2\nexit 1\n"
    with pytest.raises(BundlingError, match="hash mismatch for httpx"):
        bundle(staged(functions).folder, tmp_path / "out", write(tmp_path / "uv", script, 0o755))


def test_a_missing_uv_raises(functions: Path, tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match="nowhere/uv does not start"):
        bundle(staged(functions).folder, tmp_path / "out", tmp_path / "nowhere" / "uv")


def without_other_interpreters(monkeypatch: pytest.MonkeyPatch, home: Path, path: str) -> None:
    """Hide the Pythons of this machine; the stand-in fails, so there is no interpreter for
    bytecode."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", path)


@pytest.mark.parametrize(
    "place",
    [
        "bin/python3.13",
        ".pyenv/versions/3.13.0/bin/python3.13",
        ".local/share/uv/python/cpython-3.13.9-linux-x86_64-gnu/bin/python3.13",
    ],
)
def test_the_runtimes_python_is_found_where_it_is_kept(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = f'#!/bin/sh\n[ "$1" = -c ] && echo 3.13 || echo > {tmp_path / "called"}\n'
    write(tmp_path / place, script, 0o755)
    without_other_interpreters(monkeypatch, tmp_path, f"{tmp_path / 'bin'}:/usr/bin:/bin")
    compile_bytecode(tmp_path)
    assert (tmp_path / "called").exists()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("version", [None, "3.11"])
def test_without_the_runtimes_python_it_says_that_bytecode_is_missing(
    version: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if version:
        write(tmp_path / "bin" / "python3.13", f"#!/bin/sh\necho {version}\n", 0o755)
    without_other_interpreters(monkeypatch, tmp_path, str(tmp_path / "bin"))
    compile_bytecode(tmp_path)
    assert "without bytecode" in capfd.readouterr().err


def test_bytecode_is_compiled_for_where_lambda_puts_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script = f'#!/bin/sh\n[ "$1" = -c ] && echo 3.13 || echo "$@" > {tmp_path / "called"}\n'
    write(tmp_path / "bin" / "python3.13", script, 0o755)
    without_other_interpreters(monkeypatch, tmp_path, f"{tmp_path / 'bin'}:/usr/bin:/bin")
    compile_bytecode(tmp_path / "asset")
    called = (tmp_path / "called").read_text()
    assert "-m compileall" in called
    assert "--invalidation-mode unchecked-hash" in called
    assert f"-s {tmp_path / 'asset'} -p /var/task" in called
    assert capfd.readouterr().err == ""
