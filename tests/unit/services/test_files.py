"""Files: small uploads, each owned by one tenant."""

from __future__ import annotations

import hashlib

import pytest
from darkroom.domain.errors import InvalidInputError, NotFoundError, TooLargeError
from darkroom.services.files.uploads import MOST_DIRECT

from tests.support.world import PNG, PUBLIC_URL, World


def test_a_file_is_described_as_replicate_describes_one() -> None:
    world = World()
    shown = world.files.create("acme", "picture.png", PNG)
    assert shown["name"] == "picture.png"
    assert (shown["content_type"], shown["size"]) == ("image/png", len(PNG))
    assert shown["checksums"]["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert shown["etag"] == shown["checksums"]["md5"]
    assert shown["urls"]["get"] == f"{PUBLIC_URL}/v1/files/{shown['id']}"
    assert shown["created_at"] == "2027-01-15T08:00:00.000Z"
    assert shown["expires_at"] == "2027-01-16T08:00:00.000Z"
    assert world.files.get("acme", shown["id"]) == shown


def test_a_files_type_is_what_its_bytes_are() -> None:
    world = World()
    assert world.files.create("acme", "x.png", b"<svg/>")["content_type"] == (
        "application/octet-stream"
    )


def test_another_tenants_file_is_unknown() -> None:
    world = World()
    id_ = world.files.create("acme", "x", PNG)["id"]
    with pytest.raises(NotFoundError):
        world.files.get("other", id_)
    with pytest.raises(NotFoundError):
        world.files.delete("other", id_)
    assert world.files.get("acme", id_)["id"] == id_


def test_a_deleted_file_is_gone() -> None:
    world = World()
    id_ = world.files.create("acme", "x", PNG)["id"]
    world.files.delete("acme", id_)
    with pytest.raises(NotFoundError):
        world.files.get("acme", id_)
    assert world.uploads.objects == {}


@pytest.mark.parametrize("id_", ["", "../x", "0" * 26, "A" * 26])
def test_an_unknown_file_is_not_found(id_: str) -> None:
    with pytest.raises(NotFoundError):
        World().files.get("acme", id_)


def test_a_file_too_large_for_the_api_is_refused_with_the_way_around() -> None:
    world = World()
    with pytest.raises(TooLargeError, match="/v1/uploads"):
        world.files.create("acme", "x", b"x" * 4_500_001)
    assert world.uploads.objects == {}


def test_a_form_stores_a_file_that_inputs_may_name() -> None:
    world = World()
    form = world.files.form("acme", "large.png", "image/png")
    assert form["url"] == "https://uploads.test"
    assert form["max_bytes"] == 100_000_000
    assert form["expires_at"] == "2027-01-15T09:00:00.000Z"
    with pytest.raises(NotFoundError):
        world.files.get("acme", form["id"])
    assert world.forms.post(form["fields"]["key"], PNG) == 204
    shown = world.files.get("acme", form["id"])
    assert (shown["name"], shown["content_type"]) == ("large.png", "image/png")
    assert shown["etag"] == hashlib.md5(PNG, usedforsecurity=False).hexdigest()
    with pytest.raises(NotFoundError):
        world.files.get("other", form["id"])


@pytest.mark.parametrize(
    "content_type",
    ["", "text/html", "image/svg+xml", "application/javascript", "image/", "IMAGE/PNG\n"],
)
def test_a_form_for_what_a_browser_would_run_is_refused(content_type: str) -> None:
    world = World()
    with pytest.raises(InvalidInputError) as refused:
        world.files.form("acme", "x", content_type)
    assert refused.value.fields[0][1] == "content_type"
    assert world.forms.forms == {}


def test_a_form_makes_a_file_like_any_other() -> None:
    world = World()
    form = world.files.form("acme", "big.png", "image/png")
    (key,) = world.forms.forms
    assert key == f"acme/files/{form['id']}"
    assert world.forms.post(key, PNG) == 204
    shown = world.files.get("acme", form["id"])
    md5 = hashlib.md5(PNG, usedforsecurity=False).hexdigest()
    assert (shown["name"], shown["content_type"]) == ("big.png", "image/png")
    assert (shown["etag"], shown["checksums"]) == (md5, {"sha256": "", "md5": md5})
    assert shown["urls"] == form["urls"]
    assert form["expires_at"] == "2027-01-15T09:00:00.000Z"


@pytest.mark.parametrize("size", [0, 100_000_001])
def test_a_form_takes_one_byte_to_a_hundred_megabytes(size: int) -> None:
    world = World()
    form = world.files.form("acme", "x", "application/octet-stream")
    assert form["max_bytes"] == 100_000_000
    assert world.forms.post(f"acme/files/{form['id']}", bytes(size)) == 400


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "image/", "image/png; x=y", "", "a" * 200]
)
def test_a_type_that_a_browser_would_run_gets_no_form(content_type: str) -> None:
    world = World()
    with pytest.raises(InvalidInputError) as refused:
        world.files.form("acme", "x", content_type)
    assert refused.value.fields[0][:2] == ("enum", "content_type")
    assert world.forms.forms == {}


def test_a_file_that_does_not_pass_lambda_is_sent_to_a_form() -> None:
    world = World()
    with pytest.raises(TooLargeError, match="ask POST /v1/uploads"):
        world.files.create("acme", "x", bytes(MOST_DIRECT + 1))
    assert world.uploads.objects == {}
    assert world.files.create("acme", "x", bytes(MOST_DIRECT))["size"] == MOST_DIRECT


def test_the_same_file_uploaded_twice_makes_the_same_request() -> None:
    """A presigned form has no SHA-256, so its ETag is used instead."""
    world = World()
    made = []
    for _ in range(2):
        form = world.files.form("acme", "x.png", "image/png")
        world.forms.post(f"acme/files/{form['id']}", PNG)
        given = {"prompt": "x", "image": form["urls"]["get"]}
        made.append(world.accept(given, reference="stability-ai/sdxl"))
    assert made[0].fingerprint == made[1].fingerprint
    assert made[0].uploads != made[1].uploads
