"""Endpoints: delays, shares, disabling, and their independence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from darkroom.domain.receivers import (
    CROWD,
    FAILURES,
    MOST_ADDRESSES,
    MOST_ENDPOINTS,
    MOST_STRIKES,
    NEW_CHANCE_MS,
    REFUSALS,
    SLOW_MS,
    STRIKES,
    WELL,
    Endpoint,
    Receivers,
    Refusal,
    address,
    host,
)
from darkroom.domain.timings import Timings

from tests.support.fakes import START
from tests.support.records import TIMINGS

HOOK = "https://client.test/hook"
DAYS_5 = 5 * 86_400_000


def after(endpoint: Endpoint, *statuses: int | None, took_ms: int = 9, at: int = START) -> Endpoint:
    for status in statuses:
        endpoint = endpoint.after(status, took_ms, at, TIMINGS)
    return endpoint


# One endpoint


def test_an_endpoint_fails_from_its_first_failure_to_its_next_success() -> None:
    failing = after(WELL, 500)
    assert failing == Endpoint(failing_since=START, failures=1)
    assert after(failing, None, at=START + 9) == replace(failing, failures=2)
    assert after(failing, 302, at=START + 9).failing_since == START
    assert after(failing, 204, at=START + 9) == WELL


def test_one_that_fails_in_a_row_is_left_alone_for_as_long_as_it_has_been_failing() -> None:
    failing = after(WELL, *[500] * (FAILURES - 1))
    assert (failing.next_at, failing.shares) == (0, False)
    failing = after(failing, 500)
    assert (failing.next_at, failing.shares) == (START + 15_000, True)
    # The results of other attempts that were in progress change nothing.
    assert after(failing, 500, at=START + 900) == failing
    later = after(failing, None, at=START + 600_000)
    assert later.next_at == START + 600_000 + 600_000
    days = after(failing, None, at=START + 86_400_000)
    assert days.next_at == START + 86_400_000 + 3_600_000
    assert after(days, 200, at=days.next_at) == WELL


def test_a_stage_may_shorten_the_pause() -> None:
    failing = replace(WELL, failures=FAILURES - 1)
    ended = failing.after(500, 9, START, Timings(callback_scale=0.01))
    assert ended.next_at == START + 150


def test_one_that_fails_for_five_days_is_disabled() -> None:
    failing = Endpoint(failing_since=START, failures=3)
    assert after(failing, 500, at=START + DAYS_5 - 1).disabled_at is None
    assert after(failing, 500, at=START + DAYS_5).disabled_at == START + DAYS_5


def test_one_slow_attempt_counts_until_ten_quick_ones_made_up_for_it() -> None:
    slow = after(WELL, 200, took_ms=SLOW_MS)
    assert (slow.strikes, slow.shares) == (STRIKES, True)
    assert after(slow, 200, took_ms=SLOW_MS - 1).strikes == STRIKES - 1
    assert after(slow, *[200] * (STRIKES - 1)).shares
    assert after(slow, *[200] * STRIKES) == WELL
    assert after(slow, *[None] * 9, took_ms=SLOW_MS).strikes == MOST_STRIKES


def test_gone_is_said_of_an_address_and_not_of_its_endpoint() -> None:
    assert after(WELL, *[410] * 20) == WELL
    failing = after(WELL, 500, 410)
    assert failing == after(WELL, 500)


# Endpoints of a tenant


def told(
    receivers: Receivers, url: str, *statuses: int | None, took_ms: int = 9, at: int = START
) -> Receivers:
    for status in statuses:
        receivers = receivers.after(url, status, took_ms, at, TIMINGS)
    return receivers


def test_of_those_that_do_well_nothing_is_known() -> None:
    assert told(Receivers(), HOOK, 200, 204) == Receivers()
    ill = told(Receivers(), HOOK, 500, None, 410, took_ms=SLOW_MS)
    assert ill.endpoints.keys() == {host(HOOK)}
    well = told(ill, HOOK, *[200] * MOST_STRIKES)
    assert well == Receivers()


def test_a_host_is_one_endpoint_whatever_the_path() -> None:
    same = (HOOK, f"{HOOK}?id=1", "https://client.test/2", "https://CLIENT.test")
    assert len({host(url) for url in same}) == 1
    assert len({address(url) for url in same}) == 4
    others = ("https://client2.test/hook", "http://client.test/hook", "https://client.test:8443/")
    assert len({host(url) for url in (HOOK, *others)}) == 4
    ill = told(Receivers(), f"{HOOK}?id=1", None, took_ms=15_000)
    assert ill.shares("https://client.test/2?id=2")
    assert not ill.shares("https://other.test/hook")


def test_one_failing_endpoint_delays_no_other() -> None:
    ill = told(Receivers(), HOOK, *[500] * FAILURES)
    assert ill.next_at(HOOK) == START + 15_000
    assert ill.next_at("https://other.test/hook") == 0


def test_places_of_the_share_are_given_back_or_run_out() -> None:
    one = Receivers().enter(START, START + 60_000, 2)
    assert one is not None
    two = one.enter(START, START + 60_000, 2)
    assert two is not None
    assert two.busy == (START + 60_000, START + 60_000)
    assert two.enter(START + 59_999, START + 90_000, 2) is None
    after_crash = two.enter(START + 60_000, START + 90_000, 2)
    assert after_crash is not None
    assert after_crash.busy == (START + 90_000,)
    assert two.leave(START + 60_000) == one
    assert one.leave(START + 60_000) == Receivers()
    assert one.leave(None) == one.leave(START) == one


def test_names_without_end_share_as_one_does() -> None:
    receivers = Receivers()
    for number in range(CROWD):
        assert not receivers.shares("https://fresh.test/")
        receivers = told(receivers, f"https://h{number}.test/", None, took_ms=15_000)
    assert receivers.shares("https://fresh.test/")
    for number in range(100):
        receivers = told(receivers, f"https://h{number}.test/", None, took_ms=15_000)
    assert len(receivers.endpoints) == MOST_ENDPOINTS


def test_of_many_endpoints_the_worst_are_kept() -> None:
    receivers = Receivers(endpoints={host(HOOK): Endpoint(START, FAILURES, disabled_at=START)})
    for number in range(100):
        receivers = told(receivers, f"https://h{number}.test/", 500)
    assert receivers.disabled(HOOK, START)
    assert len(receivers.endpoints) == MOST_ENDPOINTS


# Disabled endpoints


def test_one_job_that_is_gone_silences_no_other() -> None:
    receivers = told(Receivers(), f"{HOOK}?id=1", 410)
    for url in (HOOK, f"{HOOK}?id=1", f"{HOOK}?id=2"):
        assert not receivers.disabled(url, START)
    receivers = told(receivers, f"{HOOK}?id=1", *[410] * (REFUSALS - 1))
    assert receivers.disabled(f"{HOOK}?id=1", START)
    assert not receivers.disabled(f"{HOOK}?id=2", START)
    assert not receivers.disabled(HOOK, START)


def test_an_address_that_takes_one_in_between_is_not_gone() -> None:
    receivers = told(Receivers(), HOOK, *[410] * (REFUSALS - 1), 200, *[410] * (REFUSALS - 1))
    assert not receivers.disabled(HOOK, START)
    assert told(receivers, HOOK, 410).disabled(HOOK, START)


def test_old_refusals_do_not_count() -> None:
    receivers = told(Receivers(), HOOK, *[410] * (REFUSALS - 1))
    late = told(receivers, HOOK, 410, at=START + NEW_CHANCE_MS)
    assert late.refused == {address(HOOK): Refusal(1, START + NEW_CHANCE_MS)}


def test_the_latest_refusals_are_kept() -> None:
    receivers = Receivers()
    for number in range(MOST_ADDRESSES + 9):
        receivers = told(receivers, f"{HOOK}?id={number}", 410, at=START + number)
    kept = {address(f"{HOOK}?id={number}") for number in range(9, MOST_ADDRESSES + 9)}
    assert receivers.refused.keys() == kept


@pytest.mark.parametrize(
    "receivers",
    [
        Receivers(endpoints={host(HOOK): Endpoint(START - DAYS_5, FAILURES, disabled_at=START)}),
        Receivers(refused={address(HOOK): Refusal(REFUSALS, START)}),
    ],
)
def test_what_is_disabled_gets_a_new_chance(receivers: Receivers) -> None:
    assert receivers.disabled(HOOK, START + NEW_CHANCE_MS - 1)
    assert not receivers.disabled(HOOK, START + NEW_CHANCE_MS)
    enabled = receivers.enable(HOOK)
    assert not enabled.disabled(HOOK, START)
    assert enabled.next_at(HOOK) == 0


def test_who_asks_for_a_redelivery_still_has_but_a_share() -> None:
    receivers = told(Receivers(), HOOK, *[None] * FAILURES, took_ms=15_000)
    enabled = receivers.enable(HOOK)
    assert enabled.next_at(HOOK) == 0
    assert enabled.shares(HOOK)
    # Its five days restart.
    assert not told(enabled, HOOK, 500, at=START + DAYS_5).disabled(HOOK, START + DAYS_5)
    assert Receivers().enable(HOOK) == Receivers()
