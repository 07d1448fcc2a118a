"""PredictionStore: the same guarantees of the fake and of DynamoDB."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from darkroom.aws.predictions import DynamoPredictions
from darkroom.domain import correlation
from darkroom.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    IdempotencyKeyUsedError,
    LimitReachedError,
    ProviderIdTakenError,
    UnavailableError,
)
from darkroom.domain.money import OPEN_MODELS_A_DAY, LedgerEntry
from darkroom.domain.prediction import (
    Code,
    CreateAttempt,
    CreateState,
    File,
    Prediction,
    Price,
    State,
)
from darkroom.ports import Due, IdempotencyKey, Month, Span

from tests.adapters.rows import MONTH, T, enter, following, name, record
from tests.support.fakes import ItemTooLargeError

if TYPE_CHECKING:
    from darkroom.ports import PredictionStore

    from tests.adapters.aws import Aws, LedgerStore


FULL = record(
    7,
    tenant="Ac.me_1-x",
    version="f" * 64,
    input={"prompt": "Dackel 🐕\0\x1b\u2028", "seed": 10**60, "x": [0.1, 1e300, None]},
    uploads={"/image": "acme/inputs/7/0", "/a~1b/0": "acme/files/ü"},
    webhook="https://client.example/?a=b",
    webhook_events=("start", "completed"),
    metadata={"order": "99", "größe\0": ""},
    tags=("spring", "shop/42"),
    end_user="ü 7",
    request_id="order-99",
    fingerprint="0" * 64,
    revision=9,
    state=State.SUCCEEDED,
    create=CreateAttempt(3, CreateState.REFUSED, T, T + 1, not_before=T + 2, parked=True),
    adopted=True,
    provider_id="p" * 26,
    extra_provider_ids=("q" * 26, "r" * 26),
    stream_url="https://stream.replicate.com/x",
    output=["https://replicate.delivery/x.png"],
    logs="ä" * 1000,
    log_size=5_000_000,
    error="",
    code=Code.OUTPUT_EXPIRED,
    metrics={"predict_time": 1.25},
    started_at="2027-01-15T08:00:00.000001Z",
    completed_at="2027-01-15T08:00:01Z",
    finished_at=T + 1000,
    polls=4,
    makes_files=True,
    output_places=("/image",),
    watched_until=T + 5000,
    missing_since=T + 10,
    asked_again=True,
    cost_assumed=True,
    next_poll_at=T + 4,
    store_attempts=2,
    next_store_at=T + 5,
    files=(
        File("acme/2027/01/7/0.png", "a" * 64, 123, "image/png", 2, 3),
        File("acme/2027/01/7/1.mp4", "b" * 64, 10**12, "video/mp4"),
    ),
    told_output_at=T + 8,
    told_logs_at=T + 9,
    cancel_requested_at=T + 6,
    cancel_by_deadline=True,
    next_cancel_at=T + 7,
    effects_done=True,
    price=Price("image", 3000, 12_000),
    price_base=45_000,
    price_tiers=(1_000_000, 5000, 2_000_000, 10_000),
    ledger="SPEND#acme#2027-01",
    end_user_ledger=True,
    cost=3000,
    counted=True,
    cache_key="c" * 64,
    cached_from="d" * 26,
    task_token="AQCEAAAAKgAA",
)


# Round trip


def test_every_field_of_the_full_record_differs_from_its_default() -> None:
    """The next test must cover every field, including future ones."""
    empty = record()
    same = [f.name for f in fields(Prediction) if getattr(FULL, f.name) == getattr(empty, f.name)]
    required = {"created_at", "model", "deadline", "typical_ms", "expires_at", "updated_at"}
    assert set(same) == {*required, "due_at"}


@pytest.mark.parametrize("given", [FULL, record()], ids=["full", "least"])
def test_a_record_comes_back_as_it_was_written(store: PredictionStore, given: Prediction) -> None:
    store.insert(given)
    assert store.get(given.id) == given
    assert store.glance(given.id) == given
    assert list(store.get_many([given.id])) == [given]


def test_what_is_read_is_a_copy(store: PredictionStore) -> None:
    store.insert(FULL)
    read = store.get(FULL.id)
    assert read is not None
    read.uploads["/other"] = "x"
    assert store.get(FULL.id) == FULL


def test_an_unknown_id(store: PredictionStore) -> None:
    assert store.get(name(404)) is None
    assert store.glance(name(404)) is None
    assert list(store.get_many([name(404)])) == []
    assert list(store.get_many([])) == []


def test_a_record_above_400_kb_is_refused_and_nothing_is_written(store: PredictionStore) -> None:
    with pytest.raises((ItemTooLargeError, ClientError)):
        store.insert(record(metrics={"x": "x" * 420_000}))
    assert store.get(name(1)) is None
    assert store.glance(name(1)) is None


def test_a_record_just_below_400_kb_is_written(store: PredictionStore) -> None:
    large = record(metrics={"x": "x" * 400_000})
    store.insert(large)
    assert store.get(large.id) == large


# Insert


def test_an_id_is_inserted_once(store: PredictionStore) -> None:
    store.insert(record())
    with pytest.raises(AlreadyExistsError):
        store.insert(record(tenant="other"))
    assert store.get(name(1)) == record()


def test_our_own_insert_may_be_repeated(store: PredictionStore) -> None:
    store.insert(record())
    store.insert(record())
    assert store.get(name(1)) == record()


KEY = IdempotencyKey("IDEM#k", T // 1000 + 86_400)


def test_an_idempotency_key_makes_one_record(store: PredictionStore) -> None:
    store.insert(record(1, fingerprint="f1"), KEY)
    with pytest.raises(IdempotencyKeyUsedError) as used:
        store.insert(record(2, fingerprint="f2"), KEY)
    assert (used.value.prediction, used.value.fingerprint) == (name(1), "f1")
    assert store.get(name(2)) is None


def test_an_insert_with_its_own_key_may_be_repeated(store: PredictionStore) -> None:
    store.insert(record(), KEY)
    store.insert(record(), KEY)
    assert store.get(name(1)) == record()


def test_an_expired_idempotency_key_counts_as_absent(store: PredictionStore) -> None:
    store.insert(record(1), KEY)
    later = record(2, created_at=KEY.expires_at * 1000)
    store.insert(later, IdempotencyKey(KEY.id, KEY.expires_at + 86_400))
    assert store.get(name(2)) == later


def test_a_taken_id_does_not_use_the_key_up(store: PredictionStore) -> None:
    store.insert(record(1))
    with pytest.raises(AlreadyExistsError):
        store.insert(record(1, tenant="other"), KEY)
    store.insert(record(2), KEY)
    assert store.get(name(2)) == record(2)


# Commit


def test_a_commit_replaces_the_whole_record(store: PredictionStore) -> None:
    store.insert(record(1, logs="old", webhook="https://x.example/"))
    after = following(record(1), state=State.PROCESSING, provider_id="p1")
    store.commit(after)
    assert store.get(name(1)) == after


def test_a_lost_commit_carries_what_is_stored(store: PredictionStore) -> None:
    store.insert(record())
    won = following(record(), logs="won")
    store.commit(won)
    with pytest.raises(ConflictError) as lost:
        store.commit(following(record(), logs="lost"))
    assert lost.value.current == won
    assert store.get(name(1)) == won


@pytest.mark.parametrize("revision", [1, 3, 9])
def test_only_the_very_next_revision_is_taken(store: PredictionStore, revision: int) -> None:
    store.insert(record())
    with pytest.raises(ConflictError) as lost:
        store.commit(record(revision=revision, logs="x"))
    assert lost.value.current == record()


def test_our_own_commit_may_be_repeated(store: PredictionStore) -> None:
    store.insert(record())
    store.commit(following(record()))
    store.commit(following(record()))


def test_a_record_that_is_gone_is_a_conflict_with_nothing(store: PredictionStore) -> None:
    with pytest.raises(ConflictError) as lost:
        store.commit(following(record()))
    assert lost.value.current is None
    assert store.get(name(1)) is None


def test_a_commit_above_400_kb_changes_nothing(store: PredictionStore) -> None:
    store.insert(record())
    with pytest.raises((ItemTooLargeError, ClientError)):
        store.commit(following(record(), metrics={"x": "x" * 420_000}))
    assert store.get(name(1)) == record()


# Provider ids


def test_a_provider_id_has_one_owner(store: PredictionStore) -> None:
    for number in (1, 2):
        store.insert(record(number))
    store.commit(following(record(1), provider_id="p1"), claims="p1")
    with pytest.raises(ProviderIdTakenError) as taken:
        store.commit(following(record(2), provider_id="p1"), claims="p1")
    assert taken.value.owner == name(1)
    assert store.get(name(2)) == record(2)
    assert store.owner_of("p1") == name(1)
    assert store.owner_of("p2") is None


def test_a_claim_that_loses_the_record_claims_nothing(store: PredictionStore) -> None:
    store.insert(record())
    won = following(record(), logs="won")
    store.commit(won)
    with pytest.raises(ConflictError) as lost:
        store.commit(following(record(), provider_id="p1"), claims="p1")
    assert not isinstance(lost.value, ProviderIdTakenError)
    assert lost.value.current == won
    assert store.owner_of("p1") is None


def test_our_own_claim_may_be_repeated(store: PredictionStore) -> None:
    store.insert(record())
    bound = following(record(), provider_id="p1")
    store.commit(bound, claims="p1")
    store.commit(bound, claims="p1")
    store.commit(following(bound), claims="p1")
    assert store.owner_of("p1") == name(1)


def test_a_commit_without_a_claim_leaves_no_owner(store: PredictionStore) -> None:
    store.insert(record())
    store.commit(following(record(), provider_id="p1"))
    assert store.owner_of("p1") is None


# Due


def test_due_is_sparse_ordered_and_limited(store: PredictionStore) -> None:
    for number in range(40):
        at = None if number % 4 == 0 else T + number
        store.insert(record(number, due_at=at))
    due = store.due(T + 30, 100)
    assert [key.due_at for key in due] == [T + n for n in range(31) if n % 4]
    assert all(key == Due(name(key.due_at - T), key.due_at) for key in due)
    assert store.due(T + 30, 5) == due[:5]
    assert store.due(T, 100) == []


def test_a_record_leaves_due_with_its_time(store: PredictionStore) -> None:
    store.insert(record())
    store.commit(following(record(), due_at=None))
    assert store.due(T + 10**9, 10) == []


def test_a_record_is_claimed_once_and_keeps_its_revision(store: PredictionStore) -> None:
    store.insert(FULL)
    (key,) = store.due(T + 5000, 10)
    claimed = store.claim(key, T + 60_000)
    assert claimed == replace(FULL, due_at=T + 60_000)
    assert store.claim(key, T + 70_000) is None
    assert store.get(FULL.id) == claimed
    assert store.due(T + 5000, 10) == []
    assert store.due(T + 60_000, 10) == [Due(FULL.id, T + 60_000)]


def test_a_claim_does_not_stand_in_the_way_of_news(store: PredictionStore) -> None:
    store.insert(record())
    store.claim(Due(name(1), T + 5000), T + 60_000)
    after = following(record(), logs="news")
    store.commit(after)
    assert store.get(name(1)) == after


@pytest.mark.parametrize("key", [Due(name(1), T), Due(name(1), T + 9000), Due(name(404), T + 5000)])
def test_a_stale_key_claims_nothing(store: PredictionStore, key: Due) -> None:
    store.insert(record())
    assert store.claim(key, T + 60_000) is None
    assert store.get(name(1)) == record()
    assert store.get(name(404)) is None
    assert store.glance(name(404)) is None


def test_a_claim_makes_no_record_that_was_not_due_due_again(store: PredictionStore) -> None:
    store.insert(record(due_at=None))
    assert store.claim(Due(name(1), T + 5000), T + 60_000) is None
    assert store.due(T + 10**9, 10) == []


def test_field_f34_that_a_client_polls_is_noted_once(store: PredictionStore) -> None:
    store.insert(record())
    assert store.watch(record(), T + 5000)
    assert store.get(name(1)) == record(watched_until=T + 5000)
    assert not store.watch(record(), T + 5000), "somebody else noted it"
    assert store.watch(record(), T + 9000)
    assert not store.watch(record(revision=2), T + 20_000), "it is not as it was read"
    assert not store.watch(replace(record(), id=name(404)), T + 5000)
    assert store.get(name(404)) is None
    assert store.glance(name(404)) is None
    # A change based on an earlier read of the record is still written.
    store.commit(following(record(), logs="news"))


def test_effects_done_takes_the_record_out_of_due(store: PredictionStore) -> None:
    store.insert(record())
    store.mark_effects_done(record())
    marked = record(revision=2, due_at=None, effects_done=True, counted=True)
    assert store.get(name(1)) == marked
    assert store.due(T + 10**9, 10) == []


def test_effects_done_holds_for_the_same_revision_only(store: PredictionStore) -> None:
    store.insert(record())
    after = following(record())
    store.commit(after)
    store.mark_effects_done(record())
    store.mark_effects_done(record(404))
    assert store.get(name(1)) == after
    assert store.get(name(404)) is None
    assert store.glance(name(404)) is None


# Money

USERS_MONTH = f"{MONTH}#{'a' * 32}"
DAY = "2027-01-15"


def enter_both(
    committed: int, spent: int = 0, in_flight: int = 1, **caps: int
) -> list[LedgerEntry]:
    """Return entries in the tenant's month, and in an end user's."""
    change = committed, spent, in_flight
    of_user = LedgerEntry(USERS_MONTH, *change, caps.get("users"), of_end_user=True)
    return [LedgerEntry(MONTH, *change, caps.get("tenants")), of_user]


def test_a_record_and_its_reservation_are_written_together(books: LedgerStore) -> None:
    books.store.insert(record(1), entries=enter(700, cap=1000, most_in_flight=2))
    assert books.month(MONTH) == Month(700, 0, 1)
    with pytest.raises(LimitReachedError) as full:
        books.store.insert(record(2), entries=enter(301, cap=1000, most_in_flight=2))
    assert (full.value.committed, full.value.spent, full.value.in_flight) == (700, 0, 1)
    assert books.store.get(name(2)) is None
    books.store.insert(record(2), entries=enter(300, cap=1000, most_in_flight=2))
    with pytest.raises(LimitReachedError):
        books.store.insert(record(3), entries=enter(0, cap=1000, most_in_flight=2))
    assert books.month(MONTH) == Month(1000, 0, 2)


@pytest.mark.parametrize(
    ("caps", "full"), [({"tenants": 1000}, MONTH), ({"users": 1000}, USERS_MONTH)]
)
def test_months_are_entered_together_or_not_at_all(
    books: LedgerStore, caps: dict[str, int], full: str
) -> None:
    books.store.insert(record(1), entries=enter_both(700, **caps))
    with pytest.raises(LimitReachedError) as refused:
        books.store.insert(record(2), entries=enter_both(301, **caps))
    assert refused.value.entry.row == full
    assert (refused.value.committed, refused.value.spent) == (700, 0)
    assert books.month(MONTH) == books.month(USERS_MONTH) == Month(700, 0, 1)
    ended = following(record(1), state=State.FAILED, cost=3, counted=True)
    for _ in range(2):
        books.store.commit(ended, entries=enter_both(3 - 700, 3, -1))
    assert books.month(MONTH) == books.month(USERS_MONTH) == Month(3, 3, 0)
    assert books.controls.usage("acme", [DAY]) == {DAY: {"owner/name": (1, 3)}}


def test_of_two_full_months_the_first_is_told(books: LedgerStore) -> None:
    both = {"tenants": 10, "users": 10}
    books.store.insert(record(1), entries=enter_both(10, **both))
    with pytest.raises(LimitReachedError) as refused:
        books.store.insert(record(2), entries=enter_both(1, **both))
    assert not refused.value.entry.of_end_user


def test_what_stands_in_a_month(books: LedgerStore) -> None:
    assert books.store.month(MONTH) == Month(0, 0, 0)
    books.store.insert(record(1), entries=enter(7))
    books.store.insert(record(2), entries=enter(7))
    assert books.store.month(MONTH) == Month(committed=14, spent=0, in_flight=2)


def test_a_taken_id_or_key_reserves_nothing(books: LedgerStore) -> None:
    key = IdempotencyKey("IDEM#1", T // 1000 + 3600)
    books.store.insert(record(1, fingerprint="f"), key, enter(10))
    with pytest.raises(AlreadyExistsError):
        books.store.insert(record(1, input={"prompt": "other"}), entries=enter(10))
    with pytest.raises(IdempotencyKeyUsedError):
        books.store.insert(record(2), key, enter(10, cap=10))
    # A repetition whose first answer was lost.
    books.store.insert(record(1, fingerprint="f"), key, enter(10))
    assert books.month(MONTH) == Month(10, 0, 1)


def test_an_end_and_its_settlement_are_written_together(books: LedgerStore) -> None:
    books.store.insert(record(1), entries=enter(700))
    books.store.insert(record(2), entries=enter(50))
    ended = following(record(1), state=State.FAILED, cost=3, counted=True)
    settled = enter(3 - 700, 3, -1)
    books.store.commit(ended, entries=settled, claims="p1")
    assert books.month(MONTH) == Month(53, 3, 1)
    books.store.commit(ended, entries=settled, claims="p1")
    with pytest.raises(ConflictError):
        books.store.commit(following(record(1), polls=1), entries=settled)
    with pytest.raises(ProviderIdTakenError):
        books.store.commit(following(record(2)), entries=enter(-50, 0, -1), claims="p1")
    books.store.mark_effects_done(ended)
    assert books.month(MONTH) == Month(53, 3, 1)
    assert books.controls.usage("acme", [DAY]) == {DAY: {"owner/name": (1, 3)}}


def test_usage_counts_an_end_once(books: LedgerStore) -> None:
    ended = record(1, state=State.SUCCEEDED, cost=3000)
    books.store.insert(ended)
    books.store.insert(record(2, cost=None, model="other/model"))
    books.store.insert(record(3, cost=7))
    for _ in range(2):
        books.store.mark_effects_done(ended)
    books.store.mark_effects_done(record(2, model="other/model"))
    books.store.mark_effects_done(record(3, cost=7))
    # A second upstream prediction appears: its cancellation is an effect, marked separately.
    marked = books.store.get(name(1))
    assert marked
    again = following(marked, effects_done=False, extra_provider_ids=("q",))
    books.store.commit(again)
    books.store.mark_effects_done(again)
    seen = books.controls.usage("acme", ["2027-01-14", DAY])
    assert seen == {DAY: {"owner/name": (2, 3007), "other/model": (1, 0)}}
    assert books.controls.usage("ac", [DAY]) == {}


@pytest.mark.parametrize("met", [1, 5])
def test_a_months_row_that_many_write_is_tried_again(books: LedgerStore, met: int) -> None:
    books.meet(met)
    books.store.insert(record(1), KEY, enter(700))
    books.meet(met)
    ended = following(record(1), state=State.FAILED, cost=3, counted=True)
    books.store.commit(ended, entries=enter(3 - 700, 3, -1))
    assert books.store.get(name(1)) == ended
    assert books.month(MONTH) == Month(3, 3, 0)


def test_a_months_row_that_too_many_write_is_given_up_and_nothing_is_written(
    books: LedgerStore,
) -> None:
    books.meet(6)
    with pytest.raises(UnavailableError):
        books.store.insert(record(1), KEY, enter(700))
    assert books.store.get(name(1)) is None
    books.store.insert(record(1), KEY, enter(700))
    ended = following(record(1), state=State.FAILED, cost=3)
    books.meet(6)
    with pytest.raises(ConflictError) as lost:
        books.store.commit(ended, entries=enter(3 - 700, 3, -1), claims="p1")
    assert not isinstance(lost.value, ProviderIdTakenError)
    assert lost.value.current == record(1)
    assert books.store.owner_of("p1") is None
    assert books.month(MONTH) == Month(700, 0, 1)


def test_a_day_of_usage_that_too_many_write_is_counted_later(books: LedgerStore) -> None:
    ended = record(1, state=State.SUCCEEDED, cost=3000)
    books.store.insert(ended)
    books.meet(6)
    with pytest.raises(UnavailableError):
        books.store.mark_effects_done(ended)
    assert books.store.get(name(1)) == ended
    books.store.mark_effects_done(ended)
    assert books.controls.usage("acme", [DAY]) == {DAY: {"owner/name": (1, 3000)}}


def test_a_write_that_is_no_transaction_and_meets_one_has_lost(books: LedgerStore) -> None:
    books.store.insert(record(1))
    books.meet(1)
    with pytest.raises(ConflictError) as lost:
        books.store.commit(following(record(1)))
    assert lost.value.current == record(1)
    books.meet(1)
    assert books.store.claim(Due(name(1), T + 5000), T + 60_000) is None
    counted = record(2, state=State.SUCCEEDED, counted=True)
    books.store.insert(counted)
    books.meet(1)
    books.store.mark_effects_done(counted)
    assert books.store.get(name(2)) == counted


def test_names_of_open_models_cannot_fill_a_day(books: LedgerStore) -> None:
    """A model without a price is in no catalogue, so its name may be anything, in any number."""

    def end(number: int, model: str, cost: int | None = None) -> None:
        # An ended record has no price, in the catalogue or not.
        ended = record(number, model=model, cost=cost, state=State.SUCCEEDED)
        books.store.insert(ended)
        books.store.mark_effects_done(ended)

    for number in range(OPEN_MODELS_A_DAY + 2):
        end(number, f"open/m{number}")
    end(90, "open/m0")
    end(91, f"open/m{OPEN_MODELS_A_DAY}")
    end(92, "catalogue/model", cost=3)
    end(93, "catalogue/model", cost=0)
    end(94, "catalogue/other", cost=0)
    seen = books.controls.usage("acme", [DAY])[DAY]
    assert seen["open/m0"] == (2, 0)
    assert seen[f"open/m{OPEN_MODELS_A_DAY - 1}"] == (1, 0)
    assert seen["catalogue/model"] == (2, 3)
    assert seen["catalogue/other"] == (1, 0)
    assert seen["other"] == (3, 0)
    assert len(seen) == OPEN_MODELS_A_DAY + 3


def test_an_end_is_counted_for_each_of_its_tags(books: LedgerStore) -> None:
    plain = record(1, state=State.SUCCEEDED, cost=1, tags=("ü", "a#b"))
    books.store.insert(plain)
    for _ in range(2):
        books.store.mark_effects_done(plain)
    begun = record(2, tags=("ü",))
    books.store.insert(begun, entries=enter())
    ended = following(begun, state=State.SUCCEEDED, cost=2, counted=True)
    books.store.commit(ended, entries=enter(0, 2, -1))
    assert books.controls.usage("acme", [DAY], "ü") == {DAY: {"owner/name": (2, 3)}}
    assert books.controls.usage("acme", [DAY], "a#b") == {DAY: {"owner/name": (1, 1)}}
    assert books.controls.usage("acme", [DAY], "a") == {}
    assert books.controls.usage("acme", [DAY]) == {DAY: {"owner/name": (2, 3)}}


def test_an_open_model_that_a_day_has_no_room_for_is_another_in_its_tags_too(
    books: LedgerStore,
) -> None:
    for number in range(OPEN_MODELS_A_DAY + 1):
        last = number == OPEN_MODELS_A_DAY
        ended = record(number, model=f"open/m{number}", tags=("x",) if last else ())
        books.store.insert(ended)
        books.store.mark_effects_done(ended)
    assert books.controls.usage("acme", [DAY], "x") == {DAY: {"other": (1, 0)}}
    assert books.controls.usage("acme", [DAY])[DAY]["other"] == (1, 0)


def test_an_end_with_its_settlement_is_counted_likewise(books: LedgerStore) -> None:
    for number in range(OPEN_MODELS_A_DAY + 1):
        begun = record(number, model=f"open/m{number}")
        books.store.insert(begun, entries=enter())
        books.store.commit(following(begun, state=State.FAILED), entries=enter(0, 0, -1))
    assert books.controls.usage("acme", [DAY])[DAY]["other"] == (1, 0)
    assert books.month(MONTH) == Month(0, 0, 0)
    with pytest.raises(ConflictError):
        books.store.commit(following(begun, polls=1), entries=enter(0, 0, -1))
    assert books.controls.usage("acme", [DAY])[DAY]["other"] == (1, 0)


FULL_DAY: dict[str, Any] = {"pk": {"S": f"USAGE#acme#{DAY}"}, "x": {"S": "x" * 404_900}}


def test_a_day_that_takes_nothing_more_holds_up_no_end(aws: Aws) -> None:
    store = DynamoPredictions(aws.dynamodb, "predictions", "controls")
    aws.dynamodb.put_item(TableName="controls", Item=FULL_DAY)
    ended = record(1, model="a/" + "b" * 190)
    store.insert(ended)
    store.mark_effects_done(ended)
    marked = store.get(name(1))
    assert marked
    assert marked.effects_done
    begun = record(2, model="a/" + "b" * 190)
    store.insert(begun, entries=enter())
    store.commit(following(begun, state=State.FAILED), entries=enter(0, 0, -1))
    after = store.get(name(2))
    assert after
    assert after.state is State.FAILED


# Lists


def test_a_list_is_newest_first_over_all_pages(store: PredictionStore) -> None:
    for number in range(7):
        store.insert(record(number, created_at=T + number // 2))
    store.insert(record(50, tenant="other"))
    store.insert(record(51, tenant="acm"))
    seen: list[str] = []
    after: tuple[int, str] | None = None
    for _ in range(10):
        page = store.list_ids("acme", after, 3)
        assert len(page.ids) <= 3
        seen += page.ids
        after = page.next
        if after is None:
            break
    assert after is None
    assert sorted(seen) == [name(number) for number in range(7)]
    times = [int(id_) // 2 for id_ in seen]
    assert times == sorted(times, reverse=True)


def test_a_list_goes_on_behind_a_record_that_is_gone(store: PredictionStore) -> None:
    for number in (1, 2, 4):
        store.insert(record(number, created_at=T + number))
    page = store.list_ids("acme", (T + 3, name(3)), 10)
    assert page.ids == [name(2), name(1)]


@pytest.mark.parametrize(
    ("span", "found"),
    [
        (Span(T + 1, T + 3), [3, 2, 1]),
        (Span(T + 1, T + 3, oldest_first=True), [1, 2, 3]),
        (Span(T + 2, T + 2), [2]),
        (Span(T + 9, T + 10), []),
        (Span(0, T), [0]),
    ],
)
def test_a_list_of_a_time_begins_at_either_end(
    store: PredictionStore, span: Span, found: list[int]
) -> None:
    for number in range(5):
        store.insert(record(number, created_at=T + number))
    assert store.list_ids("acme", None, 10, span).ids == [name(number) for number in found]
    after = (T + found[0], name(found[0])) if found else None
    rest = store.list_ids("acme", after, 10, span).ids
    assert rest == [name(number) for number in found[1:]]


def test_a_tenant_without_records(store: PredictionStore) -> None:
    page = store.list_ids("acme", None, 10)
    assert (page.ids, page.next) == ([], None)


def test_get_many_keeps_the_order_and_leaves_out_the_unknown(store: PredictionStore) -> None:
    for number in range(120):
        store.insert(record(number))
    wanted = [name(number) for number in range(119, -1, -1)]
    found = list(store.get_many([wanted[0], name(404), *wanted[1:]]))
    assert [each.id for each in found] == wanted


def test_recent_ids_are_those_since_a_time(store: PredictionStore) -> None:
    for number in range(5):
        store.insert(record(number, created_at=T + number))
    store.insert(record(9, tenant="other", created_at=T + 9))
    assert store.recent_ids("acme", T + 2, 10) == [name(4), name(3), name(2)]
    assert store.recent_ids("acme", T + 2, 2) == [name(4), name(3)]
    assert store.recent_ids("acme", T + 5, 10) == []


# DynamoDB only


@pytest.fixture
def real(aws: Aws) -> DynamoPredictions:
    return DynamoPredictions(aws.dynamodb, "predictions", "controls")


def test_a9_input_numbers_never_become_dynamodb_numbers(aws: Aws, real: DynamoPredictions) -> None:
    """boto3 and DynamoDB each reject some values that JSON allows, and moto rejects fewer."""
    real.insert(FULL)
    item = aws.dynamodb.get_item(TableName="predictions", Key={"id": {"S": FULL.id}})["Item"]
    assert all(set(item[n]) <= {"S", "B"} for n in ("input", "metrics", "output"))


def test_attributes_of_a_later_version_are_ignored(aws: Aws, real: DynamoPredictions) -> None:
    real.insert(record())
    aws.dynamodb.update_item(
        TableName="predictions",
        Key={"id": {"S": name(1)}},
        UpdateExpression="SET from_the_future = :x",
        ExpressionAttributeValues={":x": {"NULL": True}},
    )
    assert real.get(name(1)) == record()


def test_an_outage_is_raised_and_not_taken_for_a_conflict(aws: Aws) -> None:
    nowhere = DynamoPredictions(aws.dynamodb, "missing", "controls")
    for call in (
        lambda: nowhere.insert(record()),
        lambda: nowhere.insert(record(), KEY),
        lambda: nowhere.commit(following(record())),
        lambda: nowhere.commit(following(record(), provider_id="p"), claims="p"),
        lambda: nowhere.claim(Due(name(1), T), T),
        lambda: nowhere.mark_effects_done(record()),
    ):
        with pytest.raises(ClientError) as outage:
            call()
        assert outage.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_list_of_a_tag_goes_on_over_its_own_pages(store: PredictionStore) -> None:
    for number in range(7):
        tags = ("x", "ü 1") if number % 2 else ()
        store.insert(record(number, created_at=T + number, tags=tags, end_user="ann"))
    store.insert(record(50, tenant="other", tags=("x",), end_user="ann"))
    for given, ids in (
        (correlation.tag_list("x"), [5, 3, 1]),
        (correlation.tag_list("ü 1"), [5, 3, 1]),
        (correlation.tag_list("ann"), []),
        (correlation.end_user_list("ann"), [6, 5, 4, 3, 2, 1, 0]),
        (None, [6, 5, 4, 3, 2, 1, 0]),
    ):
        seen: list[str] = []
        after: tuple[int, str] | None = None
        while True:
            page = store.list_ids("acme", after, 2, name=given)
            assert len(page.ids) <= 2
            seen += page.ids
            after = page.next
            if after is None:
                break
        assert seen == [name(number) for number in ids]


def test_rows_of_lists_are_written_with_their_record_or_not_at_all(store: PredictionStore) -> None:
    key = IdempotencyKey("IDEM#one", T // 1000 + 60)
    store.insert(record(1, tags=("x",)), key)
    store.insert(record(1, tags=("x",)), key)
    with pytest.raises(IdempotencyKeyUsedError):
        store.insert(record(2, tags=("x",)), key)
    with pytest.raises(AlreadyExistsError):
        store.insert(record(1, tags=("x",), input={"a": 1}))
    assert store.list_ids("acme", None, 10, name=correlation.tag_list("x")).ids == [name(1)]
    assert [each.id for each in store.get_many([name(1), name(2)])] == [name(1)]


def test_a_full_month_writes_no_row_of_a_list(store: PredictionStore) -> None:
    full = LedgerEntry("SPEND#acme#2027-01", 10, 0, 1, 15)
    store.insert(record(1, tags=("x",)), entries=[full])
    with pytest.raises(LimitReachedError):
        store.insert(record(2, tags=("x",)), entries=[full])
    assert store.list_ids("acme", None, 10, name=correlation.tag_list("x")).ids == [name(1)]
