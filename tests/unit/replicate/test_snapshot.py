"""Snapshots: the provider's values are cut to the limits of a record, or rejected."""

from __future__ import annotations

from typing import Any

import pytest
from darkroom.aws.items import prediction_item, read_prediction
from darkroom.domain import strict_json
from darkroom.domain.snapshot import ShownInput
from darkroom.domain.times import milliseconds, rfc3339
from darkroom.replicate.snapshot import DEEPEST_KEPT, BadSnapshotError, read_snapshot

from tests.support.records import accepted

BODY: dict[str, Any] = {
    "id": "gm3qorzdhgbfurvjtvhg6dckhu",
    "model": "owner/name",
    "version": "5c7d5dc6",
    "input": {"b": 1, "a": "x"},
    "logs": "0%\n100%",
    "output": ["https://replicate.delivery/x/0.png"],
    "error": None,
    "status": "succeeded",
    "created_at": "2023-09-08T16:19:34.765994Z",
    "data_removed": False,
    "started_at": "2023-09-08T16:19:34.779176Z",
    "completed_at": "2023-09-08T16:19:34.791859Z",
    "metrics": {"predict_time": 0.012683},
    "urls": {"stream": "https://stream.replicate.com/v1/x", "get": "https://x.test"},
    "webhook": "https://darkroom.test/hooks",
}


def test_a_whole_prediction_is_read() -> None:
    said = read_snapshot(BODY)
    assert said.provider_id == BODY["id"]
    assert (said.status, said.final) == ("succeeded", True)
    assert said.output == ["https://replicate.delivery/x/0.png"]
    assert (said.logs, said.log_size) == ("0%\n100%", 7)
    assert said.metrics == {"predict_time": 0.012683}
    assert said.created_at == 1_694_189_974_765
    assert said.started_at == BODY["started_at"]
    assert said.completed_at == BODY["completed_at"]
    assert said.stream_url == "https://stream.replicate.com/v1/x"
    assert said.webhook == BODY["webhook"]
    assert (said.version, said.model) == ("5c7d5dc6", "owner/name")
    assert said.input == ShownInput(strict_json.digest({"a": "x", "b": 1}), {"a": "x"})
    assert not said.data_removed


def test_little_is_enough() -> None:
    said = read_snapshot({"id": "x", "status": "starting"})
    assert not said.final
    assert (said.output, said.error, said.logs, said.metrics) == (None, None, "", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "not an object"),
        ([], "not an object"),
        ({}, "id"),
        ({**BODY, "id": 7}, "id"),
        ({**BODY, "id": ""}, "id"),
        ({**BODY, "id": "x/../y"}, "id"),
        ({**BODY, "id": "x" * 65}, "id"),
        ({**BODY, "status": ""}, "status"),
        ({**BODY, "status": ["succeeded"]}, "status"),
        ({**BODY, "status": None}, "status"),
    ],
)
def test_what_is_no_prediction_is_refused_by_the_fields_name(body: object, field: str) -> None:
    with pytest.raises(BadSnapshotError) as refused:
        read_snapshot(body)
    assert str(refused.value) == field


@pytest.mark.parametrize(
    "odd",
    [
        {"logs": None, "metrics": [], "urls": [], "input": "text", "created_at": 5},
        {"logs": 3, "metrics": None, "urls": None, "input": None, "started_at": "soon"},
        {"urls": {"stream": "ftp://x"}, "completed_at": ""},
        {"urls": {"stream": "https://" + "x" * 2000}},
        {"metrics": {"n": "x" * 4000}},
    ],
)
def test_odd_fields_are_left_out(odd: dict[str, Any]) -> None:
    said = read_snapshot({"id": "x", "status": "starting", **odd})
    assert said == read_snapshot({"id": "x", "status": "starting"})


def test_the_logs_tail_is_kept_in_bytes() -> None:
    said = read_snapshot({"id": "x", "status": "starting", "logs": "é" * 40_000 + "end"})
    assert said.log_size == 40_003
    assert len(said.logs.encode()) <= 32_000
    assert said.logs.endswith("éend")
    assert "\ufffd" not in said.logs


@pytest.mark.parametrize(
    ("output", "kept"),
    [("x" * 63_998, True), ("x" * 63_999, False), ("é" * 31_999, True), ("é" * 32_000, False)],
)
def test_an_output_is_kept_whole_or_refused(output: str, kept: bool) -> None:
    said = read_snapshot({**BODY, "output": output})
    assert (said.output is not None, said.output_refused) == (kept, not kept)


@pytest.mark.parametrize("levels", [DEEPEST_KEPT, DEEPEST_KEPT + 1])
def test_a_deep_output_is_kept_as_far_as_every_later_step_takes_it(levels: int) -> None:
    url = "https://replicate.delivery/x/0.png"
    deep: Any = 0
    for _ in range(levels - 1):
        deep = [deep]
    said = read_snapshot({**BODY, "output": {"z": deep, "a": url}})
    kept = {"a": url, "z": deep} if levels <= DEEPEST_KEPT else {"a": url}
    assert said.output == kept
    record = accepted(output=said.output)
    assert read_prediction(prediction_item(record)) == record


def test_keys_are_in_order_as_in_a_record_that_was_stored() -> None:
    said = read_snapshot({**BODY, "output": {"b": [{"d": 1, "c": -0.0}], "a": 2}})
    assert repr(said.output) == "{'a': 2, 'b': [{'c': -0.0, 'd': 1}]}"


def test_a_token_of_ours_is_masked_wherever_it_stands() -> None:
    url = "https://darkroom.test/hooks/replicate/x?t=SECRET-token_1"
    said = read_snapshot({**BODY, "output": {url: [url]}, "metrics": {"line": f"a\n{url}"}})
    assert "SECRET" not in repr(said)
    masked = url.replace("SECRET-token_1", "***")
    assert (said.output, said.metrics) == ({masked: [masked]}, {"line": f"a\n{masked}"})


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {"a": float("inf")}])
def test_what_json_cannot_say_is_refused_or_left_out(value: object) -> None:
    said = read_snapshot({**BODY, "output": value, "metrics": {"n": value}, "input": {"n": value}})
    assert said.output_refused
    assert said.metrics is None
    assert said.input is not None
    assert said.input.digest is None


def test_text_that_utf8_cannot_write_is_made_writable() -> None:
    odd = {"logs": "a\ud800", "error": "b\udfff", "urls": {"stream": "https://x/\ud800"}}
    said = read_snapshot({**BODY, **odd})
    assert (said.logs, said.error, said.stream_url) == ("a?", "b?", "https://x/?")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("boom", "boom"),
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        (float("nan"), "unreadable"),
        ("é" * 4000, "é" * 2000),
    ],
)
def test_an_error_is_text_of_at_most_four_kilobytes(error: object, kept: str) -> None:
    assert read_snapshot({**BODY, "status": "failed", "error": error}).error == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01T00:00:01.123456789Z", 1123),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00+0000", 0),
        ("1969-12-31T23:59:59Z", -1000),
        (None, None),
        ("", None),
        ("1970-01-01T00:00:00", None),
        ("1970-02-30T00:00:00Z", None),
        ("1970-01-01T00:00:00.Z", None),
        ("१९७०-01-01T00:00:00Z", None),
    ],
)
def test_times_are_read_leniently(text: str | None, expected: int | None) -> None:
    assert milliseconds(text) == expected


def test_times_are_written_as_replicate_writes_them() -> None:
    assert rfc3339(1_800_000_000_007) == "2027-01-15T08:00:00.007Z"
    assert milliseconds(rfc3339(1_800_000_000_007)) == 1_800_000_000_007


@pytest.mark.parametrize("wide", ["x" * 70_000, [0.123456789] * 10_000, {"a": ["y" * 70_000]}])
def test_f12_the_urls_of_a_large_output_are_kept_without_what_stands_beside_them(wide: Any) -> None:
    url = "https://replicate.delivery/a/0.png"
    said = read_snapshot(
        {**BODY, "output": {"image": url, "wide": wide, "list": [1, {"b": url}, "text"]}}
    )
    assert said.output == {"image": url, "list": [{"b": url}]}
    assert not said.output_refused


@pytest.mark.parametrize(
    "output", ["x" * 70_000, ["data:,x" * 20_000], {"a": 7, "b": [0] * 40_000}]
)
def test_a_large_output_without_a_url_is_not_kept(output: Any) -> None:
    said = read_snapshot({**BODY, "output": output})
    assert (said.output, said.output_refused) == (None, True)


def test_an_output_of_too_many_urls_is_not_kept() -> None:
    assert read_snapshot(
        {**BODY, "output": ["https://replicate.delivery/a/0.png"] * 4000}
    ).output_refused
