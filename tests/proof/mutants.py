"""Imports the product with a seeded fault: each must be caught, or the proof proves nothing.

A mutant is an exact change of source text, made while the module is imported. Its old text must
occur exactly once, so that no change of the product can disarm it unseen.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

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
        source = Path(self.path).read_text()
        for edit in self._edits:
            count = source.count(edit.old)
            if count != 1:
                raise SystemExit(f"mutant: its text occurs {count} times in {fullname}: {edit.old}")
            source = source.replace(edit.old, edit.new)
        code: CodeType = compile(source, self.path, "exec", dont_inherit=True)
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
    """Make every later import of the product see the mutant. Only for a process of its own."""
    if any(module.startswith("darkroom") for module in sys.modules):
        raise SystemExit("mutant: the product is imported already")
    sys.meta_path.insert(0, _Finder((MUTANTS | CROWD_MUTANTS)[name]))
