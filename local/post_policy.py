"""The signature of a presigned POST to S3, which the embedded AWS does not check.

It checks the policy's conditions (key, size, type, expiry) itself, so what is missing is only that
the policy was signed at all, and by us.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from email.message import Message
from email.parser import BytesHeaderParser

FIELDS_MAX = 64_000
"""Bytes before the file's own: S3 takes 20 kB of fields."""

_CREDENTIAL = re.compile(r"[^/]+/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/s3/aws4_request", re.ASCII)


class PolicyError(Exception):
    """The form is not signed by us, or is none."""


class Form:
    """Reads a form up to the file in it, which S3 wants last, and keeps what it has read."""

    def __init__(self, content_type: str) -> None:
        """Raises PolicyError where the body is announced as something else."""
        header = Message()
        header["content-type"] = content_type
        boundary = header.get_boundary()
        if header.get_content_type() != "multipart/form-data" or not boundary:
            raise PolicyError("not a form")
        self._delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
        self._fields: dict[str, str] = {}
        self._seen = bytearray()

    @property
    def seen(self) -> bytes:
        """All bytes fed so far."""
        return bytes(self._seen)

    def feed(self, chunk: bytes) -> bool:
        """True once the file has begun. Raises PolicyError where it does not begin in time."""
        self._seen += chunk
        # A chunk may be of any size: what counts is where the file begins.
        head = b"\r\n" + bytes(self._seen[:FIELDS_MAX])
        fields: dict[str, str] = {}
        for part in head.split(self._delimiter)[1:]:
            lines, complete, value = part.partition(b"\r\n\r\n")
            if not complete:
                break
            header = BytesHeaderParser().parsebytes(lines.lstrip(b"\r\n"))
            name = header.get_param("name", header="content-disposition")
            if name == "file":
                self._fields = fields
                return True
            key = str(name).lower()
            if key in fields:
                raise PolicyError("a field came twice")
            fields[key] = value.decode("utf-8", "replace")
        if len(self._seen) > FIELDS_MAX:
            raise PolicyError("too many fields before the file")
        return False

    def check(self, secret_key: str) -> None:
        """Raises PolicyError unless the policy is signed with this key (Signature Version 4)."""
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
