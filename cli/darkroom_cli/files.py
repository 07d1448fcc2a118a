"""Files: uploads for inputs, and downloads that are complete or absent."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom_cli.errors import UnreachableError, UsageError
from darkroom_cli.predictions import find
from darkroom_cli.service import Backoff
from darkroom_cli.text import EXTENSIONS, extension, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom_cli.predictions import File, Prediction
    from darkroom_cli.service import Service

MOST_DIRECT = 4_500_000
"""Bytes of a file that passes through the API; a larger one is posted to the bucket."""
MOST = 100_000_000
DRAFT = ".darkroom-"
"""Prefix of a file that is not complete yet."""
TRIES = 4
"""Downloads of one file, each by a URL that was signed anew."""


def read(path: str) -> bytes:
    """Read a file that is to be uploaded. Raises UsageError."""
    try:
        if Path(path).stat().st_size > MOST:
            raise UsageError(f"{visible(path)} is larger than {MOST // 1_000_000} MB.")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise UsageError(f"{visible(path)} cannot be read: {reason}") from None


def upload(service: Service, path: str, sha256: str | None = None) -> str:
    """Upload a file and return the URL for inputs. Raises RefusedError, UnreachableError, or
    UsageError, also if it is not the one with this hash any more."""
    data = read(path)
    if sha256 not in {None, hashlib.sha256(data).hexdigest()}:
        raise UsageError(f"{visible(path)} has changed since it was checked: start again.")
    name = Path(path).name
    kind = kind_of(name)
    if len(data) <= MOST_DIRECT:
        answer = service.post("/v1/files", files={"content": (name, data, kind)})
    else:
        answer = service.post("/v1/uploads", body={"filename": name, "content_type": kind})
        fields, url = answer.get("fields"), answer.get("url")
        if not isinstance(fields, dict) or not isinstance(url, str):
            raise UnreachableError("The answer to an upload is not one of Darkroom's.")
        texts = {str(field): str(value) for field, value in fields.items()}
        service.send_form(url, texts, (name, data, kind))
    urls = answer.get("urls")
    found = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(found, str):
        raise UnreachableError("The answer to an upload is not one of Darkroom's.")
    return found


def kind_of(name: str) -> str:
    """Return the media type that a file's name says. Not every Python knows WebP."""
    ending = Path(name.lower()).suffix.removeprefix(".")
    known = {one: kind for kind, one in EXTENSIONS.items()}
    return known.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def folder(path: Path) -> Path:
    """Make the folder if it is missing. Raises UsageError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}") from None
    return path


def save(service: Service, shown: Prediction, into: Path, stem: str) -> list[tuple[str, str]]:
    """Download the files of a prediction; return their names and hashes.

    Names are made of `stem` and of what each file is, never of what the service calls it. A file
    that is there already is kept. Raises UsageError, RefusedError or UnreachableError.
    """
    names = [name for name, _ in _named(shown.files(), stem)]
    for number, name in enumerate(names):
        shown = _save(service, shown, number, into / name)
    return [(name, file.sha256) for name, file in zip(names, shown.files(), strict=False)]


def _named(files: list[File], stem: str) -> Iterator[tuple[str, File]]:
    for number, file in enumerate(files):
        suffix = f"-{number + 1}" if number else ""
        yield f"{stem}{suffix}.{extension(file.content_type)}", file


def _save(service: Service, shown: Prediction, number: int, target: Path) -> Prediction:
    """Download one file, and return the prediction as it was last shown: its URLs expire."""
    backoff = Backoff(service.patience_s, service.random)
    for left in reversed(range(TRIES)):
        files = shown.files()
        if number >= len(files):
            raise UnreachableError(f"{shown.id} has fewer files than before.")
        if is_whole(target, files[number].sha256):
            return shown
        try:
            _download(service, files[number], target)
        except UnreachableError:
            pause = backoff.next(None)
            if not left or pause is None:
                raise
            service.pause(pause)
            shown = find(service, shown.id)
    return shown


def _download(service: Service, file: File, target: Path) -> None:
    draft = target.with_name(f"{DRAFT}{secrets.token_hex(8)}")
    try:
        try:
            with draft.open("xb") as written:
                sha256 = service.fetch(file.url, written, file.size)
                written.flush()
                os.fsync(written.fileno())
            if sha256 != file.sha256:
                raise UnreachableError("A file arrived damaged: its SHA-256 is another.")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from None


def is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is there with this hash."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def tidy(path: Path) -> None:
    """Delete incomplete downloads that an earlier run of the same folder left."""
    for draft in path.glob(f"{DRAFT}*"):
        draft.unlink(missing_ok=True)
