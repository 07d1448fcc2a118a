"""Files that a client uploads for use in later inputs."""

from __future__ import annotations

import hashlib
import json
import re
import string
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from darkroom.domain import link, media
from darkroom.domain.errors import BadRequestError, InvalidInputError, NotFoundError, TooLargeError
from darkroom.domain.inputs import UPLOAD_TYPE
from darkroom.domain.times import rfc3339
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.ports import Clock, UploadForms, UploadStore
    from darkroom.services.tenants.limits import TenantLimits

KEPT_MS = 24 * 3600 * 1000
"""Like the provider: a file may be used in inputs for a day."""

MOST_DIRECT = 4_500_000
"""Bytes of a file sent through the API; Lambda accepts 6 MB, and base64 adds a third."""

MOST = 100_000_000
"""Bytes of any file, like at the provider."""

FORM_LIFE_S = 3600

LONGEST_NAME = 255
"""Bytes of a file's name, like at the provider."""

LONGEST_EXTENSION = 10

PAGE = 25

SAID, MOST_SAID = "said", 1000
"""Name of the object metadata for the client's own metadata, and its maximum size in bytes."""

TOO_LARGE = (
    "Files above 4.5 MB do not pass through the API: ask POST /v1/uploads for a form and post the "
    "file (up to 100 MB) to the URL that it names."
)

_TYPE = re.compile(UPLOAD_TYPE)
_PLAIN = " " + string.punctuation.replace("%", "")
"""Characters that stay unencoded in a name, besides letters and digits."""


@immutable
class Files:
    """Files belong to one tenant; another tenant's id counts as unknown."""

    uploads: UploadStore
    clock: Clock
    public_url: str
    forms: UploadForms
    limits: TenantLimits

    def admit(self, tenant: str, *, writes: bool = True) -> None:
        """Count a request before its body is parsed. Raises TooManyRequestsError."""
        if writes:
            self.limits.admit(tenant)
        else:
            self.limits.admit_read(tenant)

    def create(
        self,
        tenant: str,
        name: str,
        data: bytes,
        content_type: str | None = None,
        said: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Store a file under a new id, with the client's `metadata`. Its type is the declared one,
        or else follows from its bytes. It is served as an attachment in any case.

        Raises TooLargeError, or BadRequestError for metadata that is too long.
        """
        if len(data) > MOST_DIRECT:
            raise TooLargeError(TOO_LARGE)
        id_ = link.newest_first_id(self.clock())
        if content_type in {None, media.OPAQUE}:
            content_type = media.type_of(data)
        metadata = {
            "name": _encoded(name),
            **_kept(said or {}),
            "sha256": hashlib.sha256(data).hexdigest(),
            # Replicate's File has an MD5; it protects nothing here.
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        }
        self.uploads.put(_key(tenant, id_), content_type, data, metadata)
        found = {"content_type": content_type, "bytes": len(data), "created_at": self.clock()}
        return self._shown(id_, {**found, "etag": metadata["md5"], "metadata": metadata})

    def form(self, tenant: str, name: str, content_type: str) -> dict[str, Any]:
        """Return a form with which the client uploads one file of this type under a new id.

        Raises InvalidInputError for a type that a browser would execute, or that no model accepts.
        """
        if not _TYPE.fullmatch(content_type):
            field = ("enum", "content_type", "content_type must be an image, audio or video type")
            raise InvalidInputError(f"- {field[1]}: {field[2]}\n", [field])
        id_ = link.newest_first_id(self.clock())
        metadata = {"name": _encoded(name)}
        form = self.forms.form(_key(tenant, id_), content_type, metadata, MOST, FORM_LIFE_S)
        return {
            "id": id_,
            "url": form.url,
            "fields": form.fields,
            "max_bytes": MOST,
            "urls": {"get": f"{self.public_url}/v1/files/{id_}"},
            "expires_at": rfc3339(self.clock() + FORM_LIFE_S * 1000),
        }

    def get(self, tenant: str, id_: str) -> dict[str, Any]:
        """Return a file's description. Raises NotFoundError."""
        found = self.uploads.head(_key(tenant, id_)) if link.is_id(id_) else None
        if found is None:
            raise NotFoundError("File not found")
        return self._shown(id_, found)

    def page(self, tenant: str, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return up to 25 files, newest first like their ids, and `after` for the next page.

        Each costs a call to the bucket. Raises BadRequestError for an `after` that is not a file
        id.
        """
        if after is not None and not link.is_id(after):
            raise BadRequestError("The cursor is not one of ours.")
        prefix = _key(tenant, "")
        keys = self.uploads.keys(prefix, prefix + (after or ""), PAGE + 1)
        ids = [key.removeprefix(prefix) for key in keys]
        found = ((id_, self.uploads.head(_key(tenant, id_))) for id_ in ids[:PAGE])
        # A file deleted in between is left out.
        shown = [self._shown(id_, head) for id_, head in found if head is not None]
        return shown, ids[PAGE - 1] if len(ids) > PAGE else None

    def delete(self, tenant: str, id_: str) -> None:
        """Delete a file. Raises NotFoundError."""
        self.get(tenant, id_)
        self.uploads.delete(_key(tenant, id_))

    def _shown(self, id_: str, found: dict[str, Any]) -> dict[str, Any]:
        kept = found["metadata"]
        # S3's ETag of a single-part upload is its MD5.
        md5 = kept.get("md5", found["etag"])
        return {
            "id": id_,
            "name": unquote(kept.get("name", id_)),
            "content_type": found["content_type"],
            "size": found["bytes"],
            "etag": md5,
            "checksums": {"sha256": kept.get("sha256", ""), "md5": md5},
            "metadata": json.loads(unquote(kept.get(SAID, "{}"))),
            "created_at": rfc3339(found["created_at"]),
            "expires_at": rfc3339(found["created_at"] + KEPT_MS),
            "urls": {"get": f"{self.public_url}/v1/files/{id_}"},
        }


def file_name(given: str | None) -> str:
    """Return the stored name: printable and short. Truncation keeps the extension."""
    kept = "".join(c for c in given or "" if c.isprintable()).strip()
    stem, dot, extension = kept.rpartition(".")
    if len(extension) <= LONGEST_EXTENSION:
        end = dot + extension
        kept = _cut(stem, LONGEST_NAME - len(end.encode())) + end
    return _cut(kept, LONGEST_NAME) or "file"


def _cut(text: str, most: int) -> str:
    """Return the beginning of a text, at most `most` bytes of UTF-8."""
    return text.encode()[:most].decode("utf-8", "ignore")


def _kept(said: dict[str, Any]) -> dict[str, str]:
    """Encode the client's metadata as part of the object's own."""
    if not said:
        return {}
    text = _encoded(json.dumps(said, separators=(",", ":")))
    if len(text) > MOST_SAID:
        raise BadRequestError(f"metadata may have {MOST_SAID} bytes, as JSON in ASCII.")
    return {SAID: text}


def _encoded(text: str) -> str:
    """Encode for S3's metadata, which is ASCII and at most 2 kB in all."""
    return quote(text, safe=_PLAIN)


def _key(tenant: str, id_: str) -> str:
    return f"{tenant}/files/{id_}"
