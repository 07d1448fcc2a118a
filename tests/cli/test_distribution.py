"""The wheel: what is in it, what it needs, and that it needs nothing of the functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "cli" / "darkroom_cli").rglob("*.py"))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PROJECT = tomllib.loads((ROOT / "cli" / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--no-build-isolation", ROOT / "cli", "--out-dir", folder)
    (built,) = folder.glob("darkroom_cli-*.whl")
    return built


def _uv(*arguments: str | Path) -> None:
    command = [uv.find_uv_bin(), *map(str, arguments), "--python", sys.executable, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "darkroom_cli",
        f"darkroom_cli-{VERSION}.dist-info",
    }
    sources = {path.relative_to(ROOT / "cli").as_posix() for path in SOURCES}
    assert {name for name in names if name.endswith(".py")} == sources
    assert "darkroom_cli/py.typed" in names


def test_it_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    _uv("pip", "install", "--offline", "--no-deps", "--target", tmp_path / "site", wheel)
    done = subprocess.run(
        [tmp_path / "site" / "bin" / "darkroom", "logout", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == '{"forgotten": false}\n'


def imported() -> set[str]:
    """Top-level packages that the sources import, outside of the standard library."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names


def test_it_imports_what_it_declares_and_nothing_of_the_functions() -> None:
    declared = {re.split("[<>=]", text)[0] for text in PROJECT["dependencies"]}
    assert imported() == {*declared, "darkroom_cli"}


def test_what_it_needs_is_locked() -> None:
    locked = (ROOT / "requirements.txt").read_text()
    for text in PROJECT["dependencies"]:
        name = re.split("[<>=]", text)[0]
        assert re.search(rf"^{name}==", locked, re.MULTILINE), name


def test_the_page_names_the_version_that_is_built() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert set(re.findall(r"darkroom_cli-(.+?)-py3", page)) == {VERSION}
