"""Immutable values: dataclasses that the type checker does not let change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing import dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def immutable(cls: type[T]) -> type[T]:
        """Make a dataclass of the class, with slots and a hash of its fields."""

else:
    # `frozen=True` costs every cold start half a millisecond per class, and every value that is
    # made three times as long; the type checker finds an assignment before either.
    immutable = dataclass(slots=True, unsafe_hash=True)
