"""Every attack case has a test through a function's own handler, or on the embedded cloud."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import CASES, NOT_APPLICABLE, OPEN, REPORTED

ROOT = Path(__file__).parents[2]
COLLECTED = ("tests/unit/handlers", "tests/adapters/test_hostile_outputs.py")
"""Tests through handlers, which pytest itself lists."""
READ = ("tests/infra", "tests/e2e")
"""Tests of the templates and the embedded cloud, listed by the names in their source, because they
are slow to collect."""

# test_a6_…, test_a59_a60_…, a parameter A6-…, or A6 alone among several parameters.
_CASE = re.compile(r"(?:(?<=test_)|(?<=\d_)|(?<=[\[-]))([aw]\d{1,2})(?=[_\]-])", re.IGNORECASE)


def cases(test: str) -> set[str]:
    """Return the cases in a test's name."""
    return {found.upper() for found in _CASE.findall(test.partition("::")[2])}


@pytest.fixture(scope="module")
def collected() -> list[str]:
    """Return the names of all tests there."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts="]
    command += ["-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:cov", *COLLECTED]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    return [line for line in found.stdout.splitlines() if "::" in line] + [
        f"{path}::{name}"
        for folder in READ
        for path in (ROOT / folder).glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    ]


def test_there_are_62_cases_of_the_webhook_and_72_of_the_rest() -> None:
    assert list(CASES) == [f"W{n}" for n in range(1, 63)] + [f"A{n}" for n in range(1, 73)]


def test_no_case_is_without_a_test(collected: list[str]) -> None:
    covered = set().union(*map(cases, collected))
    assert set(CASES) - covered - set(NOT_APPLICABLE) == set()


def test_no_test_names_a_case_that_is_none(collected: list[str]) -> None:
    covered = set().union(*map(cases, collected))
    assert covered - set(CASES) == set()


def test_what_does_not_apply_has_a_reason_and_no_test(collected: list[str]) -> None:
    covered = set().union(*map(cases, collected))
    assert not covered & set(NOT_APPLICABLE)
    assert all(len(reason) > 20 for reason in NOT_APPLICABLE.values())
    assert set(NOT_APPLICABLE) <= set(CASES)


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ("x.py::test_a6_numbers", {"A6"}),
        ("x.py::test_w9_w10_repeated[id]", {"W9", "W10"}),
        ("x.py::test_refused[A6-5000-digits]", {"A6"}),
        ("x.py::test_another_time[W28]", {"W28"}),
        ("x.py::test_messages[body-dispatch-A72-nul]", {"A72"}),
        ("x.py::test_a_key_of_w3c[a-b]", set()),
        ("tests/w6_a7/x.py::test_nothing", set()),
    ],
)
def test_how_a_name_is_read(test: str, found: set[str]) -> None:
    assert cases(test) == found


def test_every_test_that_the_security_page_names_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 40
    assert named - set(re.findall(r"\bdef (test_\w+)", sources)) == set()


def test_there_is_one_way_out() -> None:
    """A client without the guard, the limits and the disabled proxies would bypass them."""
    functions = ROOT / "functions" / "darkroom"
    opens = re.compile(
        r"\bhttpx\.(\w*Client|\w*Transport\(|get|post|put|request|stream)\b"
        r"|ConnectionPool\(|urlopen|http\.client|create_connection\("
    )
    found = {
        path.relative_to(functions).as_posix()
        for path in functions.rglob("*.py")
        if opens.search(path.read_text())
    }
    assert found == {"outbound/http.py"}


REPORTS = {
    "adversarial-H": 10,
    "adversarial-M": 11,
    "adversarial-L": 8,
    "field-F": 34,
    "aws-H": 3,
    "aws-M": 8,
    "aws-L": 10,
    "oracles-F": 9,
    "oracles-N": 1,
    "newcomer-bug-": 15,
    "newcomer-friction-": 16,
}
"""Reported cases by kind, numbered from 1."""


def test_every_report_has_its_answer_or_says_why_not() -> None:
    numbered = {f"{kind}{n}" for kind, most in REPORTS.items() for n in range(1, most + 1)}
    assert set(REPORTED) | set(OPEN) == numbered
    assert not set(REPORTED) & set(OPEN)


@pytest.mark.parametrize("case", REPORTED)
def test_a_reports_test_exists(case: str) -> None:
    place, answer = REPORTED[case]
    path, _, name = place.partition("::")
    source = (ROOT / path).read_text()
    assert re.search(rf"^(?:async )?def {re.escape(name)}\(", source, re.MULTILINE), place
    assert len(answer) > 5
