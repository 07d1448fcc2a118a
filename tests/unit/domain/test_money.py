"""Maximum and actual costs of predictions, by the provider's billing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import read
from darkroom.domain.lifecycle import (
    CancelRequested,
    CreateRefused,
    CreateRejected,
    CreateUnknown,
    DeadlinePassed,
    ListSearched,
    ProviderNotFound,
    ProviderReported,
    Stored,
    StoreFailed,
    advance,
)
from darkroom.domain.model import InvalidModelError, Model
from darkroom.domain.money import (
    LedgerEntry,
    Limits,
    bucket,
    month_row,
    price_of,
    reservation,
    settlement,
    usd,
)
from darkroom.domain.prediction import Code, File, Prediction, Price, State

from tests.support.fakes import START
from tests.support.records import PID, TIMINGS, accepted, snapshot

IMAGE = Price("image", 3000, 12_000)
SECOND = Price("second", 100, 60_000)
MEGAPIXEL = Price("megapixel", 50_000, 800_000)
URLS = tuple(f"https://replicate.delivery/x/{n}.png" for n in range(4))


def model(price: dict[str, Any] | None, **properties: Any) -> Model:
    data = {
        "model": "owner/name",
        "tasks": ["text-to-image"],
        "official": True,
        "version": None,
        "input_schema": {"type": "object", "properties": properties},
        "output": "array",
        "typical_seconds": 2.0,
        "price": price or {"unit": "image", "usd": 0},
    }
    made = read(data)
    return made if price else replace(made, price=None)


def run(record: Prediction, *news: Any) -> Prediction:
    """Return the record after all inputs, one second apart."""
    for number, one in enumerate(news, 1):
        record = advance(record, one, START + 1000 * number, TIMINGS) or record
    assert record.state.terminal
    return record


def succeeded(outputs: int = 1, **said: Any) -> ProviderReported:
    given = {"output": list(URLS[:outputs]), **said}
    return ProviderReported(snapshot("succeeded", **given))


def file(width: int | None = 1000, height: int | None = 2000) -> File:
    return File("k", "0" * 64, 1, "image/png", width, height)


# Maximum cost


@pytest.mark.parametrize(
    ("price", "given", "most"),
    [
        ({"unit": "image", "usd": 0.003}, {"num_outputs": 4}, 12_000),
        ({"unit": "image", "usd": 0.003}, {}, 6000),
        ({"unit": "image", "usd": 0.003}, {"num_outputs": 3.0}, 9000),
        ({"unit": "image", "usd": 0.003}, {"num_outputs": None}, 6000),
        ({"unit": "second", "usd": 0.000225}, {}, 225 * 310),
        ({"unit": "megapixel", "usd": 0.01, "most": 4}, {}, 80_000),
        ({"unit": "megapixel", "usd": 0.01}, {"num_outputs": 1}, 160_000),
        ({"unit": "prediction", "usd": 0.5}, {"num_outputs": 4}, 500_000),
        ({"unit": "image", "usd": 0.0000005}, {"num_outputs": 3}, 0),
    ],
)
def test_the_most_that_a_prediction_can_cost(
    price: dict[str, Any], given: dict[str, Any], most: int
) -> None:
    made = price_of(model(price, num_outputs={"type": "integer", "default": 2}), given, 299.5)
    assert made is not None
    assert (made.unit, made.most) == (price["unit"], most)


def test_a_model_without_a_count_makes_one_picture() -> None:
    assert price_of(model({"unit": "image", "usd": 1}), {}, 1) == Price("image", 10**6, 10**6)


def test_a_model_of_unknown_price() -> None:
    assert price_of(model(None), {}, 1) is None


@pytest.mark.parametrize("most", [0, -1, "4", None, float("nan")])
def test_the_most_megapixels_are_a_number(most: object) -> None:
    with pytest.raises(InvalidModelError, match="price"):
        model({"unit": "megapixel", "usd": 1, "most": most})


def test_only_megapixels_have_a_most() -> None:
    with pytest.raises(InvalidModelError, match="price"):
        model({"unit": "image", "usd": 1, "most": 4})


def test_every_catalogue_model_has_a_price() -> None:
    catalogue = Catalogue.load()
    for name in catalogue.names():
        price = price_of(catalogue.model(name), {}, 60)
        assert price is not None
        assert 0 < price.most < 2_500_000, name


# Actual cost


@pytest.mark.parametrize(
    ("price", "news", "cost"),
    [
        pytest.param(IMAGE, [succeeded(3), Stored((file(),))], 9000, id="three images"),
        pytest.param(
            IMAGE,
            [succeeded(4), StoreFailed(Code.OUTPUT_REFUSED, "")],
            12_000,
            id="made, but not stored",
        ),
        pytest.param(IMAGE, [ProviderReported(snapshot("failed"))], 0, id="failed"),
        pytest.param(
            IMAGE,
            [ProviderReported(snapshot("succeeded", output=None, data_removed=True))],
            12_000,
            id="made, and gone",
        ),
        pytest.param(
            IMAGE,
            [ProviderReported(snapshot("succeeded", output_refused=True))],
            12_000,
            id="made, and too large to read",
        ),
        pytest.param(
            IMAGE,
            [ProviderReported(snapshot("canceled", output=[URLS[0]]))],
            3000,
            id="canceled after one",
        ),
        pytest.param(
            SECOND,
            [succeeded(metrics={"predict_time": 2.005}), Stored((file(),))],
            201,
            id="seconds",
        ),
        pytest.param(
            SECOND,
            [ProviderReported(snapshot("failed", metrics={"predict_time": 10}))],
            1000,
            id="failed seconds",
        ),
        pytest.param(
            SECOND, [ProviderReported(snapshot("canceled"))], 0, id="canceled before its start"
        ),
        pytest.param(
            SECOND,
            [ProviderReported(snapshot("canceled", started_at="2027-01-15T08:00:00Z"))],
            100,
            id="canceled, by the times that are known",
        ),
        pytest.param(
            SECOND,
            [
                succeeded(
                    started_at="2027-01-15T08:59:57Z", completed_at="2027-01-15T08:59:59.500Z"
                ),
                Stored((file(),)),
            ],
            250,
            id="by two times of one clock, an hour ahead of ours",
        ),
        pytest.param(
            SECOND,
            [succeeded(metrics={"predict_time": 1e300}), Stored((file(),))],
            60_000,
            id="absurd",
        ),
        pytest.param(
            SECOND,
            [succeeded(metrics={"predict_time": -1}), Stored((file(),))],
            60_000,
            id="negative",
        ),
        pytest.param(
            SECOND,
            [succeeded(metrics={"predict_time": True}), Stored((file(),))],
            60_000,
            id="no number",
        ),
        pytest.param(MEGAPIXEL, [succeeded(2), Stored((file(), file()))], 200_000, id="megapixels"),
        pytest.param(
            MEGAPIXEL, [succeeded(), Stored((file(None, None),))], 800_000, id="size unknown"
        ),
        pytest.param(
            MEGAPIXEL,
            [succeeded(), StoreFailed(Code.OUTPUT_TOO_LARGE, "")],
            800_000,
            id="megapixels not stored",
        ),
        pytest.param(
            Price("prediction", 7, 7), [succeeded(2), Stored((file(),))], 7, id="prediction"
        ),
        pytest.param(
            Price("prediction", 7, 7),
            [ProviderReported(snapshot("failed"))],
            0,
            id="failed prediction",
        ),
        pytest.param(
            SECOND,
            [ProviderReported(snapshot("succeeded", output=None, data_removed=True))],
            60_000,
            id="ran, and all of it is gone",
        ),
        pytest.param(SECOND, [ProviderReported(snapshot("aborted"))], 0, id="aborted upstream"),
        pytest.param(SECOND, [CreateRejected(1, "no")], 0, id="rejected"),
        pytest.param(
            SECOND, [CreateRefused(1, START), CancelRequested()], 0, id="canceled, never sent"
        ),
        pytest.param(None, [succeeded(), Stored((file(),))], None, id="price unknown"),
    ],
)
def test_what_an_end_costs(price: Price | None, news: list[Any], cost: int | None) -> None:
    assert run(accepted(price=price), *news).cost == cost


def test_an_unknown_outcome_costs_the_most() -> None:
    record = accepted(price=IMAGE)
    record = advance(record, CreateUnknown(1), START + 5000, TIMINGS) or record
    late = START + int(TIMINGS.create_give_up_s * 1000)
    ended = advance(record, ListSearched(silent=False, begun_at=late), late, TIMINGS)
    assert ended is not None
    assert (ended.code, ended.cost) == (Code.OUTCOME_UNKNOWN, 12_000)
    assert ended.cost_assumed


@pytest.mark.parametrize("output", [None, "[]", '"no URL"'])
def test_a_success_without_a_file_costs_the_most(output: str | None) -> None:
    record = accepted(price=IMAGE, makes_files=True)
    said = snapshot("succeeded", output=output)
    asked = advance(record, ProviderReported(said), START + 1000, TIMINGS)
    assert asked is not None
    later = ProviderReported(said, polled=True, whole=True)
    ended = advance(asked, later, asked.next_poll_at, TIMINGS)
    assert ended is not None
    assert (ended.code, ended.cost) == (Code.OUTPUT_MISSING, 12_000)
    assert ended.cost_assumed


def test_a_lost_prediction_costs_the_most() -> None:
    ended = accepted(price=SECOND, state=State.SUBMITTED, provider_id=PID)
    late = START + int(TIMINGS.output_life_s * 1000)
    for at in range(START, late + 1, int(TIMINGS.poll_max_s * 1000)):
        missed = advance(ended, ProviderNotFound(), at, TIMINGS)
        assert missed is not None
        ended = missed
    assert ended.cost_assumed
    assert (ended.code, ended.cost) == (Code.PROVIDER_LOST, 60_000)


def test_a_deadline_before_any_create_costs_nothing() -> None:
    record = accepted(price=SECOND, deadline=START + 500)
    ended = run(record, CreateRefused(1, START), DeadlinePassed())
    assert (ended.state, ended.cost) == (State.ABORTED, 0)


def test_nothing_costs_before_its_end() -> None:
    record = advance(accepted(price=IMAGE), succeeded(), START, TIMINGS)
    assert record is not None
    assert (record.state, record.cost) == (State.STORING, None)


# Month


def test_without_a_ledger_nothing_is_entered() -> None:
    record = accepted(price=IMAGE)
    assert reservation(record, Limits()) == ()
    assert settlement(record, run(record, CreateRejected(1, "no"))) == ()


def test_an_end_is_settled_once() -> None:
    record = accepted(price=IMAGE, ledger="SPEND#acme#2027-01")
    (entry,) = reservation(record, Limits(monthly_cap=100_000, in_flight=4))
    assert entry == LedgerEntry("SPEND#acme#2027-01", 12_000, 0, 1, 100_000, 4)
    assert entry.below == 88_000
    ended = run(record, succeeded(2), Stored((file(),)))
    assert settlement(record, ended) == (LedgerEntry("SPEND#acme#2027-01", -6000, 6000, -1),)
    extra = advance(ended, ProviderReported(snapshot(provider_id="q")), START, TIMINGS)
    assert settlement(ended, extra or ended) == ()


@pytest.mark.parametrize("ledger", [None, "SPEND#acme#2027-01"])
def test_an_end_user_has_a_month_of_its_own(ledger: str | None) -> None:
    record = accepted(price=IMAGE, ledger=ledger, end_user="ü 7", end_user_ledger=True)
    *tenants, entry = reservation(record, Limits(monthly_cap=9, end_user_monthly_cap=100_000))
    assert [other.row for other in tenants] == ([ledger] if ledger else [])
    assert entry == LedgerEntry(
        month_row("acme", START, "ü 7"), 12_000, 0, 1, 100_000, of_end_user=True
    )
    ended = run(record, succeeded(2), Stored((file(),)))
    assert ended.counted
    assert settlement(record, ended)[-1] == LedgerEntry(entry.row, -6000, 6000, -1)
    assert len(settlement(record, ended)) == len(tenants) + 1


def test_rows_of_end_users_say_no_names() -> None:
    rows = {month_row(tenant, START, user) for tenant in ("acme", "acm") for user in ("a", "b#c")}
    assert len(rows) == 4
    for row in rows:
        assert re.fullmatch(r"SPEND#acme?#2027-01#[0-9a-f]{32}", row)
    assert bucket("acme", "b#c") == f"acme#{month_row('acme', START, 'b#c')[-32:]}"


def test_a_count_alone_is_kept_for_models_without_a_price() -> None:
    record = accepted(ledger="SPEND#acme#2027-01")
    row = record.ledger or ""
    assert reservation(record, Limits(in_flight=4)) == (LedgerEntry(row, 0, 0, 1, None, 4),)
    ended = run(record, CreateRejected(1, "no"))
    assert settlement(record, ended) == (LedgerEntry(row, 0, 0, -1),)


def test_amounts_are_shown_in_dollars() -> None:
    assert (usd(None), usd(0), usd(3_001_000)) == (None, 0.0, 3.001)


@pytest.mark.parametrize("status", ["canceled", "aborted", "failed"])
def test_what_ran_is_never_free(status: str) -> None:
    """Seen running, and ended without times: the maximum cost, marked as such."""
    record = accepted(price=SECOND)
    seen = (
        advance(record, ProviderReported(snapshot("processing")), START + 1000, TIMINGS) or record
    )
    ended = advance(seen, ProviderReported(snapshot(status)), START + 2000, TIMINGS)
    assert ended is not None
    assert (ended.cost, ended.cost_assumed) == (60_000, True)


def test_a_bill_above_what_was_reserved_is_charged_in_full() -> None:
    record = accepted(price=Price("image", 3000, 3000))
    urls = ["https://x.test/0", "https://x.test/1"]
    ended = run(
        record, ProviderReported(snapshot("succeeded", output=urls)), Stored((file(), file()))
    )
    assert (ended.cost, ended.cost_assumed) == (6000, False)


@pytest.mark.parametrize(
    "measured",
    [10**400 - 1, "1.5", 1e308, -1, None],
    ids=["400 digits", "text", "beyond its life", "negative", "null"],
)
def test_no_number_of_the_providers_raises(measured: object) -> None:
    times = {"started_at": "2027-01-15T08:00:00.000Z", "completed_at": "2027-01-15T08:00:00.500Z"}
    said = snapshot("failed", metrics={"predict_time": measured}, **times)
    ended = advance(accepted(price=SECOND), ProviderReported(said), START + 2000, TIMINGS)
    assert ended is not None
    assert ended.cost == 50


def test_where_the_end_lies_before_the_start_our_own_clock_counts() -> None:
    times = {"started_at": "2027-01-15T08:00:01.000Z", "completed_at": "2027-01-15T08:00:00.000Z"}
    ended = advance(
        accepted(price=SECOND), ProviderReported(snapshot("failed", **times)), START + 2000, TIMINGS
    )
    assert ended is not None
    assert ended.cost == 0
