"""Predictions as the service shows them, and ways to wait for their end."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from darkroom_cli.errors import RefusedError, UnreachableError, UsageError
from darkroom_cli.text import is_id, short, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from darkroom_cli.service import Service

ENDED = frozenset({"succeeded", "failed", "canceled"})
STATUSES = ("starting", "processing", "succeeded", "failed", "canceled")
PATH = "/v1/predictions"
HOP_S = 25
"""Seconds of one long poll: the door's own maximum."""
PAGE = 100
MOST_FILES = 200
MOST_NESTED = 50
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """One stored output."""

    url: str
    sha256: str
    size: int
    content_type: str


@dataclass(frozen=True)
class Prediction:
    """A prediction, checked as far as the command relies on it."""

    id: str
    status: str
    body: dict[str, Any]
    """The whole answer, whose other texts may be anything."""

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self.status in ENDED

    @property
    def details(self) -> Mapping[str, Any]:
        """Return the object `darkroom`."""
        found = self.body.get("darkroom")
        return found if isinstance(found, dict) else {}

    @property
    def error(self) -> str:
        """Return why it did not succeed, in one visible line; empty if nothing is said."""
        said = self.body.get("error") or self.details.get("code") or ""
        return short(said, 500)

    @property
    def waits(self) -> bool:
        """Whether the deployment has the door `wait`: only then is there a watch URL."""
        urls = self.body.get("urls")
        return isinstance(urls, dict) and bool(urls.get("watch"))

    @property
    def expected_s(self) -> float:
        """Return the seconds that a run has taken lately; 0 if unknown."""
        found = self.details.get("expected_seconds")
        return float(found) if isinstance(found, int | float) and 0 < found < 86_400 else 0.0

    @property
    def cost(self) -> float | None:
        """Return the US dollars that it has cost; None before its end, or if unknown."""
        found = self.details.get("cost")
        return float(found) if isinstance(found, int | float) else None

    @property
    def revision(self) -> int | None:
        """Return the number of its changes, where the answer has it."""
        found = self.details.get("revision")
        return found if isinstance(found, int) else None

    def files(self) -> list[File]:
        """Return its stored files in the order of the output. Raises UnreachableError if they are
        not described as the command needs it."""
        described = self.details.get("files")
        described = described if isinstance(described, list) else []
        urls = list(_urls(self.body.get("output"), MOST_NESTED))
        if len(described) > MOST_FILES:
            raise UnreachableError(f"{self.id} has more than {MOST_FILES} files.")
        return [_file(self.id, one, number, urls) for number, one in enumerate(described)]


def prediction(body: Mapping[str, Any]) -> Prediction:
    """Parse an answer. Raises UnreachableError."""
    id_, status = body.get("id"), body.get("status")
    if not is_id(id_) or status not in STATUSES:
        raise UnreachableError("The answer is not a prediction of Darkroom's.")
    return Prediction(str(id_), str(status), dict(body))


def named(text: str) -> str:
    """Return a prediction's id from the command line. Raises UsageError."""
    if not is_id(text.strip()):
        raise UsageError(f"{visible(text)} is no prediction's id: 26 characters, 0-9 and a-z.")
    return text.strip()


def find(
    service: Service, id_: str, below: str = "", query: Mapping[str, str | int] | None = None
) -> Prediction:
    """GET a prediction, by its own path or one `below` it. Raises RefusedError or
    UnreachableError."""
    found = prediction(service.get(f"{PATH}/{id_}{below}", query))
    if found.id != id_:
        raise UnreachableError("The answer is another prediction than the one asked for.")
    return found


def create(
    service: Service,
    version: str,
    given: Mapping[str, Any],
    key: str,
    tags: tuple[str, ...] = (),
) -> Prediction:
    """Create a prediction, or find the one that the key has created.

    Raises RefusedError if nothing was created, UnreachableError if that is unknown.
    """
    return prediction(service.post(PATH, body=_wish(version, given, tags), key=key))


def most(
    service: Service, version: str, given: Mapping[str, Any], tags: tuple[str, ...] = ()
) -> float | None:
    """Return what the create can cost at most, in US dollars; None: unknown. Creates nothing.

    Raises RefusedError or UnreachableError.
    """
    answer = service.post(PATH, body=_wish(version, given, tags), query={"dry_run": "true"})
    details = answer.get("darkroom")
    found = details.get("most") if isinstance(details, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _wish(version: str, given: Mapping[str, Any], tags: tuple[str, ...]) -> dict[str, Any]:
    said: dict[str, Any] = {"version": version, "input": dict(given)}
    return {**said, "tags": list(tags)} if tags else said


def listed(service: Service, query: Mapping[str, str], limit: int) -> Iterator[Prediction]:
    """Yield the newest predictions, page by page. Raises RefusedError or UnreachableError."""
    for body in pages(service, PATH, {**query, "limit": min(limit, PAGE)}, limit):
        yield prediction(body)


def pages(
    service: Service, path: str, query: Mapping[str, str | int], limit: int
) -> Iterator[dict[str, Any]]:
    """Yield up to `limit` results of a list. Raises RefusedError or UnreachableError.

    Only the cursor of the next page's link is used, so no link leads to another host.
    """
    asked, seen = dict(query), set[str]()
    while True:
        page = service.get(path, asked)
        results = page.get("results")
        for one in results if isinstance(results, list) else ():
            if not isinstance(one, dict):
                raise UnreachableError("The answer is not a list of Darkroom's.")
            if limit <= 0:
                return
            limit -= 1
            yield one
        cursor = dict(_query(page.get("next"))).get("cursor", "")
        if not cursor or cursor in seen or limit <= 0:
            return
        seen.add(cursor)
        asked["cursor"] = cursor


def _query(link: object) -> list[tuple[str, str]]:
    try:
        query = urlsplit(link).query if isinstance(link, str) else ""
    except ValueError:
        return []
    pairs = (part.partition("=") for part in query.split("&"))
    return [(name, unquote(value)) for name, _, value in pairs]


def watch(
    service: Service,
    shown: Prediction,
    tell: Callable[[Prediction], None],
    *,
    long_polls: bool = True,
) -> Prediction:
    """Wait for the end and return it; `tell` is called for each state on the way.

    By long polls where the deployment has them and they are wanted, else by ever rarer polls.
    Raises RefusedError or UnreachableError.
    """
    pause, step = min(max(0.5, shown.expected_s / 2), 10.0), 1.5
    while not shown.ended:
        tell(shown)
        if long_polls and shown.waits:
            shown = _hop(service, shown)
            continue
        service.pause(pause * (0.75 + service.random() / 2))
        pause = min(max(1.0, pause * step), 10.0)
        shown = find(service, shown.id)
    tell(shown)
    return shown


def _hop(service: Service, shown: Prediction) -> Prediction:
    """Wait for one change, at most the time of a long poll."""
    query: dict[str, str | int] = {"seconds": HOP_S}
    if shown.revision is not None:
        query["revision"] = shown.revision
    asked_at = time.monotonic()
    try:
        found = find(service, shown.id, "/wait", query)
    except RefusedError as error:
        if error.status != 404:
            raise
        # The door may have been closed since; a plain GET tells that from an unknown id.
        found = find(service, shown.id)
    if not found.ended and time.monotonic() - asked_at < 0.2:
        # A door that answers at once, whatever is asked, must not be asked without a pause.
        service.pause(0.5)
    return found


def _urls(output: object, depth: int) -> Iterator[str]:
    """Yield the URLs in an output of any shape."""
    if isinstance(output, str):
        if output.startswith(("https://", "http://")):
            yield output
    elif isinstance(output, list | dict) and depth:
        for one in output.values() if isinstance(output, dict) else output:
            yield from _urls(one, depth - 1)


def _file(id_: str, described: object, number: int, urls: list[str]) -> File:
    """Join a description with its URL: the one that ends in its key, else the one of its place. The
    hash shows whether that was right."""
    said = described if isinstance(described, dict) else {}
    key, sha256, size = said.get("key"), said.get("sha256"), said.get("bytes")
    if not (isinstance(key, str) and isinstance(sha256, str) and isinstance(size, int)):
        raise UnreachableError(f"A file of {id_} is not described as it should be.")
    by_key = (url for url in urls if unquote(url.partition("?")[0]).endswith(f"/{key}"))
    url = next(by_key, urls[number] if number < len(urls) else None)
    if url is None or not _SHA256.fullmatch(sha256):
        raise UnreachableError(f"A file of {id_} has no URL or no hash.")
    return File(url, sha256, size, str(said.get("content_type")))
