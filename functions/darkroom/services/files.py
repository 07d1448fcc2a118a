"""Small files that a client uploads, to be named in a later input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain import link, media
from darkroom.domain.errors import NotFound
from darkroom.domain.snapshot import rfc3339

if TYPE_CHECKING:
    from darkroom.ports import Clock, UploadStore

KEPT_MS = 24 * 3600 * 1000
"""As Replicate: a file may be named in inputs for a day."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files belong to one tenant; another tenant's id is an unknown one."""

    uploads: UploadStore
    clock: Clock
    public_url: str

    def create(self, tenant: str, name: str, data: bytes) -> dict[str, Any]:
        """Store a file under a new id. Its type is what its bytes are, not what was said."""
        id_ = link.new_id()
        sniffed = media.sniff(data[:4096])
        content_type = sniffed.type if sniffed else "application/octet-stream"
        metadata = {
            "name": name,
            "sha256": hashlib.sha256(data).hexdigest(),
            # Replicate's File carries an MD5; it protects nothing here.
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        }
        self.uploads.put(_key(tenant, id_), content_type, data, metadata)
        found = {"content_type": content_type, "bytes": len(data), "created_at": self.clock()}
        return self._shown(id_, {**found, "metadata": metadata})

    def get(self, tenant: str, id_: str) -> dict[str, Any]:
        """A file's description. Raises NotFound."""
        found = self.uploads.head(_key(tenant, id_)) if link.is_id(id_) else None
        if found is None:
            raise NotFound("File not found")
        return self._shown(id_, found)

    def delete(self, tenant: str, id_: str) -> None:
        """Delete a file. Raises NotFound."""
        self.get(tenant, id_)
        self.uploads.delete(_key(tenant, id_))

    def _shown(self, id_: str, found: dict[str, Any]) -> dict[str, Any]:
        kept = found["metadata"]
        return {
            "id": id_,
            "name": kept.get("name", id_),
            "content_type": found["content_type"],
            "size": found["bytes"],
            "etag": kept.get("md5", ""),
            "checksums": {"sha256": kept.get("sha256", ""), "md5": kept.get("md5", "")},
            "metadata": {},
            "created_at": rfc3339(found["created_at"]),
            "expires_at": rfc3339(found["created_at"] + KEPT_MS),
            "urls": {"get": f"{self.public_url}/v1/files/{id_}"},
        }


def _key(tenant: str, id_: str) -> str:
    return f"{tenant}/files/{id_}"
