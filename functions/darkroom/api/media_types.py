"""Parser of media types and their parameters, in Content-Type and Content-Disposition."""

from __future__ import annotations

import re

# Possessive, and nothing is matched twice, since the header comes from outside. A quoted value
# without an end is read up to the next semicolon.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^;]*+))', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
"""RFC 6838's names, with its lengths."""


def media_type(value: str | None) -> str | None:
    """Return the header's media type in lower case; None if it is invalid."""
    name = (value or "").partition(";")[0].strip().lower()
    return name if _MEDIA_TYPE.fullmatch(name) else None


def parameters(value: str | None) -> dict[str, str]:
    """Return the parameters after a header's first semicolon, by lower-case names; the first of a
    name counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(value or ""):
        found.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) or plain.strip())
    return found
