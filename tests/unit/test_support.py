"""What tests share is in modules of its own, so that each test module can be read alone."""

from __future__ import annotations

import ast
from pathlib import Path

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


def is_of_tests(name: str) -> bool:
    """Whether a module of tests, or something in one, has this name."""
    return any(part == "conftest" or part.startswith("test_") for part in name.split("."))


def test_nothing_is_imported_from_a_test_module() -> None:
    found = {str(path.relative_to(ROOT)): imported(path) for path in MODULES}
    wrong = {path: names for path in found if (names := set(filter(is_of_tests, found[path])))}
    assert wrong == {}


def test_the_folder_of_tests_holds_folders() -> None:
    """And what pytest itself or the table of cases is read from."""
    beside = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert beside == {"__init__.py", "cases.py", "conftest.py"}
