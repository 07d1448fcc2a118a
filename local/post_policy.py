"""The signature of a presigned POST to S3, which the embedded AWS does not verify.

It checks the policy's conditions (key, size, type, expiry) itself, so only the signature of the
policy is checked here.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from darkroom.api.multipart import boundary_of, parser
from multipart import MultipartError, MultipartSegment

MOST_FIELDS = 50
FIELDS_MAX = 64_000
"""Maximum bytes before the file itself; S3 accepts 20 kB of fields."""

_CREDENTIAL = re.compile(r"[^/]+/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/s3/aws4_request", re.ASCII)


class PolicyError(Exception):
    """The form is not signed by us, or is not a form."""


class Form:
    """Reads a form up to its file, which S3 requires last, and keeps the bytes read."""

    def __init__(self, content_type: str) -> None:
        """Raise PolicyError if the content type is not a form."""
        boundary = boundary_of(content_type)
        if boundary is None:
            raise PolicyError("not a form")
        self._parser = parser(boundary, MOST_FIELDS)
        self._fields: dict[str, str] = {}
        self._field: str | None = None
        self._value = b""
        self._seen = bytearray()

    @property
    def seen(self) -> bytes:
        """All bytes fed so far."""
        return bytes(self._seen)

    def feed(self, chunk: bytes) -> bool:
        """Add a chunk. Returns True once the file has begun. Raises PolicyError if it begins too
        late."""
        # A chunk may have any size, so the limit applies to the position of the file.
        room = FIELDS_MAX - len(self._seen)
        self._seen += chunk
        try:
            if chunk and self._has_file(chunk[: max(0, room)]):
                return True
        except MultipartError as error:
            raise PolicyError(f"not a form: {error}") from None
        if len(self._seen) > FIELDS_MAX:
            raise PolicyError("too many fields before the file")
        return False

    def _has_file(self, chunk: bytes) -> bool:
        for event in self._parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                if event.name == "file":
                    return True
                self._field, self._value = str(event.name).lower(), b""
            elif event is not None:
                self._value += event
            elif self._field in self._fields:
                raise PolicyError("a field came twice")
            else:
                self._fields[str(self._field)] = self._value.decode("utf-8", "replace")
        return False

    def check(self, secret_key: str) -> None:
        """Raise PolicyError unless the policy is signed with this key (Signature Version 4)."""
        policy, given = self._fields.get("policy", ""), self._fields.get("x-amz-signature", "")
        scope = _CREDENTIAL.fullmatch(self._fields.get("x-amz-credential", ""))
        if not policy or scope is None:
            raise PolicyError("not signed")
        key = f"AWS4{secret_key}".encode()
        for part in (scope["day"], scope["region"], "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), hashlib.sha256)
        wanted = hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, given.encode("ascii", "replace").decode()):
            raise PolicyError("signed by another key")
