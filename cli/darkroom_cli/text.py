"""Makes texts from outside safe to print, and names of files safe to use."""

from __future__ import annotations

import re
import unicodedata

JOINERS = "\u200c\u200d"
"""Invisible characters that scripts and emojis are written with, and that hide nothing."""
EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/svg+xml": "svg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
}
"""Extension of a file by its type; any other type is `bin`."""
PICTURES = frozenset({"png", "jpg", "webp", "gif", "avif"})
"""Extensions that `--open` hands to the system's viewer."""

ESCAPED = "backslashreplace"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories that steer a terminal, reorder the text or cannot be printed."""
_ID = re.compile("[0-9a-z]{26}")


def visible(text: object) -> str:
    """Return the text with control, bidirectional and surrogate characters as escapes such as
    `\\x1b`; line breaks are among them, so that no text can look like two."""
    return "".join(map(_shown, str(text)))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN or character in JOINERS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else character.encode("ascii", ESCAPED).decode()


def short(text: object, most: int) -> str:
    """Return the text, visible and in one line of at most so many characters."""
    shown = visible(" ".join(str(text).split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def is_id(text: object) -> bool:
    """Whether the text is a prediction's id, which is safe in paths and URLs."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def extension(content_type: str) -> str:
    """Return the extension of a file of this type."""
    return EXTENSIONS.get(content_type, "bin")
