"""What the pages tell an operator to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ops.__main__ import _parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of code."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_adversarial_l6_no_secret_is_typed_on_a_command_line(page: Path) -> None:
    """The shell's history keeps it, and every process of the machine can see it."""
    secret = re.compile(r"(?:^|\s)(?:export\s+)?\w*(?:TOKEN|SECRET|PASSWORD)=(?!\$)\S")
    assert [line for line in commands(page) if secret.search(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_operators_command_is_one(page: Path) -> None:
    """What stands in blocks of code can be typed as it is, but for names in capitals."""
    found = [re.sub(r"\s+#.*|[|>;)].*", "", c.partition("-m ops ")[2]) for c in commands(page)]
    for command in filter(None, found):
        _parser().parse_args(shlex.split(command.partition(" < ")[0]))
