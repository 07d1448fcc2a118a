"""The Files API: uploads that a prediction may use as input, kept for a day."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING, Any

from emulator.wire import ProblemError, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILE_BYTES = 100_000_000
MAX_UPLOAD_BYTES = MAX_FILE_BYTES + 1_000_000
TOO_LARGE = "Files must be less than 100MB in size"
LIFE_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class File:
    """One upload."""

    seq: int
    id: str
    name: str
    content_type: str
    data: bytes
    metadata: dict[str, Any]
    created: float

    def view(self, base_url: str) -> dict[str, Any]:
        """Return the body of the file routes."""
        md5 = hashlib.md5(self.data, usedforsecurity=False).hexdigest()
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.content_type,
            "size": len(self.data),
            "etag": md5,
            "checksums": {"sha256": hashlib.sha256(self.data).hexdigest(), "md5": md5},
            "metadata": self.metadata,
            "created_at": timestamp(self.created),
            "expires_at": timestamp(self.created + LIFE_S),
            "urls": {"get": f"{base_url}/v1/files/{self.id}"},
        }


class Files:
    """Uploads by id. An expired upload counts as absent."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._seq = 0

    def add(self, content_type: str, body: bytes) -> File:
        """Store the `content` part of a multipart body. Raises ProblemError."""
        parts = dict(_parts(content_type, body))
        if "content" not in parts:
            raise ProblemError(400, "The multipart body has no part named content.", "Bad request")
        header, data = parts["content"]
        if len(data) > MAX_FILE_BYTES:
            raise ProblemError(413, TOO_LARGE)
        _, given_name = parts.get("filename", (None, b""))
        _, given_type = parts.get("type", (None, b""))
        self._seq += 1
        file = File(
            seq=self._seq,
            id=base64.b64encode(str(uuid.uuid4()).encode()).decode(),
            name=given_name.decode("utf-8", "replace") or header.get_filename() or "file",
            content_type=given_type.decode("utf-8", "replace") or header.get_content_type(),
            data=data,
            metadata=_metadata(parts["metadata"][1]) if "metadata" in parts else {},
            created=time.time(),
        )
        self._files[file.id] = file
        return file

    def get(self, file_id: str) -> File | None:
        """Return the file unless it is deleted or expired."""
        file = self._files.get(file_id)
        return file if file and file.created + LIFE_S > time.time() else None

    def delete(self, file_id: str) -> bool:
        """Delete a file. Returns whether it existed."""
        return self._files.pop(file_id, None) is not None

    def clear(self) -> None:
        """Delete all files."""
        self._files.clear()

    def newest_first(self) -> list[File]:
        """Return all files that still exist."""
        return [file for file_id in reversed(self._files) if (file := self.get(file_id))]


def _metadata(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProblemError(400, "The metadata part is a JSON object.", "Bad request")
    return value


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, tuple[Message, bytes]]]:
    """Yield name, headers and bytes of each part of a multipart/form-data body."""
    outer = Message()
    outer["content-type"] = content_type
    boundary = outer.get_boundary()
    if outer.get_content_type() != "multipart/form-data" or not boundary:
        raise ProblemError(415, "A file is sent as multipart/form-data.")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
    for section in (b"\r\n" + body).split(delimiter)[1:]:
        if section.startswith(b"--"):
            return
        head, gap, data = section.partition(b"\r\n\r\n")
        header = BytesHeaderParser().parsebytes(head.lstrip(b"\r\n"))
        name = header.get_param("name", header="content-disposition")
        if gap and isinstance(name, str):
            yield name, (header, data)
    raise ProblemError(400, "The multipart body ends too early.", "Bad request")
