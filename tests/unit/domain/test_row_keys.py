"""Keys of the Controls table. A deployed stage has rows under them, so they stay as they are."""

from __future__ import annotations

from darkroom.domain import row_keys

MADE = {
    row_keys.tenant("acme"): "TENANT#acme",
    row_keys.month("acme", "2026-11"): "SPEND#acme#2026-11",
    row_keys.month("acme", "2026-11", "d1"): "SPEND#acme#2026-11#d1",
    row_keys.usage("acme", "2026-11-30"): "USAGE#acme#2026-11-30",
    row_keys.schema("owner/name", "v1"): "SCHEMA#owner/name:v1",
}
PREFIXES = [
    value for name, value in vars(row_keys).items() if name.isupper() and value.endswith("#")
]


def test_a_row_is_found_where_an_earlier_release_wrote_it() -> None:
    assert list(MADE) == list(MADE.values())


def test_a_tag_has_rows_of_its_own() -> None:
    assert row_keys.usage("acme", "2026-11-30", "spring") not in MADE


def test_a_right_to_rows_of_one_kind_is_none_to_another() -> None:
    for prefix in PREFIXES:
        assert row_keys.every(prefix) == f"{prefix}*"
        assert [other for other in PREFIXES if other.startswith(prefix)] == [prefix]
