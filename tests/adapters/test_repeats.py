"""Rows of equal requests without a key: the same guarantees of the fake and of DynamoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.errors import IdempotencyKeyUsedError, LimitReachedError, UnavailableError
from darkroom.domain.repeats import KEPT, KEPT_S, REFUSED_S, Made, RepeatEntry, Repeats
from darkroom.ports import IdempotencyKey

from tests.adapters.rows import MONTH, T, enter, name, record

if TYPE_CHECKING:
    from darkroom.ports import PredictionStore

    from tests.adapters.aws import Aws, LedgerStore

ROW = "REPEAT#1"


def made(number: int, **more: Any) -> Made:
    return Made(name(number), T + number, **more)


def first(number: int, **more: Any) -> RepeatEntry:
    """Return the entry of a first attempt."""
    return RepeatEntry(ROW, made(number, **more), T // 1000 + 200, received_at=T)


def again(number: int, seen: Made | None, **more: Any) -> RepeatEntry:
    """Return the entry of a repetition."""
    return RepeatEntry(ROW, made(number, count=1), T // 1000 + 200, seen=seen, **more)


def insert(store: PredictionStore, number: int, entry: RepeatEntry) -> None:
    store.insert(record(number, created_at=T + number, fingerprint="ab"), entry)


def test_a_row_holds_the_latest_predictions(store: PredictionStore) -> None:
    assert store.repeats_in(ROW) == Repeats()
    for number in range(KEPT + 2):
        insert(store, number, first(number))
        kept = range(number, max(-1, number - KEPT), -1)
        assert store.repeats_in(ROW) == Repeats(tuple(map(made, kept)))
    assert store.repeats_in("REPEAT#2") == Repeats()


def test_a_first_try_is_refused_where_a_repetition_was_early(store: PredictionStore) -> None:
    insert(store, 5, first(5, early=True))
    with pytest.raises(IdempotencyKeyUsedError) as used:
        insert(store, 6, first(6))
    assert (used.value.prediction, used.value.fingerprint) == (name(5), "ab")
    assert store.get(name(6)) is None
    late = RepeatEntry(ROW, made(7), T, received_at=T + 6)
    insert(store, 7, late)
    insert(store, 8, first(8))
    assert store.repeats_in(ROW).made[0] == made(8)


def test_a_repetition_is_refused_where_the_row_has_changed(store: PredictionStore) -> None:
    insert(store, 1, again(1, None))
    with pytest.raises(IdempotencyKeyUsedError):
        insert(store, 2, again(2, None))
    insert(store, 3, again(3, made(1)))
    with pytest.raises(IdempotencyKeyUsedError):
        insert(store, 4, again(4, made(1)))
    assert [each.prediction for each in store.repeats_in(ROW).made] == [name(3), name(1)]


def test_the_same_insert_again_changes_nothing(store: PredictionStore) -> None:
    for _ in range(2):
        insert(store, 1, again(1, None))
    assert store.repeats_in(ROW).made == (made(1, count=1),)


def test_an_answer_is_noted_once(store: PredictionStore) -> None:
    for number in (1, 2):
        insert(store, number, first(number))
    assert store.answer_again(ROW, 1, made(1), 3)
    assert not store.answer_again(ROW, 1, made(1), 3)
    assert not store.answer_again(ROW, 0, made(1), 1)
    assert not store.answer_again(ROW, 2, made(0), 1)
    assert store.repeats_in(ROW).made == (made(2), made(1, count=3))


def test_refusals_are_counted_and_redeemed(store: PredictionStore) -> None:
    store.note_refusal(ROW, T)
    store.note_refusal(ROW, T + 1)
    assert store.repeats_in(ROW) == Repeats((), 2, T + 1)
    insert(store, 1, first(1))
    insert(store, 2, again(2, None, redeems=True))
    insert(store, 3, again(3, None, redeems=True))
    assert store.repeats_in(ROW).refused == 0
    with pytest.raises(IdempotencyKeyUsedError) as used:
        insert(store, 4, again(4, None, redeems=True))
    assert used.value.prediction == name(3)
    store.note_refusal(ROW, T + 2)
    assert store.repeats_in(ROW) == Repeats((made(3, count=1), made(2, count=1), made(1)), 1, T + 2)


def test_where_nothing_was_refused_nor_made_nothing_can_be_redeemed(
    store: PredictionStore,
) -> None:
    with pytest.raises(UnavailableError):
        insert(store, 1, again(1, None, redeems=True))
    assert store.get(name(1)) is None


def test_refusals_of_long_ago_do_not_count(store: PredictionStore) -> None:
    store.note_refusal(ROW, T)
    store.note_refusal(ROW, T + REFUSED_S * 1000)
    assert store.repeats_in(ROW).refused == 2
    store.note_refusal(ROW, T + 2 * REFUSED_S * 1000 + 1)
    assert store.repeats_in(ROW).refused == 1


def test_a_record_without_room_is_entered_nowhere(books: LedgerStore) -> None:
    books.store.insert(record(1), first(1), enter(700, cap=1000))
    with pytest.raises(LimitReachedError):
        books.store.insert(record(2), first(2), enter(700, cap=1000))
    assert books.store.repeats_in(ROW).made == (made(1),)
    assert books.month(MONTH).committed == 700


def test_a_key_is_looked_up(store: PredictionStore) -> None:
    key = IdempotencyKey("IDEM#1", T // 1000 + 60)
    store.check_key(key, T)
    store.insert(record(1, fingerprint="ab"), key)
    store.check_key(IdempotencyKey("IDEM#2", key.expires_at), T)
    with pytest.raises(IdempotencyKeyUsedError) as used:
        store.check_key(key, T)
    assert (used.value.prediction, used.value.fingerprint) == (name(1), "ab")
    store.check_key(key, T + 60_000)


def test_a_row_is_small_and_has_its_end(aws: Aws) -> None:
    from darkroom.aws.predictions import DynamoPredictions

    store = DynamoPredictions(aws.dynamodb, "predictions", "controls")
    store.note_refusal(ROW, T)
    found = aws.dynamodb.get_item(TableName="controls", Key={"pk": {"S": ROW}})["Item"]
    assert found["expires_at"] == {"N": str(T // 1000 + KEPT_S)}
    for number in range(KEPT + 1):
        insert(store, number, first(number))
    found = aws.dynamodb.get_item(TableName="controls", Key={"pk": {"S": ROW}})["Item"]
    assert found["expires_at"] == {"N": str(T // 1000 + 200)}
    assert len(str(found)) < 1024
