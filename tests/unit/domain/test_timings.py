"""The graces fit together: what one promise needs, no other may cut short."""

from __future__ import annotations

from dataclasses import fields

from darkroom.domain.timings import Timings

TIMINGS = Timings()


def test_every_timing_is_positive_and_names_its_unit() -> None:
    for field in fields(Timings):
        assert field.name.endswith(("_s", "_scale"))
        assert getattr(TIMINGS, field.name) > 0


def test_an_unknown_create_is_silent_for_two_minutes_and_given_up_before_the_hour() -> None:
    assert TIMINGS.create_silence_s >= 120
    assert TIMINGS.create_give_up_s == 50 * 60
    assert TIMINGS.create_give_up_s < TIMINGS.output_life_s


def test_no_poll_is_further_away_than_five_minutes() -> None:
    assert TIMINGS.first_poll_s < TIMINGS.poll_max_s <= 300


def test_a_message_gets_its_time_before_the_sweep_stands_in_for_it() -> None:
    assert TIMINGS.store_retry_s < TIMINGS.store_grace_s
    assert TIMINGS.refused_retry_s < TIMINGS.effects_grace_s
