"""Record ids, and the token of a webhook URL."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from darkroom.domain import link
from darkroom.replicate.hooks import webhook_url

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(range(32))
PREVIOUS = b"the key before this one, 32 long"
ID = "0123456789abcdefghijklmnop"
AT = 1_795_000_000_123
TOKEN = link.token(ID, AT, key=KEY)


def test_new_ids_have_the_form_and_differ() -> None:
    ids = [link.new_id() for _ in range(500)]
    assert all(link.is_id(one) for one in ids)
    assert len(set(ids)) == 500


def test_ids_of_what_is_listed_by_key_begin_with_the_newest() -> None:
    times = [0, 1, AT, AT + 1, AT + 36**4, 36**9 - 1]
    ids = [link.newest_first_id(at) for at in times]
    assert ids == sorted(ids, reverse=True)
    assert all(link.is_id(one) for one in ids)
    assert len({link.newest_first_id(AT) for _ in range(500)}) == 500


WATCHED_UNTIL = AT // 1000 + link.WATCHED_S
WATCH = link.watch_token(ID, WATCHED_UNTIL, key=KEY)


def watches(given: str, id_: str = ID, at: int = AT, *keys: bytes) -> bool:
    return link.check_watch(given, id_, at, keys=keys or (KEY,))


def test_a_watch_token_opens_its_own_prediction_until_it_expires() -> None:
    assert watches(WATCH)
    assert watches(WATCH, ID, WATCHED_UNTIL * 1000 - 1)
    assert not watches(WATCH, ID, WATCHED_UNTIL * 1000)
    assert not watches(WATCH, ID[::-1])
    assert not watches(WATCH, ID, AT, PREVIOUS)
    assert watches(WATCH, ID, AT, PREVIOUS, KEY), "a rotation leaves it as it is"


def test_no_watch_token_is_prolonged() -> None:
    expires_at, _, mac = WATCH.partition(".")
    assert not watches(f"{int(expires_at) + 1}.{mac}")


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        WATCH.partition(".")[2],
        WATCH + "A",
        WATCH[:-1],
        WATCH + "\n",
        " " + WATCH,
        "0" + WATCH,
        "-" + WATCH,
        "\u0661" + WATCH[1:],
        "9" * 4000 + "." + "A" * 32,
        "1." + "\ud800" * 32,
        "1." + "é" * 32,
    ],
)
def test_what_is_no_watch_token_opens_nothing(given: str) -> None:
    assert not watches(given)


def test_neither_purpose_takes_the_others_token() -> None:
    assert not watches(TOKEN)
    assert not watches(f"{WATCHED_UNTIL}.{TOKEN}")
    as_link = link.token(ID, WATCHED_UNTIL, key=KEY)
    assert not watches(f"{WATCHED_UNTIL}.{as_link}")
    for text in (WATCH, WATCH.partition(".")[2]):
        assert not link.check(text, ID, AT, keys=(KEY,))
        assert not link.check(text, ID, WATCHED_UNTIL, keys=(KEY,))


def test_a_thumbnails_token_is_of_its_own_purpose() -> None:
    url = link.thumbnail_url("https://darkroom.test/", ID, 3, 512, WATCHED_UNTIL, key=KEY)
    path, _, token = url.partition("?t=")
    assert path == f"https://darkroom.test/v1/predictions/{ID}/files/3/thumbnail/512"

    def opens(given: str, *of: str, at: int = AT, keys: tuple[bytes, ...] = (KEY,)) -> bool:
        id_, number, width = of or (ID, "3", "512")
        until = link.thumbnail_expiry(given, id_, number, width, at, keys=keys)
        assert until in {None, WATCHED_UNTIL}
        return until is not None

    assert opens(token)
    assert opens(token, keys=(PREVIOUS, KEY))
    assert opens(token, at=WATCHED_UNTIL * 1000 - 1)
    assert not opens(token, at=WATCHED_UNTIL * 1000)
    for others in ((ID[::-1], "3", "512"), (ID, "0", "512"), (ID, "3", "256"), (ID, "03", "512")):
        assert not opens(token, *others)
    assert not opens(token, keys=(PREVIOUS,))
    assert not opens(WATCH)
    assert not opens(f"{WATCHED_UNTIL}.{TOKEN}")
    assert not watches(token)
    assert not link.check(token, ID, AT, keys=(KEY,))


def test_an_expiry_is_rounded_up_to_five_minutes() -> None:
    assert link.rounded_expiry(0, 3600) == 3600
    assert link.rounded_expiry(999, 3600) == 3600
    assert link.rounded_expiry(1_000, 3600) == 3900
    assert link.rounded_expiry(300_000, 3600) == 3900


def test_a_short_key_makes_no_watch_token() -> None:
    with pytest.raises(ValueError, match="too short"):
        link.watch_token(ID, WATCHED_UNTIL, key=b"short")


def test_a_watch_url_is_below_the_prediction() -> None:
    url = urlsplit(link.watch_url("https://darkroom.test/", ID, WATCH))
    assert (url.netloc, url.path) == ("darkroom.test", f"/v1/predictions/{ID}/watch")
    assert parse_qs(url.query) == {"t": [WATCH]}


def test_every_character_is_as_likely_at_every_place() -> None:
    ids = [link.new_id() for _ in range(3600)]
    for place in range(26):
        counts = Counter(one[place] for one in ids)
        assert len(counts) == 36
        # 100 expected, standard deviation 10; a deviation of seven makes a false alarm practically
        # impossible.
        assert all(30 <= count <= 170 for count in counts.values())


def test_an_id_uses_more_than_130_bits_of_its_source() -> None:
    def source(bits: int) -> Callable[[int], bytes]:
        return lambda n: bits.to_bytes(n, "big")

    assert len({link.new_id(source(1 << bit)) for bit in range(134)}) == 134
    assert link.new_id(source(0)) == "0" * 26


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID[:-1],
        ID + "a",
        ID + "\n",
        ID.upper(),
        "/" + ID[1:],
        "é" + ID[1:],
        "\u0661" + ID[1:],
        "EVT#" + ID[4:],
        None,
        7,
        ID.encode(),
    ],
)
def test_what_is_no_id(text: object) -> None:
    assert not link.is_id(text)


def test_the_token_is_checked_under_current_and_previous_keys() -> None:
    assert link.check(TOKEN, ID, AT, keys=[KEY])
    assert link.check(TOKEN.encode(), ID, AT, keys=[PREVIOUS, KEY])
    assert link.check(TOKEN, ID, AT, keys=[KEY, PREVIOUS])
    assert not link.check(TOKEN, ID, AT, keys=[PREVIOUS])
    assert not link.check(TOKEN, ID, AT, keys=[])


@pytest.mark.parametrize(
    "given",
    [
        "",
        None,
        7,
        [TOKEN],
        TOKEN[:-1],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN.swapcase(),
        "\ud800",
        "é" * 32,
        b"\xff" * 32,
        "A" * 1_000_000,
    ],
)
def test_no_other_token_passes(given: object) -> None:
    assert not link.check(given, ID, AT, keys=[KEY, PREVIOUS])


def test_a_token_is_for_one_record_only() -> None:
    assert not link.check(TOKEN, ID[::-1], AT, keys=[KEY])
    assert not link.check(TOKEN, ID, AT + 1, keys=[KEY])
    assert not link.check(TOKEN, "\ud800", AT, keys=[KEY])
    # Digits cannot move from the time to the id.
    assert link.token("3" + ID, 12, key=KEY) != link.token(ID, 123, key=KEY)


@pytest.mark.parametrize("key", [b"", b"fifteen bytes.."])
def test_a_key_that_could_be_guessed_makes_no_token(key: bytes) -> None:
    with pytest.raises(ValueError, match="too short"):
        link.token(ID, AT, key=key)
    with pytest.raises(ValueError, match="too short"):
        link.check(TOKEN, ID, AT, keys=[key])


@pytest.mark.parametrize("public_url", ["https://api.example.com", "https://api.example.com/"])
def test_the_webhook_url_survives_parsing(public_url: str) -> None:
    url = urlsplit(webhook_url(public_url, ID, TOKEN))
    assert (url.scheme, url.netloc, url.path) == (
        "https",
        "api.example.com",
        f"/hooks/replicate/{ID}",
    )
    assert parse_qs(url.query, strict_parsing=True) == {"t": [TOKEN]}
    assert len(TOKEN) == 32
