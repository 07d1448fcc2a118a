"""A record is the same after DynamoDB and after the stream, in any stored form."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import pytest
from darkroom.aws.items import prediction_item, read_prediction
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.prediction import File, Prediction, State
from darkroom.domain.strict_json import canonical
from hypothesis import given
from hypothesis import strategies as st

from tests.support import events
from tests.support.records import accepted

_NAMES = [*(f.name for f in fields(Prediction) if f.name != "id"), "newer_code", "relay"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.just(10**400),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
DIGEST = st.one_of(st.binary(max_size=40).map(bytes.hex), TEXT)
LOGS = "".join(f"{n:3}%|{'#' * (n // 4)}| {n}/100 [00:00<00:00, 12.3it/s]\n" for n in range(101))


@st.composite
def records(draw: st.DrawFn) -> Prediction:
    file = File("acme/2026/11/x/0.png", draw(DIGEST), draw(st.integers(0, 10**9)), "image/png")
    return replace(
        accepted(),
        input=draw(st.dictionaries(TEXT, VALUES, max_size=3)),
        logs=draw(TEXT),
        output=draw(VALUES),
        metrics=draw(st.none() | st.dictionaries(TEXT, VALUES, max_size=3)),
        fingerprint=draw(DIGEST),
        cache_key=draw(st.none() | DIGEST),
        files=(file,) * draw(st.integers(0, 3)),
        state=draw(st.sampled_from(State)),
        webhook_events=tuple(draw(st.lists(st.sampled_from(["start", "completed"])))),
    )


@given(st.dictionaries(TEXT, VALUES, max_size=5), VALUES)
def test_a_value_is_the_same_text_whoever_reads_and_writes_it(given_: Any, output: Any) -> None:
    """Two releases share a table: the bytes of a record do not depend on how often it is written.
    Equal numbers of two kinds stay apart, and so do 0.0 and -0.0."""
    item = prediction_item(replace(accepted(), input=given_, output=output))
    assert prediction_item(read_prediction(item)) == item
    for name, value in (("input", given_), ("output", output)):
        text = "" if value is None else canonical(value)
        held = item.get(name, {"S": ""})
        assert (held["S"] if "S" in held else zlib.decompress(held["B"], -15).decode()) == text


@given(records())
def test_a_record_comes_back_as_it_was(record: Prediction) -> None:
    assert read_prediction(prediction_item(record)) == record


@given(records())
def test_a_record_comes_back_from_the_stream_which_is_json(record: Prediction) -> None:
    (change,) = json.loads(json.dumps(events.stream((None, prediction_item(record)))))["Records"]
    assert read_prediction(change["dynamodb"]["NewImage"]) == record


SCALARS = st.one_of(
    st.fixed_dictionaries({"S": TEXT}),
    st.fixed_dictionaries({"N": st.integers().map(str) | st.floats(allow_nan=False).map(str)}),
    st.fixed_dictionaries({"B": st.binary(max_size=40)}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.fixed_dictionaries({"SS": st.lists(TEXT, min_size=1)}),
    st.just({"NULL": True}),
)
TYPED = st.recursive(
    SCALARS,
    lambda typed: st.one_of(
        st.fixed_dictionaries({"L": st.lists(typed, max_size=3)}),
        st.fixed_dictionaries(
            {"M": st.dictionaries(st.sampled_from(["state", "key", "x"]), typed, max_size=3)}
        ),
    ),
    max_leaves=5,
)


@given(records(), st.dictionaries(st.sampled_from(_NAMES), TYPED | st.none(), max_size=3))
def test_whatever_is_stored_is_a_record_or_one_that_cannot_be_read(
    record: Prediction, damage: dict[str, Any]
) -> None:
    item = {**prediction_item(record), **damage}
    item = {name: typed for name, typed in item.items() if typed is not None}
    with suppress(UnreadableRecordError):
        prediction_item(read_prediction(item))


@pytest.mark.parametrize(
    ("name", "value", "most"),
    [
        ("logs", LOGS, len(LOGS) // 8),
        ("input", {"prompt": "a corgi in the snow " * 20}, 60),
        ("fingerprint", "0f" * 16, 16),
        ("cache_key", "a0" * 16, 16),
    ],
)
def test_what_can_be_kept_shorter_is(name: str, value: Any, most: int) -> None:
    changed: dict[str, Any] = {name: value}
    kept = prediction_item(replace(accepted(), **changed))[name]
    assert len(kept["B"]) <= most


@pytest.mark.parametrize("text", ["{}", '{"seed":1}', '{"é":-0.0}'])
def test_what_would_be_longer_is_kept_as_it_is(text: str) -> None:
    assert prediction_item(replace(accepted(), input=json.loads(text)))["input"] == {"S": text}
    assert prediction_item(replace(accepted(), logs="é"))["logs"] == {"S": "é"}


def test_records_from_before_texts_were_deflated_are_read() -> None:
    record = replace(accepted(), logs=LOGS, fingerprint="0f" * 16)
    item = prediction_item(record)
    item |= {"logs": {"S": LOGS}, "fingerprint": {"S": "0f" * 16}}
    assert read_prediction(item) == record
