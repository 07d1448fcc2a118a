"""Imports the product with a mutation. Each must be caught, otherwise the proof proves nothing.

A mutant is a change of the syntax tree during the import of the module: see `edit`.
"""

from __future__ import annotations

import ast
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

from tests.proof.edit import NotFoundError
from tests.proof.mutations import MUTANTS
from tests.proof.mutations_clients import CROWD_MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    from tests.proof.edit import Edit


class _Loader(SourceFileLoader):
    """Compiles the changed source; no bytecode is read or written."""

    def __init__(self, fullname: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(Path(self.path).read_text())
        for edit in self._edits:
            try:
                edit.apply(tree)
            except NotFoundError as error:
                raise SystemExit(f"mutant: {error}") from None
        ast.fix_missing_locations(tree)
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        edits = [edit for edit in self._edits if f"darkroom.{edit.module}" == name]
        if not edits:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin:
            spec.loader = _Loader(name, spec.origin, edits)
        return spec


def install(name: str) -> None:
    """Apply the mutant to every later import of the product. Only in a separate process."""
    apply((MUTANTS | CROWD_MUTANTS)[name].edits)


def apply(edits: Sequence[Edit]) -> None:
    """Apply the edits to every later import of the product. Only in a separate process."""
    if any(module.startswith("darkroom") for module in sys.modules):
        raise SystemExit("mutant: the product is imported already")
    sys.meta_path.insert(0, _Finder(edits))
