"""Arbitrary webhooks and requests, through the handlers: rejected without a trace, or accepted.

Most are valid ones with changes, so that they get far before they fail.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain import link, signature
from darkroom.domain.errors import InvalidInputError, TooLargeError
from darkroom.services.predictions.submit import NewPrediction
from hypothesis import event, given
from hypothesis import strategies as st

from tests.support import events
from tests.support.app import ACME, OTHER, READER, Answer, wired
from tests.support.examples import one_in
from tests.support.multipart import FORM, form
from tests.support.world import PNG, SCHNELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.app import App

PROMPT = "CANARY a corgi"
any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=40)
odd_texts = st.sampled_from(
    [
        *("", " ", "\0", "\r\nx: y", "\x1b[31m", "'\"<>`", "../..", "%2e%2e", "A" * 5000, "null"),
        *(
            "application/json",
            "gzip",
            f"Bearer {OTHER}",
            "Bearer x",
            "-1",
            "1e999",
            "true",
            "#",
            "?",
        ),
        *("https://127.0.0.1/", "http://169.254.169.254/", "data:image/png;base64,AAAA", "{", "é"),
        *("KEY#x", "\ud800", "１２３", "5m", "wait=60", "reuse", "only", "KEY#" + "0" * 64),
    ]
)
texts = odd_texts | any_text
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
raw_bytes = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [
                *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\ud800", b"\xff", b"\0", b"NaN"),
                *(b'"input"', b'"version"', b'"prompt"', b'"id"', b'"status"', b"1e999"),
                *(b"9" * 2000, b"[" * 200),
            ]
        ),
        max_size=20,
    ).map(b"".join),
)


@contextmanager
def functions() -> Iterator[App]:
    """A separate world for each example."""
    with pytest.MonkeyPatch.context() as patches:
        yield wired(patches)


@st.composite
def changed(draw: Callable[..., Any], value: Any) -> Any:
    """Return the JSON value with one to three places replaced, removed, added or moved."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "remove", "add", "wrap", "nest"])):
            case "replace":
                holder[key] = draw(json_values)
            case "remove" if isinstance(holder, dict):
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(texts)] = draw(json_values)
            case "wrap":
                holder[key] = [holder[key]]
            case _:
                for _ in range(draw(st.sampled_from([1, 30, 70, 500]))):
                    holder[key] = {"a": holder[key]}
        if not any(True for _ in _places(value)):
            break
    return value


def _places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    if depth > 3 or not isinstance(value, dict | list):
        return
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(inner, depth + 1)


def spelled(value: Any) -> bytes:
    """Return it as JSON, including NaN and lone surrogates."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def is_clean(app: App, answer: Answer, secrets: set[str]) -> bool:
    """Whether there is no 5xx, and none of our secrets in the answer, its headers or the logs."""
    said = answer.text + repr(answer.headers) + app.logs.getvalue()
    return answer.status < 500 and not [secret for secret in secrets if secret in said]


def secrets_of(app: App) -> set[str]:
    keys = (*app.world.secrets.webhook, *app.world.secrets.link, *app.world.secrets.callback_keys())
    encoded = {base64.b64encode(key).decode() for key in keys}
    return encoded | {key.decode() for key in keys} | {app.world.secrets.replicate_token(), OTHER}


# Webhook

BODY = {
    "id": "p0000000000000000000000000",
    "status": "succeeded",
    "version": "hidden",
    "input": {"prompt": PROMPT},
    "output": ["https://replicate.delivery/p/0.png"],
    "logs": "a line\n",
    "error": None,
    "metrics": {"predict_time": 1.5},
    "created_at": "2027-01-15T08:00:00.000000Z",
    "started_at": "2027-01-15T08:00:01.000000Z",
    "completed_at": "2027-01-15T08:00:02.000000Z",
    "urls": {"get": "https://api.replicate.com/v1/predictions/p"},
}


@given(
    body=st.one_of(changed(BODY).map(spelled), raw_bytes),
    signed=st.booleans(),
    in_base64=st.booleans(),
)
def test_whatever_a_signed_body_says_it_is_an_answer_below_500(
    body: bytes, signed: bool, in_base64: bool
) -> None:
    with functions() as app:
        record = app.world.accept({"prompt": PROMPT})
        sent = body if in_base64 else body.decode("utf-8", "replace")
        key = None if signed else b"x" * 32
        hook = app.hook(record.id, sent, key=key)
        before = app.kept()
        answer = app.webhook(hook)
        event(f"{answer.status}")
        assert answer.status in ({200, 400} if signed else {401})
        assert answer.status == 200 or app.kept() == before
        token = hook["queryStringParameters"]["t"]
        assert is_clean(app, answer, {*secrets_of(app), token, PROMPT})


webhook_headers = st.sampled_from(
    ["webhook-id", "webhook-timestamp", "webhook-signature", "Webhook-Signature", "content-type"]
)


@given(
    headers=st.dictionaries(
        webhook_headers | texts, st.none() | texts | st.lists(texts, max_size=2), max_size=3
    ),
    left_out=st.sets(webhook_headers, max_size=1),
    id_=st.none() | texts,
    token=st.none() | texts,
    other=st.booleans(),
)
def test_a_webhook_with_anything_about_it_changed(
    headers: dict[str, Any], left_out: set[str], id_: str | None, token: str | None, other: bool
) -> None:
    with functions() as app:
        record = app.world.accept({"prompt": PROMPT})
        hook = app.hook(record.id, spelled(BODY))
        hook["headers"] = {
            name: value
            for name, value in {**hook["headers"], **headers}.items()
            if name not in left_out
        }
        if id_ is not None:
            hook["pathParameters"]["id"] = id_
        if other:
            rival = app.world.accept()
            token = link.token(rival.id, rival.created_at, key=app.world.secrets.link[0])
        if token is not None:
            hook["queryStringParameters"]["t"] = token
        before = app.kept()
        answer = app.webhook(hook)
        event(f"{answer.status}")
        assert answer.status in {200, 401}
        proven = id_ in {None, record.id} and token is None
        assert answer.status == 401 or proven
        assert answer.status == 200 or app.kept() == before
        if answer.status == 401:
            assert answer.json["detail"] == "The webhook could not be verified."
        assert is_clean(app, answer, {*secrets_of(app), PROMPT})


@given(at=st.integers(0), flip=st.integers(1, 255))
def test_a_webhook_with_one_byte_changed_is_refused(at: int, flip: int) -> None:
    with functions() as app:
        record = app.world.accept()
        raw = bytearray(spelled(BODY))
        signed = bytes(raw)
        raw[at % len(raw)] ^= flip
        hook = app.hook(record.id, bytes(raw), signed=signed)
        before = app.kept()
        assert app.webhook(hook).status == 401
        assert app.kept() == before


# Requests

CREATE = {
    "version": SCHNELL,
    "input": {"prompt": PROMPT, "num_outputs": 1, "seed": 7, "aspect_ratio": "1:1"},
    "webhook": "https://client.example/hook",
    "webhook_events_filter": ["completed"],
}
request_headers = st.sampled_from(
    [
        *("authorization", "content-type", "content-encoding", "idempotency-key", "cancel-after"),
        *("prefer", "darkroom-cache", "x-stainless-retry-count", "host", "Authorization"),
    ]
)


@given(
    body=st.one_of(changed(CREATE).map(spelled), changed(CREATE).map(spelled), raw_bytes),
    headers=st.dictionaries(request_headers | texts, texts, max_size=2),
    with_headers=st.booleans(),
    in_base64=st.booleans(),
)
def test_whatever_a_create_says_it_is_accepted_or_leaves_no_trace(
    body: bytes, headers: dict[str, str], with_headers: bool, in_base64: bool
) -> None:
    with functions() as app:
        before = app.kept()
        sent = body if in_base64 else body.decode("utf-8", "replace")
        answer = app.submit(sent, headers=headers if with_headers else None)
        event(f"{answer.status}")
        assert answer.status == 201 or 400 <= answer.status < 500
        if answer.status == 201:
            assert len(app.world.store) == len(app.world.provider.creates) == 1
            assert app.world.record(answer.json["id"]).tenant in {"acme", "other"}
        else:
            assert app.kept() == before
            assert PROMPT not in answer.text
        tokens = {create["webhook"].partition("?t=")[2] for create in app.world.provider.creates}
        assert PROMPT not in app.logs.getvalue()
        assert is_clean(app, answer, {*secrets_of(app), *tokens, ACME} - {OTHER})


large_values = st.one_of(
    st.builds(
        lambda value, count: [value] * count,
        st.sampled_from([[], {}, 0, "", "ab", [0], {"": ""}, "data:,["]),
        st.integers(0, 130_000) | st.integers(0, 120),
    ),
    st.builds(
        lambda start, text, count: start + text * count,
        st.sampled_from(["", "data:,"]),
        st.sampled_from([",:", "[", "é", "\\", '"', "%2c"]),
        st.integers(0, 260_000),
    ),
    st.builds(lambda count: {f"{key:x}": 0 for key in range(count)}, st.integers(0, 30_000)),
)


@one_in(10)
@given(
    more=st.lists(large_values, max_size=3),
    ascii_=st.booleans(),
    separators=st.sampled_from([(",", ":"), (" , ", " : ")]),
)
def test_what_the_service_takes_is_not_refused_unread(
    more: list[Any], ascii_: bool, separators: tuple[str, str]
) -> None:
    """The handler checks the size of a body's structure first; the service sees values only."""
    input_ = {"prompt": PROMPT, "more": more}
    with functions() as app:
        status = 201
        try:
            app.world.submit(NewPrediction("acme", SCHNELL, input_))
        except TooLargeError:
            status = 413
        except InvalidInputError:
            status = 422
        event(f"{status}")
        body = {"version": SCHNELL, "input": input_}
        answer = app.submit(json.dumps(body, ensure_ascii=ascii_, separators=separators))
        assert answer.status == status or (answer.status, status) == (413, 422)


ROUTES = [
    ("read", "GET", "/v1/predictions"),
    ("read", "GET", "/v1/predictions/{}"),
    ("read", "GET", "/v1/models/{}/{}"),
    ("read", "GET", "/v1/models/{}/{}/versions/{}"),
    ("read", "GET", "/{}"),
    ("cancel", "POST", "/v1/predictions/{}/cancel"),
    ("deliveries", "GET", "/v1/predictions/{}/deliveries"),
    ("deliveries", "POST", "/v1/predictions/{}/deliveries/{}/redeliver"),
    ("files", "GET", "/v1/files/{}"),
    ("files", "DELETE", "/v1/files/{}"),
    ("files", "GET", "/v1/files"),
]


@given(
    route=st.sampled_from(ROUTES),
    parts=st.lists(texts, min_size=3, max_size=3),
    query=st.dictionaries(st.sampled_from(["cursor", "limit", "t"]) | texts, texts, max_size=2),
    token=st.sampled_from([ACME, READER, OTHER, "x"]),
    mine=st.booleans(),
)
def test_whatever_is_asked_for_by_name_nothing_changes(
    route: tuple[str, str, str], parts: list[str], query: dict[str, str], token: str, mine: bool
) -> None:
    """A running prediction; another tenant's, if the path names one at all."""
    function, method, path = route
    with functions() as app:
        record = app.world.accept({"prompt": PROMPT}, tenant="third")
        if mine:
            parts = [record.id, *parts[1:]]
        headers = {"authorization": f"Bearer {token}"}
        before = app.kept()
        request = events.http(method, path.format(*parts), None, headers, query)
        # Requests without a route go to read, as at the gateway.
        function = function if request["routeKey"] != "$default" else "read"
        answer = app.http(function, request)
        event(f"{answer.status}")
        assert answer.status < 500
        # Rate limits count every request of a tenant.
        app.world.controls.buckets.clear()
        assert app.kept() == before
        assert is_clean(app, answer, {*secrets_of(app), PROMPT} - {OTHER})


@given(raw=raw_bytes, content_type=texts | st.just("multipart/form-data; boundary=b"))
def test_whatever_is_uploaded_it_is_kept_or_refused(raw: bytes, content_type: str) -> None:
    with functions() as app:
        before = app.kept()
        headers = {"authorization": f"Bearer {ACME}", "content-type": content_type}
        for body in (raw, b"--b\r\n" + raw + b"\r\n--b--\r\n"):
            answer = app.http("files", events.http("POST", "/v1/files", body, headers))
            event(f"{answer.status}")
            assert answer.status in {201, 400, 413, 415}
            assert answer.status == 201 or app.kept() == before
        begun = app.http("files", events.http("POST", "/v1/uploads", raw, headers))
        assert begun.status < 500


# Messages


@given(
    function=st.sampled_from(["dispatch", "persist", "deliver"]),
    message=st.one_of(
        json_values, changed({"action": "create", "id": "x", "prediction": "x", "event": "y"})
    ),
)
def test_whatever_is_put_into_a_queue_nothing_changes(function: str, message: Any) -> None:
    with functions() as app:
        app.world.accept()
        before = app.kept()
        text = json.dumps(message)
        answer = app.call(function, events.sqs(text, "{"))
        assert {"itemIdentifier": "m1"} in answer["batchItemFailures"]
        assert app.kept() == before


def test_what_is_changed_here_is_right_to_begin_with() -> None:
    """Otherwise all tests above would fail at the first check, and prove nothing."""
    with functions() as app:
        assert app.submit(CREATE).status == 201
        record = next(iter(app.world.store.items))
        assert app.webhook(app.hook(record, spelled(BODY))).status == 200
        assert app.world.record(record).state.name == "STORING"
        assert signature.TOLERANCE_S == 300


# Waits

numbers = st.integers(-2, 30).map(str)


@given(
    way=st.sampled_from(["wait", "watch"]),
    query=st.dictionaries(
        # An unknown name is repeated in the answer.
        st.sampled_from(["seconds", "revision", "hop", "t", "next"]),
        numbers | texts,
        max_size=3,
    ),
)
def test_whatever_a_wait_is_asked_it_tells_no_secret_and_leads_nowhere_else(
    way: str, query: dict[str, str]
) -> None:
    with pytest.MonkeyPatch.context() as patches:
        app = wired(patches, waits=True)
        record = app.world.accept()
        headers = {"authorization": f"Bearer {ACME}"}
        path = f"/v1/predictions/{record.id}/{way}"
        answer = app.http("wait", events.http("GET", path, None, headers, query))
        event(f"{way} {answer.status}")
        assert is_clean(app, answer, secrets_of(app))
        assert answer.status in ({200, 303, 400} if way == "wait" else {400, 404})
        assert sum(app.world.naps) <= 25.001
        there = f"/v1/predictions/{record.id}/wait?"
        assert answer.headers.get("location", there).startswith(there)
        assert app.world.record(record.id).revision == record.revision


# OpenAI's Images API

ASKED = {
    "model": "gpt-image-1",
    "prompt": PROMPT,
    "n": 2,
    "size": "1024x1536",
    "quality": "high",
    "output_format": "jpeg",
    "output_compression": 50,
    "response_format": "url",
    "stream": False,
    "user": "a user",
    "extra": [1],
    "metadata": {"a": "b"},
}
PICTURE = {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()}
heads = st.sampled_from(
    ["image", "image[]", "mask", "model", "prompt", "n", "n[]", "metadata[a]", "x[", "[]", "]["]
)
parts = st.lists(
    st.tuples(
        (heads | texts).map(lambda name: f'Content-Disposition: form-data; name="{name}"'),
        st.sampled_from(["", '; filename="a.png"', "; filename*=x", '"; name=b']),
        raw_bytes | st.sampled_from([PNG, PNG[:40], b"gpt-image-1", b"2"]),
    ),
    max_size=5,
)


def is_refusal(answer: Answer) -> bool:
    body = answer.json
    return body.keys() == {"error"} and "x-should-retry" in answer.headers


@given(kind=st.sampled_from(["generations", "edits"]), data=st.data())
def test_whatever_is_asked_in_openais_words_is_a_redirect_or_a_refusal(
    kind: str, data: st.DataObject
) -> None:
    right = ASKED if kind == "generations" else {**ASKED, "images": [PICTURE], "mask": PICTURE}
    body = data.draw(changed(right).map(spelled) | raw_bytes)
    assert_redirect_or_refusal(kind, body, "application/json")


@given(parts)
def test_whatever_a_form_holds_is_a_redirect_or_a_refusal(
    given_parts: list[tuple[str, str, bytes]],
) -> None:
    right = [
        (b'Content-Disposition: form-data; name="model"', b"gpt-image-1"),
        (b'Content-Disposition: form-data; name="prompt"', PROMPT.encode()),
        (b'Content-Disposition: form-data; name="image"; filename="a"', PNG),
    ]
    odd = [
        ((head + more).encode("utf-8", "surrogatepass"), held) for head, more, held in given_parts
    ]
    assert_redirect_or_refusal("edits", form(*right, *odd), FORM)


def assert_redirect_or_refusal(kind: str, body: bytes, content_type: str) -> None:
    with functions() as app:
        before = app.kept()
        sent = {"authorization": f"Bearer {ACME}", "content-type": content_type}
        path = f"/openai/v1/images/{kind}"
        answer = app.http("images", events.http("POST", path, body, sent))
        event(f"{kind} {answer.status}")
        assert is_clean(app, answer, secrets_of(app))
        if answer.status == 303:
            there = f"{path}/{answer.json['id']}/wait?hop=1"
            assert answer.headers["location"].startswith(there)
        else:
            assert is_refusal(answer)
            assert app.kept() == before


@given(
    query=st.dictionaries(
        st.sampled_from(["seconds", "hop", "response_format", "stream", "ignored", "next"]),
        numbers | texts | st.sampled_from(["url", "b64_json", "true", "style,size"]),
        max_size=4,
    )
)
def test_whatever_a_wait_for_pictures_is_asked_it_leads_nowhere_else(query: dict[str, str]) -> None:
    with functions() as app:
        record = app.world.accept()
        path = f"/openai/v1/images/edits/{record.id}/wait"
        sent = {"authorization": f"Bearer {ACME}"}
        answer = app.http("imagewait", events.http("GET", path, None, sent, query))
        event(str(answer.status))
        # The last of the waits ends so on purpose.
        assert answer.status == 504 or is_clean(app, answer, secrets_of(app))
        assert answer.status in {202, 303, 400, 504}
        assert answer.headers.get("location", path).startswith(path)
        assert is_refusal(answer) or answer.json.keys() == {"id", "status"}
