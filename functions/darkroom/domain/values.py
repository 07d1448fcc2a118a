"""Immutable values: dataclasses that the type checker does not let change."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def immutable(cls: type[T]) -> type[T]:
        """Make a dataclass of the class, equal and hashed by all of its fields."""

else:
    # `dataclass` compiles `__eq__`, `__hash__` and `__repr__` of each class anew, which costs every
    # cold start 0.3 ms per class; freezing costs as much again, and makes every value slower. The
    # type checker finds an assignment before either.
    def immutable(cls):
        cls.__eq__, cls.__hash__, cls.__repr__ = _eq, _hash, _repr
        return dataclass(cls, eq=False, repr=False)


def _eq(self: Any, other: object) -> object:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return self.__dict__ == other.__dict__


def _hash(self: Any) -> int:
    return hash(tuple(self.__dict__.values()))


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__name__}({', '.join(shown)})"
