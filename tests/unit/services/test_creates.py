"""Creates: stored before they are sent, never repeated if in doubt, never lost."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from darkroom.domain.prediction import Code, CreateState, State
from darkroom.ports import Answered, NoAnswer
from darkroom.services.predictions.handle_webhook import WebhookOutcome
from darkroom.services.predictions.submit import NewPrediction

from tests.support.fakes import START, ContendedPredictions, Crash, FakePredictions
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.domain.prediction import Prediction

SECOND = 1000
BUDGET_S = 3 + 10
"""Submit's budget plus a margin, after which an attempt has ended."""
SILENCE_S = 180


def only(world: World) -> Prediction:
    """Return the only record."""
    (id_,) = world.store.items
    return world.record(id_)


def run_until(world: World, seconds: float, step: float = 10) -> None:
    """Let time pass with everything running: stream, queues, sweep."""
    end = world.clock.now + int(seconds * SECOND)
    while world.clock.now < end:
        world.sweep(min(step, (end - world.clock.now) / SECOND))
        world.settle()


def bound(world: World) -> dict[str, str]:
    """Return the provider ids by their records."""
    return {id_: str(world.record(id_).provider_id) for id_ in world.store.items}


# Intent


def test_the_intent_is_recorded_before_the_create_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    seen: list[CreateState] = []
    create = world.provider.create

    def watched(**request: Any) -> Any:
        seen.append(only(world).create.state)
        return create(**request)

    monkeypatch.setattr(world.provider, "create", watched)
    world.accept()
    assert seen == [CreateState.IN_FLIGHT]


def test_a_create_that_answers_is_bound_at_once() -> None:
    world = World()
    record = world.accept()
    assert record.state is State.SUBMITTED
    assert record.provider_id == "p" + "0" * 25
    assert record == world.record(record.id)


def test_a_crash_before_the_create_is_made_good_after_the_silence() -> None:
    world = World()
    world.provider.answers = ["die"]
    with pytest.raises(Crash):
        world.accept()
    assert only(world).create.state is CreateState.IN_FLIGHT
    run_until(world, BUDGET_S + SILENCE_S - 1)
    assert len(world.provider.creates) == 1
    run_until(world, 120)
    assert len(world.provider.creates) == 2
    assert only(world).provider_id in world.provider.upstream


@pytest.mark.parametrize("echo", [True, False])
def test_a_crash_after_the_create_is_found_again_and_not_repeated(echo: bool) -> None:
    world = World(dedicated=not echo)
    world.provider.echo = echo
    world.provider.answers = ["die late"]
    with pytest.raises(Crash):
        world.accept()
    run_until(world, 100)
    assert only(world).provider_id in world.provider.upstream
    run_until(world, 600)
    assert len(world.provider.creates) == 1


def test_an_outage_of_the_store_after_the_create_does_not_refuse_what_was_accepted() -> None:
    class Outage(FakePredictions):
        def commit(self, record: Prediction, **_: Any) -> None:
            raise ConnectionError

    world = World(store=Outage())
    record = world.accept()
    assert record.state is State.ACCEPTED
    assert world.record(record.id) == record


def test_what_the_create_says() -> None:
    world = World()
    record = world.accept(webhook="https://client.test/hook", webhook_events=("output",))
    (request,) = world.provider.creates
    assert request["model"] == "black-forest-labs/flux-schnell"
    assert request["version"] is None
    assert request["input_"] == record.input
    assert request["events"] == ["completed", "output", "start"]
    assert request["webhook"].startswith(f"https://darkroom.test/hooks/replicate/{record.id}?t=")
    assert request["cancel_after_s"] is None
    assert request["budget_s"] == 3.0


def test_field_f20_no_deadline_is_sent_that_nobody_asked_for() -> None:
    world = World()
    for seconds, sent in ((None, None), (60, 60), (86_399, 86_399), (86_400, None)):
        world.accept(cancel_after_s=seconds)
        assert world.provider.creates[-1]["cancel_after_s"] == sent


def test_field_f20_a_cold_model_may_boot_for_twenty_minutes_and_run_for_twelve() -> None:
    world = World()
    record = world.accept()
    for _ in range(32):
        world.sweep(60)
        world.settle()
    assert world.record(record.id).cancel_requested_at is None
    world.succeed(str(world.record(record.id).provider_id))
    world.sweep(300)
    world.settle()
    assert world.record(record.id).state is State.SUCCEEDED


def test_field_f20_what_is_billed_by_the_second_is_reserved_for_the_longest_run() -> None:
    world = World()
    prices = [
        world.submit(
            NewPrediction("acme", "stability-ai/sdxl", {"prompt": "a cat"}, cancel_after_s=seconds)
        ).record.price
        for seconds in (None, 1800, 60)
    ]
    unasked, half_an_hour, minute = (price.most for price in prices if price)
    assert unasked == half_an_hour > minute


def test_only_our_own_events_are_asked_for_where_the_client_has_no_webhook() -> None:
    world = World()
    world.accept(webhook_events=("logs",))
    assert world.provider.creates[0]["events"] == ["completed", "start"]


def test_the_budget_counts_from_the_gateways_receipt() -> None:
    world = World()
    world.accept(received_at=START - 1200)
    world.accept(received_at=START - 9000)
    world.accept(received_at=START + 9000)
    budgets = [request["budget_s"] for request in world.provider.creates]
    assert budgets == [1.8, 1.0, 3.0]


# Unknown creates


def test_a_hanging_create_is_accepted_all_the_same() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    assert record.state is State.ACCEPTED
    assert record.create.state is CreateState.UNKNOWN
    assert world.shown(record)["status"] == "starting"


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer(),
        Answered(500, {"detail": "oops"}),
        Answered(504),
        Answered(302),
        Answered(201, None),
        Answered(201, {"id": "x", "status": ""}),
    ],
    ids=str,
)
def test_a_doubtful_answer_is_never_simply_repeated(answer: Any) -> None:
    world = World()
    world.provider.answers = [answer]
    record = world.accept()
    assert record.create.state is CreateState.UNKNOWN
    world.settle()
    assert not world.dispatch.create_upstream(record.id)
    run_until(world, BUDGET_S + SILENCE_S - 1)
    assert len(world.provider.creates) == 1


def test_after_the_silence_it_is_created_again_exactly_once() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    until = record.create.until
    run_until(world, 900, step=1)
    second = world.record(record.id).create
    assert second.attempt == 2
    assert second.started_at >= until + SILENCE_S * SECOND
    assert second.started_at <= until + (SILENCE_S + 40) * SECOND
    assert len(world.provider.creates) == 2
    assert bound(world) == {record.id: "p" + "0" * 25}


def test_each_later_attempt_waits_for_its_own_silence() -> None:
    world = World()
    world.provider.answers = ["hang", "hang", "hang"]
    record = world.accept(cancel_after_s=7200)
    starts = [record.create.started_at]
    for _ in range(300):
        world.sweep(5)
        world.settle()
        at = world.record(record.id).create.started_at
        if at != starts[-1]:
            starts.append(at)
    assert len(starts) == 4
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert min(pauses) >= SILENCE_S * SECOND


def test_a_late_create_is_bound_by_the_webhook_that_the_list_shows() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.clock.advance(30)
    late = world.provider.make(**world.provider.creates[0])
    run_until(world, 60)
    assert world.record(record.id).provider_id == late["id"]
    run_until(world, 600)
    assert len(world.provider.creates) == 1


def test_a_late_create_is_bound_by_its_webhook() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.clock.advance(30)
    late = world.provider.make(**world.provider.creates[0])
    assert world.webhook(record.id, late["id"]) is WebhookOutcome.CHANGED
    assert world.record(record.id).provider_id == late["id"]
    run_until(world, 600)
    assert len(world.provider.creates) == 1


@pytest.mark.parametrize("heard_by", ["webhook", "list"])
def test_a_create_that_comes_after_its_repetition_is_cancelled_and_shown(heard_by: str) -> None:
    world = World()
    world.provider.answers = ["hang", "hang" if heard_by == "list" else None]
    record = world.accept()
    run_until(world, BUDGET_S + SILENCE_S + 60)
    assert len(world.provider.creates) == 2
    first = world.provider.make(**world.provider.creates[0])["id"]
    if heard_by == "webhook":
        assert world.webhook(record.id, first) is WebhookOutcome.EXTRA
        assert world.webhook(record.id, first) is WebhookOutcome.EXTRA
    else:
        world.provider.make(**world.provider.creates[1])
    run_until(world, 60)
    after = world.record(record.id)
    assert len(after.extra_provider_ids) == 1
    assert {after.provider_id, *after.extra_provider_ids} == set(world.provider.upstream)
    assert world.provider.cancels == list(after.extra_provider_ids)
    assert after.state is State.SUBMITTED


def test_a_second_prediction_is_not_ours_where_we_sent_one_create() -> None:
    world = World()
    record = world.accept()
    stranger = world.provider.make(**world.provider.creates[0])["id"]
    assert world.webhook(record.id, stranger) is WebhookOutcome.MISDIRECTED
    world.settle()
    assert world.record(record.id) == record
    assert world.provider.cancels == []


def test_an_extra_one_is_cancelled_at_the_latest_when_the_record_ends() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    run_until(world, BUDGET_S + SILENCE_S + 60)
    first = world.provider.make(**world.provider.creates[0])["id"]
    world.webhook(record.id, first)
    world.store.stream.clear()
    world.provider.finish(str(world.record(record.id).provider_id), "failed")
    world.webhook(record.id, str(world.record(record.id).provider_id))
    world.settle()
    assert world.record(record.id).effects_done
    assert world.provider.cancels == [first]


def test_an_extra_one_after_the_end_is_cancelled_too() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.cancel("acme", record.id)
    run_until(world, BUDGET_S + SILENCE_S + 60)
    ended = world.record(record.id)
    assert ended.state is State.CANCELED
    late = world.provider.make(**world.provider.creates[0])["id"]
    assert world.webhook(record.id, late) is WebhookOutcome.EXTRA
    world.settle()
    after = world.record(record.id)
    assert world.provider.cancels == [late]
    assert after.state is State.CANCELED
    assert after.provider_id is None
    assert after.effects_done


def test_an_extra_one_after_the_end_is_not_forgotten_with_its_message() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.cancel("acme", record.id)
    run_until(world, BUDGET_S + SILENCE_S + 60)
    assert world.record(record.id).effects_done
    late = world.provider.make(**world.provider.creates[0])["id"]
    world.webhook(record.id, late)
    world.store.stream.clear()
    run_until(world, 120)
    assert world.provider.cancels == [late]


@pytest.mark.parametrize("dedicated", [True, False], ids=["dedicated", "shared"])
@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no echo"])
@pytest.mark.parametrize("seed", [None, 7], ids=["seed drawn", "seed given"])
def test_two_ambiguous_twins_end_as_two_predictions(
    dedicated: bool, echo: bool, seed: int | None
) -> None:
    world = World(dedicated=dedicated)
    world.provider.echo = echo
    world.provider.answers = ["drop", "drop"]
    given: dict[str, Any] = {"prompt": "twins"} | ({"seed": seed} if seed else {})
    twins = [world.accept(given), world.accept(given)]
    assert len({twin.input["seed"] for twin in twins}) == (1 if seed else 2)
    run_until(world, 30)
    for twin, provider_id in zip(twins, list(world.provider.upstream), strict=True):
        world.succeed(provider_id)
        world.webhook(twin.id, provider_id)
    run_until(world, 400)
    assert sorted(bound(world).values()) == sorted(world.provider.upstream)
    assert len(world.provider.creates) == 2
    assert [world.record(twin.id).state for twin in twins] == [State.SUCCEEDED] * 2
    assert world.provider.cancels == []


def test_equal_input_alone_binds_nothing_on_a_shared_account() -> None:
    world = World()
    world.provider.echo = False
    world.provider.answers = ["drop"]
    record = world.accept()
    run_until(world, 600)
    after = world.record(record.id)
    assert after.provider_id is None
    assert after.create.state is CreateState.UNKNOWN
    assert len(world.provider.creates) == 1
    assert world.provider.cancels == []


def test_on_a_dedicated_account_the_only_candidate_is_bound_and_owned() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["drop"]
    record = world.accept()
    run_until(world, 30)
    (provider_id,) = world.provider.upstream
    assert bound(world) == {record.id: provider_id}
    assert world.store.owner_of(provider_id) == record.id


def test_on_a_dedicated_account_a_part_of_the_list_is_no_evidence() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.list_complete = False
    world.provider.answers = ["drop"]
    record = world.accept()
    run_until(world, 300)
    assert world.record(record.id).provider_id is None
    assert len(world.provider.creates) == 1


def test_on_a_dedicated_account_two_candidates_bind_neither() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["drop", "drop"]
    given = {"prompt": "twins", "seed": 7}
    twins = [world.accept(given), world.accept(given)]
    run_until(world, 600)
    assert {world.record(twin.id).provider_id for twin in twins} == {None}
    assert len(world.provider.creates) == 2


@pytest.mark.parametrize(
    "difference",
    [
        {"input": {"prompt": "a corgi", "refine": "base_image_refiner"}},
        {"input": {"prompt": "a corgi", "apply_watermark": False}},
        {"version": "0" * 64},
        {"created_at": "2001-01-01T00:00:00Z"},
        {"webhook": "https://darkroom.test/hooks/replicate/" + "0" * 26 + "?t=x"},
        {"webhook": "https://elsewhere.test/"},
    ],
    ids=str,
)
def test_what_cannot_be_ours_does_not_stop_a_repetition(
    difference: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    world.provider.echo = False
    world.provider.answers = ["drop"]
    given = {"prompt": "a corgi", "refine": "no_refiner", "apply_watermark": True}
    world.accept(given, reference="stability-ai/sdxl")
    (other,) = world.provider.upstream.values()
    list_everything(world, monkeypatch)
    other.pop("webhook")
    other.update(difference)
    world.provider.echo = True
    run_until(world, 300)
    assert len(world.provider.creates) == 2


def list_everything(world: World, patch: pytest.MonkeyPatch) -> None:
    """The list is requested by time, which this provider ignores."""
    page = world.provider.page
    patch.setattr(world.provider, "page", lambda *_: page(0))


@pytest.mark.parametrize("missing", ["input", "version", "model", "created_at"])
def test_a_candidate_that_does_not_say_what_it_is_stops_a_repetition(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["drop"]
    record = world.accept()
    (body,) = world.provider.upstream.values()
    list_everything(world, monkeypatch)
    monkeypatch.setitem(body, missing, None)
    run_until(world, 600)
    assert len(world.provider.creates) == 1
    assert (world.record(record.id).provider_id is None) is (missing == "input")


def test_a_candidate_whose_input_was_removed_stops_a_repetition() -> None:
    world = World()
    world.provider.echo = False
    world.provider.answers = ["drop"]
    world.accept()
    (body,) = world.provider.upstream.values()
    body.update(input={}, data_removed=True)
    run_until(world, 600)
    assert len(world.provider.creates) == 1


@pytest.mark.parametrize("added", [{"go_fast": True}, {"image": "https://elsewhere.test/x"}])
def test_more_input_than_ours_is_doubt_and_no_evidence(added: dict[str, Any]) -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["drop"]
    record = world.accept()
    (body,) = world.provider.upstream.values()
    body["input"] |= added
    run_until(world, 600)
    assert world.record(record.id).provider_id is None
    assert len(world.provider.creates) == 1


def test_an_input_with_uploads_is_never_bound_by_equality() -> None:
    # Both request the same upscaling of different pictures; upstream the URLs do not show that.
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["hang", "drop"]
    records = []
    for name in ("one", "two"):
        file = world.files.create("acme", name, name.encode())
        given = {"image": file["urls"]["get"], "scale": 2}
        records.append(world.accept(given, reference="nightmareai/real-esrgan"))
    run_until(world, 300)
    assert [world.record(record.id).provider_id for record in records] == [None, None]
    assert len(world.provider.creates) == 2


def test_a_prediction_with_an_owner_is_no_candidate() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = [None, "hang"]
    given = {"prompt": "twins", "seed": 7}
    first, second = world.accept(given), world.accept(given)
    run_until(world, 300)
    assert world.record(first.id).provider_id == first.provider_id
    assert world.record(second.id).provider_id not in {None, first.provider_id}
    assert len(world.provider.creates) == 3


def test_a_webhook_goes_to_the_owner_whatever_its_link_says() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["hang", "drop"]
    given = {"prompt": "twins", "seed": 7}
    first, second = world.accept(given), world.accept(given)
    (provider_id,) = world.provider.upstream
    # The sweep handles one of the two first, and takes the only candidate for its own.
    world.sweep(14)
    ((owner, _),) = [(id_, pid) for id_, pid in bound(world).items() if pid == provider_id]
    world.succeed(provider_id)
    assert world.webhook(second.id, provider_id) is WebhookOutcome.CHANGED
    assert world.record(owner).state is State.STORING
    (other,) = {first.id, second.id} - {owner}
    assert world.record(other).provider_id is None


def test_an_owned_prediction_is_no_extra_one_of_the_record_in_its_link() -> None:
    world = World(dedicated=True)
    world.provider.echo = False
    world.provider.answers = ["hang", "drop"]
    given = {"prompt": "twins", "seed": 7}
    first, second = world.accept(given), world.accept(given)
    run_until(world, 300)
    (shared, own) = world.provider.upstream
    assert bound(world) == {first.id: shared, second.id: own}
    assert world.webhook(second.id, shared) is WebhookOutcome.NOTHING_NEW
    world.settle()
    assert world.record(second.id).extra_provider_ids == ()
    assert world.provider.cancels == []


def test_an_answer_that_names_anothers_prediction_binds_nothing() -> None:
    world = World(dedicated=True)
    taken = world.accept()
    world.provider.answers = [Answered(201, world.provider.body(str(taken.provider_id)))]
    record = world.accept()
    assert record.provider_id is None
    run_until(world, 300)
    assert world.record(record.id).provider_id not in {None, taken.provider_id}


def test_an_echoed_link_to_anothers_prediction_binds_nothing() -> None:
    world = World(dedicated=True)
    taken = world.accept()
    world.provider.answers = ["hang"]
    record = world.accept()
    world.provider.upstream[str(taken.provider_id)]["webhook"] = world.provider.creates[1][
        "webhook"
    ]
    run_until(world, 400)
    assert world.record(record.id).provider_id is None
    assert len(world.provider.creates) == 2


def test_an_echo_without_our_id_binds_nothing() -> None:
    world = World()
    world.provider.answers = ["hang"]
    record = world.accept()
    request = world.provider.creates[0]
    world.provider.make(**{**request, "webhook": request["webhook"].replace(record.id, "0" * 26)})
    world.provider.make(**{**request, "webhook": "https://darkroom.test/"})
    run_until(world, 600)
    assert world.record(record.id).provider_id is None
    assert len(world.provider.creates) == 1


@pytest.mark.parametrize(
    "altered",
    [
        lambda url: url.partition("?")[0],
        lambda url: url.replace("darkroom.test", "DARKROOM.TEST:443"),
        lambda url: url.replace("https://darkroom.test", "***"),
        lambda url: url[:-4] + "****",
        lambda url: quote(url, safe=""),
    ],
    ids=["no query", "host", "masked host", "masked token", "percent-encoded"],
)
def test_an_echo_with_our_id_binds_however_it_is_shown(altered: Callable[[str], str]) -> None:
    world = World()
    world.provider.answers = ["drop"]
    record = world.accept()
    (body,) = world.provider.upstream.values()
    body["webhook"] = altered(body["webhook"])
    run_until(world, 600)
    assert bound(world) == {record.id: body["id"]}
    assert len(world.provider.creates) == 1


def test_an_unfinished_list_is_no_silence() -> None:
    world = World()
    world.provider.answers = ["hang"]
    world.provider.list_complete = False
    world.accept()
    run_until(world, 1200)
    assert len(world.provider.creates) == 1


def test_an_outage_of_the_list_is_no_silence() -> None:
    world = World()
    world.provider.answers = ["hang"]
    world.accept()
    world.provider.down = True
    run_until(world, 1200)
    assert len(world.provider.creates) == 1
    world.provider.down = False
    run_until(world, 120)
    assert len(world.provider.creates) == 2


def test_after_fifty_minutes_of_doubt_it_fails_and_says_so() -> None:
    world = World()
    world.provider.answers = ["hang"]
    world.provider.list_complete = False
    record = world.accept()
    run_until(world, 2990, step=30)
    assert world.record(record.id).state is State.ACCEPTED
    run_until(world, 120, step=30)
    after = world.record(record.id)
    assert (after.state, after.code) == (State.FAILED, Code.OUTCOME_UNKNOWN)
    assert after.effects_done
    assert len(world.provider.creates) == 1


# Refused creates


def test_a_limited_create_waits_as_long_as_it_was_told() -> None:
    world = World()
    world.provider.answers = [Answered(429, {"retry_after": 37}, 37)]
    record = world.accept()
    assert record.state is State.ACCEPTED
    assert record.create.state is CreateState.REFUSED
    world.run_stream()
    ((message, delay),) = world.dispatch_queue.messages
    assert message == {"action": "create", "id": record.id}
    assert 37 <= delay <= 40
    world.clock.advance(36.9)
    world.run_queues()
    assert len(world.provider.creates) == 1
    world.clock.advance(delay - 36.9)
    assert world.dispatch.create_upstream(record.id)
    assert world.record(record.id).state is State.SUBMITTED


def test_a_wait_beyond_the_queues_longest_delay_is_kept_too() -> None:
    world = World()
    world.provider.answers = [Answered(429, None, 1200)]
    record = world.accept()
    world.run_stream()
    assert world.dispatch_queue.messages[0][1] == 900
    run_until(world, 1199)
    assert len(world.provider.creates) == 1
    run_until(world, 120)
    assert world.record(record.id).state is State.SUBMITTED


def test_refusals_in_a_row_wait_longer_and_longer() -> None:
    world = World()
    world.provider.answers = [Answered(429)] * 8
    record = world.accept()
    pauses = []
    while world.record(record.id).provider_id is None:
        create = world.record(record.id).create
        pauses.append(create.not_before - world.clock.now)
        world.clock.now = create.not_before
        assert world.dispatch.create_upstream(record.id)
    assert pauses == sorted(pauses)
    assert pauses[0] >= SECOND
    assert 30 * SECOND <= pauses[-1] <= 60 * SECOND
    assert world.record(record.id).create.attempt == 9


@pytest.mark.parametrize("status", [401, 402, 403])
def test_our_own_token_or_account_refused_parks_the_create(status: int) -> None:
    world = World()
    world.provider.answers = [Answered(status)] * 3
    world.provider.token_good = False
    record = world.accept()
    # A 403 may be about this request, which only a repetition reveals.
    assert record.create.parked is (status != 403)
    assert record.state is State.ACCEPTED
    run_until(world, 150)
    assert world.record(record.id).create.parked
    run_until(world, 400)
    after = world.record(record.id)
    assert after.state is State.SUBMITTED
    assert not after.create.parked


def test_what_never_left_is_sent_again() -> None:
    world = World()
    world.provider.answers = ["refuse"]
    record = world.accept()
    assert record.create.state is CreateState.REFUSED
    run_until(world, 90)
    assert world.record(record.id).state is State.SUBMITTED


def test_a_403_about_one_request_is_nothing_for_an_operator() -> None:
    world = World()
    world.provider.answers = [Answered(403)] * 3
    record = world.accept()
    run_until(world, 150)
    assert world.record(record.id).create.attempt == 2
    assert not world.record(record.id).create.parked


@pytest.mark.parametrize(
    "status", [400, 404, 405, 406, 410, 411, 413, 414, 415, 422, 431, 451, 499]
)
def test_a_create_that_can_never_succeed_fails_with_the_providers_words(status: int) -> None:
    world = World()
    world.provider.answers = [Answered(status, {"detail": "version is wrong"})]
    record = world.accept()
    assert (record.state, record.code) == (State.FAILED, Code.REJECTED)
    assert "version is wrong" in str(record.error)
    run_until(world, 300)
    assert len(world.provider.creates) == 1


def test_a_lost_dispatch_message_is_sent_again_by_the_sweep() -> None:
    world = World()
    world.provider.answers = ["refuse"]
    record = world.accept()
    world.run_stream()
    world.dispatch_queue.messages.clear()
    world.sweep(61)
    assert len(world.dispatch_queue) == 0
    world.sweep(10)
    assert len(world.dispatch_queue) == 1
    world.settle()
    assert world.record(record.id).state is State.SUBMITTED


def test_repeated_dispatch_messages_make_one_create() -> None:
    world = World()
    world.provider.answers = ["refuse", "hang"]
    record = world.accept()
    world.clock.advance(10)
    assert world.dispatch.create_upstream(record.id)
    assert not world.dispatch.create_upstream(record.id)
    assert len(world.provider.creates) == 2


def test_a_dispatch_message_for_nobody_does_nothing() -> None:
    world = World()
    assert not world.dispatch.create_upstream("0" * 26)
    world.dispatch.cancel_upstream("0" * 26, "p1")
    assert world.provider.creates == []
    assert world.provider.cancels == []


def test_a_refused_create_past_its_deadline_is_not_sent_and_the_record_ends() -> None:
    world = World()
    world.provider.answers = [Answered(401)] * 50
    record = world.accept(cancel_after_s=150)
    run_until(world, 300)
    after = world.record(record.id)
    assert (after.state, after.code) == (State.ABORTED, Code.DEADLINE_EXCEEDED)
    assert len(world.provider.creates) == 2
    assert world.shown(after)["status"] == "canceled"
    assert "before it started" in world.shown(after)["error"]


def test_the_provider_learns_how_long_is_left() -> None:
    world = World()
    world.provider.answers = ["refuse"]
    record = world.accept(cancel_after_s=60)
    world.clock.advance(57.5)
    world.dispatch.create_upstream(record.id)
    assert [request["cancel_after_s"] for request in world.provider.creates] == [60, 5]


# Races


def test_two_dispatchers_at_once_make_one_create() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    world.provider.answers = ["refuse"]
    record = world.accept()
    world.clock.advance(10)
    store.rivals = [lambda: world.dispatch.create_upstream(record.id)]
    assert not world.dispatch.create_upstream(record.id)
    assert len(world.provider.creates) == 2


def test_a_dispatcher_that_loses_too_often_creates_nothing() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    world.provider.answers = ["refuse"]
    record = world.accept()
    world.clock.advance(10)
    store.rivals = [lambda: touch(world, record.id)] * 4
    assert not world.dispatch.create_upstream(record.id)
    assert len(world.provider.creates) == 1


def touch(world: World, id_: str) -> None:
    """A rival's change that only increases the revision."""
    item = world.store.items[id_]
    world.store.items[id_] = {**item, "revision": {"N": str(int(item["revision"]["N"]) + 1)}}


def test_a_webhook_that_is_quicker_than_the_creates_answer_is_not_lost() -> None:
    store = ContendedPredictions()
    world = World(store=store)

    def webhook() -> None:
        (provider_id,) = world.provider.upstream
        world.succeed(provider_id)
        world.webhook(only(world).id, provider_id)

    store.rivals = [webhook]
    record = world.accept()
    assert record.state is State.STORING
    assert len(world.provider.creates) == 1


def test_an_answer_that_cannot_be_written_down_is_found_by_the_sweep() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    store.rivals = [lambda: touch(world, only(world).id)] * 4
    record = world.accept()
    assert record.provider_id is None
    run_until(world, 100)
    assert world.record(record.id).provider_id in world.provider.upstream
    assert len(world.provider.creates) == 1


def test_an_answer_for_a_record_that_is_gone_raises_nothing() -> None:
    store = ContendedPredictions()
    world = World(store=store)
    store.rivals = [store.items.clear]
    record = world.accept()
    assert record.state is State.ACCEPTED


def test_on_a_dedicated_account_an_extra_belongs_to_its_record() -> None:
    """The other record, in doubt at that moment, must not adopt the canceled one."""
    world = World(dedicated=True)
    world.provider.echo = False
    given = {"prompt": "twins", "seed": 1}
    world.provider.answers = ["hang"]
    first = world.accept(given)
    for _ in range(20):
        world.sweep(30)
        world.settle()
    assert world.record(first.id).create.attempt == 2
    late = world.provider.make(**world.provider.creates[0])
    world.webhook(first.id, late["id"])
    assert world.record(first.id).extra_provider_ids == (late["id"],)
    assert world.store.owner_of(late["id"]) == first.id
    world.settle()
    assert late["id"] in world.provider.cancels
    world.provider.answers = ["hang"]
    twin = world.accept(given)
    world.sweep(30)
    assert world.record(twin.id).provider_id is None
