"""A change of the product's code: the code to find in a function, and its replacement.

Code is compared as syntax trees, so layout and comments do not matter. Code that does not occur
exactly once is an error, so that no change of the product can disable a mutant unnoticed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotFoundError(Exception):
    """The code to be changed does not occur exactly once."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of an expression, or of consecutive statements."""

    module: str
    """Relative to `darkroom`."""
    function: str
    """The qualified name; empty for code outside of all functions."""
    old: str
    new: str

    def apply(self, tree: ast.Module) -> None:
        """Change the module's tree. Raises NotFoundError."""
        where = _function(tree, self.function)
        old, new = _parsed(self.old), _parsed(self.new)
        if len(old) == 1 and isinstance(old[0], ast.Expr):
            alone = len(new) == 1 and isinstance(new[0], ast.Expr)
            replacement = new[0].value if alone and isinstance(new[0], ast.Expr) else None
            if replacement is not None and _replace_expression(where, old[0].value, replacement):
                return
        found = [
            (statements, start)
            for statements in _lists(where)
            for start in range(len(statements) - len(old) + 1)
            if _same(statements[start : start + len(old)], old)
        ]
        if len(found) != 1:
            raise NotFoundError(f"{len(found)} times in {self.module} {self.function}: {self.old}")
        statements, start = found[0]
        statements[start : start + len(old)] = new or [ast.Pass()]


def _parsed(code: str) -> list[ast.stmt]:
    return ast.parse(dedent(code)).body


def _function(tree: ast.Module, name: str) -> ast.AST:
    where: ast.AST = tree
    for part in filter(None, name.split(".")):
        inner = (node for node in ast.iter_child_nodes(where) if getattr(node, "name", "") == part)
        found = next(inner, None)
        if found is None:
            raise NotFoundError(f"there is no {name}")
        where = found
    return where


def _lists(where: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(where):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                yield statements


def _same(ours: list[ast.stmt], theirs: list[ast.stmt]) -> bool:
    return [ast.dump(each) for each in ours] == [ast.dump(each) for each in theirs]


def _replace_expression(where: ast.AST, old: ast.expr, new: ast.expr) -> bool:
    """Replace it in place; return False if it does not occur exactly once."""
    wanted = ast.dump(old)
    places: list[tuple[Any, Any]] = []
    for node in ast.walk(where):
        for name, value in ast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            for index, each in enumerate(values):
                if isinstance(each, ast.expr) and ast.dump(each) == wanted:
                    places.append((node, name) if each is value else (value, index))
    if len(places) != 1:
        return False
    holder, place = places[0]
    if isinstance(holder, list):
        holder[place] = new
    else:
        setattr(holder, place, new)
    return True


class Mutant:
    """Edits that belong together, and the configuration that is searched first."""

    def __init__(self, *edits: Edit, where: str = "") -> None:
        self.edits, self.where = edits, where
