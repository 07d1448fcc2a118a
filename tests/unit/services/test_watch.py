"""Watch URLs: valid for a day and for one prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from darkroom.domain import link
from darkroom.domain.errors import NotFoundError, UnavailableError
from darkroom.services.doors.watch import Watch
from darkroom.services.predictions.read import Read

from tests.support.fakes import FakeSecrets
from tests.support.world import PUBLIC_URL, World

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction


class Unset(FakeSecrets):
    def link_keys(self) -> tuple[bytes, ...]:
        raise UnavailableError("The link key is not set.")


def token_of(watch: Watch, record: Prediction) -> str:
    url = watch.url(record)
    assert url is not None
    return parse_qs(urlsplit(url).query)["t"][0]


def test_a_url_opens_its_prediction_for_a_day() -> None:
    world = World()
    record, other = world.accept(), world.accept()
    watch = Watch(world.secrets, world.clock, PUBLIC_URL)
    token = token_of(watch, record)
    assert watch.opens(record.id, token)
    assert not watch.opens(other.id, token)
    assert not watch.opens("no id", token)
    world.clock.advance(link.WATCHED_S - 1)
    assert watch.opens(record.id, token)
    world.clock.advance(1)
    assert not watch.opens(record.id, token)


def test_a_rotated_link_key_leaves_urls_that_are_there() -> None:
    world = World()
    record = world.accept()
    watch = Watch(world.secrets, world.clock, PUBLIC_URL)
    token = token_of(watch, record)
    world.secrets.link = (b"n" * 32, *world.secrets.link)
    assert watch.opens(record.id, token)
    world.secrets.link = (b"n" * 32,)
    assert not watch.opens(record.id, token)


def test_without_the_key_an_answer_is_shown_without_the_url() -> None:
    world = World()
    watch = Watch(Unset(), world.clock, PUBLIC_URL)
    assert watch.url(world.accept()) is None
    with pytest.raises(UnavailableError):
        watch.opens("0" * 26, "1." + "A" * 32)


def test_a_record_that_is_gone_is_not_found() -> None:
    world = World()
    record = world.accept()
    assert Read(world.store).opened(record.id) == record
    with pytest.raises(NotFoundError):
        Read(world.store).opened("0" * 26)
