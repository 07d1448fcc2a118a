"""What the provider says is a picture, on its way through persist into the bucket.

Case numbers are those of tests/cases.py; tests/adapters/test_hostile_outputs.py has the wire.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from darkroom.domain.prediction import Code, State

from tests import events
from tests.world import PNG

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.unit.handlers.conftest import App

HOST = "https://replicate.delivery"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
GIF = b"GIF89a\x02\0\x03\0\0\0\0"


def served(app: App, *pages: bytes) -> Prediction:
    """A prediction that succeeded upstream with these files, as its webhook leaves it."""
    record = app.world.accept()
    provider_id = str(record.provider_id)
    urls = [f"{HOST}/{provider_id}/{number}.png" for number in range(len(pages))]
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
        pytest.param(b"<!doctype html><script>alert(1)</script>", id="A53-html"),
        pytest.param(b"\n <html><body>\x89PNG\r\n\x1a\n", id="A53-html-with-a-picture-in-it"),
        pytest.param(SVG, id="A54-svg"),
        pytest.param(b'<?xml version="1.0"?>' + SVG, id="A54-svg-with-a-prolog"),
        pytest.param(b"\xef\xbb\xbf" + SVG, id="A54-svg-behind-a-byte-order-mark"),
        pytest.param(b"\x1f\x8b\x08\0" + SVG, id="A54-svgz"),
        pytest.param(b"%PDF-1.7 <script>", id="pdf"),
        pytest.param(b"MZ\x90\0", id="executable"),
        pytest.param(b"PK\x03\x04", id="zip"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_picture_is_never_stored(app: App, page: bytes) -> None:
    record = served(app, page)
    while (after := persist(app, record)).state is State.STORING:
        app.world.clock.now = after.next_store_at
    assert (after.state, after.code) == (State.FAILED, Code.OUTPUT_EXPIRED)
    assert not app.world.outputs.objects
    assert app.get(f"/v1/predictions/{record.id}").json["output"] is None


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
