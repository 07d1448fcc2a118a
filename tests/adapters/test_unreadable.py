"""Unreadable and expired records and rows, which affect nothing else."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.controls import DynamoControls
from darkroom.aws.deliveries import DynamoDeliveries, _delivery_item
from darkroom.aws.items import LARGEST_TEXT, prediction_item, read_prediction, to_item
from darkroom.aws.predictions import DynamoPredictions
from darkroom.domain.errors import ConflictError, UnavailableError, UnreadableRecordError
from darkroom.ports import Due, RunTime
from darkroom.replicate.snapshot import LOGS_KEPT, OUTPUT_KEPT
from darkroom.services.files.prepare_input import INPUT_KEPT

from tests.adapters.crowded import Crowded
from tests.adapters.rows import OWED, T, following, name, record
from tests.support import versions
from tests.support.fakes import FakePredictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.ports import DeliveryStore, PredictionStore

    from tests.adapters.aws import Aws

Item = dict[str, Any]
LONG_AGO = 1_000_000_000
"""An expired `expires_at`, in seconds."""


KINDS = pytest.mark.parametrize("change", versions.DAMAGED.values(), ids=versions.DAMAGED)


def alter(store: PredictionStore, id_: str, change: Callable[[Item], Item]) -> None:
    """Write the record as another release, or a fault, would."""
    if isinstance(store, FakePredictions):
        store.items[id_] = change(store.items[id_])
        return
    assert isinstance(store, DynamoPredictions)
    key = {"id": {"S": id_}}
    item = store.client.get_item(TableName="predictions", Key=key)["Item"]
    store.client.put_item(TableName="predictions", Item=change(item))


# Unreadable records


@KINDS
def test_one_that_cannot_be_read_is_named_and_costs_no_other(
    store: PredictionStore, change: Callable[[Item], Item]
) -> None:
    for number in (1, 2, 3):
        store.insert(record(number))
    alter(store, name(2), change)
    with pytest.raises(UnreadableRecordError) as unreadable:
        store.get(name(2))
    assert (unreadable.value.id, unreadable.value.tenant) == (name(2), "acme")
    assert unreadable.value.reason
    left_out: list[UnreadableRecordError] = []
    wanted = [name(number) for number in (3, 2, 1)]
    assert list(store.get_many(wanted, left_out)) == [record(3), record(1)]
    assert [each.id for each in left_out] == [name(2)]
    assert list(store.get_many(wanted)) == [record(3), record(1)]


@KINDS
def test_its_claim_stands_so_that_it_is_in_nobodys_way(
    store: PredictionStore, change: Callable[[Item], Item]
) -> None:
    for number in (1, 2):
        store.insert(record(number, due_at=T + number))
    alter(store, name(1), change)
    with pytest.raises(UnreadableRecordError) as unreadable:
        store.claim(Due(name(1), T + 1), T + 60_000)
    assert unreadable.value.id == name(1)
    assert store.due(T + 59_000, 10) == [Due(name(2), T + 2)]
    assert store.due(T + 60_000, 10)[-1] == Due(name(1), T + 60_000)


def test_it_is_not_written_over(store: PredictionStore) -> None:
    store.insert(record())
    alter(
        store, name(1), lambda item: {**versions.UNREADABLE["state"](item), "revision": {"N": "5"}}
    )
    for write in (
        lambda: store.insert(record()),
        lambda: store.commit(following(record())),
        lambda: store.commit(following(record(), provider_id="p"), claims="p"),
    ):
        with pytest.raises(UnreadableRecordError):
            write()
    assert store.owner_of("p") is None


def test_the_reason_names_the_field_and_never_a_value() -> None:
    secret = "canary"
    for field, at in (
        ("state", {"state": {"S": secret}}),
        ("create.state", {"create": {"M": {"attempt": {"N": "1"}, "state": {"S": secret}}}}),
        ("files.sha256", {"files": {"L": [{"M": {"sha256": {"L": [{"S": secret}]}}}]}}),
        ("input", {"input": {"L": [{"S": secret}]}}),
        ("uploads", {"uploads": {"M": {secret: {"N": "1"}}}}),
    ):
        with pytest.raises(UnreadableRecordError) as unreadable:
            read_prediction({**prediction_item(record()), **at})
        assert unreadable.value.reason == field
        assert secret not in str(unreadable.value)


def test_a_text_that_unpacks_to_too_much_takes_no_memory() -> None:
    """A few kilobytes may expand to a thousand times as much: 400 kB of item, 400 MB of text."""
    bomb = {**prediction_item(record()), "input": versions.deflated(b"a" * 50_000_000)}
    assert len(bomb["input"]["B"]) < 60_000
    tracemalloc.start()
    with pytest.raises(UnreadableRecordError):
        read_prediction(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LARGEST_TEXT


def test_many_records_are_decoded_one_by_one(store: PredictionStore) -> None:
    """Each may take thirty times its bytes then."""
    for number in (1, 2):
        store.insert(record(number))
    alter(store, name(2), versions.DAMAGED["input cut short"])
    left_out: list[UnreadableRecordError] = []
    found = store.get_many([name(1), name(2)], left_out)
    assert next(found) == record(1)
    assert left_out == []
    assert list(found) == []
    assert [each.id for each in left_out] == [name(2)]


def test_whatever_a_record_may_hold_can_be_read() -> None:
    assert 2 * max(INPUT_KEPT, OUTPUT_KEPT, LOGS_KEPT) < LARGEST_TEXT
    full = record(input={"prompt": "🐕" + "a" * (INPUT_KEPT - 17)}, output="b" * OUTPUT_KEPT)
    assert read_prediction(prediction_item(full)) == full


def test_rows_of_deliveries_are_read_one_by_one(aws: Aws) -> None:
    store = DynamoDeliveries(aws.dynamodb, "deliveries")

    def put(event: str, **attributes: Item) -> None:
        item = {**_delivery_item(replace(OWED, event=event)), **attributes}
        aws.dynamodb.put_item(TableName="deliveries", Item=item)

    attempt = {"at": {"N": "1"}, "duration_ms": {"N": "2"}, "newer": {"NULL": True}}
    put("completed", newer={"NULL": True}, history={"L": [{"M": attempt}]})
    put("start", attempts={"S": "many"})
    read = store.get(OWED.prediction, "completed")
    assert read is not None
    assert [(each.at, each.duration_ms) for each in read.history] == [(1, 2)]
    assert store.of(OWED.prediction, 10) == [read]
    with pytest.raises(UnreadableRecordError) as unreadable:
        store.get(OWED.prediction, "start")
    assert (unreadable.value.id, unreadable.value.reason) == (OWED.prediction, "start: attempts")


def test_run_times_are_read_one_by_one(aws: Aws) -> None:
    """All models' times are in one row, so one damaged value must not hide the others."""
    controls = DynamoControls(aws.dynamodb, "controls")
    controls.note_run_time("good/model", RunTime(900, T))
    row = aws.dynamodb.get_item(TableName="controls", Key={"pk": {"S": "RUNTIMES"}})["Item"]
    newer = {"M": {"run_ms": {"N": "7"}, "at": {"N": "8"}, "newer": {"SS": ["x"]}}}
    row |= {
        "bad/model": {"M": {"run_ms": {"S": "x"}}},
        "newer/model": newer,
        "no/type": {"NULL": True},
    }
    aws.dynamodb.put_item(TableName="controls", Item=row)
    assert controls.run_times() == {"good/model": RunTime(900, T), "newer/model": RunTime(7, 8)}


# Expired


def test_a_record_past_its_retention_is_gone_for_who_reads(store: PredictionStore) -> None:
    store.insert(record(1, expires_at=LONG_AGO))
    store.insert(record(2))
    assert store.get(name(1)) is None
    assert list(store.get_many([name(1), name(2)])) == [record(2)]
    alter(store, name(1), versions.UNREADABLE["state"])
    left_out: list[UnreadableRecordError] = []
    assert store.get(name(1)) is None
    assert list(store.get_many([name(1), name(2)], left_out)) == [record(2)]
    assert left_out == []


def test_a_record_past_its_retention_still_comes_to_its_end(store: PredictionStore) -> None:
    old = record(1, expires_at=LONG_AGO)
    store.insert(old)
    (key,) = store.due(T + 5000, 10)
    claimed = store.claim(key, T + 60_000)
    assert claimed == replace(old, due_at=T + 60_000)
    with pytest.raises(ConflictError) as lost:
        store.commit(replace(old, revision=7))
    assert lost.value.current == claimed
    store.commit(following(old, due_at=None, effects_done=True))
    assert store.due(T + 10**9, 10) == []


def test_a_key_or_owner_past_its_time_counts_as_absent(aws: Aws) -> None:
    store = DynamoPredictions(aws.dynamodb, "predictions", "controls")
    for number in (1, 2):
        store.insert(record(number))
    owner = {"pk": "PID#p1", "owner": name(1), "expires_at": int(time.time()) - 1}
    aws.dynamodb.put_item(TableName="controls", Item=to_item(owner))
    assert store.owner_of("p1") is None
    store.commit(following(record(2), provider_id="p1"), claims="p1")
    assert store.owner_of("p1") == name(2)


def test_usage_past_its_time_is_not_shown(aws: Aws) -> None:
    controls = DynamoControls(aws.dynamodb, "controls")
    row = {"pk": "USAGE#acme#2025-01-01", "n:a/b": 3, "expires_at": int(time.time()) - 1}
    aws.dynamodb.put_item(TableName="controls", Item=to_item(row))
    assert controls.usage("acme", ["2025-01-01"]) == {}


def test_a_delivery_past_its_time_is_gone(deliveries: DeliveryStore) -> None:
    deliveries.put(replace(OWED, expires_at=LONG_AGO))
    deliveries.put(replace(OWED, event="start"))
    assert deliveries.get(OWED.prediction, "completed") is None
    assert deliveries.of(OWED.prediction, 10) == [replace(OWED, event="start")]
    # The index may still return its key; the claim moves it out of the way of others.
    assert deliveries.claim(OWED.prediction, "completed", T + 1000, T + 9000)


# Load


@pytest.fixture
def crowded(aws: Aws) -> Crowded:
    return Crowded(aws.dynamodb)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def busy(crowded: Crowded, pauses: list[float]) -> DynamoPredictions:
    return DynamoPredictions(crowded, "predictions", "controls", pauses.append)


def test_what_was_left_over_is_asked_for_again(
    busy: DynamoPredictions, crowded: Crowded, pauses: list[float]
) -> None:
    for number in range(120):
        busy.insert(record(number))
    crowded.throttled = 3
    found = list(busy.get_many([name(number) for number in range(120)]))
    assert [each.id for each in found] == [name(number) for number in range(120)]
    assert crowded.reads == [0, 0, 0, 40, 40, 20, 20]
    assert len(pauses) == 5
    # Longer after each empty answer, and never equal for two waiting callers.
    grown = [pause / 0.02 for pause in pauses[:3]]
    assert all(2 ** (n - 1) <= pause / 1 <= 2**n * 1.01 for n, pause in enumerate(grown, start=1))
    assert all(pause <= 0.02 for pause in pauses[3:])


def test_an_answer_ends_at_16_mb(busy: DynamoPredictions, crowded: Crowded) -> None:
    crowded.keys_at_once = 100
    for number in range(60):
        busy.insert(record(number, metrics={"x": "x" * 390_000}))
    assert len(list(busy.get_many(map(name, range(60))))) == 60
    assert len(crowded.reads) == 2


def test_a_table_that_answers_nothing_is_given_up(
    busy: DynamoPredictions, crowded: Crowded, pauses: list[float]
) -> None:
    busy.insert(record())
    crowded.throttled = 10**9
    with pytest.raises(UnavailableError):
        busy.get_many([name(1)])
    assert (len(crowded.reads), len(pauses)) == (6, 5)
    assert sum(pauses) < 2
    controls = DynamoControls(crowded, "controls", pauses.append)
    with pytest.raises(UnavailableError):
        controls.usage("acme", ["2027-01-15"])
    assert len(crowded.reads) == 12


def test_an_insert_that_meets_a_transaction_is_no_record_that_exists(
    crowded: Crowded, busy: DynamoPredictions
) -> None:
    crowded.conflicts = 1
    with pytest.raises(UnavailableError):
        busy.insert(record())
    assert busy.get(name(1)) is None
