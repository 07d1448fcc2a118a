"""POST /v1/predictions: accepted requests, and the absence of traces of rejected ones.

Case numbers A1 to A16 are those of the project's list of bad requests.
"""

from __future__ import annotations

import base64
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain import keys, strict_json
from darkroom.domain.callback import EVENTS
from darkroom.ports import Answered, ApiKey

from tests.support import fakes
from tests.support.app import ACME, GOOD, OTHER, READER, SDXL, is_problem, with_input
from tests.support.fakes import START
from tests.support.world import PNG, PUBLIC_URL, SCHNELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tests.support.app import App

MODEL_PATH = f"/v1/models/{SCHNELL}/predictions"


# Accepted


@pytest.fixture
def json_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Counter[str]]]:
    """What our own code parsed (`<`) and wrote (`>`) of the JSON in which a text stands, by the
    module for which that was done."""
    seen: list[tuple[str, str]] = []

    def note(way: str, text: str) -> None:
        frame: FrameType | None = sys._getframe(1)
        names = []
        while frame:
            names.append(str(frame.f_globals["__name__"]))
            frame = frame.f_back
        for_ = next(n for n in names[1:] if n not in {"json", __name__, strict_json.__name__})
        # The store's double reads what it holds.
        if for_.startswith("darkroom.") and not (way == "<" and fakes.__name__ in names):
            seen.append((way + for_.rpartition(".")[2], text))

    decode, encode = json.JSONDecoder.decode, json.JSONEncoder.encode

    def decoded(self: json.JSONDecoder, text: str, *args: Any) -> Any:
        note("<", text)
        return decode(self, text, *args)

    def encoded(self: json.JSONEncoder, value: Any) -> str:
        text = encode(self, value)
        note(">", text)
        return text

    monkeypatch.setattr(json.JSONDecoder, "decode", decoded)
    monkeypatch.setattr(json.JSONEncoder, "encode", encoded)
    return lambda within: Counter(name for name, text in seen if within in text)


def test_an_input_is_parsed_once_and_written_where_its_bytes_leave(
    app: App, json_of: Callable[[str], Counter[str]]
) -> None:
    assert app.submit(with_input(prompt="a corgi in the snow")).status == 201
    assert json_of("in the snow") == {
        "<requests": 1,
        # Measured, and hashed: for a repetition and for the result cache.
        ">prepare_input": 1,
        ">submit": 1,
        ">reuse": 1,
        # The two writes of the record, and the answer; what the provider shows of it is hashed.
        ">items": 2,
        ">http": 1,
        ">snapshot": 1,
    }


def test_a_prediction_is_recorded_then_created_and_answered_at_once(app: App) -> None:
    answer = app.submit(GOOD)
    assert answer.status == 201
    body = answer.json
    assert body["status"] == "starting"
    assert body["input"]["prompt"] == "a corgi"
    assert body["output"] is None
    assert body["urls"]["get"] == f"{PUBLIC_URL}/v1/predictions/{body['id']}"
    assert answer.headers["location"] == body["urls"]["get"]
    assert answer.headers["content-type"] == "application/json"
    assert app.world.record(body["id"]).tenant == "acme"
    (create,) = app.world.provider.creates
    assert create["webhook"].startswith(f"{PUBLIC_URL}/hooks/replicate/{body['id']}?t=")


def test_the_model_may_be_named_by_the_path(app: App) -> None:
    answer = app.submit({"input": {"prompt": "a corgi"}}, path=MODEL_PATH)
    assert answer.status == 201
    assert answer.json["model"] == SCHNELL


def test_the_clients_webhook_is_kept_and_never_given_to_the_provider(app: App) -> None:
    url = "https://client.example/hook?x=1"
    answer = app.submit({**GOOD, "webhook": url, "webhook_events_filter": ["start", "logs"]})
    assert answer.json["webhook"] == url
    record = app.world.record(answer.json["id"])
    assert record.webhook_events == ("start", "logs")
    assert url not in json.dumps(app.world.provider.creates, default=str)


def test_a_filter_that_repeats_itself_is_kept_once(app: App) -> None:
    repeated = ["completed", "start"] * 50_000
    answer = app.submit(
        {**GOOD, "webhook": "https://c.example/", "webhook_events_filter": repeated}
    )
    assert app.world.record(answer.json["id"]).webhook_events == ("completed", "start")


def test_a_deprecated_name_of_old_clients_is_dropped(app: App) -> None:
    assert app.submit({**GOOD, "stream": True}).status == 201


OLD, NEW = "https://old.example/", "https://new.example/"


@pytest.mark.parametrize(
    ("body", "webhook", "events"),
    [
        ({"webhook_completed": OLD}, OLD, ("completed",)),
        ({"webhook_completed": OLD, "webhook_events_filter": ["start"]}, OLD, ("completed",)),
        ({"webhook_completed": OLD, "webhook": None}, OLD, ("completed",)),
        ({"webhook_completed": OLD, "webhook": NEW}, NEW, EVENTS),
        ({"webhook_completed": None, "webhook": NEW}, NEW, EVENTS),
        ({"webhook_completed": None}, None, ("completed",)),
    ],
)
def test_field_f29_the_older_name_of_a_webhook(
    app: App, body: dict[str, Any], webhook: str | None, events: tuple[str, ...]
) -> None:
    answer = app.submit({**GOOD, **body})
    assert answer.status == 201
    record = app.world.record(answer.json["id"])
    assert (record.webhook, record.webhook_events) == (webhook, events)


@pytest.mark.parametrize("url", ["http://old.example/", "https://10.0.0.1/", 5])
def test_the_older_name_of_a_webhook_is_checked_like_the_newer(app: App, url: object) -> None:
    answer = app.submit({**GOOD, "webhook_completed": url})
    assert is_problem(answer, 422)
    assert answer.json["invalid_fields"][0]["field"] == "webhook_completed"
    assert app.untouched


def test_field_f9_an_empty_filter_is_none(app: App) -> None:
    body = {**GOOD, "webhook": NEW, "webhook_events_filter": []}
    assert app.world.record(app.submit(body).json["id"]).webhook_events == EVENTS


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("hang", id="no-answer"),
        pytest.param("refuse", id="not-sent"),
        pytest.param(Answered(429, {"detail": "slow down"}, 7.0), id="429"),
        pytest.param(Answered(500, None), id="500"),
        pytest.param(Answered(401, {"detail": "bad token"}), id="our-token-refused"),
    ],
)
def test_whatever_the_provider_does_the_answer_is_201(app: App, answer: Any) -> None:
    app.world.provider.answers = [answer]
    got = app.submit(GOOD)
    assert got.status == 201
    assert got.json["status"] == "starting"
    assert app.world.record(got.json["id"]).provider_id is None


def test_a_hint_for_a_mended_version_comes_as_a_warning_header(app: App) -> None:
    catalogue = app.world.submit.find_model.catalogue()
    mended = [
        (name, alias)
        for name in catalogue.names()
        for alias in catalogue.model(name).version_aliases
    ]
    name, alias = mended[0]
    given: dict[str, Any] = {"prompt": "a corgi"}
    if "inpainting" in name or "esrgan" in name or "fill" in name:
        given["image"] = "https://example.com/a.png"
        given["mask"] = "https://example.com/b.png"
    answer = app.submit({"version": alias, "input": given})
    assert answer.status == 201, answer.text
    assert answer.headers["warning"].startswith('299 darkroom "')


def test_a_name_that_the_model_ignores_comes_as_a_warning_header(app: App) -> None:
    answer = app.submit(with_input(promt="a fox", **{'q"\r\nx: y': 1}))
    assert answer.status == 201
    assert answer.headers["warning"] == (
        f'299 darkroom "{SCHNELL} has no such input and ignores it: '
        'promt (did you mean prompt?); (unnamed)"'
    )


@pytest.mark.parametrize("model", [SCHNELL, "nobody/nothing"])
def test_a_secret_in_an_input_is_refused_and_nowhere_repeated(app: App, model: str) -> None:
    value = "sk-proj-0123456789"
    answer = app.submit({"version": model, "input": {"prompt": "p", "openai_api_key": value}})
    assert is_problem(answer, 422)
    assert value not in answer.text
    assert value not in app.logs.getvalue()
    assert len(app.world.store) == 0
    if model == SCHNELL:
        assert "input.openai_api_key: Must be left out: it is a secret" in answer.json["detail"]


@pytest.mark.parametrize("path", ["/v1/predictions", MODEL_PATH])
def test_a_dry_run_says_the_most_and_makes_nothing(app: App, path: str) -> None:
    asked = {"input": {"prompt": "a corgi", "num_outputs": 3}}
    if path != MODEL_PATH:
        asked["version"] = SCHNELL
    headers = {"idempotency-key": "once", "x-stainless-retry-count": "0"}
    answer = app.submit(asked, path=path, query={"dry_run": "true"}, headers=headers)
    assert (answer.status, answer.json) == (200, {"darkroom": {"most": 0.009}})
    assert "location" not in answer.headers
    assert app.calls == {"FakeControls.api_key": 1, "FakeControls.limits": 1}


def test_a_dry_run_of_a_deprecated_model_warns_as_its_create_does(app: App) -> None:
    asked = {"version": "black-forest-labs/flux-pro", "input": {"prompt": "a corgi"}}
    priced = app.submit(asked, query={"dry_run": "true"})
    made = app.submit(asked)
    assert (priced.status, made.status) == (200, 201)
    assert priced.headers["warning"] == made.headers["warning"]
    assert "use black-forest-labs/flux-1.1-pro in its place" in made.headers["warning"]


@pytest.mark.parametrize("text", ["false", "", "1", "TRUE", "true,true"])
def test_any_other_dry_run_is_refused(app: App, text: str) -> None:
    assert is_problem(app.submit(GOOD, query={"dry_run": text}), 400)
    assert app.untouched


def test_a_dry_run_is_checked_as_a_create_is(app: App) -> None:
    asked = {**GOOD, "input": {"prompt": "a corgi", "num_outputs": 5}}
    answer = app.submit(asked, query={"dry_run": "true"})
    assert is_problem(answer, 422)
    assert answer.json == app.submit(asked).json


def test_prefer_wait_is_answered_without_waiting(app: App) -> None:
    assert app.submit(GOOD, headers={"prefer": "wait=60"}).json["status"] == "starting"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json;",
        "application/json ; ",
        "Application/JSON; odata=verbose",
        "Application/JSON",
    ],
)
def test_field_f30_the_media_type_decides(app: App, content_type: str) -> None:
    assert app.submit(GOOD, headers={"content-type": content_type}).status == 201


def test_a_body_in_base64_is_read(app: App) -> None:
    assert app.submit(json.dumps(GOOD).encode()).status == 201


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("2h30m", 9000), ("1h30m45s", 5445), ("90", 90), ("5", 5)],
)
def test_cancel_after_sets_the_deadline(app: App, text: str, seconds: int) -> None:
    answer = app.submit(GOOD, headers={"cancel-after": text})
    assert answer.status == 201
    assert app.world.record(answer.json["id"]).deadline == START + seconds * 1000


# Numbers and texts that stores and clients cannot handle


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("123456789012345678901234567890123456789", 10**38, id="A7-39-digits"),
        pytest.param("1e126", 1e126, id="A8-out-of-DynamoDBs-range"),
        pytest.param("0.1", 0.1, id="A9-float"),
    ],
)
def test_numbers_that_dynamodb_refuses_are_refused_or_kept_to_the_letter(
    app: App, text: str, found: float
) -> None:
    body = f'{{"version": "{SDXL}", "input": {{"prompt": "x", "guidance_scale": {text}}}}}'
    answer = app.submit(body)
    if answer.status == 422:
        assert app.untouched
        return
    assert answer.status == 201
    assert app.world.record(answer.json["id"]).input["guidance_scale"] >= found


def test_a_large_picture_in_the_input_goes_to_the_uploads_bucket(app: App) -> None:
    data = PNG + b"\0" * 1_500_000
    uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    answer = app.submit({"version": SDXL, "input": {"prompt": "x", "image": uri}})
    assert answer.status == 201, answer.text
    ((kept, head),) = app.world.uploads.objects.values()
    assert kept == data
    assert head["content_type"] == "image/png"
    assert answer.json["input"]["image"].startswith("https://uploads.test/acme/inputs/")


def test_an_unicode_prompt_comes_back_as_it_was_sent(app: App) -> None:
    prompt = "ein Dackel 🐕 – \u202e„quoted“ \r\n\x1b[31m"
    answer = app.submit(with_input(prompt=prompt))
    assert answer.json["input"]["prompt"] == prompt


# Rejected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param("", 400, id="A1-empty"),
        pytest.param("hello", 400, id="A1-text"),
        pytest.param('{"version": ', 400, id="A1-cut-short"),
        pytest.param(b"\xff\xfe{}", 400, id="A1-not-utf8"),
        pytest.param("\ufeff" + json.dumps(GOOD), 400, id="A1-byte-order-mark"),
        pytest.param("[]", 400, id="A2-array"),
        pytest.param('"text"', 400, id="A2-string"),
        pytest.param("null", 400, id="A2-null"),
        pytest.param("7", 400, id="A2-number"),
        pytest.param('{"version": "a", "version": "b", "input": {}}', 400, id="A3-duplicate"),
        pytest.param(
            f'{{"version": "{SCHNELL}", "input": {{"prompt": "a", "prompt": "b"}}}}',
            400,
            id="A3-duplicate-inside",
        ),
        pytest.param('{"version": "a", "input": {"seed": NaN}}', 400, id="A4-nan"),
        pytest.param('{"version": "a", "input": {"seed": Infinity}}', 400, id="A4-infinity"),
        pytest.param('{"version": "a", "input": {"seed": -Infinity}}', 400, id="A4-minus-infinity"),
        pytest.param('{"version": "a", "input": {"seed": 1e999}}', 400, id="A4-1e999"),
        pytest.param('{"input": ' + "[" * 300 + "]" * 300 + "}", 400, id="A5-depth-300"),
        pytest.param('{"input": ' + '{"a":' * 50_000, 400, id="A5-depth-50000"),
        pytest.param('{"input": {"seed": ' + "9" * 5000 + "}}", 400, id="A6-5000-digits"),
        pytest.param(
            f'{{"version": "{SCHNELL}", "input": {{"prompt": "\\ud800"}}}}',
            400,
            id="A10-lone-surrogate",
        ),
        pytest.param(with_input(prompt="a\0b"), 422, id="A11-nul"),
        pytest.param(with_input(**{"a\0b": 1}), 422, id="A11-nul-in-a-name"),
        pytest.param({**GOOD, "tenant": "other"}, 422, id="A12-tenant"),
        pytest.param({**GOOD, "status": "succeeded"}, 422, id="A12-status"),
        pytest.param({**GOOD, "": 1}, 422, id="A12-empty-name"),
        pytest.param({**GOOD, "a\r\nb": 1}, 422, id="A12-name-with-line-break"),
        pytest.param(with_input(num_outputs="1"), 422, id="A13-text-for-a-number"),
        pytest.param(with_input(num_outputs=True), 422, id="A13-true-for-a-number"),
        pytest.param(with_input(num_outputs=1.5), 422, id="A13-fraction"),
        pytest.param(with_input(num_outputs=99), 422, id="A13-above-the-maximum"),
        pytest.param(with_input(prompt=["a"]), 422, id="A13-list-for-text"),
        pytest.param(with_input(go_fast=1), 422, id="A13-number-for-true"),
        pytest.param(with_input(aspect_ratio="2:1"), 422, id="A13-not-in-the-list"),
        pytest.param({**GOOD, "input": {}}, 422, id="A14-no-prompt"),
        pytest.param(with_input(prompt="x" * 300_000), 413, id="A14-prompt-of-300-kB"),
        pytest.param({"input": {"prompt": "a"}}, 422, id="no-version"),
        pytest.param({"version": SCHNELL}, 422, id="no-input"),
        pytest.param({}, 422, id="nothing"),
        pytest.param({"version": None, "input": {"prompt": "a"}}, 422, id="version-null"),
        pytest.param({"version": 7, "input": {"prompt": "a"}}, 422, id="version-number"),
        pytest.param({"version": "x" * 301, "input": {}}, 422, id="version-too-long"),
        pytest.param({"version": "no/such", "input": {}}, 422, id="unknown-model"),
        pytest.param({"version": "f" * 64, "input": {}}, 422, id="unknown-version"),
        pytest.param({**GOOD, "input": None}, 422, id="input-null"),
        pytest.param({**GOOD, "input": []}, 422, id="input-list"),
        pytest.param({**GOOD, "input": "prompt"}, 422, id="input-text"),
        pytest.param({**GOOD, "webhook_events_filter": "completed"}, 422, id="filter-text"),
        pytest.param({**GOOD, "webhook_events_filter": ["done"]}, 422, id="filter-unknown"),
        pytest.param({**GOOD, "webhook_events_filter": [1]}, 422, id="filter-number"),
        pytest.param(
            {"version": SDXL, "input": {"prompt": "x", "image": "file:///etc/passwd"}},
            422,
            id="A29-file-url",
        ),
        pytest.param(
            {"version": SDXL, "input": {"prompt": "x", "image": "data:image/png;base64,@@@@"}},
            422,
            id="A29-data-uri-that-does-not-decode",
        ),
    ],
)
def test_refused_without_a_trace(app: App, body: Any, status: int) -> None:
    answer = app.submit(body)
    assert is_problem(answer, status), answer
    assert app.untouched


def test_an_unknown_name_is_refused_in_replicates_form(app: App) -> None:
    answer = app.submit({**GOOD, "prompt": "a corgi", "size": 3})
    assert answer.json == {
        "title": "Input validation failed",
        "detail": "- Additional property prompt is not allowed\n"
        "- Additional property size is not allowed\n",
        "status": 422,
        "invalid_fields": [
            {
                "type": "additional_property_not_allowed",
                "field": "",
                "description": f"Additional property {name} is not allowed",
            }
            for name in ("prompt", "size")
        ],
    }


def test_a_missing_version_is_refused_in_replicates_form(app: App) -> None:
    answer = app.submit({"input": {"prompt": "a"}, "model": SCHNELL})
    assert answer.json["detail"] == (
        "- version is required\n- Additional property model is not allowed\n"
    )
    kinds = [field["type"] for field in answer.json["invalid_fields"]]
    assert kinds == ["required", "additional_property_not_allowed"]


def test_a_version_beside_a_model_path_is_refused(app: App) -> None:
    answer = app.submit(GOOD, path=MODEL_PATH)
    assert is_problem(answer, 422)
    assert app.untouched


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/no/such/predictions",
        "/v1/models/../predictions/predictions",
        "/v1/models/a\0b/c/predictions",
        "/v1/models/" + "x" * 3000 + "/y/predictions",
    ],
)
def test_an_unknown_model_path_is_refused(app: App, path: str) -> None:
    answer = app.submit({"input": {"prompt": "a"}}, path=path)
    assert is_problem(answer, 422)
    assert app.untouched


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"content-type": "text/plain"}, id="text"),
        pytest.param({"content-type": ""}, id="none"),
        pytest.param({"content-type": "application/json; charset=utf-16"}, id="utf-16"),
        pytest.param({"content-type": "application/json; charset=utf-7"}, id="utf-7"),
        pytest.param({"content-type": "application/jsonp"}, id="jsonp"),
        pytest.param({"content-type": "application/json,application/json"}, id="twice"),
        pytest.param({"content-type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param({"content-encoding": "gzip"}, id="gzip"),
    ],
)
def test_a16_other_media_are_refused(app: App, headers: dict[str, str]) -> None:
    assert is_problem(app.submit(GOOD, headers=headers), 415)
    assert app.untouched


def test_a_body_that_is_not_the_base64_it_claims_to_be(app: App) -> None:
    event: dict[str, Any] = {"body": "not base64!", "isBase64Encoded": True}
    assert is_problem(app.http("submit", event), 400)
    assert app.untouched


@pytest.mark.parametrize(
    "text",
    ["", "0", "4", "4s", "-5", "soon", "1d", "5 m", "30S", "25h", "86401", "٣٠s", "9" * 400, "m5"],
)
def test_a_cancel_after_that_is_no_duration_is_refused(app: App, text: str) -> None:
    assert is_problem(app.submit(GOOD, headers={"cancel-after": text}), 400)
    assert app.untouched


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://client.example/", id="A28-http"),
        pytest.param("ftp://client.example/", id="A29-ftp"),
        pytest.param("javascript:alert(1)", id="A29-javascript"),
        pytest.param("//client.example/", id="no-scheme"),
        pytest.param("", id="empty"),
        pytest.param("https://", id="no-host"),
        pytest.param("https://user@client.example/", id="A30-user"),
        pytest.param("https://user:pw@client.example/", id="A30-password"),
        pytest.param("https://client.example:8443/", id="A31-port"),
        pytest.param("https://client.example:99999/", id="A31-port-out-of-range"),
        pytest.param("https://client.example\\@evil.example/", id="A45-backslash"),
        pytest.param("https://169。254。169。254/", id="A35-ideographic-stops"),
        pytest.param("https://①②⑦.0.0.1/", id="A36-circled-digits"),
        pytest.param("https://client.example/\r\nx: y", id="line-break"),
        pytest.param("https://client.example/a b", id="space"),
        pytest.param("https://[::1/", id="broken-ipv6"),
        pytest.param("http://127.0.0.1:9000/", id="loopback"),
        pytest.param("https://client.example/" + "a" * 2048, id="too-long"),
        pytest.param(7, id="number"),
        pytest.param({"url": "https://client.example/"}, id="object"),
    ],
)
def test_a_webhook_that_is_no_plain_https_url_is_refused(app: App, url: Any) -> None:
    answer = app.submit({**GOOD, "webhook": url})
    assert is_problem(answer, 422)
    assert "webhook" in answer.text
    assert app.untouched


def test_another_tenants_file_is_an_unknown_one(app: App) -> None:
    other_file = "a" * 26
    app.world.uploads.put(f"other/files/{other_file}", "image/png", PNG, {})
    answers = [
        app.submit(
            {
                "version": SDXL,
                "input": {"prompt": "x", "image": f"{PUBLIC_URL}/v1/files/{file_id}"},
            }
        )
        for file_id in (other_file, "b" * 26)
    ]
    assert [answer.status for answer in answers] == [422, 422]
    assert answers[0].text == answers[1].text
    assert not app.world.store.stream
    assert not app.world.provider.creates


# Repeated


def test_a_repeated_idempotency_key_answers_with_the_same_prediction(app: App) -> None:
    first = app.submit(GOOD, headers={"idempotency-key": "order 66"})
    again = app.submit(GOOD, headers={"Idempotency-Key": "order 66"})
    assert (first.status, again.status) == (201, 201)
    assert again.json["id"] == first.json["id"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(app.world.provider.creates) == 1


def test_a_replay_never_says_processing(app: App) -> None:
    first = app.submit(GOOD, headers={"idempotency-key": "k"})
    provider_id = str(app.world.record(first.json["id"]).provider_id)
    app.world.provider.finish(provider_id, "processing")
    app.world.webhook(first.json["id"], provider_id)
    assert app.get(f"/v1/predictions/{first.json['id']}").json["status"] == "processing"
    assert app.submit(GOOD, headers={"idempotency-key": "k"}).json["status"] == "starting"


def test_a69_a_key_of_another_request_is_refused(app: App) -> None:
    app.submit(GOOD, headers={"idempotency-key": "k"})
    answer = app.submit(with_input(prompt="a cat"), headers={"idempotency-key": "k"})
    assert is_problem(answer, 422)
    assert len(app.world.store) == len(app.world.provider.creates) == 1


def test_a_key_is_its_tenants_own(app: App) -> None:
    mine = app.submit(GOOD, headers={"idempotency-key": "k"})
    theirs = app.submit(GOOD, token=OTHER, headers={"idempotency-key": "k"})
    assert theirs.status == 201
    assert theirs.json["id"] != mine.json["id"]


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "schlüssel", "a\0b", "a\r\nb"])
def test_a69_a_key_that_is_none_is_refused(app: App, key: str) -> None:
    assert is_problem(app.submit(GOOD, headers={"idempotency-key": key}), 400)
    assert app.untouched


def test_a_stored_result_is_the_answer_itself(app: App) -> None:
    body = with_input(seed=7)
    first = app.submit(body).json["id"]
    provider_id = str(app.world.record(first).provider_id)
    app.world.succeed(provider_id)
    app.world.webhook(first, provider_id)
    app.world.settle()
    answer = app.submit(body)
    assert answer.status == 201
    assert answer.json["status"] == "succeeded"
    assert answer.json["output"]
    assert answer.json["darkroom"]["cached_from"] == first
    assert answer.json["darkroom"]["cost"] == 0
    assert answer.headers["location"] == f"{PUBLIC_URL}/v1/predictions/{answer.json['id']}"
    assert app.get(f"/v1/predictions/{answer.json['id']}").json["output"] == answer.json["output"]
    anew = app.submit(body, headers={"darkroom-cache": "bypass"}).json
    assert (anew["status"], anew["darkroom"]["cached_from"]) == ("starting", None)
    theirs = app.submit(body, token=OTHER, headers={"darkroom-cache": "reuse"}).json
    assert (theirs["status"], theirs["darkroom"]["cached_from"]) == ("starting", None)
    unseeded = app.submit(GOOD, headers={"darkroom-cache": "reuse"}).json
    assert unseeded["darkroom"]["cached_from"] is None


@pytest.mark.parametrize("value", ["", "no-store", "Reuse", "reuse, bypass", "reuse\0", "é"])
def test_a_word_that_the_cache_does_not_know_is_refused(app: App, value: str) -> None:
    assert is_problem(app.submit(GOOD, headers={"darkroom-cache": value}), 400)
    assert app.untouched


def test_a_client_that_says_it_tries_again_gets_what_it_made_before(app: App) -> None:
    first = app.submit(GOOD, headers={"x-stainless-retry-count": "0"})
    again = app.submit(GOOD, headers={"x-stainless-retry-count": "1"})
    assert again.json["id"] == first.json["id"]
    assert app.submit(GOOD).json["id"] != first.json["id"]


@pytest.mark.parametrize("count", ["", "-1", "x", "1.0", "²", "9" * 5000])
def test_a_retry_count_that_is_none_is_ignored(app: App, count: str) -> None:
    app.submit(GOOD)
    assert app.submit(GOOD, headers={"x-stainless-retry-count": count}).status == 201
    assert len(app.world.store) == 2


# Authorization


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="scheme-alone"),
        pytest.param("Bearer ", id="no-token"),
        pytest.param("Bearer unknown", id="unknown"),
        pytest.param(f"Basic {ACME}", id="another-scheme"),
        pytest.param(ACME, id="no-scheme"),
        pytest.param(f"Bearer  {ACME}", id="two-spaces"),
        pytest.param(f"Bearer {ACME} ", id="trailing-space"),
        pytest.param(f"Bearer {ACME},Bearer {ACME}", id="A64-twice"),
        pytest.param("Bearer " + "x" * 100_000, id="A64-huge"),
        pytest.param("Bearer dk_äcme", id="A64-not-ascii"),
        pytest.param(f"Bearer {ACME}\0", id="A64-nul"),
        pytest.param(f"Bearer {ACME.upper()}", id="other-case"),
    ],
)
def test_without_a_known_token_nothing_happens(app: App, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    # The body is invalid as well, which unknown callers must not learn.
    answer = app.submit("not JSON", token=None, headers=headers)
    assert is_problem(answer, 401)
    assert app.untouched


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token"])
def test_both_schemes_of_replicates_clients(app: App, scheme: str) -> None:
    assert app.submit(token=None, headers={"authorization": f"{scheme} {ACME}"}).status == 201


def test_a_key_that_may_only_read_is_refused(app: App) -> None:
    assert is_problem(app.submit(GOOD, token=READER), 403)
    assert app.untouched


def test_a_revoked_key_is_refused_by_the_next_request(app: App) -> None:
    assert app.submit(GOOD).status == 201
    app.world.controls.keys.clear()
    assert app.submit(GOOD).status == 401


# Secrets


def test_a_token_sent_as_input_is_in_no_answer_and_no_log(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old JS client, called with itself as an input, sends its own token."""
    secret = "r8_CANARY0123456789"
    client = {"auth": secret, "userAgent": "replicate-javascript/1.0", "baseUrl": "https://x"}
    for body in (
        {**GOOD, "input": client},
        {**GOOD, **client},
        {**GOOD, "input": {"prompt": {"auth": secret}}},
        {**GOOD, "webhook": {"auth": secret}},
        {**GOOD, "webhook": f"http://{secret}.example/"},
        {"version": secret, "input": {}},
        f'{{"input": {{"prompt": "{secret}", }}',
    ):
        answer = app.submit(body, headers={"cookie": secret})
        assert answer.status in {400, 422}
        assert secret not in answer.text
    assert app.untouched
    assert app.logs.getvalue().count("refused") == 7
    printed = capsys.readouterr()
    assert secret not in app.logs.getvalue() + printed.out + printed.err


def test_the_callers_own_token_is_no_input(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """This model requires nothing, so the rest of the request is valid."""
    token = keys.new_token()
    app.world.controls.keys[keys.key_id(token)] = ApiKey("acme", frozenset({"submit"}))
    body = {"version": SDXL, "input": {"auth": token, "fileEncodingStrategy": "data-uri"}}
    answer = app.submit(body, token=token)
    assert is_problem(answer, 422)
    assert "fileEncodingStrategy" in answer.json["detail"]
    assert app.untouched
    printed = capsys.readouterr()
    assert token not in answer.text + app.logs.getvalue() + printed.out + printed.err


def test_neither_input_nor_token_nor_link_are_in_the_logs(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = app.submit(with_input(prompt="CANARY prompt"))
    (create,) = app.world.provider.creates
    link_token = create["webhook"].partition("?t=")[2]
    printed = capsys.readouterr()
    logged = app.logs.getvalue() + printed.out + printed.err
    assert answer.json["id"] in logged
    for secret in ("CANARY", ACME, link_token):
        assert secret not in logged


def test_our_own_outage_is_a_500_that_says_nothing(app: App) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("table arn:aws:dynamodb:secret-detail is on fire")

    object.__setattr__(app.world.submit, "find_model", broken)
    answer = app.submit(GOOD)
    assert is_problem(answer, 500)
    assert answer.json["detail"] == "Something went wrong on our side; try again."
    assert "secret-detail" not in answer.text
