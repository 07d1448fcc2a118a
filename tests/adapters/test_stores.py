"""The smaller ports: deliveries, controls, outputs, uploads, queues, the event bus."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import tracemalloc
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from botocore.stub import ANY, Stubber
from darkroom.aws.controls import DynamoControls
from darkroom.aws.items import from_item, to_item
from darkroom.aws.queues import EventBridgeBus, EventNotTakenError, SqsQueue
from darkroom.aws.s3 import PART, S3Forms, S3Outputs, S3Signer, S3Uploads
from darkroom.domain.callback import Attempt
from darkroom.domain.errors import TransferFailedError
from darkroom.domain.money import Limits
from darkroom.domain.receivers import Endpoint, Receivers, Refusal
from darkroom.ports import ApiKey, RunTime, SecretVersion, StoredObject

from ops.callbacks import RotationRefusedError, rotate
from tests.adapters.rows import OWED
from tests.support.fakes import FakeBus, FakeQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from darkroom.ports import Controls, DeliveryStore, OutputStore, UploadStore

    from tests.adapters.aws import Aws

T = 1_800_000_000_000


# Deliveries


def test_a_delivery_is_put_once(deliveries: DeliveryStore) -> None:
    assert deliveries.put(OWED)
    assert not deliveries.put(replace(OWED, created_at=T + 1, state="delivered"))
    assert deliveries.get(OWED.prediction, "completed") == OWED
    assert deliveries.get(OWED.prediction, "start") is None


def test_a_row_is_replaced_by_who_has_seen_it_as_it_is(deliveries: DeliveryStore) -> None:
    deliveries.put(OWED)
    claimed = replace(OWED, next_at=T + 9000, due_at=T + 9000)
    assert deliveries.write(claimed, seen=OWED)
    assert not deliveries.write(claimed, seen=OWED)
    assert deliveries.get(OWED.prediction, "completed") == claimed
    tries = (Attempt(T, 12, None, "no answer"), Attempt(T + 9000, 3, 204))
    last = replace(
        claimed, attempts=2, state="delivered", last_status=204, due_at=None, history=tries
    )
    assert deliveries.write(last, seen=claimed)
    assert deliveries.get(OWED.prediction, "completed") == last
    assert deliveries.due(T + 10**9, 10) == []
    again = replace(last, state="pending", attempts=0, next_at=0, due_at=T + 5)
    assert deliveries.write(again, seen=last)
    assert deliveries.due(T + 5, 10) == [(OWED.prediction, "completed", T + 5)]


@pytest.mark.parametrize("other", [{"attempts": 1}, {"next_at": 1}, {"state": "failed"}], ids=str)
def test_who_has_seen_another_row_changes_nothing(
    deliveries: DeliveryStore, other: dict[str, Any]
) -> None:
    deliveries.put(OWED)
    assert not deliveries.write(replace(OWED, last_status=500), seen=replace(OWED, **other))
    assert deliveries.get(OWED.prediction, "completed") == OWED


def test_a_write_makes_no_row(deliveries: DeliveryStore) -> None:
    assert not deliveries.write(OWED, seen=OWED)
    assert deliveries.get(OWED.prediction, "completed") is None


def test_the_sweeps_claim_does_not_hinder_who_has_read_before(deliveries: DeliveryStore) -> None:
    deliveries.put(OWED)
    assert deliveries.claim(OWED.prediction, "completed", T + 1000, T + 5000)
    assert deliveries.write(replace(OWED, state="delivered", due_at=None), seen=OWED)


def test_a_predictions_rows_are_listed_without_what_is_frozen(deliveries: DeliveryStore) -> None:
    events = ["completed", "start", *(f"logs-{n:06d}" for n in range(60))]
    for event in events:
        deliveries.put(replace(OWED, event=event, frozen="x" * 40_000))
    deliveries.put(replace(OWED, prediction="0" * 26))
    listed = deliveries.of(OWED.prediction, 100)
    assert [row.event for row in listed] == sorted(events, reverse=True)
    assert listed[0] == replace(OWED, event="start")
    assert deliveries.of(OWED.prediction, 5) == listed[:5]
    assert deliveries.of("1" * 26, 5) == []


def test_due_deliveries_are_ordered_and_limited(deliveries: DeliveryStore) -> None:
    for number in range(9):
        at = None if number % 3 == 0 else T + number
        deliveries.put(replace(OWED, prediction=f"{number:026d}", due_at=at))
    deliveries.put(replace(OWED, prediction=f"{1:026d}", event="start", due_at=T))
    due = deliveries.due(T + 7, 10)
    assert [at - T for *_, at in due] == [0, 1, 2, 4, 5, 7]
    assert due[0] == (f"{1:026d}", "start", T)
    assert deliveries.due(T + 7, 1) == due[:1]


def test_what_waits_in_one_lane_leaves_room_for_others(deliveries: DeliveryStore) -> None:
    for number in range(40):
        row = replace(OWED, prediction=f"{number:026d}")
        deliveries.put(row)
        assert deliveries.write(replace(row, due_at=T + number, next_at=T), seen=row, lane="acme")
    others = [replace(OWED, prediction=f"{1000 + n:026d}", due_at=T + 100) for n in range(16)]
    for other in others:
        deliveries.put(other)
    due = deliveries.due(T + 100, 32)
    assert len(due) == 32
    # Those of the lane's own partition wait behind it, within its share.
    ids = {prediction for prediction, *_ in due}
    assert len({other.prediction for other in others} - ids) <= 1
    assert len(deliveries.due(T + 100, 1000)) == 56
    assert [at for *_, at in due] == sorted(at for *_, at in due)


def test_a_delivery_is_claimed_once(deliveries: DeliveryStore) -> None:
    deliveries.put(OWED)
    assert deliveries.claim(OWED.prediction, "completed", T + 1000, T + 5000)
    assert not deliveries.claim(OWED.prediction, "completed", T + 1000, T + 6000)
    assert deliveries.get(OWED.prediction, "completed") == replace(OWED, due_at=T + 5000)
    assert not deliveries.claim("0" * 26, "completed", T + 1000, T + 5000)
    assert deliveries.get("0" * 26, "completed") is None


# Controls


def test_a_schema_is_kept_as_it_was(controls: Controls) -> None:
    schema = {"components": {"schemas": {"Input": {"x": [1, 2.5, None, True, "ü", 10**50]}}}}
    assert controls.cached_schema("a/b", "v1") is None
    controls.cache_schema("a/b", "v1", schema)
    assert controls.cached_schema("a/b", "v1") == schema
    assert controls.cached_schema("a/b", "v2") is None
    assert controls.cached_schema("a/c", "v1") is None


ILL = Receivers(
    revision=1,
    endpoints={
        "a": Endpoint(failing_since=T, failures=5, next_at=T + 9, strikes=3, disabled_at=T + 1),
        "b": Endpoint(strikes=1),
    },
    refused={"c": Refusal(2, T)},
    busy=(T, T),
)


def test_receivers_are_changed_by_who_has_seen_them_as_they_are(controls: Controls) -> None:
    assert controls.receivers("acme") == Receivers()
    assert controls.put_receivers("acme", ILL)
    assert controls.receivers("acme") == ILL
    for revision in (0, 1, 3):
        assert not controls.put_receivers("acme", Receivers(revision))
        assert controls.receivers("acme") == ILL
    assert controls.put_receivers("acme", Receivers(2))
    assert controls.receivers("acme") == Receivers(2)
    assert controls.receivers("other") == Receivers()


def test_receivers_past_their_time_are_doing_well(aws: Aws) -> None:
    row = {"pk": "HOOK#acme", "revision": 7, "expires_at": int(time.time()) - 1}
    aws.dynamodb.put_item(TableName="controls", Item=to_item(row))
    controls = DynamoControls(aws.dynamodb, "controls")
    assert controls.receivers("acme") == Receivers()
    assert controls.put_receivers("acme", ILL)
    assert controls.receivers("acme") == ILL


def test_what_another_version_knows_of_an_endpoint_is_passed_over(aws: Aws) -> None:
    row: dict[str, Any] = {"pk": "HOOK#acme", "revision": 1, "refused": {}, "busy": []}
    row["endpoints"] = {"a": {"strikes": 3, "mood": "grim"}}
    aws.dynamodb.put_item(TableName="controls", Item=to_item(row))
    found = DynamoControls(aws.dynamodb, "controls").receivers("acme")
    assert found == Receivers(1, {"a": Endpoint(strikes=3)})


def test_a_secrets_version_is_the_first_until_it_is_rotated(aws: Aws) -> None:
    controls = DynamoControls(aws.dynamodb, "controls")
    assert controls.secret_version("acme") == SecretVersion(1, 0)
    before = int(time.time() * 1000)
    version, until = rotate(aws.dynamodb, "controls", "acme", 24)
    assert version == 2
    assert before + 86_400_000 <= until <= time.time() * 1000 + 86_400_000
    assert controls.secret_version("acme") == SecretVersion(2, until)
    assert controls.secret_version("other") == SecretVersion(1, 0)
    # There is room for one old secret: a second rotation waits, or ends the older one immediately.
    with pytest.raises(RotationRefusedError, match="overlap lasts until"):
        rotate(aws.dynamodb, "controls", "acme", 24)
    assert controls.secret_version("acme").current == 2
    assert rotate(aws.dynamodb, "controls", "acme", 0)[0] == 3
    assert controls.secret_version("acme").previous_until <= time.time() * 1000
    assert rotate(aws.dynamodb, "controls", "acme", 1)[0] == 4


@pytest.mark.parametrize(("tenant", "hours"), [("a#b", 1), ("", 1), ("acme", -1), ("acme", 1e9)])
def test_a_rotation_that_makes_no_sense_is_refused(aws: Aws, tenant: str, hours: float) -> None:
    with pytest.raises(RotationRefusedError):
        rotate(aws.dynamodb, "controls", tenant, hours)


def test_a_run_time_may_take_another_ones_place(controls: Controls) -> None:
    for model in ("a/one", "a/two"):
        controls.note_run_time(model, RunTime(1, T))
    controls.note_run_time("a/three", RunTime(1, T), drop="a/one")
    controls.note_run_time("a/four", RunTime(1, T), drop="a/one")
    assert set(controls.run_times()) == {"a/two", "a/three", "a/four"}


def test_run_times_are_kept_by_model(controls: Controls) -> None:
    assert controls.run_times() == {}
    controls.note_run_time("stability-ai/sdxl", RunTime(4000, T))
    controls.note_run_time("black-forest-labs/flux-1.1-pro", RunTime(900, T))
    controls.note_run_time("stability-ai/sdxl", RunTime(5000, T + 1))
    assert controls.run_times() == {
        "stability-ai/sdxl": RunTime(5000, T + 1),
        "black-forest-labs/flux-1.1-pro": RunTime(900, T),
    }


def test_a_bucket_gives_its_burst_and_then_one_at_a_time(controls: Controls) -> None:
    now, interval, burst = 1_800_000_000_000_000, 500_000, 3
    assert [controls.take("acme", now, interval, burst) for _ in range(3)] == [0, 0, 0]
    assert controls.take("acme", now, interval, burst) == interval
    assert controls.take("acme", now + 200_000, interval, burst) == 300_000
    assert controls.take("acme", now + interval, interval, burst) == 0
    assert controls.take("acme", now + interval, interval, burst) == interval
    assert controls.take("other", now, interval, burst) == 0
    later = now + 10**9
    assert [controls.take("acme", later, interval, burst) for _ in range(4)] == [0, 0, 0, interval]


def test_a_bucket_of_one(controls: Controls) -> None:
    now = 1_800_000_000_000_000
    assert [controls.take("acme", now, 1000, 1) for _ in range(2)] == [0, 1000]
    assert controls.take("acme", now + 1000, 1000, 1) == 0


def test_a_bucket_goes_once_it_is_full_again(aws: Aws) -> None:
    """Never earlier: its TTL is not before the time for which it is reserved."""
    now, interval, burst = 1_800_000_000_000_000, 90_000_000, 3
    controls = DynamoControls(aws.dynamodb, "controls")
    for _ in range(burst + 1):
        controls.take("acme#a", now, interval, burst)
        key = to_item({"pk": "RATE#acme#a"})
        row = from_item(aws.dynamodb.get_item(TableName="controls", Key=key)["Item"])
        assert row["tat"] <= row["expires_at"] * 1_000_000 <= now + (burst + 1) * interval


def test_a_tenant_without_a_row_has_no_limits(controls: Controls) -> None:
    assert controls.limits("acme") == Limits()


def test_a_tenants_limits_are_read_from_its_row(aws: Aws) -> None:
    set_ = {"monthly_cap": 5_000_000, "in_flight": 3, "end_user_rate_interval_us": 1}
    row = {"pk": "TENANT#acme", "secret_version": 2, **set_}
    aws.dynamodb.put_item(TableName="controls", Item=to_item(row))
    read = DynamoControls(aws.dynamodb, "controls").limits("acme")
    assert read == Limits(monthly_cap=5_000_000, in_flight=3, end_user_rate_interval_us=1)


def test_the_latest_result_is_noted(controls: Controls) -> None:
    at = T // 1000 + 60
    assert controls.cached_result("a" * 64) is None
    controls.cache_result("a" * 64, "one", at)
    controls.cache_result("b" * 64, "two", at)
    controls.cache_result("a" * 64, "three", at)
    assert controls.cached_result("a" * 64) == "three"
    assert controls.cached_result("b" * 64) == "two"


def test_a_result_past_its_time_is_not_found(aws: Aws) -> None:
    controls = DynamoControls(aws.dynamodb, "controls")
    controls.cache_result("a" * 64, "one", int(time.time()) - 1)
    assert controls.cached_result("a" * 64) is None
    item = aws.dynamodb.get_item(TableName="controls", Key={"pk": {"S": f"CACHE#{'a' * 64}"}})
    assert "expires_at" in item["Item"]


def test_an_unknown_key(controls: Controls) -> None:
    assert controls.api_key("KEY#unknown") is None


@pytest.fixture
def real_controls(aws: Aws) -> Any:
    def put(**row: Any) -> DynamoControls:
        aws.dynamodb.put_item(TableName="controls", Item=to_item({"pk": "KEY#1", **row}))
        return DynamoControls(aws.dynamodb, "controls")

    return put


def test_a_key_has_its_tenant_and_scopes(real_controls: Any) -> None:
    controls = real_controls(tenant="acme", scopes=["submit", "read"], name="x", created_at=T)
    assert controls.api_key("KEY#1") == ApiKey("acme", frozenset({"submit", "read"}))
    controls = real_controls(tenant="acme", scopes=["read"], dedupe_window_s=60)
    assert controls.api_key("KEY#1") == ApiKey("acme", frozenset({"read"}), 60)


def test_a_key_without_scopes_may_do_nothing(real_controls: Any) -> None:
    assert real_controls(tenant="acme").api_key("KEY#1") == ApiKey("acme", frozenset())


@pytest.mark.parametrize(("seconds", "found"), [(-1, False), (60, True)])
def test_a_row_past_its_time_counts_as_absent(
    real_controls: Any, seconds: int, found: bool
) -> None:
    """DynamoDB deletes it within days, moto never."""
    at = int(time.time()) + seconds
    controls = real_controls(tenant="acme", scopes=["read"], expires_at=at)
    assert (controls.api_key("KEY#1") is not None) is found


def test_a_schema_too_large_for_an_item_is_not_kept(aws: Aws) -> None:
    controls = DynamoControls(aws.dynamodb, "controls")
    controls.cache_schema("a/b", "v1", {"x": "x" * 500_000})
    assert controls.cached_schema("a/b", "v1") is None


# Outputs


@pytest.mark.parametrize("size", [10, PART + 1], ids=["small", "in parts"])
def test_a_copy_is_the_object_itself_and_outlives_it(
    outputs: OutputStore, aws: Aws, size: int
) -> None:
    data = b"x" * size
    outputs.write_once("a/1/0.png", "image/png", pieces(data))
    for _ in range(2):
        assert outputs.copy("a/1/0.png", "a/2/0.png") == hashed(data).sha256
    if isinstance(outputs, S3Outputs):
        aws.s3.delete_object(Bucket="outputs", Key="a/1/0.png")
        head = aws.s3.head_object(Bucket="outputs", Key="a/2/0.png")
        assert (head["ContentType"], head["ContentDisposition"]) == ("image/png", "attachment")
    # A copy is never overwritten either: the stored object has its own bytes.
    assert outputs.write_once("a/2/0.png", "image/gif", pieces(b"other")) == hashed(
        data, earlier=True
    )


def test_a_store_that_tells_no_hash_of_a_copy(aws: Aws) -> None:
    with Stubber(aws.s3) as stub:
        stub.add_response("copy_object", {"CopyObjectResult": {"ETag": "e"}})
        assert S3Outputs(aws.s3, "outputs").copy("a", "b") is None


def test_an_object_is_read_whole_up_to_a_size(outputs: OutputStore) -> None:
    outputs.write_once("a/1/0.png", "image/png", pieces(b"12345"))
    assert outputs.whole("a/1/0.png", 5) == b"12345"
    assert outputs.whole("a/1/0.png", 4) is None
    assert outputs.whole("a/1/1.png", 5) is None


def test_what_is_gone_cannot_be_copied(outputs: OutputStore) -> None:
    with pytest.raises((ClientError, KeyError)):
        outputs.copy("a/1/0.png", "a/2/0.png")


def hashed(data: bytes, *, earlier: bool = False) -> StoredObject:
    return StoredObject(len(data), hashlib.sha256(data).hexdigest(), earlier)


def pieces(data: bytes, size: int = 256 * 1024) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


PATTERN = bytes(range(256)) * 1024
SIZES = [0, 1, 256 * 1024 + 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7]


@pytest.mark.parametrize("size", SIZES)
def test_an_output_is_written_whole(outputs: OutputStore, aws: Aws, size: int) -> None:
    data = (PATTERN * (size // len(PATTERN) + 1))[:size]
    assert outputs.write_once("a/b.png", "image/png", pieces(data)) == hashed(data)
    if isinstance(outputs, S3Outputs):
        assert stored(aws) == {"a/b.png": data}


@pytest.mark.parametrize("second", [b"other", b"x" * (PART + 1)], ids=["small", "multipart"])
@pytest.mark.parametrize("first", [b"first", b"y" * (PART + 1)], ids=["small", "multipart"])
def test_a_second_write_returns_what_the_first_has_stored(
    outputs: OutputStore, aws: Aws, first: bytes, second: bytes
) -> None:
    outputs.write_once("k", "image/png", pieces(first))
    assert outputs.write_once("k", "image/gif", pieces(second)) == hashed(first, earlier=True)
    if isinstance(outputs, S3Outputs):
        assert stored(aws) == {"k": first}
        assert no_upload_is_left(aws)


@pytest.mark.parametrize("before", [0, 1000, PART - 1, PART, 3 * PART])
def test_what_the_source_raises_passes_and_nothing_is_visible(
    outputs: OutputStore, aws: Aws, before: int
) -> None:
    def source() -> Iterator[bytes]:
        yield from pieces(b"x" * before)
        raise TransferFailedError("broke off")

    with pytest.raises(TransferFailedError, match="broke off"):
        outputs.write_once("k", "image/png", source())
    assert stored(aws) == {}
    assert no_upload_is_left(aws)
    assert outputs.write_once("k", "image/png", pieces(b"again")) == hashed(b"again")


@pytest.mark.parametrize("size", SIZES)
def test_what_may_be_there_already_is_replaced_whole(
    outputs: OutputStore, aws: Aws, size: int
) -> None:
    data = (PATTERN * (size // len(PATTERN) + 1))[:size]
    for written in (b"first", data):
        outputs.write("k", "application/json", pieces(written))
        assert b"".join(outputs.get("k")) == written
    if isinstance(outputs, S3Outputs):
        assert aws.s3.head_object(Bucket="outputs", Key="k")["ContentType"] == "application/json"

    def broken() -> Iterator[bytes]:
        yield from pieces(b"x" * (PART + 1))
        raise TransferFailedError("broke off")

    with pytest.raises(TransferFailedError, match="broke off"):
        outputs.write("k", "application/json", broken())
    assert b"".join(outputs.get("k")) == data
    assert no_upload_is_left(aws)


@pytest.mark.parametrize("size", [0, 10, PART + 10])
def test_what_is_stored_can_be_found_and_read(outputs: OutputStore, size: int) -> None:
    assert outputs.keys("acme/") == []
    data = (PATTERN * (size // len(PATTERN) + 1))[:size]
    for key in ("acme/2/1.png", "acme/1/10.png", "acme/1/2.png", "acmes/1/1.png"):
        written = outputs.write_once(key, "image/png", pieces(data))
        assert not written.earlier
    assert outputs.keys("acme/1/") == ["acme/1/10.png", "acme/1/2.png"]
    assert b"".join(outputs.get("acme/1/2.png")) == data
    assert outputs.write_once("acme/1/2.png", "image/png", pieces(b"other")).earlier
    with pytest.raises((ClientError, KeyError)):
        list(outputs.get("acme/1/3.png"))


def stored(aws: Aws) -> dict[str, bytes]:
    found = aws.s3.list_objects_v2(Bucket="outputs").get("Contents", [])
    return {
        each["Key"]: aws.s3.get_object(Bucket="outputs", Key=each["Key"])["Body"].read()
        for each in found
    }


def no_upload_is_left(aws: Aws) -> bool:
    return "Uploads" not in aws.s3.list_multipart_uploads(Bucket="outputs")


@pytest.mark.parametrize("size", [10, PART + 10])
def test_an_output_is_served_as_a_download_of_its_sniffed_type(aws: Aws, size: int) -> None:
    S3Outputs(aws.s3, "outputs").write_once("k", "image/webp", pieces(b"x" * size))
    head = aws.s3.head_object(Bucket="outputs", Key="k")
    assert (head["ContentType"], head["ContentDisposition"]) == ("image/webp", "attachment")


def test_a_large_output_passes_through_in_constant_memory() -> None:
    """Only the adapter's memory counts, so the parts go to a client that drops them."""

    class Forgetful:
        def create_multipart_upload(self, **_: Any) -> dict[str, Any]:
            return {"UploadId": "u"}

        def upload_part(self, **_: Any) -> dict[str, Any]:
            return {"ETag": "e"}

        def complete_multipart_upload(self, **_: Any) -> None:
            pass

    chunk = b"x" * (256 * 1024)
    tracemalloc.start()
    done = S3Outputs(Forgetful(), "outputs").write_once("k", "x", (chunk for _ in range(512)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.bytes == 128 * 1024 * 1024
    assert peak < 4 * PART


def test_an_outage_while_writing_is_raised(aws: Aws) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        S3Outputs(aws.s3, "missing").write_once("k", "image/png", pieces(b"x"))


# Uploads


def test_an_upload_is_described_and_deleted(uploads: UploadStore) -> None:
    assert uploads.head("acme/files/1") is None
    uploads.put("acme/files/1", "image/png", b"data", {"name": "a b.png", "sha256": "0" * 64})
    head = uploads.head("acme/files/1")
    assert head is not None
    assert (head["content_type"], head["bytes"]) == ("image/png", 4)
    assert head["metadata"] == {"name": "a b.png", "sha256": "0" * 64}
    assert head["created_at"] > 1_600_000_000_000
    assert head["etag"] == hashlib.md5(b"data", usedforsecurity=False).hexdigest()
    uploads.delete("acme/files/1")
    uploads.delete("acme/files/1")
    assert uploads.head("acme/files/1") is None


@pytest.mark.parametrize("size", [0, 1, 4096, 5000])
def test_an_upload_is_described_with_how_it_begins(uploads: UploadStore, size: int) -> None:
    assert uploads.begin("acme/files/1") is None
    data = bytes(range(250)) * 20
    uploads.put("acme/files/1", "image/png", data[:size], {"name": "a"})
    head = uploads.head("acme/files/1")
    assert head is not None
    assert uploads.begin("acme/files/1") == {**head, "start": data[:size][:4096]}


def test_an_upload_is_copied_with_all_that_is_known_of_it(uploads: UploadStore) -> None:
    assert not uploads.copy("acme/files/1", "acme/inputs/1/0.png")
    assert uploads.head("acme/inputs/1/0.png") is None
    uploads.put("acme/files/1", "image/png", b"data", {"name": "a"})
    assert uploads.copy("acme/files/1", "acme/inputs/1/0.png")
    source = uploads.begin("acme/files/1")
    uploads.delete("acme/files/1")
    copy = uploads.begin("acme/inputs/1/0.png")
    assert source
    assert copy
    assert {**copy, "created_at": 0} == {**source, "created_at": 0}


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ("get_object", lambda uploads: uploads.begin("k")),
        ("copy_object", lambda uploads: uploads.copy("k", "l")),
        ("head_object", lambda uploads: uploads.head("k")),
    ],
)
def test_an_outage_while_an_upload_is_read_is_raised(
    aws: Aws, call: str, read: Callable[[UploadStore], object]
) -> None:
    with Stubber(aws.s3) as s3:
        s3.add_client_error(call, http_status_code=503)
        with pytest.raises(ClientError):
            read(S3Uploads(aws.s3, "uploads"))


def test_metadata_beyond_ascii_is_an_error(uploads: UploadStore) -> None:
    with pytest.raises((ParamValidationError, ValueError)):
        uploads.put("acme/files/1", "image/png", b"data", {"name": "käse.png"})


def test_an_upload_is_served_as_an_attachment(aws: Aws) -> None:
    """With a form its type is the client's statement, so no browser may show it as a page."""
    S3Uploads(aws.s3, "uploads").put("acme/files/1", "image/png", b"data", {})
    head = aws.s3.head_object(Bucket="uploads", Key="acme/files/1")
    assert head["ContentDisposition"] == "attachment"
    form = S3Forms(aws.s3, "uploads").form("acme/files/2", "image/png", {}, 100, 60)
    assert form.fields["Content-Disposition"] == "attachment"
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert {"Content-Disposition": "attachment"} in policy["conditions"]


def test_keys_are_listed_in_order_from_where_one_left_off(uploads: UploadStore) -> None:
    for key in ("acme/files/3", "acme/files/1", "acme/files/2", "acme/inputs/1", "acmes/files/1"):
        uploads.put(key, "image/png", b"data", {})
    assert uploads.keys("acme/files/", "acme/files/", 9) == [
        "acme/files/1",
        "acme/files/2",
        "acme/files/3",
    ]
    assert uploads.keys("acme/files/", "acme/files/1", 1) == ["acme/files/2"]
    assert uploads.keys("acme/files/", "acme/files/3", 9) == []


# URLs


def test_urls_are_signed_for_one_object_and_an_hour(aws: Aws) -> None:
    from darkroom.aws.clients import client

    client.cache_clear()
    signer = S3Signer(client("s3"), "outputs", "uploads")
    output = signer.output_url("acme/2027/01/x/0.png")
    assert "X-Amz-Expires=3600&" in output
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in output
    assert "outputs" in output.partition("?")[0]
    assert output.partition("?")[0].endswith("/acme/2027/01/x/0.png")
    assert "uploads" in signer.upload_url("k").partition("?")[0]
    client.cache_clear()


MADE = "acme/2027/01/0123456789abcdefghijklmnop/0.png"


def test_f18_an_output_is_signed_for_the_provider_as_an_input(aws: Aws) -> None:
    from darkroom.aws.clients import client

    client.cache_clear()
    signer = S3Signer(client("s3"), "outputs", "uploads")
    url = signer.upload_url(MADE)
    assert url.partition("?")[0] == signer.output_url(MADE).partition("?")[0]
    assert "X-Amz-Expires=7200&" in url
    client.cache_clear()


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (f"https://outputs.s3.amazonaws.com/{MADE}?X-Amz-Signature=1", True),
        (f"https://outputs.s3.eu-central-1.amazonaws.com/{MADE}", True),
        (f"https://outputs.s3-eu-west-1.amazonaws.com/{MADE}", True),
        (f"HTTPS://Outputs.S3.dualstack.eu-central-1.AmazonAWS.com:443/{MADE}", True),
        (f"https://outputs.s3.cn-north-1.amazonaws.com.cn/{MADE}", True),
        (f"https://s3.eu-central-1.amazonaws.com/outputs/{MADE}?X-Amz-Signature=1", True),
        (f"https://s3.amazonaws.com/outputs/{MADE}", True),
        (f"http://outputs.s3.amazonaws.com/{MADE}", False),
        (f"https://uploads.s3.amazonaws.com/{MADE}", False),
        (f"https://s3.amazonaws.com/uploads/{MADE}", False),
        (f"https://outputs.s3.amazonaws.com.evil.test/{MADE}", False),
        (f"https://outputs.s3.evil.test/{MADE}", False),
        (f"https://outputs.s3.amazonaws.com/x/{MADE}", False),
        ("https://outputs.s3.amazonaws.com/acme/inputs/1/0.png", False),
        (f"ftp://outputs.s3.amazonaws.com/{MADE}", False),
    ],
)
def test_f18_an_output_is_known_at_each_of_its_buckets_addresses(
    aws: Aws,
    url: str,
    ours: bool,
) -> None:
    from darkroom.aws.clients import client

    client.cache_clear()
    signer = S3Signer(client("s3"), "outputs", "uploads")
    assert signer.output_key(url) == (MADE if ours else None)
    client.cache_clear()


def test_f18_an_output_is_known_where_urls_are_made_for_another_host(aws: Aws) -> None:
    from darkroom.aws.clients import client

    signer = S3Signer(client("s3", "http://127.0.0.1:9"), "outputs", "uploads")
    assert signer.output_key(signer.output_url(MADE)) == MADE
    assert signer.output_key(signer.output_url(MADE).replace(":9", ":8")) is None
    client.cache_clear()


def test_f18_an_output_is_told_by_its_hash(outputs: OutputStore) -> None:
    assert outputs.digest("k") is None
    outputs.write_once("k", "image/png", pieces(b"data"))
    assert outputs.digest("k") == hashlib.sha256(b"data").hexdigest()


def test_f18_a_large_output_is_told_by_what_s3_has(aws: Aws) -> None:
    store = S3Outputs(aws.s3, "outputs")
    store.write_once("k", "image/png", pieces(bytes(PART + 4)))
    digest = store.digest("k")
    assert digest
    assert digest.endswith("-2")


def test_urls_may_be_made_for_another_host(aws: Aws) -> None:
    from darkroom.aws.clients import client

    signer = S3Signer(client("s3", "http://127.0.0.1:9"), "outputs", "uploads")
    assert signer.output_url("k").startswith("http://127.0.0.1:9/outputs/k?")
    client.cache_clear()


# Queues and the bus


def test_a_message_arrives_as_it_was_sent(aws: Aws, queue: tuple[SqsQueue, str]) -> None:
    sender, url = queue
    sender.send({"id": "1", "text": "ü\0"})
    (message,) = aws.sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"]) == {"id": "1", "text": "ü\0"}
    # SQS rejects NUL in a body, moto does not.
    assert "\0" not in message["Body"]


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (7, 7), (900, 900), (100_000, 900)])
def test_a_delay_is_cut_to_what_sqs_can(asked: int, given: int) -> None:
    sqs = boto3.client("sqs")
    with Stubber(sqs) as stub:
        expected = {"QueueUrl": "https://q", "MessageBody": ANY, "DelaySeconds": given}
        stub.add_response("send_message", {}, expected)
        SqsQueue(sqs, "https://q").send({"id": "1"}, asked)
        stub.assert_no_pending_responses()
    fake = FakeQueue()
    fake.send({"id": "1"}, asked)
    assert fake.messages == [({"id": "1"}, given)]


def test_an_event_is_put_on_the_bus_in_darkrooms_name(aws: Aws, bus: EventBridgeBus) -> None:
    url = aws.sqs.create_queue(QueueName="target")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    aws.events.put_rule(Name="r", EventBusName="bus", EventPattern='{"source": ["darkroom"]}')
    target = {"Id": "t", "Arn": arn["Attributes"]["QueueArn"]}
    aws.events.put_targets(Rule="r", EventBusName="bus", Targets=[target])
    detail = {"event_id": "x:succeeded", "error": "ü", "n": 1.5, "none": None}
    bus.publish("Prediction Succeeded", detail)
    (message,) = aws.sqs.receive_message(QueueUrl=url)["Messages"]
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["detail"]) == ("Prediction Succeeded", detail)
    fake = FakeBus()
    fake.publish("Prediction Succeeded", detail)
    assert fake.events == [("Prediction Succeeded", detail)]


def test_an_event_that_was_answered_but_not_taken_is_an_error() -> None:
    events = boto3.client("events")
    with Stubber(events) as stub:
        refusal = {
            "FailedEntryCount": 1,
            "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}],
        }
        stub.add_response("put_events", refusal, {"Entries": ANY})
        with pytest.raises(EventNotTakenError, match="ThrottlingException"):
            EventBridgeBus(events, "bus").publish("x", {})


# Forms


def test_a_form_is_signed_for_one_key_one_type_and_a_size(aws: Aws) -> None:
    from darkroom.aws.clients import client

    client.cache_clear()
    made = S3Forms(client("s3"), "uploads").form(
        "acme/files/1", "image/png", {"name": "a b.png"}, most=100, seconds=60
    )
    fields = made.fields
    policy = json.loads(base64.b64decode(fields["policy"]))
    expires = datetime.fromisoformat(policy["expiration"]).timestamp()
    assert 50 < expires - time.time() <= 60
    for condition in (
        {"bucket": "uploads"},
        {"key": "acme/files/1"},
        {"Content-Type": "image/png"},
        {"x-amz-meta-name": "a b.png"},
        ["content-length-range", 1, 100],
    ):
        assert condition in policy["conditions"]
    # S3 rejects a form with a field without a condition.
    named = {name for c in policy["conditions"] if isinstance(c, dict) for name in c}
    assert set(fields) - named == {"policy", "x-amz-signature"}
    assert made.url == "https://uploads.s3.eu-west-1.amazonaws.com/"
