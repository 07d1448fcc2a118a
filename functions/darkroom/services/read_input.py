"""What a record keeps of an input: its files moved out, or named by where they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from darkroom.domain import media, strict_json
from darkroom.domain.errors import TooLarge
from darkroom.domain.inputs import DataURI, FileReference, find_files, move_out
from darkroom.domain.model import InvalidField, invalid

if TYPE_CHECKING:
    from darkroom.ports import UploadStore

INPUT_KEPT = 256_000
"""Bytes of input that a record holds; data URIs beyond it move to the uploads bucket."""

MAX_FILES = 100
"""Files in one input, at most: each costs a call to the uploads bucket."""

OPAQUE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class InputRead:
    """An input as its record will hold it."""

    kept: str
    uploads: dict[str, str]
    new: dict[str, bytes]
    """Data URIs that do not fit into the record, by their keys in the uploads bucket."""
    contents: dict[str, str]
    """SHA-256 of every file that was moved out: a client uploads it anew when it tries again."""


@dataclass(frozen=True, slots=True)
class ReadInput:
    """One call for each file that the input names."""

    uploads: UploadStore
    public_url: str

    def __call__(self, id_: str, tenant: str, given: dict[str, Any]) -> InputRead:
        """Writes nothing. Raises InvalidInput for an unknown file, or TooLarge."""
        inline = len(strict_json.canonical(given).encode()) <= INPUT_KEPT
        value = _copied(given)
        found = list(islice(find_files(value, self.public_url), MAX_FILES + 1))
        if len(found) > MAX_FILES:
            raise TooLarge(f"The input has more than {MAX_FILES} files.")
        uploads: dict[str, str] = {}
        new: dict[str, bytes] = {}
        contents: dict[str, str] = {}
        pointers = 0
        for number, file in enumerate(found):
            if inline and isinstance(file, DataURI):
                file.data()  # Stays where it is, if it is one.
                continue
            pointer = file.pointer
            pointers += len(pointer)
            if pointers > INPUT_KEPT:
                raise _too_large()
            if isinstance(file, FileReference):
                key = f"{tenant}/files/{file.file_id}"
                uploaded = self.uploads.head(key)
                if uploaded is None:
                    raise invalid([InvalidField("file", file.field, "File not found")])
                contents[pointer] = uploaded["metadata"].get("sha256", uploaded["etag"])
            else:
                data = file.data()
                key = f"{tenant}/inputs/{id_}/{number}"
                new[key] = data
                contents[pointer] = hashlib.sha256(data).hexdigest()
            move_out(value, pointer)
            uploads[pointer] = key
        kept = strict_json.canonical(value)
        if len(kept.encode()) + len(strict_json.canonical(uploads).encode()) > INPUT_KEPT:
            raise _too_large()
        return InputRead(kept, uploads, new, contents)

    def write_files(self, read: InputRead) -> None:
        """Put the files that were moved out. Without a record they are swept away in a week."""
        for key, data in read.new.items():
            sniffed = media.sniff(data[:4096])
            self.uploads.put(key, sniffed.type if sniffed else OPAQUE, data, {})


def _copied(value: Any) -> Any:
    """To take leaves out of. The leaves themselves are shared: they may be megabytes."""
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return value


def _too_large() -> TooLarge:
    return TooLarge(f"The input without its files must be below {INPUT_KEPT // 1000} kB.")
