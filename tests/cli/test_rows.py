"""Files of rows: every mistake is named with its line and column before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from darkroom_cli import models, rows
from darkroom_cli.errors import UsageError

from tests.cli.fake import NAME, Deployment

if TYPE_CHECKING:
    from pathlib import Path


def read(
    deployment: Deployment, path: Path, content: str | bytes, default: str | None = NAME
) -> tuple[list[rows.Row], list[str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    service = deployment.service()
    found, problems = rows.read(path, lambda name: models.model(service, name), default)
    return found, [str(problem) for problem in problems]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_cells_have_the_types_of_the_model(deployment: Deployment, table: Path) -> None:
    content = '\ufeffprompt,steps,fast\r\n"a fox,\nin snow",3,no\r\n\r\na cat,,\r\n'
    found, problems = read(deployment, table, content)
    assert problems == []
    assert [dict(row.given) for row in found] == [
        {"prompt": "a fox,\nin snow", "steps": 3, "fast": False},
        {"prompt": "a cat"},
    ]
    assert [(row.number, row.line) for row in found] == [(1, 2), (2, 5)]


def test_json_lines_have_types_of_their_own(deployment: Deployment, lines: Path) -> None:
    content = '{"prompt": "a fox", "steps": 3, "references": ["https://x.example/a"]}\n\n'
    found, problems = read(deployment, lines, content)
    assert problems == []
    assert dict(found[0].given)["steps"] == 3


def test_bad_cells_are_named(deployment: Deployment, table: Path) -> None:
    content = "prompt,steps,colour\na fox,many,\n,3,\na cat,99,red\na,b\n"
    found, problems = read(deployment, table, content)
    assert found == []
    assert problems == [
        "line 2 (row 1), column steps: is a whole number",
        "line 3 (row 2), column prompt: is required",
        "line 4 (row 3), column steps: is 50 or less",
        "line 4 (row 3), column colour: is no input of acme/painter",
        "line 5 (row 4): has 2 cells, and the first line has 3",
    ]


def test_bad_lines_are_named(deployment: Deployment, lines: Path) -> None:
    content = (
        '{"prompt": "a", "steps": "3"}\n{"prompt": "a", "prompt": "b"}\n[1]\n'
        '{"prompt": NaN}\nnonsense\n{"prompt": 5, "image": "@missing.png"}\n' + "[" * 10**5
    )
    found, problems = read(deployment, lines, content)
    assert found == []
    assert [problem.partition(":")[0] for problem in problems] == [
        "line 1 (row 1), column steps",
        "line 2 (row 2)",
        "line 3 (row 3)",
        "line 4 (row 4)",
        "line 5 (row 5)",
        "line 6 (row 6), column prompt",
        "line 6 (row 6), column image",
        "line 7 (row 7)",
    ]
    assert "missing.png cannot be read" in problems[6]


def test_a_row_names_its_model(deployment: Deployment, table: Path) -> None:
    found, problems = read(deployment, table, "model,prompt\npainter,a\n,b\n", None)
    assert [row.version for row in found] == [NAME]
    assert problems == ["line 3 (row 2), column model: names no model, and there is no --model"]


def test_files_are_attached(deployment: Deployment, table: Path, lines: Path) -> None:
    photo = table.with_name("photo.png")
    photo.write_bytes(b"photo")
    found, problems = read(deployment, table, f"prompt,image,references\na,@{photo},@{photo}\n")
    assert problems == []
    sent = found[0].input(lambda one: f"at {one.path}")
    assert sent == {"prompt": "a", "image": f"at {photo}", "references": [f"at {photo}"]}
    found, problems = read(
        deployment, lines, f'{{"prompt": "a", "references": ["@{photo}", "https://x.example"]}}\n'
    )
    assert found[0].input(lambda _: "at")["references"] == ["at", "https://x.example"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("rows.csv", "", "is empty"),
        ("rows.csv", "prompt,prompt\n", "name of its own"),
        ("rows.csv", "prompt,\n", "name of its own"),
        ("rows.csv", b"prompt\n\xff\n", "not UTF-8, from byte 7"),
        ("rows.txt", "prompt\n", "neither .csv nor .jsonl"),
    ],
)
def test_a_file_that_holds_no_rows(
    deployment: Deployment, tmp_path: Path, name: str, content: str | bytes, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        read(deployment, tmp_path / name, content)
    with pytest.raises(UsageError, match="cannot be read"):
        rows.read(tmp_path / "missing.csv", lambda _: None, None)  # type: ignore[arg-type, return-value]


def test_after_a_quote_without_end_nothing_is_made(deployment: Deployment, table: Path) -> None:
    found, problems = read(deployment, table, 'prompt\na fox\n"a cat\n')
    assert [row.number for row in found] == [1]
    assert problems == ["line 3 (row 2): is not CSV: unexpected end of data"]
