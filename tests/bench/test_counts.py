"""The AWS calls of a prediction are exactly those in bench/io.json, and do not grow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import io
from bench.growth import read_all
from bench.meter import item_bytes, read_units, write_units

BYTES = {"log_bytes", "record_bytes"}
"""They depend on random ids and times, which differ by a few bytes from run to run."""


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    counted: dict[str, Any] = json.loads(io.COUNTED.read_text())
    return counted


@pytest.mark.parametrize("path", io.PATHS)
def test_calls_and_capacity_are_what_the_file_says(path: str, stored: dict[str, Any]) -> None:
    """Renew with `python -m bench.io --write`, and state the purpose of the change in
    docs/cost.md."""
    counted = io.count(path).summary()
    assert {k: v for k, v in counted.items() if k not in BYTES} == {
        k: v for k, v in stored[path].items() if k not in BYTES
    }
    for name in BYTES:
        assert counted[name] == pytest.approx(stored[path][name], rel=0.03)


def test_an_idle_tick_is_what_the_file_says(stored: dict[str, Any]) -> None:
    tick = io.count_tick()
    assert (tick["calls"], tick["read_units"]) == (
        stored["tick"]["calls"],
        stored["tick"]["read_units"],
    )


def test_every_path_is_in_the_file_and_nothing_else(stored: dict[str, Any]) -> None:
    assert set(stored) == {*io.PATHS, "tick"}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"id": {"S": "å"}}, 4),
        ({"n": {"N": "1234"}}, 4),
        ({"n": {"N": "-12300"}}, 5),
        ({"b": {"BOOL": True}}, 2),
        ({"l": {"L": [{"S": "ab"}, {"N": "7"}]}}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"m": {"M": {"k": {"S": "v"}}}}, 1 + 3 + (1 + 1 + 1)),
        ({"s": {"SS": ["ab", "c"]}}, 4),
    ],
)
def test_items_are_as_large_as_dynamodb_says(item: dict[str, Any], size: int) -> None:
    assert item_bytes(item) == size


@pytest.mark.parametrize(("size", "units"), [(10, 1), (1024, 1), (1025, 2)])
def test_a_write_is_rounded_up_and_counts_the_larger_image(size: int, units: int) -> None:
    large, small = {"x": {"S": "y" * (size - 1)}}, {"x": {"S": "y"}}
    assert write_units(large) == write_units(small, large) == write_units(None, large) == units


def test_a_page_is_rounded_up_as_a_whole() -> None:
    assert read_units([], consistent=False) == 0.5
    assert read_units([2048, 2048], consistent=True) == 1
    assert read_units([4096, 1], consistent=False) == 1


def test_list_get_and_sweep_cost_the_same_with_ten_times_the_records() -> None:
    few, many = read_all(150), read_all(1500)
    assert few == many
    assert {name: reading.items for name, reading in many.items()} == {
        "list": 201,
        "last_page": 201,
        "get": 2,
        "tick": 30,
    }
