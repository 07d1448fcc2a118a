"""What tests share is in modules of its own, so that each test module can be read alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])


def imported(path: Path) -> set[str]:
    """Every module or name of tests that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("tests.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_imported_from_a_test_module(path: Path) -> None:
    parts = {part for name in imported(path) for part in name.split(".")}
    assert not {part for part in parts if part == "conftest" or part.startswith("test_")}


def test_the_folder_of_tests_holds_folders() -> None:
    """And what pytest itself or the table of cases is read from."""
    beside = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert beside == {"__init__.py", "cases.py", "conftest.py"}
