"""Pictures as visitors have them, and as the provider received them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import httpx
from darkroom.catalog import Catalogue
from PIL import Image

from local.examples import example, png

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (320, 200)
COLOR = (30, 120, 200)


def photo(size: tuple[int, int] = SIZE) -> bytes:
    """A PNG of one color."""
    buffer = io.BytesIO()
    Image.new("RGB", size, COLOR).save(buffer, "PNG")
    return buffer.getvalue()


def scene() -> bytes:
    """A PNG of something to be repainted."""
    picture = example(Catalogue.load().model("black-forest-labs/flux-fill-dev"))["image"]
    return png(picture)


def large_photo(folder: Path) -> Path:
    """A PNG that is too large for one request through the gateway."""
    path = folder / "large.png"
    size = (1600, 1200)
    Image.effect_noise(size, 90).convert("RGB").save(path, "PNG", compress_level=0)
    assert path.stat().st_size > 5_000_000
    return path


def received(url: str) -> Image.Image:
    """What the provider gets by a URL of an input."""
    answer = httpx.get(url, trust_env=False, timeout=60).raise_for_status()
    return Image.open(io.BytesIO(answer.content))
