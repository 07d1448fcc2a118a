"""Fetches the pictures that an input names: by URL, as data URI, or by a file's own URL."""

from __future__ import annotations

import asyncio
import binascii
import io
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import httpx
from PIL import Image

if TYPE_CHECKING:
    from emulator.files import Files

MAX_BYTES = 100_000_000
MAX_PIXELS = 40_000_000
TIMEOUT_S = 60.0
_TOO_MANY_PIXELS = "(E1001) The model ran out of memory: {} has too many pixels."


class ModelError(Exception):
    """The model fails; the text becomes the prediction's `error`."""


class InputFetcher:
    """Gets input files the way the provider would: no redirects, no proxy, at most 100 MB."""

    def __init__(self, *, client: httpx.AsyncClient, files: Files, own_url: str) -> None:
        self._client = client
        self._files = files
        self._own_files = f"{own_url}/v1/files/"

    async def fetch(self, values: dict[str, Any], names: list[str]) -> dict[str, bytes]:
        """The bytes of every named input that is given. Raises ModelError."""
        wanted = [name for name in names if values.get(name)]
        found = await asyncio.gather(*(self._get(name, values[name]) for name in wanted))
        return dict(zip(wanted, found, strict=True))

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


def open_picture(name: str, data: bytes) -> Image.Image:
    """Decode a picture of any format and media type. Raises ModelError."""
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > MAX_PIXELS:
            raise ModelError(_TOO_MANY_PIXELS.format(name))
        picture.load()
    except Image.DecompressionBombError:
        raise ModelError(_TOO_MANY_PIXELS.format(name)) from None
    except (OSError, SyntaxError, ValueError):
        raise ModelError(f"Could not read {name}: cannot identify image file.") from None
    return picture
