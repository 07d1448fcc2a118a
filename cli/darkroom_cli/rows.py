"""Rows of a batch: a CSV or JSON Lines file, checked whole before anything is created."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom_cli import files
from darkroom_cli.errors import UsageError
from darkroom_cli.models import ValueProblem, file_value, is_file
from darkroom_cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from darkroom_cli.models import Input, Model

MODEL = "model"
"""The column that names a row's model; every other column is an input of that model."""
MOST_ROWS = 100_000
LARGEST = 200_000_000


@dataclass(frozen=True)
class Attached:
    """A file of a row, uploaded when the row's turn comes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Row:
    """A prediction that is wanted."""

    number: int
    line: int
    version: str
    given: Mapping[str, object]
    digest: str
    """Of model, inputs and the contents of attached files: a row with another is another row."""

    def input(self, upload: Callable[[Attached], str]) -> dict[str, object]:
        """Return the input for a create, once its files are uploaded."""
        return {name: _uploaded(value, upload) for name, value in self.given.items()}


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be made."""

    number: int
    line: int
    column: str
    text: str

    def __str__(self) -> str:
        """Name the place as an editor and a spreadsheet show it."""
        column = f", column {visible(self.column)}" if self.column else ""
        return f"line {self.line} (row {self.number}){column}: {self.text}"


def read(
    path: Path, find: Callable[[str], Model], default: str | None
) -> tuple[list[Row], list[Problem]]:
    """Return the rows that can be made, and what is wrong with the others.

    `default` is the model of a row that names none. Raises UsageError for a file that is not one
    of rows, and what `find` raises.
    """
    found, problems, known = [], [], dict[str, Any]()
    kept = Files()
    for number, (line, cells) in enumerate(_records(path), 1):
        if number > MOST_ROWS:
            raise UsageError(f"{path} has more than {MOST_ROWS} rows.")
        if isinstance(cells, str):
            problems.append(Problem(number, line, "", cells))
            continue
        row = _row(number, line, cells, find, default, known, kept)
        if isinstance(row, Row):
            found.append(row)
        else:
            problems += row
    return found, problems


class Files:
    """Hashes of attached files, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def attached(self, path: str) -> Attached:
        """Return the file as a row has it. Raises ValueProblem."""
        if path not in self._known:
            try:
                self._known[path] = hashlib.sha256(files.read(path)).hexdigest()
            except UsageError as error:
                raise ValueProblem(str(error).rstrip(".")) from None
        return Attached(path, self._known[path])


def _row(
    number: int,
    line: int,
    cells: Mapping[str, object],
    find: Callable[[str], Model],
    default: str | None,
    known: dict[str, Any],
    kept: Files,
) -> Row | list[Problem]:
    reference = cells.get(MODEL) or default
    if not isinstance(reference, str):
        return [Problem(number, line, MODEL, "names no model, and there is no --model")]
    if reference not in known:
        known[reference] = find(reference)
    model: Model = known[reference]
    given: dict[str, object] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        if name == MODEL or cell == "":
            continue
        try:
            given[name] = _value(model.find(name), cell, kept)
        except ValueProblem as problem:
            problems.append(Problem(number, line, name, str(problem)))
    named = {problem.column for problem in problems}
    problems += [
        Problem(number, line, name, "is required")
        for name in model.missing(given)
        if name not in named
    ]
    if problems:
        return problems
    content = json.dumps([model.reference, _canonical(given)], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Row(number, line, model.reference, given, digest)


def _value(one: Input, cell: object, kept: Files) -> object:
    """Return the value of a cell: text of a CSV, or a value of JSON. Raises ValueProblem."""
    if isinstance(cell, str) and is_file(one, cell):
        return file_value(one, cell, kept.attached)
    if isinstance(cell, Text):
        value = one.value(cell)
    else:
        value = cell
        one.check(value)
    if isinstance(value, list):
        return [
            kept.attached(each[1:]) if isinstance(each, str) and is_file(one, each) else each
            for each in value
        ]
    return value


class Text(str):
    """A cell of a CSV file, whose type follows from the model; JSON has types of its own."""

    __slots__ = ()


def _records(path: Path) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yield each record's first line and its cells, or what is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST // 1_000_000} MB.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8, from byte {error.start} on.") from None
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return _json_lines(text)
    if path.suffix.lower() == ".csv":
        return _csv(text, path)
    raise UsageError(f"{path} is neither .csv nor .jsonl.")


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, object] | str]]:
    for line, each in enumerate(text.split("\n"), 1):
        if not each.strip():
            continue
        try:
            found = json.loads(each, object_pairs_hook=_once, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            yield line, f"is not JSON: {error}"
            continue
        yield line, found if isinstance(found, dict) else "is not a JSON object"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _csv(text: str, path: Path) -> Iterator[tuple[int, dict[str, object] | str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield line, f"is not CSV: {error}"
            return  # where the next record begins is not known
        if header is None:
            header = [name.strip() for name in cells]
            if len(set(header)) != len(header) or not all(header):
                raise UsageError(f"{path}: each column of the first line has a name of its own.")
        elif not cells:
            continue
        elif len(cells) != len(header):
            yield line, f"has {len(cells)} cells, and the first line has {len(header)}"
        else:
            yield line, dict(zip(header, map(Text, cells), strict=True))
    if header is None:
        raise UsageError(f"{path} is empty: its first line names the columns.")


def _canonical(value: object) -> object:
    """Return the value with its files as their contents, for the digest."""
    if isinstance(value, Attached):
        return {"file": value.sha256}
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return value


def _uploaded(value: object, upload: Callable[[Attached], str]) -> object:
    if isinstance(value, Attached):
        return upload(value)
    if isinstance(value, list):
        return [_uploaded(each, upload) for each in value]
    return value
