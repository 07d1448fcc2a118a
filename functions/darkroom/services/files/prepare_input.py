"""Prepares an input for its record: files are moved out, or referenced by their keys."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from darkroom.domain import media, strict_json
from darkroom.domain.checker import InvalidField, invalid
from darkroom.domain.errors import TooLargeError
from darkroom.domain.inputs import (
    DataURI,
    find_files,
    is_output,
    move_out,
    names_output_of,
    put_back,
    upload_key,
)
from darkroom.domain.places import Place
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.domain.errors import InvalidInputError
    from darkroom.domain.inputs import StoredFile
    from darkroom.domain.prediction import JsonObject
    from darkroom.ports import OutputStore, Signer, UploadStore

INPUT_KEPT = 256_000
"""Bytes of input that a record keeps; data URIs beyond it move to the uploads bucket."""

MAX_FILES = 100
"""Maximum files in one input, since each costs a call to the uploads bucket."""


@dataclass(slots=True)
class PreparedInput:
    """An input in the form for its record."""

    kept: JsonObject = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    new: dict[str, bytes] = field(default_factory=dict)
    """Data URIs that do not fit into the record, by their keys in the uploads bucket."""
    copies: dict[str, StoredFile] = field(default_factory=dict)
    """Uploads that the input names, by the keys of the record's own copies."""
    contents: dict[str, str] = field(default_factory=dict)
    """Digests of every file that was moved out, since a client that retries may upload a file
    again, or sign its URL again."""
    pixels: dict[str, int] = field(default_factory=dict)
    """Sizes of the available pictures, as far as their first bytes tell."""

    def measure(self, pointer: str, start: bytes) -> None:
        """Record the size of a picture with these first bytes."""
        pixels = media.pixels(start)
        if pixels is not None:
            self.pixels[pointer] = pixels


@immutable
class PrepareInput:
    """Needs one call for each file that the input names, and one more to copy an upload."""

    uploads: UploadStore
    outputs: OutputStore
    signer: Signer
    public_url: str

    def __call__(
        self, id_: str, tenant: str, given: dict[str, Any], schema: Mapping[str, Any]
    ) -> PreparedInput:
        """Prepare an input without writing. Raises InvalidInputError for an unknown file, or
        TooLargeError."""
        value = strict_json.ordered(given)

        def key_of(url: str) -> str | None:
            key = upload_key(url, self.public_url, tenant)
            # The signer comes last, because it may need a client for the answer.
            return key or (self.signer.output_key(url) if names_output_of(url, tenant) else None)

        # In the client's own order, which numbers the files that are moved out.
        found = list(islice(find_files(given, Place([schema]), key_of), MAX_FILES + 1))
        if len(found) > MAX_FILES:
            raise TooLargeError(f"The input has more than {MAX_FILES} files.")
        has_data = any(isinstance(file, DataURI) for file in found)
        inline = has_data and strict_json.size(given) <= INPUT_KEPT
        read = PreparedInput(value)
        pointers = 0
        for number, file in enumerate(found):
            pointer = file.pointer
            if inline and isinstance(file, DataURI):
                read.measure(pointer, file.data())  # it stays inline
                put_back(value, pointer, file.compact())
                continue
            pointers += len(pointer)
            if pointers > INPUT_KEPT:
                raise _too_large()
            place = f"{tenant}/inputs/{id_}/{number}"
            read.uploads[pointer] = (
                self._moved(file, pointer, place, read)
                if isinstance(file, DataURI)
                else self._named(file, pointer, place, read)
            )
            move_out(value, pointer)
        if strict_json.size(value) + strict_json.size(read.uploads) > INPUT_KEPT:
            raise _too_large()
        return read

    def _moved(self, file: DataURI, pointer: str, place: str, read: PreparedInput) -> str:
        """Return the key of a file from a data URI."""
        data = file.data()
        read.measure(pointer, data)
        key = place + media.extension(data[: media.START], file.media_type, file.name)
        read.new[key] = data
        read.contents[pointer] = hashlib.sha256(data).hexdigest()
        return key

    def _named(self, file: StoredFile, pointer: str, place: str, read: PreparedInput) -> str:
        """Return the key of a stored file.

        An output has an extension, but an upload is copied to a key with one, because models use
        it.
        """
        if is_output(file.key):
            digest = self.outputs.digest(file.key)
            if digest is None:
                raise _unknown(file)
            read.contents[pointer] = digest
            return file.key
        uploaded = self.uploads.begin(file.key)
        if uploaded is None:
            raise _unknown(file)
        read.measure(pointer, uploaded["start"])
        metadata = uploaded["metadata"]
        name = unquote(metadata.get("name", ""))
        key = place + media.extension(uploaded["start"], uploaded["content_type"], name)
        read.copies[key] = file
        read.contents[pointer] = metadata.get("sha256", uploaded["etag"])
        return key

    def write_files(self, read: PreparedInput) -> None:
        """Store the files that were moved out. Without a record they expire within a week.

        Raises InvalidInputError if an upload is gone by now.
        """
        for key, data in read.new.items():
            self.uploads.put(key, media.type_of(data), data, {})
        for key, file in read.copies.items():
            if not self.uploads.copy(file.key, key):
                raise _unknown(file)


def _unknown(file: StoredFile) -> InvalidInputError:
    return invalid([InvalidField("file", file.field, "File not found")])


def _too_large() -> TooLargeError:
    return TooLargeError(f"The input without its files must be below {INPUT_KEPT // 1000} kB.")
