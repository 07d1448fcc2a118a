"""Silent repetitions: a request that is repeated without a key makes one prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import PaymentRequiredError, TooManyRequestsError, UnavailableError
from darkroom.domain.money import Limits
from darkroom.domain.repeats import KEPT
from darkroom.services.predictions.submit import Accepted, NewPrediction

from tests.support.fakes import Crash, FakePredictions
from tests.support.world import SCHNELL, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.repeats import Made


def ask(world: World, count: int | None = 0, prompt: str = "a corgi", **more: Any) -> Accepted:
    request = NewPrediction("acme", SCHNELL, {"prompt": prompt}, retry_count=count, **more)
    return world.submit(request)


def test_a_repetition_finds_what_its_first_try_made() -> None:
    world = World()
    first = ask(world)
    for count in (1, 1, 2):
        again = ask(world, count)
        assert (again.replayed, again.record) == (True, first.record)
    assert len(world.provider.creates) == 1


def test_a_repetition_finds_it_whatever_else_its_tenant_made_meanwhile() -> None:
    world = World()
    first = ask(world)
    for number in range(300):
        ask(world, 0 if number % 2 else None, f"another {number}")
        world.clock.advance(0.1)
    assert ask(world, 1).record.id == first.record.id


def test_after_our_crash_a_repetition_finds_the_intent() -> None:
    world = World()
    world.provider.answers = ["die"]
    with pytest.raises(Crash):
        ask(world)
    assert ask(world, 1).replayed
    assert len(world.store) == 1


def test_a_repetition_whose_first_try_never_came_makes_one_prediction() -> None:
    world = World()
    first = ask(world, 1)
    assert not first.replayed
    assert ask(world, 2).record == first.record


def test_two_minutes_later_it_is_another_request() -> None:
    world = World()
    first = ask(world)
    world.clock.advance(120)
    assert ask(world, 1).record.id == first.record.id
    world.clock.advance(0.001)
    assert not ask(world, 2).replayed


def test_who_says_no_count_pays_for_no_row() -> None:
    world = World()
    ask(world, None)
    ask(world, None, idempotency_key="k")
    ask(world, 0, idempotency_key="k2")
    assert world.store.rows == {}
    assert not ask(world, 1).replayed


OTHERS: dict[str, dict[str, Any]] = {
    "webhook": {"webhook": "https://client.test"},
    "events": {"webhook_events": ("start",)},
    "deadline": {"cancel_after_s": 60},
    "cache": {"cache": "bypass"},
    "prompt": {"prompt": "a cat"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_request_is_no_repetition(other: dict[str, Any]) -> None:
    world = World()
    ask(world)
    assert not ask(world, 1, **other).replayed


def test_another_tenant_is_another_row() -> None:
    world = World()
    ask(world)
    other = NewPrediction("other", SCHNELL, {"prompt": "a corgi"}, retry_count=1)
    assert not world.submit(other).replayed


# Several equal requests


def test_equal_first_tries_are_requests_of_their_own() -> None:
    world = World()
    assert len({ask(world).record.id for _ in range(6)}) == 6


def test_equal_requests_that_all_lost_their_answers_get_one_prediction_each() -> None:
    world = World()
    made = {ask(world).record.id for _ in range(KEPT)}
    for count in (1, 2):
        assert {ask(world, count).record.id for _ in range(KEPT)} == made
    assert len(world.store) == KEPT


def test_more_than_a_row_holds_make_no_more_predictions() -> None:
    world = World()
    made = {ask(world).record.id for _ in range(KEPT + 3)}
    assert {ask(world, 1).record.id for _ in range(KEPT + 3)} < made
    assert len(world.store) == KEPT + 3


# Rejected first attempts


def limit(world: World, **limits: Any) -> None:
    world.controls.tenants["acme"] = Limits(**limits)


REFUSALS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "rate": ({"rate_interval_us": 1_000_000, "rate_burst": 4}, TooManyRequestsError),
    "at once": ({"in_flight": 4}, TooManyRequestsError),
    "reserved": ({"monthly_cap": 12_000}, TooManyRequestsError),
    "spent": ({"monthly_cap": 12_000}, PaymentRequiredError),
}


@pytest.mark.parametrize(("limits", "error"), REFUSALS.values(), ids=REFUSALS)
def test_what_we_refused_is_made_anew_and_no_sibling_is_shown(
    limits: dict[str, Any], error: type[Exception]
) -> None:
    world = World()
    limit(world, **limits)
    siblings = [ask(world).record for _ in range(4)]
    if error is PaymentRequiredError:
        for record in siblings:
            world.succeed(str(record.provider_id))
            world.webhook(record.id, str(record.provider_id))
        world.settle()
    for count in (0, 1):
        with pytest.raises(error):
            ask(world, count)
    limit(world)
    world.clock.advance(31)
    fifth = ask(world, 2)
    assert not fifth.replayed
    assert fifth.record.id not in {record.id for record in siblings}
    # From now on it finds the prediction of its own first attempt, and a sibling that of its own.
    assert ask(world, 3).record.id == fifth.record.id
    assert ask(world, 1).record.id == siblings[-1].id
    assert len(world.store) == 5


def test_a_burst_above_the_rate_makes_as_many_predictions_as_were_asked_for() -> None:
    world = World()
    limit(world, rate_interval_us=500_000, rate_burst=4)
    made, waiting = [], [(0, number) for number in range(10)]
    while waiting:
        later = []
        for count, number in waiting:
            try:
                made.append(ask(world, count))
            except TooManyRequestsError:
                later.append((count + 1, number))
        world.clock.advance(2)
        waiting = later
    assert len({accepted.record.id for accepted in made}) == 10


def test_a_client_that_gave_up_is_forgotten_after_a_while() -> None:
    world = World()
    limit(world, in_flight=0)
    with pytest.raises(TooManyRequestsError):
        ask(world)
    limit(world)
    world.clock.advance(301)
    first = ask(world)
    assert ask(world, 1).record.id == first.record.id


def test_a_refusal_is_counted_for_a_first_try_alone() -> None:
    world = World()
    limit(world, in_flight=0)
    for more in ({"count": None}, {"count": 1}, {"idempotency_key": "k"}, {"dedupe_s": 60}):
        with pytest.raises(TooManyRequestsError):
            ask(world, **more)
    assert world.store.rows == {}


def test_what_cannot_be_counted_is_refused_all_the_same() -> None:
    class Down(FakePredictions):
        def note_refusal(self, row: str, now: int) -> None:
            raise TimeoutError

    world = World(store=Down())
    limit(world, in_flight=0)
    with pytest.raises(TooManyRequestsError):
        ask(world)


def test_a_repetition_of_a_window_is_found_although_another_was_refused() -> None:
    """An API key's window applies to any equal request."""
    world = World()
    first = ask(world, dedupe_s=9)
    limit(world, in_flight=0)
    assert ask(world, dedupe_s=9).record.id == first.record.id
    world.clock.advance(10)
    assert ask(world, 1, dedupe_s=9).record.id == first.record.id


# Concurrency


class Beside(FakePredictions):
    """Runs a rival just before an insert, or before an answer is stored."""

    before_insert: Callable[[], object] | None = None
    before_answer: Callable[[], object] | None = None

    def insert(self, record: Any, key: Any = None, entries: Any = ()) -> None:
        rival, self.before_insert = self.before_insert, None
        if rival:
            rival()
        super().insert(record, key, entries)

    def answer_again(self, row: str, place: int, made: Made, count: int) -> bool:
        if self.before_answer:
            self.before_answer()
        return super().answer_again(row, place, made, count)


def test_a_first_try_that_comes_after_its_repetition_finds_what_that_one_made() -> None:
    world = World(store=Beside())
    answers: list[Accepted] = []
    world.store.before_insert = lambda: answers.append(ask(world, 1))
    late = ask(world, received_at=world.clock() - 1500)
    assert (late.replayed, late.record) == (True, answers[0].record)
    assert len(world.store) == 1
    world.clock.advance(0.001)
    assert not ask(world, received_at=world.clock()).replayed


def test_a_first_try_is_not_taken_for_a_refused_one_that_came_again() -> None:
    world = World(store=Beside())
    limit(world, in_flight=0)
    with pytest.raises(TooManyRequestsError):
        ask(world)
    limit(world)
    world.clock.advance(31)
    world.store.before_insert = lambda: ask(world, 1)
    assert not ask(world, received_at=world.clock() - 1500).replayed
    assert len(world.store) == 2


@pytest.mark.parametrize("more", [{"count": 1}, {"count": None, "dedupe_s": 60}])
def test_two_repetitions_at_once_make_one_prediction(more: dict[str, Any]) -> None:
    world = World(store=Beside())
    answers: list[Accepted] = []
    world.store.before_insert = lambda: answers.append(ask(world, **more))
    assert ask(world, **more).record == answers[0].record
    assert len(world.store) == 1


def test_two_repetitions_of_one_refusal_make_one_prediction() -> None:
    world = World(store=Beside())
    limit(world, in_flight=0)
    with pytest.raises(TooManyRequestsError):
        ask(world)
    limit(world)
    world.clock.advance(31)
    world.store.before_insert = lambda: ask(world, 1)
    assert ask(world, 1).replayed
    assert len(world.store) == 1


def test_a_row_that_always_changes_still_has_an_answer() -> None:
    world = World(store=Beside())
    made = {ask(world).record.id for _ in range(3)}
    world.store.before_answer = lambda: made.add(ask(world).record.id)
    assert ask(world, 1).record.id in made
    assert len(world.store) == len(made)


def test_where_the_prediction_is_gone_none_is_made_in_its_place() -> None:
    world = World()
    ask(world)
    world.store.items.clear()
    with pytest.raises(UnavailableError):
        ask(world, 1)
