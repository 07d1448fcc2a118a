"""One exact change of source text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One exact replacement in a module below `darkroom`."""

    module: str
    old: str
    new: str
