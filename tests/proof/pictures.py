"""The outputs of predictions upstream: no two are alike."""

from __future__ import annotations

import hashlib

OUTPUTS = 2


def output_urls(provider_id: str) -> list[str]:
    return [f"https://replicate.delivery/{provider_id}/{n}.png" for n in range(OUTPUTS)]


def picture(name: str) -> bytes:
    """A PNG's skeleton whose size tells `name`, so that no two outputs are alike."""
    size = hashlib.sha256(name.encode()).digest()
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00" + size[:2] + b"\x00\x00" + size[2:4]
    return head + b"\x08\x02\x00\x00\x00" + size[4:8] + b"\x00\x00\x00\x00IEND\xaeB`\x82"
