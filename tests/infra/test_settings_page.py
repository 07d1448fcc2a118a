"""docs/settings.md compared with the code: every field, every variable, every default."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, Field, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.api.http import ANSWERED_WITH

import app
from infra.config import CdnDomain, Domain, EventSource, StageConfig, UnknownStageError
from infra.constructs.http_api import ASKED_WITH
from local.stage import local_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def shown(field: Field[Any]) -> str:
    """Return a default as the page writes it."""
    if field.default_factory is not MISSING:
        return f"{type(field.default_factory()).__name__}()"
    match field.default:
        case x if x is MISSING:
            return "required"
        case None | ():
            return "none"
        case bool(given):
            return "yes" if given else "no"
        case Enum() as given:
            return given.name
    return str(field.default)


def expected() -> Iterator[tuple[str, str]]:
    for field in fields(StageConfig):
        yield field.name, shown(field)
    for kind in (Domain, CdnDomain, EventSource):
        for field in fields(kind):
            yield f"{kind.__name__}.{field.name}", shown(field)


def test_newcomer_friction_6_every_setting_is_on_the_page_with_its_default() -> None:
    page = {row[0].strip("`"): row[1] for row in ROWS if re.match(r"`([a-z]|\w+\.)", row[0])}
    assert page == dict(expected())


def read_from_the_shell() -> set[str]:
    """Return the variables that `local`, `ops` and make read."""
    found: set[str] = set()
    for folder in ("local", "ops"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text())
            found |= {
                str(node.args[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}
                and isinstance(node.args[0], ast.Constant)
            }
    makefile = (ROOT / "Makefile").read_text()
    found |= set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    # Variables that the file or make sets are not settings.
    own = set(re.findall(r"^(?:export )?([A-Z_]+) :=", makefile, re.MULTILINE))
    found |= set(re.findall(r"\$\(([A-Z][A-Z_]+)\)", makefile)) - own
    return found - {"MAKE", "MAKEFILE_LIST", "CURDIR"}


def test_newcomer_friction_14_every_variable_is_on_the_page() -> None:
    page = {row[0].strip("`") for row in ROWS if row[0].strip("`").isupper()}
    assert {"CDK_FLAGS", "KEEP", "DARKROOM_PUBLIC_URL", "DARKROOM_LOCAL_CALLBACKS"} <= page
    assert read_from_the_shell() <= page
    assert page - read_from_the_shell() <= {"SCALE_PROCESSES"}  # Read by tests/scale.


def test_every_row_says_something() -> None:
    for row in ROWS:
        assert len(row) == 3, row
        assert len(row[2]) > 5, row


def test_the_page_on_cors_names_what_is_allowed() -> None:
    page = (ROOT / "docs" / "cors.md").read_text().lower()
    for header in (*ASKED_WITH, *ANSWERED_WITH):
        assert f"`{header}`" in page or header.startswith("x-stainless") or header == "user-agent"


# A custom file


def block() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_newcomer_friction_6_stages_of_ones_own_come_first(tmp_path: Path) -> None:
    own = tmp_path / "stages.py"
    assert app.stage("prod", own) == StageConfig.prod()
    own.write_text(block())
    assert app.stage("prod", own).alarm_emails == ("oncall@example.com",)
    assert app.stage("prod", own).webhook_concurrency == StageConfig.prod().webhook_concurrency
    assert app.stage("staging", own).recovery_days == 1
    assert app.stage("dev", own) == StageConfig.dev()
    with pytest.raises(
        UnknownStageError, match=r"'prdo'; choose one of .*prod, local, prod, staging"
    ):
        app.stage("prdo", own)


def test_a_stage_of_ones_own_has_the_name_that_it_is_called_by(tmp_path: Path) -> None:
    """A copy of prod under another key would be prod's stacks."""
    own = tmp_path / "stages.py"
    own.write_text(
        "from infra.config import StageConfig\n"
        "STAGES = {'staging': StageConfig.prod(), 'local': StageConfig.prod()}\n"
    )
    with pytest.raises(UnknownStageError, match=r"stages\.py: 'staging' has the name 'prod'"):
        app.stage("staging", own)
    assert app.stage("local", own) == local_stage()


def test_no_version_of_darkroom_brings_such_a_file() -> None:
    assert app.OWN_STAGES == ROOT / "stages.py"
    assert not app.OWN_STAGES.exists()
