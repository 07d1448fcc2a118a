"""Attacks on the API: ids, limits, keys, logs, and messages injected into our queues.

Case numbers are those of tests/cases.py; test_submit.py, test_read.py and others have more.
"""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.aws.items import read_prediction
from darkroom.domain import keys
from darkroom.domain.money import Limits
from darkroom.ports import ApiKey

from tests.support import events
from tests.support.app import ACME, GOOD, OTHER, READER, SDXL, is_problem, with_input
from tests.support.storing import storing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.app import App


@pytest.fixture
def unchanged(app: App) -> Iterator[None]:
    """Assert that the test writes, queues, sends and creates nothing."""
    before = app.kept()
    yield
    assert app.kept() == before


# Submit


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(with_input(prompt=""), 422, id="A14-empty"),
        pytest.param(with_input(prompt=" \t\n"), 422, id="A14-blank"),
        pytest.param(with_input(prompt="x" * 1_000_000), 413, id="A14-a-megabyte"),
        pytest.param(with_input(more=["x" * 1000] * 300), 413, id="A15-300-kB-in-another-field"),
        pytest.param(with_input(more="ä" * 140_000), 413, id="A15-bytes-and-not-characters"),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_refused_without_a_trace(app: App, body: Any, status: int) -> None:
    assert is_problem(app.submit(body), status)


@pytest.mark.parametrize("part", ["[],", '{"":0},', "1,", "12345678,", '"ab",', "[[[],"])
@pytest.mark.usefixtures("unchanged")
def test_a15_structure_beyond_any_input_is_refused_unread(app: App, part: str) -> None:
    """The parser would need up to thirty times its size; invalid JSON would be found only
    afterwards."""
    body = f'{{"version":"{SDXL}","input":{{"prompt":"x","more":[{part * (6_000_000 // len(part))}'
    headers = {"authorization": f"Bearer {ACME}", "content-type": "application/json"}
    for function, path in (("submit", "/v1/predictions"), ("files", "/v1/uploads")):
        event = events.http("POST", path, body, headers)
        tracemalloc.start()
        answer = app.http(function, event)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert is_problem(answer, 413)
        assert peak < 2 * len(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(f"[{'[0],' * 200_000}0]", id="not even an object"),
        pytest.param(
            f'{{"version":"{SDXL}","input":{{}},"x":[{"[0]," * 200_000}0]}}', id="unknown"
        ),
        pytest.param(
            f'{{"version":"{SDXL}","input":{{"prompt":"x"}},"stream":[{"[0]," * 200_000}0]}}',
            id="in a field that is dropped",
        ),
        pytest.param(
            f'{{"version":"{SDXL}","input":{{"a":[{"[0]," * 200_000}'.encode(), id="base64"
        ),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a15_wherever_the_structure_is(app: App, body: str | bytes) -> None:
    assert is_problem(app.submit(body), 413)


@pytest.mark.usefixtures("unchanged")
def test_a15_many_keys_are_refused_unread(app: App) -> None:
    keys_ = ",".join(f'"{number}":{{}}' for number in range(100_000))
    assert is_problem(app.submit(f'{{"version":"{SDXL}","input":{{{keys_}}}}}'), 413)


@pytest.mark.parametrize(
    "more",
    [
        pytest.param([[]] * 85_000, id="lists"),
        pytest.param({f"{number:x}": 0 for number in range(27_000)}, id="keys"),
        pytest.param("," * 255_000, id="a text of commas"),
        pytest.param("data:," + "[{,:" * 1_000_000, id="a picture of brackets"),
        pytest.param(["data:," + ",:" * 20_000] * 100, id="a hundred"),
    ],
)
def test_what_an_input_may_hold_is_not_taken_for_structure(app: App, more: Any) -> None:
    body = {"version": SDXL, "input": {"prompt": "x", "more": more}}
    assert app.submit(json.dumps(body, separators=(",", ":"))).status == 201


@pytest.mark.parametrize("inner", ['"data:,"', "0", f'"https://darkroom.test/v1/files/{"a" * 26}"'])
@pytest.mark.usefixtures("unchanged")
def test_a15_a_long_key_is_not_copied_for_each_leaf_below_it(app: App, inner: str) -> None:
    key, inners = "k" * 1_000_000, ",".join([inner] * 50)
    text = f'{{"version":"{SDXL}","input":{{"prompt":"x","{key}":[{inners}]}}}}'
    tracemalloc.start()
    answer = app.submit(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert is_problem(answer, 413)
    assert peak < 20_000_000


def test_a12_what_a_client_cannot_set_stays_ours(app: App) -> None:
    """Inside the input all names belong to the model."""
    mine = {
        "tenant": "other",
        "status": "succeeded",
        "id": "0" * 26,
        "webhook": "https://e.example",
    }
    made = app.submit(with_input(**mine))
    record = app.world.record(made.json["id"])
    assert (record.tenant, record.webhook) == ("acme", None)
    assert made.json["status"] == "starting"
    (create,) = app.world.provider.creates
    assert create["webhook"].startswith(f"https://darkroom.test/hooks/replicate/{record.id}?t=")


@pytest.mark.parametrize("levels", [33, 60])
def test_a18_a_deep_input_is_a_string_to_dynamodb(app: App, levels: int) -> None:
    deep: Any = "leaf"
    for _ in range(levels):
        deep = [deep]
    answer = app.submit(with_input(more=deep))
    assert answer.status == 201
    item = app.world.store.items[answer.json["id"]]
    assert read_prediction(item).input["more"] == deep
    assert depth(item) < 32


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0)


def test_a28_an_inputs_url_is_the_providers_to_fetch(app: App) -> None:
    url = "http://169.254.169.254/latest/meta-data/"
    answer = app.submit({"version": SDXL, "input": {"prompt": "x", "image": url}})
    assert answer.status == 201
    (create,) = app.world.provider.creates
    assert create["input_"]["image"] == url
    assert not app.world.fetcher.fetched


# Ids and pages


def test_a23_ids_tell_nothing_and_cannot_be_guessed(app: App) -> None:
    ids = []
    for _ in range(200):
        ids.append(app.submit().json["id"])
        app.world.clock.advance(1)
    assert len(set(ids)) == 200
    assert all(re.fullmatch(r"[0-9a-z]{26}", id_) for id_ in ids), "36 ** 26 is above 2 ** 134"
    # Each place takes many values from the start, so there is no time, counter or node at the
    # front.
    for place in range(1, 26):
        assert len({id_[place] for id_ in ids}) > 20
    assert sorted(ids) != ids
    near = [ids[0][:-1] + ("0" if ids[0][-1] != "0" else "1"), ids[0][::-1], "0" * 26]
    assert {app.get(f"/v1/predictions/{id_}", OTHER).status for id_ in [*ids, *near]} == {404}


@pytest.mark.parametrize(
    "limit", ["-1", "0", "101", "1000000000", "abc", "", " 1", "1.0", "1e2", "٣", "9" * 5000]
)
@pytest.mark.usefixtures("unchanged")
def test_a26_a_limit_that_is_none_is_refused(app: App, limit: str) -> None:
    answer = app.get("/v1/predictions", query={"limit": limit})
    assert is_problem(answer, 400)
    assert app.calls == {"FakeControls.api_key": 1}


def test_a26_a_limit_holds_for_all_pages(app: App) -> None:
    ids = []
    for _ in range(3):
        ids.append(app.submit().json["id"])
        app.world.clock.advance(1)
    first = app.get("/v1/predictions", query={"limit": "2"}).json
    assert [found["id"] for found in first["results"]] == ids[:0:-1]
    query = dict(re.findall(r"[?&](\w+)=([^&]+)", first["next"]))
    assert query["limit"] == "2"
    second = app.get("/v1/predictions", query=query).json
    assert [found["id"] for found in second["results"]] == ids[:1]


# Keys


def test_a63_a_key_is_looked_up_by_its_hash_and_kept_nowhere(app: App) -> None:
    token = keys.new_token()
    row = "KEY#" + hashlib.sha256(token.encode()).hexdigest()
    app.world.controls.keys[row] = ApiKey("acme", frozenset({"submit", "read"}))
    assert app.submit(token=token).status == 201
    assert token not in repr(app.kept())
    assert re.fullmatch(r"dk_[A-Za-z0-9_-]{43,}", token), "43 characters of base64 are 256 bits"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-api-key": ACME}, id="A64-another-header"),
        pytest.param({"cookie": f"authorization=Bearer {ACME}"}, id="A64-cookie"),
        pytest.param({"proxy-authorization": f"Bearer {ACME}"}, id="A64-proxy"),
        pytest.param({"authorization": "Bearer " + ACME[:-1]}, id="A64-short"),
        pytest.param({"authorization": f"Bearer {ACME}\r\nx: y"}, id="A64-line-break"),
        pytest.param({"authorization": "Bearer dk_\x00"}, id="A64-nul"),
        pytest.param({"authorization": "Bearer \ud800"}, id="A64-surrogate"),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_credentials_that_are_none(app: App, headers: dict[str, str]) -> None:
    assert is_problem(app.submit(GOOD, token=None, headers=headers), 401)
    event = events.http("GET", "/v1/predictions", None, headers)
    assert is_problem(app.http("read", event), 401)


def test_a64_a_token_in_the_query_is_no_credential(app: App) -> None:
    query = {"token": ACME, "access_token": ACME, "authorization": f"Bearer {ACME}"}
    assert is_problem(app.get("/v1/predictions", None, query=query), 401)


def test_a65_a_revoked_key_is_refused_by_the_next_request_everywhere(app: App) -> None:
    record = app.world.accept()
    path = f"/v1/predictions/{record.id}"
    assert app.get(path).status == 200
    del app.world.controls.keys[keys.key_id(ACME)]
    assert is_problem(app.get(path), 401)
    assert is_problem(app.submit(), 401)
    assert is_problem(app.cancel(record.id), 401)


def test_a61_a_revoked_key_is_given_no_new_url(app: App) -> None:
    record = storing(app.world)
    app.world.settle()
    path = f"/v1/predictions/{record.id}"
    assert "?signed" in app.get(path, READER).text
    del app.world.controls.keys[keys.key_id(READER)]
    assert "?signed" not in app.get(path, READER).text


def test_a66_what_one_path_allowed_another_asks_anew(app: App) -> None:
    record = app.world.accept()
    for _ in range(2):
        assert app.get(f"/v1/predictions/{record.id}", READER).status == 200
        assert is_problem(app.cancel(record.id, READER), 403)
        assert is_problem(app.submit(token=READER), 403)
        assert is_problem(app.get("/v1/webhooks/default/secret", READER), 403)
    assert app.world.provider.cancels == []


# Logs


FORGED = '{"level":"ERROR","message":"forged"}'
BREAKS = f"a\r\n{FORGED}\x1b[31m\u2028\u0085{FORGED}\n"


def test_a67_whatever_is_sent_one_event_is_one_log_record(app: App) -> None:
    app.submit(with_input(prompt=BREAKS))
    app.submit({**GOOD, "version": BREAKS})
    app.submit({**GOOD, BREAKS: 1})
    app.submit(GOOD, headers={"idempotency-key": BREAKS, "user-agent": BREAKS, BREAKS: BREAKS})
    app.get(f"/v1/predictions/{BREAKS}")
    app.http("read", events.http(BREAKS, f"/{BREAKS}", None))
    app.webhook(app.hook("0" * 26, BREAKS, {"webhook-id": BREAKS}))
    app.webhook(app.hook(BREAKS, BREAKS))
    app.call("persist", events.sqs(BREAKS, {"id": BREAKS}))
    app.call("dispatch", events.sqs({"action": BREAKS, "id": BREAKS}))
    lines = app.logs.getvalue().splitlines()
    assert len(lines) > 10
    records = [json.loads(line) for line in lines]
    assert all(isinstance(record, dict) for record in records)
    assert not [record for record in records if record.get("message") == "forged"]
    assert "\x1b" not in "".join(lines)


# Concurrent repetitions


def test_a69_at_once_by_one_key_there_is_one_prediction(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other request arrives after the first has read and before it has written."""
    insert = type(app.world.store).insert
    rivals = [lambda: app.submit(GOOD, headers={"idempotency-key": "k"})]
    won = []

    def late(self: Any, *args: Any, **more: Any) -> None:
        if rivals:
            won.append(rivals.pop()())
        insert(self, *args, **more)

    monkeypatch.setattr(type(app.world.store), "insert", late)
    second = app.submit(GOOD, headers={"idempotency-key": "k"})
    (first,) = won
    assert (first.status, second.status) == (201, 201)
    assert second.json["id"] == first.json["id"]
    assert second.json["status"] == "starting"
    assert len(app.world.store) == len(app.world.provider.creates) == 1


# Messages


@pytest.mark.parametrize("function", ["dispatch", "persist", "deliver"])
@pytest.mark.parametrize("id_", ["A" * 26, "../x", "KEY#x", "a\0b", "x" * 3000, ""])
def test_a72_a_message_with_an_id_of_another_form_touches_nothing(
    app: App, function: str, id_: str
) -> None:
    storing(app.world)
    before = app.kept()
    message = {"action": "create", "id": id_, "prediction": id_, "event": "completed"}
    app.call(function, events.sqs(message))
    assert app.kept() == before
    assert not app.world.fetcher.fetched


def test_a72_a_message_cannot_name_a_tenant_or_a_url(app: App) -> None:
    """Fields that are not in the record are ignored: a message only identifies the record."""
    record = storing(app.world)
    more = {"tenant": "other", "url": "https://evil.example/x", "output": "https://e.example/"}
    app.call("persist", events.sqs({"id": record.id, **more}))
    assert [url.split("/")[2] for url in app.world.fetcher.fetched] == ["replicate.delivery"]
    assert all(key.startswith("acme/") for key in app.world.outputs.objects)


# Budget


def test_a70_a_tenant_that_asks_too_often_is_told_when_to_come_again(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(rate_interval_us=2_000_000, rate_burst=2)
    assert [app.submit().status for _ in range(2)] == [201, 201]
    before = app.kept()
    answer = app.submit()
    assert is_problem(answer, 429)
    assert app.kept() == before
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 2
    assert answer.json["retry_after"] == wait
    assert app.submit(token=OTHER).status == 201, "the bucket is one tenant's"
    app.world.clock.advance(wait)
    assert app.submit().status == 201


def test_an_end_user_is_told_of_its_own_limits(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(
        end_user_monthly_cap=5000, end_user_rate_interval_us=60_000_000, end_user_rate_burst=3
    )
    ann = {**GOOD, "end_user": "ann"}
    assert app.submit(ann).status == 201
    waits = app.submit(ann)
    dear = app.submit({**ann, "input": {"prompt": "x", "num_outputs": 2}})
    fast = app.submit(ann)
    assert is_problem(waits, 429)
    assert is_problem(fast, 429)
    assert is_problem(dear, 402)
    assert (waits.json["retry_after"], fast.json["retry_after"]) == (2, 60)
    assert fast.headers["retry-after"] == "60"
    for answer in (waits, dear, fast):
        assert "this end user's" in answer.json["detail"].lower()
        assert "ann" not in answer.json["detail"].split()
    assert app.submit({**ann, "end_user": "bob"}).status == 201


def test_a70_a_tenant_whose_month_is_spent_is_refused_before_anything_is_done(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(monthly_cap=1)
    before = app.kept()
    assert is_problem(app.submit(), 402)
    assert app.kept() == before
