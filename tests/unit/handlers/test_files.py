"""/v1/files: uploads, their answers, and their isolation by tenant."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from darkroom.domain.money import Limits

from tests.support import events
from tests.support.app import ACME, OTHER, READER, Answer, is_problem
from tests.support.multipart import FORM, file_form
from tests.support.world import PNG, PUBLIC_URL

if TYPE_CHECKING:
    from tests.support.app import App


def upload(
    app: App, body: bytes | str, content_type: str = FORM, token: str | None = ACME
) -> Answer:
    headers = {"content-type": content_type}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return app.http("files", events.http("POST", "/v1/files", body, headers))


def on_file(app: App, method: str, id_: str, token: str = ACME) -> Answer:
    headers = {"authorization": f"Bearer {token}"}
    return app.http("files", events.http(method, f"/v1/files/{id_}", None, headers))


def test_a_file_is_kept_and_described(app: App) -> None:
    answer = upload(app, file_form())
    assert answer.status == 201
    file = answer.json
    assert (file["name"], file["size"], file["content_type"]) == (
        "corgi.png",
        len(PNG),
        "image/png",
    )
    assert file["checksums"]["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert file["urls"]["get"] == f"{PUBLIC_URL}/v1/files/{file['id']}"
    assert on_file(app, "GET", file["id"], READER).json == file


def test_the_type_is_what_the_bytes_are_and_not_what_was_said(app: App) -> None:
    answer = upload(app, file_form(b"<html><script>alert(1)</script></html>", filename="a.png"))
    assert answer.json["content_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a" * 500, "a" * 255),
        ("a" * 500 + ".jpeg", "a" * 250 + ".jpeg"),
        ("a" * 10 + "." + "b" * 500, "a" * 10 + "." + "b" * 244),
        ("\x01\x7f", "file"),
        ("\u202egnp.exe", "gnp.exe"),
        (" a.png ", "a.png"),
        ("Käse.png", "Käse.png"),
        ("图片.png", "图片.png"),
        ("🐕" * 200 + ".png", "🐕" * 62 + ".png"),
        ("ünïcode 日本.png", "ünïcode 日本.png"),
        ("50%.png", "50%.png"),
        ("a%20b.png", "a%20b.png"),
    ],
)
def test_a_name_is_kept_as_far_as_metadata_may_hold_it(app: App, given: str, kept: str) -> None:
    made = upload(app, file_form(filename=given)).json
    assert made["name"] == kept
    assert on_file(app, "GET", made["id"]).json == made


def test_oracles_f5_what_the_client_says_of_a_file_is_kept(app: App) -> None:
    """The fields `filename`, `type` and `metadata`, as Replicate's own clients send them."""

    def field(name: str, text: str, more: str = "") -> bytes:
        head = f'Content-Disposition: form-data; name="{name}"{more}'
        return f"--bound\r\n{head}\r\n\r\n{text}\r\n".encode()

    said = {"customer_reference_id": 123, "note": "50 % ünï"}
    body = (
        field("metadata", json.dumps(said), '; filename="blob"')
        + field("filename", "named 日本.txt")
        + field("type", "text/plain")
        + file_form()
    )
    made = upload(app, body).json
    assert made["name"] == "named 日本.txt"
    assert made["content_type"] == "text/plain"
    assert made["metadata"] == said
    assert on_file(app, "GET", made["id"]).json == made


@pytest.mark.parametrize(
    "said", ["[]", "{", '{"a":1,"a":2}', json.dumps({"a": "x" * 1000}), "\xff"]
)
def test_metadata_that_is_none_or_too_long_is_refused(app: App, said: str) -> None:
    head = b'--bound\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
    answer = upload(app, head + said.encode("latin-1") + b"\r\n" + file_form())
    assert is_problem(answer, 400)
    assert "metadata" in answer.json["detail"]
    assert not app.world.uploads.objects


def test_the_longest_name_and_metadata_fit_beside_each_other(app: App) -> None:
    head = b'--bound\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
    said = {"a": "x" * (1000 - len('{"a":""}'))}
    body = head + json.dumps(said, separators=(",", ":")).encode() + b"\r\n"
    made = upload(app, body + file_form(filename="\u0800" * 85)).json
    assert (made["name"], made["metadata"]) == ("\u0800" * 85, said)


def test_the_name_of_a_form_is_kept_likewise(app: App) -> None:
    begun = begin(app, {"filename": "图片.png", "content_type": "image/png"}).json
    assert app.world.forms.post(begun["fields"]["key"], PNG) == 204
    assert on_file(app, "GET", begun["id"]).json["name"] == "图片.png"


def test_a_file_can_be_an_input(app: App) -> None:
    file = upload(app, file_form()).json
    given = {"prompt": "x", "image": file["urls"]["get"]}
    answer = app.submit({"version": "stability-ai/sdxl", "input": given})
    assert answer.status == 201
    (create,) = app.world.provider.creates
    key = f"acme/inputs/{answer.json['id']}/0.png"
    assert create["input_"]["image"] == f"https://uploads.test/{key}?signed"


def test_a_deleted_file_is_gone(app: App) -> None:
    file = upload(app, file_form()).json
    deleted = on_file(app, "DELETE", file["id"])
    assert (deleted.status, deleted.text) == (204, "")
    assert is_problem(on_file(app, "GET", file["id"]), 404)
    assert is_problem(on_file(app, "DELETE", file["id"]), 404)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a62_another_tenants_file_is_an_unknown_one(app: App, method: str) -> None:
    file = upload(app, file_form()).json
    app.world.files.limits.of("other")  # Read once in half a minute, for any request.
    seen = []
    for id_ in (file["id"], "0" * 26):
        app.calls.clear()
        seen.append((on_file(app, method, id_, OTHER), dict(app.calls)))
    assert seen[0] == seen[1]
    assert is_problem(seen[0][0], 404)
    assert on_file(app, "GET", file["id"]).status == 200


@pytest.mark.parametrize("id_", ["..", "A" * 26, "a" * 2049, "%2e%2e", "a" * 25 + "\0"])
def test_an_id_in_another_form_is_not_looked_up(app: App, id_: str) -> None:
    assert is_problem(on_file(app, "GET", id_), 404)
    assert app.calls == {"FakeControls.api_key": 1}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        pytest.param(file_form(), "application/json", 415, id="json"),
        pytest.param(file_form(), "", 415, id="no-type"),
        pytest.param(file_form(), "multipart/form-data", 415, id="no-boundary"),
        pytest.param(file_form(), 'multipart/form-data; boundary=""', 415, id="empty-boundary"),
        pytest.param(file_form(), "multipart/mixed; boundary=bound", 415, id="mixed"),
        pytest.param(file_form(), "multipart/form-data; boundary*=x'y'%ff", 415, id="odd-boundary"),
        pytest.param(file_form(), "multipart/form-data; boundary=other", 400, id="wrong-boundary"),
        pytest.param(file_form()[:-6], FORM, 400, id="cut-short"),
        pytest.param(b"", FORM, 400, id="empty"),
        pytest.param(b"\xff" * 1000, FORM, 400, id="noise"),
        pytest.param(b"--bound--\r\n", FORM, 400, id="no-parts"),
        pytest.param(file_form(field="file"), FORM, 400, id="another-field"),
        pytest.param(b"--bound\r\n\r\nx\r\n--bound--", FORM, 400, id="part-without-headers"),
        pytest.param(b"--bound\r\n" * 5000 + b"--bound--", FORM, 400, id="too-many-parts"),
        pytest.param(file_form().replace(b"\r\n", b"\n"), FORM, 400, id="bare-line-feeds"),
    ],
)
def test_a_form_that_is_none_is_refused(
    app: App, body: bytes, content_type: str, status: int
) -> None:
    assert is_problem(upload(app, body, content_type), status)
    assert not app.world.uploads.objects


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("dk_unknown", 401), (READER, 403)])
def test_who_may_not_upload(app: App, token: str | None, status: int) -> None:
    assert is_problem(upload(app, file_form(), token=token), status)
    assert not app.world.uploads.objects


def test_a_form_is_counted_before_it_is_looked_at(app: App) -> None:
    app.world.controls.tenants["acme"] = Limits(rate_interval_us=60_000_000, rate_burst=2)
    file = upload(app, file_form()).json
    assert begin(app).status == 201
    for answer in (upload(app, b"no form"), begin(app), on_file(app, "DELETE", file["id"])):
        assert is_problem(answer, 429)
    assert len(app.world.uploads.objects) == len(app.world.forms.forms) == 1
    assert on_file(app, "GET", file["id"]).status == 200


def listed(app: App, cursor: str | None = None, token: str = ACME) -> Answer:
    query = {"cursor": cursor} if cursor else None
    headers = {"authorization": f"Bearer {token}"}
    return app.http("files", events.http("GET", "/v1/files", None, headers, query))


def test_oracles_f2_a_tenants_files_come_newest_first_in_pages(app: App) -> None:
    made = []
    for _ in range(26):
        made.append(upload(app, file_form()).json)
        app.world.clock.advance(0.001)
    upload(app, file_form(filename="theirs.png"), token=OTHER)
    first = listed(app, token=READER).json
    assert len(first["results"]) == 25
    assert first["previous"] is None
    assert first["next"].startswith(f"{PUBLIC_URL}/v1/files?cursor=")
    second = listed(app, first["next"].partition("cursor=")[2]).json
    assert second["next"] is None
    assert first["results"] + second["results"] == made[::-1]


def test_a_form_is_listed_by_when_it_was_given_out(app: App) -> None:
    older = upload(app, file_form()).json["id"]
    app.world.clock.advance(0.001)
    begun = begin(app).json
    app.world.clock.advance(0.001)
    newer = upload(app, file_form()).json["id"]
    assert app.world.forms.post(begun["fields"]["key"], PNG) == 204
    assert [file["id"] for file in listed(app).json["results"]] == [newer, begun["id"], older]


@pytest.mark.parametrize("cursor", ["x", "../" * 8 + "ab", "0" * 27])
def test_a_page_of_files_begins_only_at_a_files_id(app: App, cursor: str) -> None:
    assert is_problem(listed(app, cursor), 400)
    assert app.calls == {"FakeControls.api_key": 1}


def test_a_file_name_cannot_break_out_of_the_answer(app: App) -> None:
    answer = upload(app, file_form(filename='a\\"b<script>'))
    assert json.loads(answer.text)["name"] == 'a"b<script>'


def begin(app: App, body: object = None, token: str = ACME) -> Answer:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    text = None if body is None else json.dumps(body)
    return app.http("files", events.http("POST", "/v1/uploads", text, headers))


def test_a_large_file_is_posted_to_the_bucket_itself(app: App) -> None:
    answer = begin(app, {"filename": "corgi.png", "content_type": "image/png"})
    assert answer.status == 201
    form = answer.json
    assert form["urls"]["get"] == f"{PUBLIC_URL}/v1/files/{form['id']}"
    assert app.world.forms.post(form["fields"]["key"], PNG) == 204
    assert on_file(app, "GET", form["id"], READER).json["name"] == "corgi.png"
    assert is_problem(on_file(app, "GET", form["id"], OTHER), 404)


def test_an_upload_needs_no_body(app: App) -> None:
    assert begin(app).json["fields"]["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param([], 400, id="list"),
        pytest.param({"content_type": 1}, 422, id="number"),
        pytest.param({"content_type": "text/html"}, 422, id="html"),
        pytest.param({"content_type": "x" * 101}, 422, id="long"),
        pytest.param({"key": "other/files/x"}, 422, id="key"),
    ],
)
def test_an_upload_that_is_described_badly_is_refused(app: App, body: object, status: int) -> None:
    assert is_problem(begin(app, body), status)
    assert not app.world.forms.forms


def test_who_may_not_begin_an_upload(app: App) -> None:
    assert is_problem(begin(app, token="dk_unknown"), 401)
    assert is_problem(begin(app, token=READER), 403)


def test_a_file_too_large_for_this_way_is_told_the_other(app: App) -> None:
    answer = upload(app, file_form(bytes(4_500_001)))
    assert is_problem(answer, 413)
    assert "POST /v1/uploads" in answer.json["detail"]
