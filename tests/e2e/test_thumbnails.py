"""The door `thumbnails` on the embedded cloud: a page shows pictures by plain GETs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import httpx
from PIL import Image

if TYPE_CHECKING:
    from tests.e2e.driver import Driver


def seen(url: str) -> tuple[Image.Image, httpx.Response]:
    """What a page's `<img>` shows: a GET without a header of its own, followed."""
    answer = httpx.get(url, follow_redirects=True, trust_env=False, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    return picture, answer


def test_a_page_without_a_key_sees_a_picture_small(driver: Driver) -> None:
    shown = driver.run("a lighthouse", aspect_ratio="16:9")
    (file,) = shown["darkroom"]["files"]
    assert file["thumbnail"] == file["thumbnails"]["512"]
    for width, url in file["thumbnails"].items():
        picture, answer = seen(url)
        assert picture.width == min(int(width), file["width"])
        assert abs(picture.width / picture.height - file["width"] / file["height"]) < 0.02
        (redirect,) = answer.history
        assert redirect.status_code == 302
        assert redirect.headers["cache-control"].startswith("private, max-age=")
    again, _ = seen(file["thumbnail"])
    assert again.width == 512
    listed = driver.api.get("/v1/predictions", params={"limit": 5}).json()["results"]
    (same,) = [each for each in listed if each["id"] == shown["id"]]
    seen(same["darkroom"]["files"][0]["thumbnail"])


def test_a_forged_token_or_another_width_is_not_found(driver: Driver) -> None:
    (file,) = driver.run("a lighthouse")["darkroom"]["files"]
    small, large = file["thumbnails"]["256"], file["thumbnails"]["1024"]
    token = small.partition("?t=")[2]
    for url in (f"{large.partition('?')[0]}?t={token}", small[:-2] + "__", small.partition("?")[0]):
        answer = driver.anyone.get(url)
        assert answer.status_code == 404
        assert "location" not in answer.headers
