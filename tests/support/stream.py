"""The filter of the table's stream: which changes Lambda hands to the relay."""

from __future__ import annotations

from typing import Any

from darkroom.handlers.relay import WITH_EFFECTS

from tests.support import events

Item = dict[str, Any]


def matches(pattern: dict[str, Any], record: dict[str, Any]) -> bool:
    """Lambda's filter, as far as it is used: values in a list, and `exists`, at the leaves."""
    for name, wanted in pattern.items():
        found = record.get(name)
        if isinstance(wanted, dict):
            if not matches(wanted, found if isinstance(found, dict) else {}):
                return False
        elif not any(
            (found is not None) is one["exists"] if isinstance(one, dict) else found == one
            for one in wanted
        ):
            return False
    return True


def relayed(old: Item | None, new: Item | None) -> bool:
    """Whether Lambda hands the change to the relay."""
    (record,) = events.stream((old, new))["Records"]
    return any(matches(pattern, record) for pattern in WITH_EFFECTS)
