"""GET /v1/predictions with filters: by tag, end user, model and status."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.domain.money import Limits
from darkroom.services.predictions.read import MOST_SIFTED, PAGE

from tests.support.app import OTHER, READER, is_problem
from tests.support.world import SCHNELL

if TYPE_CHECKING:
    from tests.support.app import Answer, App

SDXL = "stability-ai/sdxl"


def ask(app: App, **query: str) -> Answer:
    return app.get("/v1/predictions", query=query)


def found(app: App, **query: str) -> list[str]:
    """Return the ids on all pages, by following `next`."""
    ids: list[str] = []
    asked = dict(query)
    for _ in range(50):
        page = ask(app, **asked).json
        ids += [shown["id"] for shown in page["results"]]
        if page["next"] is None:
            return ids
        asked = dict(parse_qsl(urlsplit(page["next"]).query))
        assert asked.items() >= query.items()
    raise AssertionError("no last page")


def accept(app: App, **request: Any) -> str:
    app.world.clock.advance(1)
    return app.world.accept(**request).id


def test_a_list_of_a_tag_or_of_an_end_user_has_theirs_newest_first(app: App) -> None:
    one = accept(app, tags=("spring", "blue"), end_user="ann")
    two = accept(app, tags=("spring",), end_user="bob")
    three = accept(app, end_user="ann")
    four = accept(app)
    accept(app, tags=("spring",), end_user="ann", tenant="other")
    assert found(app) == [four, three, two, one]
    assert found(app, tag="spring") == [two, one]
    assert found(app, tag="blue") == [one]
    assert found(app, tag="green") == []
    assert found(app, end_user="ann") == [three, one]
    assert found(app, tag="spring", end_user="ann") == [one]
    assert found(app, tag="blue", end_user="bob") == []
    assert len(app.get("/v1/predictions", OTHER, query={"tag": "spring"}).json["results"]) == 1


def test_a_tag_is_no_end_user_and_neither_is_another_lists_name(app: App) -> None:
    one = accept(app, tags=("x", "tag#y", "y#tag"))
    two = accept(app, end_user="x")
    assert found(app, tag="x") == [one]
    assert found(app, end_user="x") == [two]
    assert found(app, tag="y") == []
    assert found(app, tag="tag#y") == found(app, tag="y#tag") == [one]


def test_a_list_by_model_and_status(app: App) -> None:
    one = accept(app)
    two = accept(app, reference=SDXL, tags=("spring",))
    three = accept(app, tags=("spring",))
    provider_id = str(app.world.record(two).provider_id)
    app.world.provider.finish(provider_id, status="failed")
    app.world.webhook(two, provider_id)
    assert found(app, model=SDXL) == [two]
    assert found(app, model=SCHNELL) == [three, one]
    assert found(app, model="nobody/nothing") == []
    assert found(app, status="failed") == [two]
    assert found(app, status="starting") == [three, one]
    assert found(app, tag="spring", status="starting", model=SCHNELL) == [three]


def test_pages_of_a_list_go_on_where_the_last_one_ended(app: App) -> None:
    ids = [accept(app, tags=("odd",) if number % 2 else ()) for number in range(9)]
    odd = ids[1::2][::-1]
    for limit in ("1", "2", "3", "4", "5"):
        assert found(app, tag="odd", limit=limit) == odd
        assert found(app, status="starting", limit=limit) == ids[::-1]
        assert found(app, tag="odd", status="starting", limit=limit) == odd


def test_a_page_of_a_tag_reads_no_more_than_it_shows(app: App) -> None:
    for number in range(30):
        accept(app, tags=("rare",) if number % 10 == 0 else ())
    app.calls.clear()
    assert len(ask(app, tag="rare").json["results"]) == 3
    assert app.calls["FakePredictions.list_ids"] == app.calls["FakePredictions.get_many"] == 1


def test_a_page_looks_at_300_and_then_says_where_it_goes_on(app: App) -> None:
    first = accept(app, reference=SDXL)
    for _ in range(MOST_SIFTED + 5):
        accept(app)
    app.calls.clear()
    page = ask(app, model=SDXL).json
    assert page["results"] == []
    assert page["next"]
    assert app.calls["FakePredictions.list_ids"] == MOST_SIFTED // PAGE
    assert found(app, model=SDXL) == [first]


def test_who_says_nothing_writes_no_row(app: App) -> None:
    accept(app)
    assert not app.world.store.listed
    accept(app, tags=("a", "b"), end_user="c")
    assert Counter(row["tenant"]["S"] for row in app.world.store.listed.values()) == {
        "acme#tag#a": 1,
        "acme#tag#b": 1,
        "acme#user#c": 1,
    }
    assert app.get(f"/v1/predictions/{next(iter(app.world.store.listed))}").status == 404


def test_a_row_goes_with_its_record(app: App) -> None:
    id_ = accept(app, tags=("a",))
    expires_at = app.world.record(id_).expires_at
    ((row),) = app.world.store.listed.values()
    assert row["expires_at"] == {"N": str(expires_at)}
    app.world.clock.advance(expires_at - app.world.clock() / 1000)
    assert found(app, tag="a") == []
    app.world.store.remove_expired()
    assert not app.world.store.listed


@pytest.mark.parametrize(
    ("query"),
    [
        {"tag": ""},
        {"tag": "a,b"},
        {"tag": " a"},
        {"tag": "x" * 65},
        {"tag": "\0"},
        {"end_user": ""},
        {"end_user": "x" * 129},
        {"status": "aborted"},
        {"status": ""},
        {"status": "starting,failed"},
    ],
    ids=str,
)
def test_what_no_prediction_can_have_is_refused(app: App, query: dict[str, str]) -> None:
    assert is_problem(app.get("/v1/predictions", query=query), 400)
    assert not app.calls["FakePredictions.list_ids"]


def test_the_usage_of_a_tag_is_a_query_away(app: App) -> None:
    assert app.get("/v1/usage", query={"tag": "spring"}).json["tag"] == "spring"
    assert is_problem(app.get("/v1/usage", query={"tag": ""}), 400)


def test_the_month_shows_what_is_spent_reserved_and_left(app: App) -> None:
    assert is_problem(app.get("/v1/usage/month", token=None), 401)
    month = app.get("/v1/usage/month", READER).json
    assert month["cap_usd"] is month["reserved_usd"] is month["remaining_usd"] is None
    assert (month["predictions"], month["spent_usd"], month["by_model"]) == (0, 0, [])
    app.world.controls.tenants["acme"] = Limits(monthly_cap=10_000)
    app.world.clock.advance(60)
    accept(app)
    month = app.get("/v1/usage/month").json
    assert (month["spent_usd"], month["reserved_usd"]) == (0, 0.003)
    assert (month["cap_usd"], month["remaining_usd"]) == (0.01, 0.007)


def test_a_repetition_of_a_put_whose_answer_was_lost_lists_it_once(app: App) -> None:
    record = app.world.record(accept(app, tags=("a",), end_user="b"))
    app.world.store.insert(app.world.record(record.id))
    assert found(app, tag="a") == found(app, end_user="b") == [record.id]


def back(app: App, page: dict[str, Any]) -> dict[str, Any]:
    """Return the previous page."""
    query = dict(parse_qsl(urlsplit(page["previous"]).query))
    return dict(ask(app, **query).json)


def test_pages_of_a_sifted_list_go_back_as_well(app: App) -> None:
    ids = [accept(app, tags=("odd",) if number % 2 else ()) for number in range(9)]
    for query, wanted in (
        ({"tag": "odd"}, ids[1::2][::-1]),
        ({"tag": "odd", "status": "starting"}, ids[1::2][::-1]),
        ({"status": "starting"}, ids[::-1]),
    ):
        first = ask(app, limit="2", **query).json
        second = ask(app, **dict(parse_qsl(urlsplit(first["next"]).query))).json
        again = back(app, second)
        assert [shown["id"] for shown in again["results"]] == wanted[:2]
        assert [shown["id"] for shown in second["results"]] == wanted[2:4]


def test_a_page_that_goes_back_and_finds_nothing_among_300_says_where_it_goes_on(app: App) -> None:
    last = accept(app)
    accept(app, reference=SDXL)
    for _ in range(MOST_SIFTED + 50):
        accept(app)
    newest = accept(app, reference=SDXL)
    page = ask(app, limit="1", model=SDXL).json
    assert [shown["id"] for shown in page["results"]] == [newest]
    while not page["results"] or page["results"][0]["id"] == newest:
        page = ask(app, **dict(parse_qsl(urlsplit(page["next"]).query))).json
    looks = 0
    while not page["results"] or page["results"][0]["id"] != newest:
        page = back(app, page)
        looks += 1
    assert looks == 2
    assert last not in [shown["id"] for shown in page["results"]]
