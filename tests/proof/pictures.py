"""The outputs of predictions upstream, all different."""

from __future__ import annotations

import hashlib

OUTPUTS = 2
"""Files of a success, as requested."""


def output_urls(provider_id: str, number: int = OUTPUTS) -> list[str]:
    return [f"https://replicate.delivery/{provider_id}/{n}.png" for n in range(number)]


def size(name: str) -> tuple[int, int]:
    """Return width and height of one picture, at most 2048 each."""
    digest = hashlib.sha256(name.encode()).digest()
    return digest[0] * 8 + 8, digest[1] * 8 + 8


def picture(name: str) -> bytes:
    """Return a minimal PNG whose checksum contains `name`, so that no two outputs are equal."""
    width, height = size(name)
    digest = hashlib.sha256(name.encode()).digest()
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + width.to_bytes(4, "big")
    head += height.to_bytes(4, "big")
    return head + b"\x08\x02\x00\x00\x00" + digest[4:8] + b"\x00\x00\x00\x00IEND\xaeB`\x82"
