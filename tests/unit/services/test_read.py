"""Read: one tenant's records, and nothing of another's."""

from __future__ import annotations

import base64
import json

import pytest
from darkroom.domain.errors import BadRequest, NotFound
from darkroom.services.read import PAGE

from tests.world import World


def test_a_tenant_reads_its_own_record() -> None:
    world = World()
    record = world.accept()
    assert world.read.get("acme", record.id) == record


@pytest.mark.parametrize("id_", ["", "x", "0" * 26, "A" * 26, "../" * 8 + "ab", "0" * 27])
def test_an_unknown_id_is_not_found(id_: str) -> None:
    with pytest.raises(NotFound):
        World().read.get("acme", id_)


def test_another_tenants_record_is_as_unknown_as_none() -> None:
    world = World()
    record = world.accept()
    with pytest.raises(NotFound) as others:
        world.read.get("other", record.id)
    with pytest.raises(NotFound) as unknown:
        world.read.get("other", "0" * 26)
    assert str(others.value) == str(unknown.value)


def test_a_list_is_newest_first_and_one_tenants() -> None:
    world = World()
    ids = []
    for number in range(5):
        world.clock.advance(1)
        record = world.accept(tenant="acme" if number % 2 else "other")
        ids.append(record.id)
    assert [r.id for r in world.read.page("acme", None).records] == [ids[3], ids[1]]
    assert [r.id for r in world.read.page("other", None).records] == [ids[4], ids[2], ids[0]]
    assert world.read.page("nobody", None).records == []


def test_pages_go_on_where_the_last_one_ended() -> None:
    world = World()
    for _ in range(PAGE + 5):
        world.clock.advance(1)
        world.accept()
    first = world.read.page("acme", None)
    assert len(first.records) == PAGE
    second = world.read.page("acme", first.next_cursor)
    assert len(second.records) == 5
    assert second.next_cursor is None
    assert len({record.id for record in first.records + second.records}) == PAGE + 5


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ID = "a" * 26
BAD = {
    "not base64": "!!!!",
    "not ASCII": "é" * 8,
    "not JSON": base64.urlsafe_b64encode(b"{").decode(),
    "not UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "a number": cursor(7),
    "too short": cursor([1, ID]),
    "too long": cursor([1, ID, "acme", 4]),
    "an object": cursor({"a": 1, "b": 2, "c": 3}),
    "time as text": cursor(["1", ID, "acme"]),
    "time as truth": cursor([True, ID, "acme"]),
    "time zero": cursor([0, ID, "acme"]),
    "time too large": cursor([10**14, ID, "acme"]),
    "no id": cursor([1, "x", "acme"]),
    "id as number": cursor([1, 2, "acme"]),
    "another tenant's": cursor([1, ID, "other"]),
    "huge": "a" * 401,
    "a deep nest": cursor(json.loads("[" * 140 + "]" * 140)),
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD)
def test_a_cursor_that_we_did_not_make_is_refused(given: str) -> None:
    with pytest.raises(BadRequest):
        World().read.page("acme", given)
