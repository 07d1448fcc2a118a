"""A tenant's limits: rate, concurrent predictions, money per month; and its usage."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from darkroom.domain.errors import BadRequestError, PaymentRequiredError, TooManyRequestsError
from darkroom.domain.money import Limits, month_row
from darkroom.domain.prediction import State
from darkroom.domain.times import rfc3339
from darkroom.ports import Answered, Month
from darkroom.services.tenants.limits import READS_A_SECOND, READS_AT_ONCE, TenantLimits

from tests.support.fakes import START, FakeControls, FakePredictions
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

MONTH = "SPEND#acme#2027-01"


@pytest.fixture
def world() -> World:
    return World()


def limit(world: World, **limits: Any) -> None:
    world.controls.tenants["acme"] = Limits(**limits)


def finish(world: World, record: Any, *outputs: str) -> None:
    provider_id = world.record(record.id).provider_id
    assert provider_id is not None
    world.succeed(provider_id, *outputs)
    world.webhook(record.id, provider_id)
    world.settle()


def test_a_tenant_above_its_rate_waits_and_leaves_nothing_behind(world: World) -> None:
    limit(world, rate_interval_us=2_000_000, rate_burst=2)
    world.accept()
    world.accept()
    with pytest.raises(TooManyRequestsError) as refused:
        world.accept()
    assert refused.value.retry_after == 2
    assert len(world.store) == 2
    assert len(world.provider.creates) == 2
    world.accept(tenant="other")
    world.clock.advance(2)
    world.accept()


WRITES: dict[str, Callable[[World, str], object]] = {
    "cancel": lambda world, id_: world.cancel("acme", id_),
    "redeliver": lambda world, id_: world.delivered.redeliver("acme", id_, "completed"),
    "upload": lambda world, _: world.files.admit("acme"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_whatever_writes_counts_against_the_rate(
    world: World, write: Callable[[World, str], object]
) -> None:
    limit(world, rate_interval_us=1_000_000, rate_burst=2)
    record = world.accept(webhook="https://client.test/hook")
    finish(world, record)
    write(world, record.id)
    posts, cancels = len(world.callbacks.posts), len(world.provider.cancels)
    before = world.record(record.id), world.deliveries.get(record.id, "completed")
    with pytest.raises(TooManyRequestsError) as refused:
        write(world, record.id)
    assert refused.value.retry_after == 1
    assert (world.record(record.id), world.deliveries.get(record.id, "completed")) == before
    assert (len(world.callbacks.posts), len(world.provider.cancels)) == (posts, cancels)
    world.clock.advance(1)
    write(world, record.id)


def reads(world: World, most: int = 1000) -> int:
    """Return the number of consecutive reads that are allowed."""
    for number in range(most):
        try:
            world.limits.admit_read("acme")
        except TooManyRequestsError:
            return number
    return most


def test_reads_have_a_bucket_of_their_own_that_costs_no_write(world: World) -> None:
    limit(world, rate_interval_us=1_000_000, rate_burst=2)
    assert reads(world) == READS_AT_ONCE
    assert world.controls.buckets == {}
    world.accept()
    world.accept()
    with pytest.raises(TooManyRequestsError):
        world.accept()
    world.limits.admit_read("other")
    world.clock.advance(1)
    assert reads(world) == READS_A_SECOND
    world.clock.advance(60)
    assert reads(world) == READS_AT_ONCE


def test_reads_of_a_tenant_without_a_rate_are_not_bounded(world: World) -> None:
    limit(world, in_flight=2)
    assert reads(world) == 1000
    limit(world, rate_interval_us=1)
    world.clock.advance(30)
    assert reads(world) == READS_AT_ONCE


def test_a_few_reads_do_not_even_ask_for_the_limits(world: World) -> None:
    class Silent(FakeControls):
        def limits(self, tenant: str) -> Limits:
            raise AssertionError(tenant)

    limits = TenantLimits(Silent(), world.clock)
    for _ in range(READS_AT_ONCE):
        limits.admit_read("acme")
    for number in range(2500):
        limits.admit_read(f"tenant-{number}")
    assert len(limits._reads) <= 1000


def test_changed_limits_hold_within_half_a_minute(world: World) -> None:
    world.accept()
    limit(world, monthly_cap=0)
    world.clock.advance(29)
    world.accept()
    world.clock.advance(1)
    with pytest.raises(PaymentRequiredError):
        world.accept()


def test_a_process_forgets_tenants_rather_than_grow(world: World) -> None:
    limits = world.submit.limits
    for number in range(2500):
        limits.of(f"tenant-{number}")
    assert len(limits._known) <= 1000


def test_what_is_in_flight_is_counted_until_its_end(world: World) -> None:
    limit(world, in_flight=2)
    first = world.accept()
    world.accept()
    with pytest.raises(TooManyRequestsError) as refused:
        world.accept()
    assert refused.value.retry_after == 2
    assert world.store.months[MONTH].in_flight == 2
    finish(world, first)
    assert world.store.months[MONTH].in_flight == 1
    world.accept()


@pytest.mark.parametrize("cap", [5_000, 5_999, 4_999, 2_999])
def test_newcomer_bug_9_a_402_says_sums_that_do_not_fit(world: World, cap: int) -> None:
    """The full price counts; a rounded cap would have had room."""
    limit(world, monthly_cap=cap)
    if cap >= 3_000:
        finish(world, world.accept())
    with pytest.raises(PaymentRequiredError) as refused:
        world.accept()
    most, of, spent = map(Decimal, re.findall(r"\$(\d+\.\d+)", str(refused.value)))
    assert of * 1_000_000 == cap
    assert most + spent > of


def test_none_at_once_stops_a_tenant(world: World) -> None:
    limit(world, in_flight=0)
    with pytest.raises(TooManyRequestsError):
        world.accept()
    assert not len(world.store)


def test_the_turn_of_a_month_doubles_nothing(world: World) -> None:
    limit(world, in_flight=3)
    world.clock.now = 1_801_439_995_000
    assert rfc3339(world.clock()) == "2027-01-31T23:59:55.000Z"
    running = [world.accept(cancel_after_s=3600) for _ in range(3)]
    world.clock.advance(10)
    with pytest.raises(TooManyRequestsError):
        world.accept()
    finish(world, running[0])
    finish(world, running[1])
    world.accept()
    world.accept()
    with pytest.raises(TooManyRequestsError):
        world.accept()
    finish(world, running[2])
    world.accept()
    assert world.store.months["SPEND#acme#2027-02"].in_flight == 3


def test_only_the_first_days_of_a_month_look_back() -> None:
    class Looking(FakePredictions):
        looked: ClassVar[list[str]] = []

        def month(self, row: str) -> Month:
            self.looked.append(row)
            return super().month(row)

    world = World(store=Looking())
    limit(world, in_flight=100)
    world.clock.now = 1_801_440_000_000
    world.accept()
    world.clock.advance(2 * 86_400 - 1)
    world.accept()
    assert Looking.looked == [MONTH] * 2
    world.clock.advance(1)
    world.accept()
    limit(world, monthly_cap=10**9)
    world.clock.now = 1_803_859_200_000 + 60_000
    world.accept()
    limit(world, in_flight=0)
    world.clock.advance(60)
    with pytest.raises(TooManyRequestsError):
        world.accept()
    assert Looking.looked == [MONTH] * 2


def test_money_is_reserved_before_the_create_and_settled_at_the_end(world: World) -> None:
    limit(world, monthly_cap=20_000)
    record = world.accept({"prompt": "x", "num_outputs": 4})
    assert world.store.months[MONTH] == Month(12_000, 0, 1)
    with pytest.raises(TooManyRequestsError):
        world.accept({"prompt": "x", "num_outputs": 3})
    finish(world, record, "0.png", "1.png")
    assert world.store.months[MONTH] == Month(6000, 6000, 0)
    assert world.record(record.id).cost == 6000
    assert world.shown(world.record(record.id))["darkroom"]["cost"] == 0.006


def test_only_money_that_is_spent_is_a_reason_to_pay(world: World) -> None:
    """Eight concurrent ones reserve 8 x $1.76 of a cap of $10, and cost 8 x $0.007 in the end."""
    limit(world, monthly_cap=10_000_000)
    given = {"prompt": "x"}
    running = [world.accept(given, reference="stability-ai/sdxl") for _ in range(5)]
    with pytest.raises(TooManyRequestsError) as waits:
        world.accept(given, reference="stability-ai/sdxl")
    assert waits.value.retry_after == running[0].typical_ms // 1000
    for record in running:
        world.provider.upstream[str(record.provider_id)]["metrics"] = {"predict_time": 7.0}
        finish(world, record)
    assert world.store.months[MONTH].committed < 100_000
    world.accept(given, reference="stability-ai/sdxl")


def test_what_is_spent_leaves_no_room_whatever_else_runs(world: World) -> None:
    limit(world, monthly_cap=20_000)
    finish(world, world.accept({"prompt": "x", "num_outputs": 4}), *"0123")
    world.accept()
    with pytest.raises(
        PaymentRequiredError, match=r"up to \$0.009000.* \$0.020000, of which \$0.012000 is spent"
    ):
        world.accept({"prompt": "x", "num_outputs": 3})
    assert world.store.months[MONTH] == Month(15_000, 12_000, 1)


def test_a_prediction_above_the_whole_cap_writes_nothing(world: World) -> None:
    limit(world, monthly_cap=11_999)
    with pytest.raises(PaymentRequiredError):
        world.accept({"prompt": "x", "num_outputs": 4})
    assert not world.store.months
    assert not len(world.store)


def test_what_surely_did_not_run_is_let_go(world: World) -> None:
    limit(world, monthly_cap=20_000)
    world.provider.answers.append(Answered(422, {"detail": "no"}))
    record = world.accept()
    assert world.record(record.id).state is State.FAILED
    assert world.store.months[MONTH] == Month(0, 0, 0)


def test_a_replay_reserves_nothing(world: World) -> None:
    limit(world, monthly_cap=3000, in_flight=1)
    first = world.accept(idempotency_key="k")
    again = world.accept(idempotency_key="k")
    assert again.id == first.id
    assert world.store.months[MONTH] == Month(3000, 0, 1)


def test_a_capped_tenant_cannot_run_what_has_no_price() -> None:
    world = World(open_models=True)
    world.provider.schemas["someone/model:" + "a" * 64] = {
        "components": {"schemas": {"Input": {"type": "object", "properties": {}}}}
    }
    limit(world, monthly_cap=10**9)
    with pytest.raises(PaymentRequiredError, match="no known price"):
        world.accept({}, reference=f"someone/model:{'a' * 64}")
    limit(world, end_user_monthly_cap=10**9, in_flight=1)
    world.clock.advance(30)
    with pytest.raises(PaymentRequiredError, match="no known price: with this end user's"):
        world.accept({}, reference=f"someone/model:{'a' * 64}", end_user="ann")
    world.accept({}, reference=f"someone/model:{'a' * 64}")
    assert world.store.months[MONTH] == Month(0, 0, 1)


USERS_CAP = {"end_user_monthly_cap": 6000}


def users_month(end_user: str, at_ms: int = START) -> str:
    return month_row("acme", at_ms, end_user)


def test_an_end_user_above_its_rate_waits_alone(world: World) -> None:
    limit(
        world,
        end_user_rate_interval_us=6_000_000,
        end_user_rate_burst=2,
        rate_interval_us=1_000_000,
        rate_burst=4,
    )
    world.accept(end_user="ann")
    world.accept(end_user="ann")
    for _ in range(5):
        with pytest.raises(TooManyRequestsError, match="This end user's rate limit") as refused:
            world.accept(end_user="ann")
        assert refused.value.retry_after == 6
    assert len(world.store) == len(world.provider.creates) == 2
    world.accept(end_user="bob")
    world.accept()
    with pytest.raises(TooManyRequestsError, match="Your rate limit"):
        world.accept()
    world.clock.advance(6)
    world.accept(end_user="ann")


def test_who_is_not_limited_or_names_nobody_has_no_rows(world: World) -> None:
    limit(world, monthly_cap=10**9, rate_interval_us=1, rate_burst=9)
    assert not world.accept(end_user="ann").end_user_ledger
    limit(world, **USERS_CAP, end_user_rate_interval_us=1)
    world.clock.advance(30)
    world.accept()
    world.accept(tenant="other", end_user="ann")
    assert list(world.store.months) == [MONTH]
    assert list(world.controls.buckets) == ["acme"]


def test_each_end_users_month_is_reserved_and_settled(world: World) -> None:
    limit(world, **USERS_CAP)
    record = world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    assert world.store.months == {users_month("ann"): Month(6000, 0, 1)}
    with pytest.raises(TooManyRequestsError, match="This end user's") as waits:
        world.accept(end_user="ann")
    assert waits.value.retry_after == 2
    world.accept(end_user="bob")
    finish(world, record, "0.png")
    assert world.store.months[users_month("ann")] == Month(3000, 3000, 0)
    assert world.usage("acme", None, None)["predictions"] == 1, "counted as it ended, and once"
    world.accept(end_user="ann")
    with pytest.raises(
        PaymentRequiredError,
        match=r"up to \$0.006000, and this end user's .* \$0.006000, of which \$0.003000 is spent",
    ):
        world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    assert world.store.months[users_month("ann")] == Month(6000, 3000, 1)


def test_both_months_have_room_or_nothing_is_reserved(world: World) -> None:
    limit(world, monthly_cap=9000, **USERS_CAP)
    world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    with pytest.raises(TooManyRequestsError, match="This end user's"):
        world.accept(end_user="ann")
    with pytest.raises(TooManyRequestsError, match="Your"):
        world.accept({"prompt": "x", "num_outputs": 2}, end_user="bob")
    assert world.store.months == {
        MONTH: Month(6000, 0, 1),
        users_month("ann"): Month(6000, 0, 1),
    }
    world.accept(end_user="bob")
    assert world.store.months[MONTH] == Month(9000, 0, 2)


@pytest.mark.parametrize("of_tenant", [{}, {"monthly_cap": 10**9}])
def test_an_end_user_above_the_whole_cap_writes_nothing(
    world: World, of_tenant: dict[str, int]
) -> None:
    limit(world, **USERS_CAP, **of_tenant)
    with pytest.raises(PaymentRequiredError, match="this end user's monthly cap"):
        world.accept({"prompt": "x", "num_outputs": 3}, end_user="ann")
    assert not world.store.months
    assert not len(world.store)


def test_a_replay_reserves_nothing_for_the_end_user(world: World) -> None:
    limit(world, **USERS_CAP)
    first = world.accept(idempotency_key="k", end_user="ann")
    assert world.accept(idempotency_key="k", end_user="ann").id == first.id
    assert world.store.months == {users_month("ann"): Month(3000, 0, 1)}


def test_what_was_never_sent_is_let_go_for_the_end_user(world: World) -> None:
    limit(world, monthly_cap=10**9, **USERS_CAP)
    world.provider.answers.append(Answered(429))
    record = world.accept(end_user="ann")
    world.cancel("acme", record.id)
    assert world.record(record.id).state is State.CANCELED
    assert set(world.store.months.values()) == {Month(0, 0, 0)}


def test_a_result_from_the_cache_costs_an_end_user_nothing(world: World) -> None:
    limit(world, end_user_monthly_cap=3000)
    finish(world, world.accept({"prompt": "x", "seed": 7}, end_user="ann"))
    hit = world.accept({"prompt": "x", "seed": 7}, end_user="ann")
    assert (hit.cached_from is not None, hit.end_user_ledger) == (True, False)
    world.settle()
    assert world.store.months == {users_month("ann"): Month(3000, 3000, 0)}


def test_an_end_users_month_is_that_of_the_creation(world: World) -> None:
    limit(world, **USERS_CAP)
    world.clock.now = 1_801_439_995_000
    record = world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    world.clock.advance(10)
    world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    finish(world, record, "0.png")
    assert world.store.months == {
        users_month("ann", 1_801_439_995_000): Month(3000, 3000, 0),
        users_month("ann", world.clock.now): Month(6000, 0, 1),
    }


def test_a_limit_that_is_taken_away_settles_what_was_reserved_under_it(world: World) -> None:
    limit(world, **USERS_CAP)
    record = world.accept(end_user="ann")
    limit(world)
    world.clock.advance(30)
    world.accept(end_user="ann")
    finish(world, record)
    assert world.store.months == {users_month("ann"): Month(3000, 3000, 0)}


def test_what_nobody_knows_of_costs_the_end_user_the_most(world: World) -> None:
    limit(world, **USERS_CAP)
    record = world.accept({"prompt": "x", "num_outputs": 2}, end_user="ann")
    world.provider.upstream.clear()
    for _ in range(60):
        world.sweep(1800)
    assert world.record(record.id).cost_assumed
    assert world.store.months == {users_month("ann"): Month(6000, 6000, 0)}


def test_usage_by_day_and_model(world: World) -> None:
    finish(world, world.accept({"prompt": "x", "num_outputs": 2}), "0.png", "1.png")
    finish(world, world.accept())
    world.accept()
    usage = world.usage("acme", None, None)
    assert usage["results"] == [
        {
            "day": "2027-01-15",
            "model": "black-forest-labs/flux-schnell",
            "predictions": 2,
            "cost": 0.009,
        }
    ]
    assert (usage["from"], usage["to"]) == ("2026-12-17", "2027-01-15")
    assert (usage["predictions"], usage["cost"]) == (2, 0.009)
    assert world.usage("other", "2027-01-15", "2027-01-15")["results"] == []
    assert world.usage("acme", "2027-01-14", "2027-01-14")["predictions"] == 0


def test_usage_of_a_tag(world: World) -> None:
    limit(world, monthly_cap=10**9)
    finish(world, world.accept(tags=("spring", "blue")))
    limit(world)
    world.clock.advance(30)
    finish(world, world.accept(tags=("spring",)))
    finish(world, world.accept())
    assert world.usage("acme", None, None)["predictions"] == 3
    spring = world.usage("acme", None, None, "spring")
    assert (spring["tag"], spring["predictions"], spring["cost"]) == ("spring", 2, 0.006)
    assert world.usage("acme", None, None, "blue")["predictions"] == 1
    assert world.usage("acme", None, None, "green")["results"] == []
    assert world.usage("other", None, None, "spring")["results"] == []
    assert "tag" not in world.usage("acme", None, None)


def test_the_sweep_counts_what_the_stream_lost(world: World) -> None:
    record = world.accept()
    provider_id = world.record(record.id).provider_id or ""
    world.provider.finish(provider_id, status="failed")
    world.webhook(record.id, provider_id)
    world.store.stream.clear()
    world.sweep(3600)
    world.settle()
    world.sweep(3600)
    assert world.usage("acme", None, None)["predictions"] == 1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2027-01-16", "2027-01-15"),
        ("2026-01-01", "2027-01-15"),
        ("", None),
        ("2027-1-1", None),
        ("2027-02-30", None),
        ("0001-01-01", "0001-01-02"),
        ("1999-12-31", "1999-12-31"),
        ("٢٠٢٧-01-01", None),
        (None, "9999-12-31"),
        (None, "x"),
    ],
)
def test_days_that_are_none(world: World, first: str | None, last: str | None) -> None:
    with pytest.raises(BadRequestError):
        world.usage("acme", first, last)
