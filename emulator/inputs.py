"""Fetches input pictures: by URL, from a data URI, or by the URL of an uploaded file."""

from __future__ import annotations

import asyncio
import binascii
import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

import httpx
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emulator.files import Files
    from emulator.models import Model

MAX_BYTES = 100_000_000
MAX_PIXELS = 40_000_000
"""Limit for any picture, input or output, regardless of the model's own limit."""
MAX_PICTURES = 32
TIMEOUT_S = 60.0
_TOO_MANY_PIXELS = "(E1001) The model ran out of memory: {} has too many pixels, more than {}."


class ModelError(Exception):
    """The model fails. The text becomes the prediction's `error`."""


class InputFetcher:
    """Fetches input files like the provider: no redirects, no proxy, at most 100 MB."""

    def __init__(self, *, client: httpx.AsyncClient, files: Files, own_url: str) -> None:
        self._client = client
        self._files = files
        self._own_files = f"{own_url}/v1/files/"

    async def fetch(self, values: Mapping[str, Any], model: Model) -> Given:
        """Fetch every picture in the input. Raises ModelError."""
        named = [
            (name if len(urls) == 1 else f"{name}.{number}", url)
            for name in model.pictures
            for urls in [_texts(values.get(name))]
            for number, url in enumerate(urls)
        ]
        if len(named) > MAX_PICTURES:
            raise ModelError(f"{len(named)} pictures are given; at most {MAX_PICTURES} can be.")
        masks = [
            (name, url)
            for name in ((model.mask, f"{model.mask}_url") if model.mask else ())
            for url in _texts(values.get(name))
        ]
        most = min(MAX_PIXELS, model.most_pixels_in(values))
        found = await asyncio.gather(*(self._get(name, url) for name, url in named + masks))
        sources = [
            Source(name, data, most) for (name, _), data in zip(named + masks, found, strict=True)
        ]
        return Given(tuple(sources[: len(named)]), next(iter(sources[len(named) :]), None))

    async def _get(self, name: str, url: str) -> bytes:
        if url[:5].lower() == "data:":
            return _decode(name, url)
        if url.startswith(self._own_files):
            file = self._files.get(url.removeprefix(self._own_files))
            if file is None:
                raise ModelError(f"Could not download {name}: the file does not exist.")
            return file.data
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._download(name, url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            where = urlsplit(url).netloc if "[" not in url else "that address"
            raise ModelError(
                f"Could not download {name} from {where}: {type(error).__name__}."
            ) from None

    async def _download(self, name: str, url: str) -> bytes:
        data = bytearray()
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise ModelError(f"Could not download {name}: HTTP {response.status_code}.")
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MAX_BYTES:
                    raise ModelError(f"Could not download {name}: it is larger than 100 MB.")
        return bytes(data)


def _decode(name: str, uri: str) -> bytes:
    head, comma, data = uri.partition(",")
    raw = unquote_to_bytes(data)
    try:
        decoded = binascii.a2b_base64(raw) if head.endswith(";base64") else raw
    except ValueError:
        decoded = b""
    if not comma or not decoded:
        raise ModelError(f"Could not read {name}: not a valid data URI.")
    return decoded


class Source:
    """An input picture. Its header is read at once, its pixels on demand."""

    def __init__(self, name: str, data: bytes, most: float = MAX_PIXELS) -> None:
        """Raise ModelError if it is not a picture, or has more than `most` pixels."""
        self.name = name
        self._data = data
        with _readable(name):
            with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
                picture = Image.open(io.BytesIO(data))
            self.size = picture.size
        if picture.width * picture.height > most:
            raise ModelError(_TOO_MANY_PIXELS.format(name, f"{most / 1e6:.10g} megapixels"))

    def open(self) -> Image.Image:
        """Decode the whole picture. Raises ModelError."""
        with _readable(self.name):
            picture = Image.open(io.BytesIO(self._data))
            picture.load()
        return picture

    def small(self, side: int) -> Image.Image:
        """Return it cropped to a square of `side` pixels, in RGB. Raises ModelError."""
        with _readable(self.name):
            picture = Image.open(io.BytesIO(self._data))
            picture.draft("RGB", (side, side))
            return ImageOps.fit(picture.convert("RGB"), (side, side))


class Given(NamedTuple):
    """The pictures of an input, in the order of the model's own list."""

    pictures: tuple[Source, ...] = ()
    mask: Source | None = None


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError:
        raise ModelError(_TOO_MANY_PIXELS.format(name, "what can be read")) from None
    except (OSError, SyntaxError, ValueError):
        raise ModelError(f"Could not read {name}: cannot identify image file.") from None


def _texts(value: object) -> list[str]:
    """Return the URLs in a value: one, or a list of them at any depth."""
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) and value else []
