"""The modules of aws_cdk that mypy reads are exactly those that are imported here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED = re.compile(r"\baws_cdk(?:\.| import )(aws_\w+)")


def test_each_imported_module_of_aws_cdk_is_read_and_no_other() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    read = {
        module.removeprefix("aws_cdk.")
        for override in mypy["overrides"]
        if override.get("follow_imports") == "normal"
        for module in override["module"]
    }
    roots = (ROOT / root for root in mypy["files"])
    sources = [file for root in roots for file in (root.rglob("*.py") if root.is_dir() else [root])]
    imported = {name for file in sources for name in IMPORTED.findall(file.read_text())}
    assert read - {"aws_cdk", "_jsii"} == imported
