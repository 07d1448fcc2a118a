"""Forms as a browser or a client library sends them."""

from __future__ import annotations

from tests.support.world import PNG

FORM = "multipart/form-data; boundary=bound"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """Return a form of parts, each with its head and its content."""
    return b"".join(b"--bound\r\n%b\r\n\r\n%b\r\n" % part for part in parts) + b"--bound--\r\n"


def file_form(data: bytes = PNG, field: str = "content", filename: str = "corgi.png") -> bytes:
    """Return the form of one file."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
    return form((f"{head}Content-Type: application/octet-stream".encode(), data))
