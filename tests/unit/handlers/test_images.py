"""OpenAI's Images API over the fakes: creates, waits, answers, errors."""

from __future__ import annotations

import base64
import io
import json
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.domain.money import Limits
from PIL import Image

from tests.support import events
from tests.support.app import ACME, OTHER, READER, Answer
from tests.support.world import PNG

if TYPE_CHECKING:
    from tests.support.app import App

BASE = "/openai/v1"
ASKED = {"model": "dall-e-2", "prompt": "a corgi"}


def post(app: App, body: Any = None, token: str | None = ACME, **headers: str) -> Answer:
    """A generation."""
    sent = {"content-type": "application/json", **headers}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    text = body if isinstance(body, str | bytes) else json.dumps(ASKED if body is None else body)
    return app.http("images", events.http("POST", f"{BASE}/images/generations", text, sent))


def follow(app: App, location: str, token: str = ACME) -> Answer:
    parts = urlsplit(location)
    assert (parts.scheme, parts.netloc) == ("", ""), "no host: a client keeps its token"
    query = dict(parse_qsl(parts.query))
    sent = {"authorization": f"Bearer {token}"}
    return app.http("imagewait", events.http("GET", parts.path, None, sent, query))


def end(app: App, id_: str) -> None:
    """The prediction succeeds, and its picture is stored."""
    provider_id = str(app.world.record(id_).provider_id)
    app.world.succeed(provider_id)
    app.world.webhook(id_, provider_id)
    app.world.settle()


def finished(app: App, answer: Answer) -> Answer:
    """The answer at the place that a create names, once the prediction has succeeded."""
    end(app, answer.json["id"])
    return follow(app, answer.headers["location"])


def given(app: App, answer: Answer) -> dict[str, Any]:
    """The model's input."""
    found: dict[str, Any] = dict(app.world.record(answer.json["id"]).input)
    return found


def refused(answer: Answer, status: int) -> dict[str, Any]:
    """The error in OpenAI's form."""
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-should-retry"] in {"true", "false"}
    error: dict[str, Any] = answer.json["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


def test_a_create_sends_its_client_to_where_the_pictures_are(app: App) -> None:
    answer = post(app)
    assert answer.status == 303
    id_ = answer.json["id"]
    assert answer.json == {"id": id_, "status": "starting"}
    assert answer.headers["location"] == f"{BASE}/images/generations/{id_}/wait?hop=1"
    assert answer.headers["cache-control"] == "no-store"
    assert app.world.naps == [], "the POST itself never waits"
    got = finished(app, answer)
    assert got.status == 200
    (made,) = got.json["data"]
    assert base64.b64decode(made["b64_json"]) == PNG
    assert made["url"].startswith("https://outputs.test/acme/")
    assert got.json["size"] == "2x3"
    assert got.json["output_format"] == "png"
    assert got.json["darkroom"]["id"] == id_
    assert got.json["darkroom"]["ignored"] == []


# What is asked for


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({}, {"prompt": "a corgi", "output_format": "png"}),
        ({"n": 3}, {"num_outputs": 3}),
        ({"n": None, "size": None, "quality": None, "stream": None, "user": None}, {}),
        ({"size": "1024x1024"}, {"aspect_ratio": "1:1"}),
        ({"size": "1792x1024"}, {"aspect_ratio": "16:9"}),
        ({"size": "auto", "quality": "auto"}, {}),
        ({"quality": "low"}, {"num_inference_steps": 2}),
        ({"quality": "hd"}, {"num_inference_steps": 4}),
        ({"output_format": "jpeg"}, {"output_format": "jpg"}),
        ({"output_format": "webp"}, {"output_format": "webp"}),
        ({"output_compression": 40}, {"output_quality": 40}),
        ({"seed": 7, "go_fast": False}, {"seed": 7, "go_fast": False}),
        ({"aspect_ratio": "21:9", "size": "1024x1024"}, {"aspect_ratio": "21:9"}),
    ],
)
def test_parameters_become_the_models_inputs(
    app: App, said: dict[str, Any], asked: dict[str, Any]
) -> None:
    answer = post(app, ASKED | said)
    assert answer.status == 303, answer.text
    made = given(app, answer)
    made.pop("seed" if "seed" not in said else "", None)
    assert made == {"prompt": "a corgi", "output_format": "png"} | asked


@pytest.mark.parametrize(
    ("model", "said", "asked"),
    [
        ("openai/gpt-image-2", {"size": "1024x1536"}, {"aspect_ratio": "1024x1536"}),
        ("openai/gpt-image-2", {"size": "2048x1536"}, {"aspect_ratio": "4:3"}),
        ("gpt-image-1", {"quality": "high", "n": 2}, {"quality": "high", "number_of_images": 2}),
        ("gpt-image-2", {"quality": "max"}, {"quality": "high"}),
        ("gpt-image-2.6-flare", {"quality": "max"}, {"quality": "max"}),
        ("gpt-image-1", {"background": "transparent"}, {"background": "transparent"}),
        ("gpt-image-1", {"output_compression": 9}, {"output_compression": 9}),
        ("gpt-image-1", {"output_format": "jpg"}, {"output_format": "jpeg"}),
        ("black-forest-labs/flux-2-max", {"size": "1536x1024"}, {"width": 1536, "height": 1024}),
        ("black-forest-labs/flux-2-dev", {"size": "1536x1024"}, {"aspect_ratio": "3:2"}),
        ("prunaai/z-image-turbo", {"size": "1536x1024"}, {"width": 1536, "height": 1024}),
        ("prunaai/z-image-turbo", {"size": "3840x2160"}, {"width": 2048, "height": 1152}),
        ("prunaai/z-image-turbo", {"size": "32x16"}, {"width": 128, "height": 64}),
        ("recraft-ai/recraft-v4", {"size": "1024x1024"}, {"size": "1024x1024"}),
        ("ideogram-ai/ideogram-v3-turbo", {"size": "1152x704"}, {"resolution": "1152x704"}),
        ("bytedance/seedream-4.5", {"n": 1}, {}),
        (
            "bytedance/seedream-4.5",
            {"n": 3},
            {"max_images": 3, "sequential_image_generation": "auto"},
        ),
    ],
)
def test_each_model_is_asked_in_its_own_words(
    app: App, model: str, said: dict[str, Any], asked: dict[str, Any]
) -> None:
    answer = post(app, ASKED | {"model": model} | said)
    assert answer.status == 303, answer.text
    assert given(app, answer).items() >= asked.items()


def test_what_has_no_effect_is_named(app: App) -> None:
    said = {"style": "vivid", "background": "transparent", "moderation": "low"}
    said |= {"partial_images": 2, "quality": "high", "size": "512x512", "output_compression": 3}
    answer = post(app, ASKED | {"model": "black-forest-labs/flux-1.1-pro-ultra"} | said)
    named = finished(app, answer).json["darkroom"]["ignored"]
    assert sorted(named) == [
        *("background", "moderation", "output_compression"),
        *("partial_images", "quality", "style"),
    ]


def test_every_model_that_makes_pictures_is_asked_for_what_it_takes(app: App) -> None:
    """Whatever of their parameters: no request fails for what we made of it."""
    catalogue = app.world.functions["images"].find_model.catalogue()
    said = {"n": 1, "quality": "high", "style": "natural", "output_compression": 50}
    for name in catalogue.names():
        if "text-to-image" in catalogue.model(name).tasks:
            for size in ("256x256", "1024x1024", "1792x1024", "1024x1536", "3840x1280"):
                answer = post(app, ASKED | said | {"model": name, "size": size})
                assert answer.status == 303, (name, size, answer.text)


def test_every_name_of_theirs_has_models_for_each_part(app: App) -> None:
    catalogue = app.world.functions["images"].find_model.catalogue()
    names = catalogue.openai_names()
    assert {"dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-2", "chatgpt-image-latest"} <= {
        *names
    }
    for models in names.values():
        assert "text-to-image" in catalogue.model(models.generations).tasks
        assert catalogue.model(models.edits).pictures
        assert catalogue.model(models.masked).mask


@pytest.mark.parametrize("end_user", [{"user": "u"}, {"safety_identifier": "u", "user": "v"}])
def test_whom_it_is_for_is_the_end_user(app: App, end_user: dict[str, str]) -> None:
    answer = post(app, ASKED | end_user)
    assert app.world.record(answer.json["id"]).end_user == "u"
    assert finished(app, answer).json["safety_identifier"] == "u"


def test_darkrooms_own_fields_stand_beside_theirs(app: App) -> None:
    ours = {"metadata": {"a": "b"}, "tags": ["t"], "webhook": "https://example.com/hook"}
    record = app.world.record(post(app, ASKED | ours).json["id"])
    assert (record.metadata, record.tags, record.webhook) == ({"a": "b"}, ("t",), ours["webhook"])


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": 5}, "n"),
        ({"n": "1"}, "n"),
        ({"n": True}, "n"),
        ({"size": "big"}, "size"),
        ({"size": "0x0"}, "size"),
        ({"size": "1024x"}, "size"),
        ({"quality": "best"}, "quality"),
        ({"output_format": "bmp"}, "output_format"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"response_format": "b64"}, "response_format"),
        ({"partial_images": 4}, "partial_images"),
        ({"user": "\u0000"}, "user"),
        ({"tags": ["a,b"]}, "tags.0"),
        ({"webhook": "http://10.0.0.1/"}, "webhook"),
        ({"seed": "seven"}, "seed"),
        ({"model": "black-forest-labs/flux-1.1-pro", "n": 2}, "n"),
        ({"model": "emulator/none", "n": 2}, "model"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_nothing_is_made(
    app: App, said: dict[str, Any], param: str
) -> None:
    body = {name: value for name, value in (ASKED | said).items() if value is not None}
    error = refused(post(app, body), 404 if said.get("model") == "emulator/none" else 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert app.untouched


@pytest.mark.parametrize("name", ["gpt-5", "no/model", "", "x" * 300, "flux-schnell", "a\nb"])
def test_a_model_that_there_is_not_is_repeated(app: App, name: str) -> None:
    answer = post(app, ASKED | {"model": name})
    if not name:
        refused(answer, 400)
        return
    error = refused(answer, 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert name.replace("\n", "?") in error["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", ["", "[]", "{", '{"model":"a","model":"b"}', "[" * 10_000])
def test_a_body_that_is_no_object_is_refused(app: App, body: str) -> None:
    refused(post(app, body), 400)
    assert app.untouched


def test_a_body_of_another_type_is_refused(app: App) -> None:
    refused(post(app, "a=b", **{"content-type": "application/x-www-form-urlencoded"}), 415)
    error = refused(post(app, json.dumps(ASKED | {"list": [0] * 300_000})), 413)
    assert "/v1/uploads" in error["message"]


# Who asks, and how often


def test_errors_have_the_classes_that_clients_know(app: App) -> None:
    assert refused(post(app, token=None), 401)["code"] == "invalid_api_key"
    assert refused(post(app, token="dk_unknown"), 401)["code"] == "invalid_api_key"
    assert refused(post(app, token=READER), 403)["code"] == "insufficient_permissions"
    assert app.untouched


def limited(app: App, **limits: Any) -> Answer:
    app.world.controls.tenants["acme"] = Limits(**limits)
    return post(app)


def test_a_spent_budget_is_not_tried_again(app: App) -> None:
    answer = limited(app, monthly_cap=1)
    assert refused(answer, 429)["code"] == "insufficient_quota"
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


def test_a_rate_is_tried_again_within_a_minute(app: App) -> None:
    answer = limited(app, in_flight=0)
    assert refused(answer, 429)["code"] == "rate_limit_exceeded"
    assert answer.headers["x-should-retry"] == "true"
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_an_outage_is_tried_again_and_says_nothing_of_itself(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any, **__: Any) -> None:
        raise OSError("secret")

    monkeypatch.setattr(app.world.store, "insert", down)
    answer = post(app)
    assert refused(answer, 500)["type"] == "server_error"
    assert answer.headers["x-should-retry"] == "true"
    assert "secret" not in answer.text


def test_a_repeated_post_gets_the_first_ones_prediction(app: App) -> None:
    first = post(app, **{"x-stainless-retry-count": "0"})
    again = post(app, **{"x-stainless-retry-count": "1"})
    assert again.json["id"] == first.json["id"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    other = post(app, **{"x-stainless-retry-count": "0"})
    assert other.json["id"] != first.json["id"]
    assert post(app).json["id"] not in {first.json["id"], other.json["id"]}


def test_a_key_gets_the_first_ones_prediction(app: App) -> None:
    ids = {post(app, **{"idempotency-key": "k"}).json["id"] for _ in range(2)}
    assert len(ids) == 1
    error = refused(post(app, ASKED | {"prompt": "other"}, **{"idempotency-key": "k"}), 400)
    assert "Idempotency-Key" in error["message"]


def test_the_list_of_models_has_their_names_and_ours(app: App) -> None:
    event = events.http("GET", f"{BASE}/models", None, {"authorization": f"Bearer {READER}"})
    answer = app.http("images", event)
    names = [one["id"] for one in answer.json["data"]]
    assert answer.json["object"] == "list"
    assert {"gpt-image-1", "dall-e-3", "black-forest-labs/flux-schnell"} <= {*names}
    assert len({*names}) == len(names)
    event["headers"] = {}
    refused(app.http("images", event), 401)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/chat/completions"),
        ("GET", "/images/generations"),
        ("POST", "/images/variations"),
        ("POST", "/models/x/y"),
        ("GET", "/images/generations/x/wait/more"),
    ],
)
def test_whatever_else_theirs_has_is_refused_in_their_form(
    app: App, method: str, path: str
) -> None:
    refused(app.http("images", events.http(method, BASE + path, None, {})), 404)


def test_a_slash_at_the_end_is_passed_over(app: App) -> None:
    sent = {"content-type": "application/json", "authorization": f"Bearer {ACME}"}
    event = events.http("POST", f"{BASE}/images/generations/", json.dumps(ASKED), sent)
    assert app.http("images", event).status == 303


# The wait


def test_a_wait_goes_on_18_times_and_then_says_where_the_prediction_is(app: App) -> None:
    answer = post(app)
    location = answer.headers["location"]
    hops = 1
    while (answer := follow(app, location)).status == 303:
        hops += 1
        location = answer.headers["location"]
        assert location.endswith(f"hop={hops}")
    assert hops == 18
    error = refused(answer, 504)
    assert location.split("/")[5] in error["message"]
    assert error["code"] == "still_running"
    assert answer.headers["x-should-retry"] == "false"


def test_who_does_not_wait_polls(app: App) -> None:
    answer = post(app, prefer="respond-async")
    id_ = answer.json["id"]
    assert answer.status == 202
    assert answer.headers["location"] == f"{BASE}/images/generations/{id_}/wait"
    assert int(answer.headers["retry-after"]) > 0
    polled = follow(app, answer.headers["location"] + "?seconds=1")
    assert (polled.status, polled.json) == (202, {"id": id_, "status": "starting"})
    assert polled.headers["location"] == answer.headers["location"]
    assert finished(app, answer).json["data"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [(None, {"url", "b64_json"}), ("url", {"url"}), ("b64_json", {"b64_json"})],
)
def test_a_picture_is_a_url_or_its_bytes_or_both(
    app: App, wanted: str | None, names: set[str]
) -> None:
    answer = post(app, ASKED | {"response_format": wanted})
    (made,) = finished(app, answer).json["data"]
    assert made.keys() == names


def test_a_stream_is_one_event_for_each_picture(app: App) -> None:
    answer = post(app, ASKED | {"stream": True, "n": 2})
    app.world.succeed(str(app.world.record(answer.json["id"]).provider_id), "0.png", "1.png")
    app.world.webhook(answer.json["id"], str(app.world.record(answer.json["id"]).provider_id))
    app.world.settle()
    got = follow(app, answer.headers["location"])
    assert got.headers["content-type"] == "text/event-stream"
    sent = got.text.split("\n\n")
    assert sent.pop() == ""
    assert len(sent) == 2
    for one in sent:
        event, data = one.split("\n")
        assert event == "event: image_generation.completed"
        told = json.loads(data.removeprefix("data: "))
        assert told["type"] == "image_generation.completed"
        assert base64.b64decode(told["b64_json"]) == PNG


def test_an_answer_that_lambda_cannot_hand_on_is_read_at_the_bucket(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = PNG[:-12] + bytes(5_000_000) + PNG[-12:]
    monkeypatch.setattr("tests.support.world.PNG", large)
    answer = post(app)
    got = finished(app, answer)
    assert got.status == 303
    key = got.headers["location"].removeprefix("https://outputs.test/").removesuffix("?signed")
    assert key.startswith(app.world.record(answer.json["id"]).folder)
    kind, data = app.world.outputs.objects[key]
    assert kind == "application/json"
    (made,) = json.loads(data)["data"]
    assert base64.b64decode(made["b64_json"]) == large
    assert follow(app, answer.headers["location"]).headers["location"] == got.headers["location"]
    by_url = follow(app, answer.headers["location"] + "&response_format=url")
    assert by_url.json["data"][0]["url"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("CUDA out of memory", 422, "provider_failed"),
        ("NSFW content detected", 400, "moderation_blocked"),
    ],
)
def test_a_model_that_fails_is_no_fault_of_the_service(
    app: App, error: str, status: int, code: str
) -> None:
    answer = post(app)
    id_ = answer.json["id"]
    provider_id = str(app.world.record(id_).provider_id)
    app.world.provider.upstream[provider_id]["error"] = error
    app.world.provider.finish(provider_id, status="failed")
    app.world.webhook(id_, provider_id)
    got = follow(app, answer.headers["location"])
    told = refused(got, status)
    assert (told["code"], got.headers["x-should-retry"]) == (code, "false")
    assert id_ in told["message"]


def test_a_canceled_prediction_is_a_conflict(app: App) -> None:
    answer = post(app)
    id_ = answer.json["id"]
    app.cancel(id_)
    app.world.provider.finish(str(app.world.record(id_).provider_id), status="canceled")
    app.world.webhook(id_, str(app.world.record(id_).provider_id))
    assert refused(follow(app, answer.headers["location"]), 409)["code"] == "canceled"


def test_h_openai_another_tenants_pictures_are_not_found(app: App) -> None:
    answer = post(app)
    refused(follow(app, answer.headers["location"], OTHER), 404)
    refused(follow(app, f"{BASE}/images/edits/{'0' * 26}/wait"), 404)
    assert app.world.naps == []


@pytest.mark.parametrize(
    "query",
    [
        "hop=0",
        "hop=19",
        "hop=1%0d%0alocation:x",
        "seconds=26",
        "response_format=all",
        "stream=yes",
        "ignored=evil",
        "ignored=style,,",
        "ignored=" + "style," * 40,
        "next=https://evil.test",
    ],
)
def test_h_openai_a_query_that_is_not_ours_is_refused_without_a_wait(app: App, query: str) -> None:
    place = post(app).headers["location"].partition("?")[0]
    refused(follow(app, f"{place}?{query}"), 400)
    assert app.world.naps == []


def test_a_wait_creates_nothing_and_takes_no_more_reads_than_any(app: App) -> None:
    answer = post(app)
    app.calls.clear()
    follow(app, answer.headers["location"])
    reads = {name: n for name, n in app.calls.items() if not name.endswith(".watch")}
    assert sum(reads.values()) == 21
    assert "FakeProvider.create" not in app.calls


# Edits


def form(*parts: tuple[str, str | bytes, str | None], end: bytes = b"--b--\r\n") -> bytes:
    found = b""
    for name, value, filename in parts:
        named = f'; filename="{filename}"' if filename is not None else ""
        data = value.encode() if isinstance(value, str) else value
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        found += head.encode() + data + b"\r\n"
    return found + end


def edit(app: App, body: bytes | dict[str, Any]) -> Answer:
    as_json = isinstance(body, dict)
    sent = {"authorization": f"Bearer {ACME}"}
    sent["content-type"] = "application/json" if as_json else "multipart/form-data; boundary=b"
    raw: str | bytes = json.dumps(body) if isinstance(body, dict) else body
    return app.http("images", events.http("POST", f"{BASE}/images/edits", raw, sent))


def picture(mode: str = "RGB", size: tuple[int, int] = (2, 3), kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new(mode, size).save(written, kind)
    return written.getvalue()


def masked(*clear: tuple[int, int], size: tuple[int, int] = (2, 3)) -> bytes:
    """A mask that is fully transparent at these pixels."""
    mask = Image.new("RGBA", size, (9, 9, 9, 255))
    for pixel in clear:
        mask.putpixel(pixel, (9, 9, 9, 0))
    written = io.BytesIO()
    mask.save(written, "PNG")
    return written.getvalue()


TEXTS = (("model", "gpt-image-1", None), ("prompt", "a hat", None))


def as_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_a_picture_of_a_form_is_the_models(app: App, name: str) -> None:
    answer = edit(app, form(*TEXTS, (name, PNG, "upload")))
    assert answer.status == 303
    assert answer.headers["location"].startswith(f"{BASE}/images/edits/")
    assert given(app, answer)["input_images"] == [as_url(PNG)]
    got = finished(app, answer)
    assert base64.b64decode(got.json["data"][0]["b64_json"]) == PNG


def test_texts_of_a_form_have_the_types_that_they_stand_for(app: App) -> None:
    more = [("n", "2"), ("stream", "true"), ("user", "u"), ("guidance_scale", "3.5")]
    more += [("metadata[a]", "b"), ("tags[]", "x"), ("tags[]", "y"), ("seed", "7")]
    model = [("model", "stability-ai/sdxl", None), TEXTS[1], ("image", PNG, "a.png")]
    answer = edit(app, form(*model, *((name, text, None) for name, text in more)))
    assert answer.status == 303, answer.text
    assert "stream=true" in answer.headers["location"]
    wanted = {"num_outputs": 2, "guidance_scale": 3.5, "seed": 7}
    assert given(app, answer).items() >= wanted.items()
    record = app.world.record(answer.json["id"])
    assert (record.metadata, record.tags, record.end_user) == ({"a": "b"}, ("x", "y"), "u")


def test_an_edit_in_json_names_its_pictures(app: App) -> None:
    urls = [{"image_url": "https://example.com/a.png"}, {"image_url": as_url(PNG)}]
    body = {"model": "gpt-image-1", "prompt": "a hat", "images": urls}
    assert given(app, edit(app, body))["input_images"] == [u["image_url"] for u in urls]
    error = refused(edit(app, {**body, "images": [{"file_id": "0" * 26}]}), 400)
    assert "File not found" in error["message"]


def test_an_edit_is_as_its_picture_unless_it_says_otherwise(app: App) -> None:
    model = ("model", "black-forest-labs/flux-2-klein-4b", None)
    answer = edit(app, form(model, TEXTS[1], ("image", PNG, "a")))
    assert given(app, answer)["aspect_ratio"] == "match_input_image"
    sized = edit(app, form(model, TEXTS[1], ("image", PNG, "a"), ("size", "512x512", None)))
    assert given(app, sized)["aspect_ratio"] == "1:1"


@pytest.mark.parametrize(
    ("model", "edited", "kept"),
    [
        ("gpt-image-1", 255, 0),
        ("ideogram-ai/ideogram-v3-turbo", 0, 255),
        ("stability-ai/sdxl", 255, 0),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_transparent_in_a_mask_is_what_the_model_repaints(
    app: App, model: str, edited: int, kept: int, *, as_json: bool
) -> None:
    mask = masked((0, 1), (1, 2))
    if as_json:
        body = {"images": [{"image_url": as_url(PNG)}], "mask": {"image_url": as_url(mask)}}
        answer = edit(app, {"model": model, "prompt": "a hat", **body})
    else:
        named = ("model", model, None)
        answer = edit(app, form(named, TEXTS[1], ("image", PNG, "a"), ("mask", mask, "m")))
    assert answer.status == 303, answer.text
    painted = base64.b64decode(given(app, answer)["mask"].partition(",")[2])
    with Image.open(io.BytesIO(painted)) as opened:
        pixels = list(opened.get_flattened_data())
    assert pixels == [kept, kept, edited, kept, kept, edited]


def bomb() -> bytes:
    """A header of 20,000 by 20,000 pixels, and hardly any data."""
    raw = bytearray(masked((0, 0)))
    raw[16:24] = (20_000).to_bytes(4, "big") * 2
    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    return bytes(raw)


def palette() -> bytes:
    opened = Image.open(io.BytesIO(masked((0, 0)))).quantize(4)
    written = io.BytesIO()
    opened.save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        pytest.param(b"", "no PNG", id="empty"),
        pytest.param(b"GIF89a", "no PNG", id="gif"),
        pytest.param(picture(kind="JPEG"), "no PNG", id="jpeg"),
        pytest.param(bomb(), "megapixels", id="bomb"),
        pytest.param(masked((0, 0))[:60], "cut short", id="truncated"),
        pytest.param(masked((0, 0), size=(3, 3)), "as large", id="size"),
        pytest.param(picture("RGB"), "no transparency", id="opaque"),
        pytest.param(picture("I;16"), "no transparency", id="sixteen"),
        pytest.param(masked(), "nowhere", id="nowhere"),
    ],
)
def test_h_openai_a_mask_that_is_none_is_refused(app: App, mask: bytes, says: str) -> None:
    answer = edit(app, form(*TEXTS, ("image", PNG, "a"), ("mask", mask, "m")))
    error = refused(answer, 400)
    assert (error["param"], says in error["message"]) == ("mask", True), error["message"]
    assert app.untouched


def test_a_mask_with_a_palette_is_one(app: App) -> None:
    answer = edit(app, form(*TEXTS, ("image", PNG, "a"), ("mask", palette(), "m")))
    assert answer.status == 303, answer.text


@pytest.mark.parametrize("place", [{"image_url": "https://evil.test/m.png"}, {"file_id": "x"}])
def test_h_openai_a_mask_at_another_address_is_not_fetched(app: App, place: dict[str, str]) -> None:
    body = {"model": "gpt-image-1", "prompt": "x", "images": [{"image_url": as_url(PNG)}]}
    error = refused(edit(app, {**body, "mask": place}), 400)
    assert error["param"] == "mask"
    assert "not fetched" in error["message"]
    assert app.untouched


IMAGE = ("image", PNG, "a.png")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(*TEXTS), id="no picture"),
        pytest.param(form(*TEXTS, *[IMAGE] * 17), id="many pictures"),
        pytest.param(form(*TEXTS, *[IMAGE] * 70), id="many parts"),
        pytest.param(form(*TEXTS, ("image", b"<svg/>", "a.svg")), id="svg"),
        pytest.param(form(*TEXTS, ("image", b"", "a")), id="empty"),
        pytest.param(form(*TEXTS, IMAGE, ("mask", PNG, "m"), ("mask", PNG, "m")), id="two masks"),
        pytest.param(form(*TEXTS, TEXTS[0], IMAGE), id="two models"),
        pytest.param(form(*TEXTS, IMAGE, ("x", b"\xff", None)), id="not utf-8"),
        pytest.param(form(*TEXTS, IMAGE, ("x[]", "1", None), ("x[a]", "1", None)), id="mixed"),
        pytest.param(form(*TEXTS, IMAGE, ("x[a]", "1", None), ("x[]", "1", None)), id="mixed 2"),
        pytest.param(form(*TEXTS, IMAGE, ("x[a]", "1", None), ("x", "1", None)), id="mixed 3"),
        pytest.param(form(*TEXTS, IMAGE, ("other", PNG, "a.png")), id="another file"),
        pytest.param(form(*TEXTS, IMAGE, end=b""), id="no end"),
        pytest.param(form(*TEXTS, IMAGE, ("n", "two", None)), id="no number"),
        pytest.param(form(("prompt", "x", None), IMAGE), id="no model"),
        pytest.param({"model": "gpt-image-1", "prompt": "x"}, id="no pictures"),
        pytest.param({**ASKED, "images": []}, id="none"),
        pytest.param({**ASKED, "images": [{}]}, id="nothing"),
        pytest.param({**ASKED, "images": ["https://x.test/"]}, id="a text"),
        pytest.param({**ASKED, "images": [{"file_id": "../x"}]}, id="no file"),
        pytest.param({**ASKED, "images": [{"image_url": "data:;base64,!"}]}, id="no base64"),
        pytest.param(
            {
                **ASKED,
                "images": [{"image_url": "data:;base64,!"}],
                "mask": {"image_url": as_url(masked((0, 0)))},
            },
            id="no base64 beside a mask",
        ),
        pytest.param(
            {**ASKED, "images": [{"image_url": "https://x.test/", "file_id": "x"}]}, id="both"
        ),
    ],
)
def test_h_openai_an_edit_that_cannot_be_read_is_refused(
    app: App, body: bytes | dict[str, Any]
) -> None:
    refused(edit(app, body), 400)
    assert app.untouched


def test_a_model_is_not_given_what_it_does_not_take(app: App) -> None:
    def refusal(model: str, *more: tuple[str, str | bytes, str | None]) -> Any:
        body = form(("model", model, None), TEXTS[1], IMAGE, *more)
        return refused(edit(app, body), 400)["param"]

    assert refusal("black-forest-labs/flux-schnell") == "model"
    assert refusal("black-forest-labs/flux-kontext-pro", IMAGE) == "image"
    assert refusal("black-forest-labs/flux-kontext-pro", ("mask", masked((0, 0)), "m")) == "mask"
    assert app.untouched


def test_a_markup_is_named_as_ignored(app: App) -> None:
    answer = edit(app, form(*TEXTS, IMAGE, ("markup", b"\x89PNG", "m.png")))
    assert "ignored=markup" in answer.headers["location"]


def test_a_form_that_names_no_boundary_is_no_json_either(app: App) -> None:
    sent = {"authorization": f"Bearer {ACME}", "content-type": "multipart/form-data"}
    refused(app.http("images", events.http("POST", f"{BASE}/images/edits", b"x", sent)), 415)
