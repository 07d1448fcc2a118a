"""Keys of thumbnails: the only ones that a URL's path may name."""

from __future__ import annotations

import pytest
from darkroom.domain import media, thumbnails
from darkroom.domain.errors import NoThumbnailError
from darkroom.domain.inputs import is_output

ID = "0123456789abcdefghijklmnop"
ORIGINAL = f"acme/2026/11/{ID}/0.png"


@pytest.mark.parametrize("width", thumbnails.WIDTHS)
@pytest.mark.parametrize("tenant", ["a", "acme", "Acme.eu_1-x", "a" * 63])
@pytest.mark.parametrize("name", ["0.png", "9.jpg", "10.webp", "123.gif", "9999.avif"])
def test_a_key_tells_its_original(width: int, tenant: str, name: str) -> None:
    original = f"{tenant}/2026/11/{ID}/{name}"
    key = thumbnails.key_of(original, width)
    assert key == f"{original}.t{width}.webp"
    assert thumbnails.original_of(key) == (original, width)
    assert is_output(key), "beside the original"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "None",
        ORIGINAL,
        f"{ORIGINAL}.t300.webp",
        f"{ORIGINAL}.t0512.webp",
        f"{ORIGINAL}.t512.webp\n",
        f"{ORIGINAL}.t512.webp/",
        f"{ORIGINAL}.t512.WEBP",
        f"{ORIGINAL}.t512.webp.t512.webp",
        f"/{ORIGINAL}.t512.webp",
        f"acme//2026/11/{ID}/0.png.t512.webp",
        f"../acme/2026/11/{ID}/0.png.t512.webp",
        f"../2026/11/{ID}/0.png.t512.webp",
        f"acme/2026/11/{ID}/../0.png.t512.webp",
        f"ac%2Fme/2026/11/{ID}/0.png.t512.webp",
        f"äcme/2026/11/{ID}/0.png.t512.webp",
        f"{'a' * 64}/2026/11/{ID}/0.png.t512.webp",
        f"acme/26/11/{ID}/0.png.t512.webp",
        f"acme/٢٠٢٦/11/{ID}/0.png.t512.webp",
        f"acme/2026/11/{ID}0/0.png.t512.webp",
        f"acme/2026/11/{ID.upper()}/0.png.t512.webp",
        f"acme/2026/11/{ID}/00.png.t512.webp",
        f"acme/2026/11/{ID}/x.png.t512.webp",
        f"acme/2026/11/{ID}/0.svg.t512.webp",
        f"acme/2026/11/{ID}/0.mp4.t512.webp",
        f"acme/2026/11/{ID}/openai-0123.t512.webp",
    ],
)
def test_no_other_text_is_such_a_key(key: str) -> None:
    with pytest.raises(NoThumbnailError):
        thumbnails.original_of(key)


def test_each_type_with_thumbnails_has_an_extension_of_theirs() -> None:
    for type_ in thumbnails.PICTURES:
        (extension,) = [e for e, kind in media.BY_EXTENSION.items() if kind.type == type_]
        key = thumbnails.key_of(f"acme/2026/11/{ID}/0.{extension}", 256)
        assert thumbnails.original_of(key)
