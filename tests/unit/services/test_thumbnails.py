"""URLs of thumbnails, with a CDN and without the key."""

from __future__ import annotations

import pytest
from darkroom.domain.errors import NotFoundError, UnavailableError
from darkroom.runtime import parts
from darkroom.runtime.settings import Thumbnailed
from darkroom.services.doors.thumbnails import LinkedThumbnails, SignedThumbnails

from tests.support.fakes import FakeSecrets, FakeSigner
from tests.support.versions import records
from tests.support.world import PUBLIC_URL, Doubles, World, named

DONE = next(record for record in records() if record.files)


class Unset(FakeSecrets):
    def link_keys(self) -> tuple[bytes, ...]:
        raise UnavailableError("The link key is not set.")


def test_with_a_cdn_they_are_signed_like_their_originals() -> None:
    key = DONE.files[0].key
    assert SignedThumbnails(FakeSigner()).urls(DONE, 0) == {
        width: f"https://outputs.test/{key}.t{width}.webp?signed"
        for width in ("256", "512", "1024")
    }


def test_without_the_key_an_answer_is_shown_without_them() -> None:
    world = World()
    links = LinkedThumbnails(Unset(), world.clock, PUBLIC_URL)
    assert links.urls(DONE, 0) == {}
    with pytest.raises(UnavailableError):
        links.left_s("0" * 26, "0", "512", "1." + "A" * 32)


def test_a_hostile_path_is_not_found() -> None:
    world = World()
    links = LinkedThumbnails(world.secrets, world.clock, PUBLIC_URL)
    for text in ("\ud800", "é", "0" * 10_000, "../..", ""):
        with pytest.raises(NotFoundError):
            links.left_s(text, text, text, f"{world.clock() // 1000 + 60}." + "A" * 32)


def test_a_stage_shows_them_by_its_way_or_not_at_all() -> None:
    world = World()

    def shown(secrets: FakeSecrets | None, **settings: object) -> object:
        made = named(Thumbnailed, settings)
        return parts.shown_with_thumbnails(made, Doubles(world), secrets).thumbnail_urls

    assert shown(world.secrets) is None
    assert shown(world.secrets, thumbnails=True) is not None
    assert shown(None, thumbnails=True) is None
