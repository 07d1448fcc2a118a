"""The door `thumbnails`: URLs in answers, and the function behind the API and behind the CDN."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from darkroom.domain import link
from darkroom.handlers import thumbnail
from darkroom.services.doors import make_thumbnail
from darkroom.services.doors.make_thumbnail import KEPT_S
from PIL import Image

from tests.support import events
from tests.support.app import ACME, READER, Answer, is_problem
from tests.support.world import PUBLIC_URL, Doubles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.ports import StoredObject

    from tests.support.app import App


@pytest.fixture
def app(picture_app: App) -> App:
    return picture_app


def picture(width: int = 800, height: int = 600, form: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(written, form)
    return written.getvalue()


def made(app: App, *files: bytes) -> str:
    """A prediction that has succeeded with these files."""
    record = app.world.accept()
    provider_id = str(app.world.record(record.id).provider_id)
    names = [f"{number}.png" for number in range(len(files))]
    app.world.succeed(provider_id, *names)
    for name, data in zip(names, files, strict=True):
        app.world.fetcher.pages[f"https://replicate.delivery/{provider_id}/{name}"] = data
    app.world.webhook(record.id, provider_id)
    app.world.settle()
    return record.id


def files(app: App, id_: str, **headers: Any) -> list[dict[str, Any]]:
    answer = app.get(f"/v1/predictions/{id_}", **headers)
    assert answer.json["status"] == "succeeded"
    found: list[dict[str, Any]] = answer.json["darkroom"]["files"]
    return found


def look(app: App, url: str, **query: str) -> Answer:
    """GET without any key."""
    assert url.startswith(PUBLIC_URL)
    parts = urlsplit(url)
    asked = {**dict(parse_qsl(parts.query)), **query}
    return app.http("thumbnail", events.http("GET", parts.path, None, {}, asked))


# URLs in answers


def test_each_picture_has_a_url_for_each_width(app: App) -> None:
    id_ = made(app, picture(), picture(300, 200, "JPEG"))
    for number, file in enumerate(files(app, id_)):
        assert file["thumbnail"] == file["thumbnails"]["512"]
        assert list(file["thumbnails"]) == ["256", "512", "1024"]
        for width, url in file["thumbnails"].items():
            place = f"{PUBLIC_URL}/v1/predictions/{id_}/files/{number}/thumbnail/{width}?t="
            assert url.startswith(place)


def test_lists_and_waits_and_agents_are_shown_them_too(app: App) -> None:
    id_ = made(app, picture())
    (shown,) = files(app, id_)
    (listed,) = app.get("/v1/predictions").json["results"]
    waited = app.wait(f"/v1/predictions/{id_}/wait", READER).json
    for answer in (listed, waited):
        assert answer["darkroom"]["files"] == [shown]
    result = json.loads(app.call("mcp", tool("get_image", id=id_))["body"])["result"]
    (told,) = result["structuredContent"]["files"]
    assert told["thumbnail"] == shown["thumbnail"]
    assert told["thumbnails"] == shown["thumbnails"]


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    message = {"name": name, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": message}
    headers = {"authorization": f"Bearer {ACME}", "content-type": "application/json"}
    return events.http("POST", "/mcp", json.dumps(body), headers)


def previewed(app: App, id_: str, **more: Any) -> list[dict[str, Any]]:
    """What an agent is shown besides text and links."""
    answer = app.call("mcp", tool("get_image", id=id_, **more))
    content = json.loads(answer["body"])["result"]["content"]
    return [block for block in content if block["type"] not in {"text", "resource_link"}]


def test_an_agent_is_shown_the_first_picture_if_it_asks(app: App) -> None:
    movie = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100)
    id_ = made(app, movie, picture())
    small = files(app, id_)[1]["thumbnails"]["256"]
    app.world.previews[small] = b"RIFF small"
    assert previewed(app, id_, preview=True) == [
        {"type": "image", "data": "UklGRiBzbWFsbA==", "mimeType": "image/webp"}
    ]
    assert previewed(app, id_) == previewed(app, id_, preview=False) == []
    app.world.previews.clear()
    assert previewed(app, id_, preview=True) == [], "it cannot be had"
    assert previewed(app, made(app, movie), preview=True) == []


def test_a_file_that_is_no_picture_has_none(app: App) -> None:
    movie = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(100)
    (file,) = files(app, made(app, movie))
    assert file["content_type"] == "video/mp4"
    assert "thumbnail" not in file
    assert "thumbnails" not in file


def test_reads_within_minutes_show_the_same_url(app: App) -> None:
    """So that a browser can keep what it was shown."""
    id_ = made(app, picture())
    app.world.clock.advance(301 - app.world.clock() // 1000 % 300)
    first = files(app, id_)
    app.world.clock.advance(299)
    assert files(app, id_) == first
    app.world.clock.advance(1)
    assert files(app, id_) != first


def test_showing_them_takes_no_call_but_for_the_key(app: App) -> None:
    id_ = made(app, picture())
    app.calls.clear()
    files(app, id_)
    with_door = dict(app.calls)
    assert not [name for name in with_door if name.startswith("FakeOutputs")]
    # Secrets are kept by their adapter.
    assert with_door.pop("FakeSecrets.link_keys") == 2
    assert with_door.keys() <= {
        *("FakePredictions.get", "FakePredictions.watch"),
        *("FakeControls.api_key", "FakeControls.limits", "FakeControls.take"),
    }


# Behind the API


def test_the_first_look_makes_it_and_the_second_finds_it(app: App) -> None:
    (file,) = files(app, made(app, picture()))
    key = f"{file['key']}.t512.webp"
    assert key not in app.world.outputs
    app.calls.clear()
    answer = look(app, file["thumbnail"])
    assert answer.status == 302
    assert answer.text == ""
    assert answer.headers == {
        "location": app.world.signer.output_url(key),
        "cache-control": f"private, max-age={KEPT_S}",
    }
    kind, data = app.world.outputs.objects[key]
    assert kind == "image/webp"
    assert Image.open(io.BytesIO(data)).size == (512, 384)
    assert app.calls == {
        "FakeSecrets.link_keys": 1,
        "FakePredictions.get": 1,
        "FakeOutputs.digest": 1,
        "FakeOutputs.whole": 1,
        "FakeOutputs.write_once": 1,
    }
    app.calls.clear()
    assert look(app, file["thumbnail"]).headers == answer.headers
    assert app.calls == {
        "FakeSecrets.link_keys": 1,
        "FakePredictions.get": 1,
        "FakeOutputs.digest": 1,
    }


def test_a_redirect_is_kept_no_longer_than_its_token_lives(app: App) -> None:
    (file,) = files(app, made(app, picture()))
    until = int(file["thumbnail"].partition("?t=")[2].partition(".")[0])
    app.world.clock.advance(until - app.world.clock() // 1000 - 60)
    assert look(app, file["thumbnail"]).headers["cache-control"] == "private, max-age=60"
    app.world.clock.advance(60)
    assert is_problem(look(app, file["thumbnail"]), 404)


def test_a_token_opens_one_width_of_one_file(app: App) -> None:
    id_, other = made(app, picture(), picture()), made(app, picture())
    (first, second), (third,) = files(app, id_), files(app, other)
    token = first["thumbnails"]["256"].partition("?t=")[2]
    record = app.world.record(id_)
    key = app.world.secrets.link[0]
    watch = link.watch_token(id_, app.world.clock() // 1000 + 60, key=key)
    places = [
        first["thumbnails"]["512"],
        second["thumbnails"]["256"],
        third["thumbnails"]["256"],
    ]
    forged = [f"{place.partition('?')[0]}?t={token}" for place in places]
    own = first["thumbnails"]["256"].partition("?")[0]
    forged += [f"{own}?t={text}" for text in ("", "x", token[:-1], token + "A", watch)]
    forged += [f"{own}?t={link.token(id_, record.created_at, key=key)}", own]
    forged += [own.replace("/files/0/", "/files/00/") + f"?t={token}"]
    app.calls.clear()
    for url in forged:
        answer = look(app, url)
        assert is_problem(answer, 404)
        assert answer.headers["cache-control"] == "no-store"
    assert app.calls.keys() == {"FakeSecrets.link_keys"}
    assert app.untouched is False, "of the creates"


def test_a_name_that_the_query_does_not_have_is_refused(app: App) -> None:
    (file,) = files(app, made(app, picture()))
    assert is_problem(look(app, file["thumbnail"], width="9"), 400)


def test_a_link_key_that_was_rotated_leaves_urls_that_are_there(app: App) -> None:
    (file,) = files(app, made(app, picture()))
    app.world.secrets.link = (b"n" * 32, *app.world.secrets.link)
    assert look(app, file["thumbnail"]).status == 302
    app.world.secrets.link = (b"n" * 32,)
    assert look(app, file["thumbnail"]).status == 404


def test_a_prediction_that_is_gone_is_not_found(app: App) -> None:
    id_ = made(app, picture())
    (file,) = files(app, id_)
    del app.world.store.items[id_]
    assert is_problem(look(app, file["thumbnail"]), 404)


def test_a_hostile_picture_is_a_404_that_is_kept_for_a_minute(app: App) -> None:
    broken = picture()[:-40] + picture()[-12:]
    (file,) = files(app, made(app, broken))
    answer = look(app, file["thumbnail"])
    assert is_problem(answer, 404)
    assert answer.headers["cache-control"] == "max-age=60"
    assert f"{file['key']}.t512.webp" not in app.world.outputs
    assert "ThumbnailRefused" in app.logs.getvalue()
    assert "ThumbnailFailed" not in app.logs.getvalue()


def test_an_original_that_is_gone_or_too_large_has_none(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = files(app, made(app, picture()))
    monkeypatch.setattr(make_thumbnail, "MOST_BYTES", len(picture()) - 1)
    assert is_problem(look(app, file["thumbnail"]), 404)
    monkeypatch.undo()
    del app.world.outputs.objects[file["key"]]
    assert is_problem(look(app, file["thumbnail"]), 404)


def test_of_two_at_once_the_first_one_stays(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = files(app, made(app, picture()))
    key = f"{file['key']}.t512.webp"
    outputs, write = app.world.outputs, app.world.outputs.write_once

    def write_second(key: str, type_: str, chunks: Iterator[bytes]) -> StoredObject:
        outputs.objects[key] = ("image/webp", b"the first")
        return write(key, type_, chunks)

    monkeypatch.setattr(outputs, "write_once", write_second)
    assert look(app, file["thumbnail"]).status == 302
    assert outputs.objects[key] == ("image/webp", b"the first")


# Behind the CDN


class Edge:
    """The function of a stage with a CDN, over the outputs of a world."""

    def __init__(self, app: App) -> None:
        settings = thumbnail.ThumbnailSettings(outputs_bucket="outputs")
        self.app = app
        self.made = thumbnail.build(settings, Doubles(app.world))
        app.handlers["thumbnail"] = thumbnail.FUNCTION.entry(lambda: self.made)

    def get(self, path: str, method: str = "GET") -> dict[str, Any]:
        answer: dict[str, Any] = self.app.call("thumbnail", events.http(method, path))
        return answer


@pytest.fixture
def edge(app: App) -> Edge:
    return Edge(app)


def test_the_cdn_gets_the_bytes_and_the_bucket_too(app: App, edge: Edge) -> None:
    (file,) = files(app, made(app, picture()))
    key = f"{file['key']}.t1024.webp"
    app.calls.clear()
    answer = edge.get(f"/{key}")
    assert answer["statusCode"] == 200
    assert answer["headers"] == {"content-type": "image/webp", "cache-control": "max-age=86400"}
    assert answer["isBase64Encoded"] is True
    data = base64.b64decode(answer["body"], validate=True)
    assert app.world.outputs.objects[key] == ("image/webp", data)
    assert Image.open(io.BytesIO(data)).size == (800, 600)
    assert app.calls == {"FakeOutputs.whole": 1, "FakeOutputs.write_once": 1}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/{key}",
        "/{key}.t300.webp",
        "/x/../{key}.t512.webp",
        "//{key}.t512.webp",
        "/{key}.t512.webp/",
        "/v1/predictions",
    ],
)
def test_the_cdn_gets_no_other_object(app: App, edge: Edge, path: str) -> None:
    (file,) = files(app, made(app, picture()))
    app.calls.clear()
    answer = edge.get(path.format(key=file["key"]))
    assert answer["statusCode"] == 404
    assert answer["headers"]["cache-control"] == "max-age=60"
    assert not app.calls


def test_an_event_without_a_path_is_a_404(app: App, edge: Edge) -> None:
    assert app.call("thumbnail", {})["statusCode"] == 404


def test_the_cdn_gets_a_404_of_what_cannot_be_made(app: App, edge: Edge) -> None:
    (file,) = files(app, made(app, picture()[:-40] + picture()[-12:]))
    for key in (file["key"], file["key"].replace("/0.png", "/7.png")):
        answer = edge.get(f"/{key}.t512.webp")
        assert answer["statusCode"] == 404
        assert answer["headers"]["cache-control"] == "max-age=60"


def fails(*_: Any) -> None:
    raise OSError("S3 is down: secret details")


def test_what_cannot_be_stored_is_shown_all_the_same(
    app: App, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = files(app, made(app, picture()))
    monkeypatch.setattr(app.world.outputs, "write_once", fails)
    answer = edge.get(f"/{file['key']}.t512.webp")
    assert answer["statusCode"] == 200
    assert "a thumbnail could not be stored" in app.logs.getvalue()


def test_an_outage_is_a_500_that_says_nothing_and_is_counted(
    app: App, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = files(app, made(app, picture()))
    monkeypatch.setattr(app.world.outputs, "whole", fails)
    answer = edge.get(f"/{file['key']}.t512.webp")
    assert answer["statusCode"] == 500
    assert answer["headers"]["cache-control"] == "no-store"
    assert "secret" not in answer["body"]
    assert "ThumbnailFailed" in app.logs.getvalue()
