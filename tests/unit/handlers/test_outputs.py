"""Outputs that the provider declares as pictures, through persist into the bucket.

Case numbers are those of tests/cases.py; tests/adapters/test_hostile_outputs.py covers the wire.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from darkroom.domain.prediction import Code, State

from tests.support import events
from tests.support.fakes import FakeDownload
from tests.support.world import PNG

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.support.app import App

HOST = "https://replicate.delivery"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GIF = b"GIF89a\x02\0\x03\0\0\0\0"
HTML = b"<!doctype html><script>alert(1)</script>"


def served(app: App, *pages: bytes | FakeDownload, name: str = "png") -> Prediction:
    """Return a prediction that succeeded upstream with these files, as its webhook leaves it."""
    record = app.world.accept()
    provider_id = str(record.provider_id)
    urls = [f"{HOST}/{provider_id}/{number}.{name}" for number in range(len(pages))]
    app.world.fetcher.pages.update(zip(urls, pages, strict=True))
    app.world.provider.finish(provider_id, output=urls)
    app.webhook(app.hook(record.id, json.dumps(app.world.provider.body(provider_id))))
    return record


def persist(app: App, record: Prediction) -> Prediction:
    answer = app.call("persist", events.sqs({"id": record.id}))
    assert answer == {"batchItemFailures": []}
    return app.world.record(record.id)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(HTML, id="A53-html"),
        pytest.param(b"\n <html><body>\x89PNG\r\n\x1a\n", id="A53-html-with-a-picture-in-it"),
        pytest.param(b"<!doctype html><svg>", id="A53-html-that-begins-with-a-picture"),
        pytest.param(
            FakeDownload(HTML, len(HTML), content_type="text/plain"), id="A53-html-as-text"
        ),
        pytest.param(
            FakeDownload(b'{"detail": 1}', 13, content_type="application/json"), id="a-message"
        ),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_picture_is_never_stored(app: App, page: bytes | FakeDownload) -> None:
    """It may still become a picture, so the copy is retried until the provider deletes its own."""
    record = served(app, page)
    while (after := persist(app, record)).state is State.STORING:
        app.world.clock.now = after.next_store_at
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_EXPIRED)
    assert not app.world.outputs.objects
    assert app.get(f"/v1/predictions/{record.id}").json["output"] is None


@pytest.mark.parametrize(
    ("page", "name"),
    [
        pytest.param(SVG, "SVG", id="A54-svg"),
        pytest.param(b'<?xml version="1.0"?>' + SVG, "SVG", id="A54-svg-with-a-prolog"),
        pytest.param(b"\xef\xbb\xbf" + SVG, "SVG", id="A54-svg-behind-a-byte-order-mark"),
        pytest.param(b"\x1f\x8b\x08\0" + SVG, "gzip", id="A54-svgz"),
        pytest.param(
            FakeDownload(SVG, None, content_type="text/plain"), "SVG", id="A54-svg-as-text"
        ),
        pytest.param(b"%PDF-1.7 <script>", "PDF", id="pdf"),
        pytest.param(
            FakeDownload(b"MZ\x90\0", 4, content_type="application/x-msdownload"),
            "application/x-msdownload",
            id="executable",
        ),
        pytest.param(b"\x1aE\xdf\xa3matroska", "Matroska", id="matroska"),
    ],
)
def test_what_is_of_a_type_that_is_never_stored_ends_at_once_and_says_so(
    app: App, page: bytes | FakeDownload, name: str
) -> None:
    record = served(app, PNG, page)
    after = persist(app, record)
    assert (after.state, after.code, after.files) == (State.FAILED, Code.OUTPUT_REFUSED, ())
    shown = app.get(f"/v1/predictions/{record.id}").json
    assert (shown["status"], shown["output"]) == ("failed", None)
    assert shown["error"].endswith(f": {name}")
    assert shown["darkroom"]["code"] == "output_refused"


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x14ftyp" + brand + b"\0\0\0\0isom" + b"\0\0\0\x08mdat"


@pytest.mark.parametrize(
    ("page", "name", "kind", "extension"),
    [
        pytest.param(box(b"heic"), "heic", "image/heic", "heic", id="heic"),
        pytest.param(box(b"qt  "), "mov", "video/quicktime", "mov", id="quicktime"),
        pytest.param(box(b"XAVC"), "mp4", "video/mp4", "mp4", id="mp4-of-any-brand"),
        pytest.param(b"\x1aE\xdf\xa3B\x82\x84webm", "webm", "video/webm", "webm", id="webm"),
        pytest.param(b"RIFF\4\0\0\0WAVE", "wav", "audio/wav", "wav", id="wave"),
        pytest.param(b"\xff\xfb\x90\x64 ", "mp3", "audio/mpeg", "mp3", id="mp3"),
        pytest.param(b"ID3\3\0\0\0\0\0\0", "mp3", "audio/mpeg", "mp3", id="mp3-with-a-tag"),
        pytest.param(b"glTF\2\0\0\0\x0c\0\0\0", "glb", "model/gltf-binary", "glb", id="glb"),
        pytest.param(b"PK\3\4" + bytes(9), "zip", "application/zip", "zip", id="zip"),
        pytest.param(b'[{"box": 1}]', "json", "application/json", "json", id="json"),
        pytest.param("grün".encode(), "txt", "text/plain", "txt", id="text"),
        pytest.param(
            FakeDownload(b"{}", 2, content_type="application/json"),
            "out",
            "application/json",
            "json",
            id="json-by-its-type",
        ),
    ],
)
def test_files_other_than_pictures_are_stored_as_what_they_are(
    app: App, page: bytes | FakeDownload, name: str, kind: str, extension: str
) -> None:
    record = served(app, page, name=name)
    (file,) = persist(app, record).files
    data = page if isinstance(page, bytes) else page.data
    assert app.world.outputs.objects[file.key] == (kind, data)
    assert (file.content_type, file.key.rpartition(".")[2]) == (kind, extension)


@pytest.mark.parametrize("cut", [b"\xc3", b"\xc3(", "ü".encode("latin-1") + b"ber"])
def test_text_that_is_not_utf_8_ends_at_once(app: App, cut: bytes) -> None:
    record = served(app, b"x" * 70_000 + cut, name="txt")
    after = persist(app, record)
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_REFUSED)
    assert not app.world.outputs.objects


def test_the_size_of_a_picture_is_found_behind_long_metadata(app: App) -> None:
    metadata = (b"\xff\xe2\xff\xff" + bytes(65_533)) * 2
    page = b"\xff\xd8" + metadata + b"\xff\xc0\0\x08\x08\0\x10\0\x20\1\xff\xda\0\2\xff\xd9"
    (file,) = persist(app, served(app, page, name="jpg")).files
    assert (file.content_type, file.width, file.height) == ("image/jpeg", 32, 16)


@pytest.mark.parametrize("length", [True, False], ids=["announced", "not announced"])
def test_a_picture_with_more_behind_its_end_mark_is_stored_whole(app: App, length: bool) -> None:
    page = PNG + b"\n" + b"x" * 10_000
    record = served(app, FakeDownload(page, len(page) if length else None))
    (file,) = persist(app, record).files
    assert app.world.outputs.objects[file.key][1] == page


def test_a_length_that_was_announced_and_met_is_the_whole_picture(app: App) -> None:
    page = PNG[:-12]
    (file,) = persist(app, served(app, page)).files
    assert file.bytes == len(page)
    again = persist(app, served(app, FakeDownload(page, None)))
    assert (again.state, again.store_attempts) == (State.STORING, 1)


@pytest.mark.parametrize(
    ("page", "kind", "extension"),
    [
        pytest.param(
            GIF.replace(b"\x02\0", b"/*") + b"*/=1;alert(1)//\0;",
            "image/gif",
            "gif",
            id="A55-gif-js",
        ),
        pytest.param(
            PNG[:-12] + b"PK\x03\x04<script>" + PNG[-12:], "image/png", "png", id="A55-png-zip"
        ),
        pytest.param(
            b"\xff\xd8\xff\xfe\0\x20<?php system($_GET[0]);?>\xff\xd9",
            "image/jpeg",
            "jpg",
            id="A55-jpeg-php",
        ),
        pytest.param(
            PNG + b"<html><script>alert(1)</script>", "image/png", "png", id="A55-png-html"
        ),
    ],
)
def test_a_polyglot_is_stored_as_what_it_begins_as(
    app: App, page: bytes, kind: str, extension: str
) -> None:
    record = served(app, page)
    (file,) = persist(app, record).files
    assert app.world.outputs.objects[file.key] == (kind, page)
    assert (file.content_type, file.key.rpartition(".")[2]) == (kind, extension)


def test_a56_a_picture_of_any_size_is_stored_and_not_decoded(app: App) -> None:
    side = (50_000).to_bytes(4, "big")
    bomb = PNG[:16] + side * 2 + PNG[24:]
    (file,) = persist(app, served(app, bomb)).files
    assert (file.width, file.height, file.bytes) == (50_000, 50_000, len(bomb))


def test_a57_metadata_passes_unchanged(app: App) -> None:
    junk = b"eXIf" + bytes(range(256)) * 300 + b"iCCP\0<script>"
    page = PNG[:-12] + junk + PNG[-12:]
    (file,) = persist(app, served(app, page)).files
    assert app.world.outputs.objects[file.key][1] == page
    assert file.sha256 == hashlib.sha256(page).hexdigest()


def test_a58_an_output_named_twice_is_one_object_for_each_place(app: App) -> None:
    record = app.world.accept()
    provider_id = str(record.provider_id)
    app.world.fetcher.pages[f"{HOST}/a.png"] = PNG
    app.world.provider.finish(provider_id, output=[f"{HOST}/a.png"] * 2)
    body = json.dumps(app.world.provider.body(provider_id))
    app.webhook(app.hook(record.id, body))
    after = persist(app, record)
    assert len(app.world.outputs.objects) == len(after.files) == 2
    kept = app.kept()
    app.webhook(app.hook(record.id, body))
    assert persist(app, record) == after
    assert app.kept() == kept


def test_a58_outputs_told_again_in_another_order_move_nothing(app: App) -> None:
    first, second = PNG, PNG[:-12] + b"tEXt" + PNG[-12:]
    record = served(app, first, second)
    after = persist(app, record)
    provider_id = str(record.provider_id)
    upstream = app.world.provider.body(provider_id)
    upstream["output"].reverse()
    assert app.webhook(app.hook(record.id, json.dumps(upstream))).status == 200
    assert persist(app, record) == after
    stored = [app.world.outputs.objects[file.key][1] for file in after.files]
    assert stored == [first, second]
