"""The timings are consistent: no grace ends before another guarantee needs it."""

from __future__ import annotations

from dataclasses import fields

from darkroom.domain import evidence
from darkroom.domain.timings import Timings

TIMINGS = Timings()
OURS_OFF_S = 30
"""Maximum error of our own clocks."""
THEIRS_OFF_S = 60


def test_every_timing_is_positive_and_names_its_unit() -> None:
    for field in fields(Timings):
        assert field.name.endswith(("_s", "_scale"))
        assert getattr(TIMINGS, field.name) > 0


def test_an_unknown_create_is_silent_for_two_minutes_whatever_our_clocks_say() -> None:
    """The process that starts an attempt and the one that declares it lost may each be half a
    minute off."""
    assert TIMINGS.create_silence_s >= 120 + 2 * OURS_OFF_S


def test_the_list_is_searched_from_before_a_record_whatever_the_clocks_say() -> None:
    """Our clock wrote the record's creation time, the provider's the prediction's."""
    assert evidence.CLOCK_SKEW_MS >= 1000 * (THEIRS_OFF_S + OURS_OFF_S)


def test_an_unknown_create_is_given_up_before_the_hour() -> None:
    assert TIMINGS.create_give_up_s < TIMINGS.output_life_s


def test_no_poll_is_further_away_than_five_minutes() -> None:
    assert TIMINGS.first_poll_s < TIMINGS.poll_max_s <= 300


def test_a_message_gets_its_time_before_the_sweep_stands_in_for_it() -> None:
    assert TIMINGS.store_retry_s < TIMINGS.store_grace_s
    assert TIMINGS.refused_retry_s < TIMINGS.effects_grace_s
