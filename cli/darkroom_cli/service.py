"""HTTP calls to the service: bounded, repeated where that is safe, and never redirected."""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from darkroom_cli.configuration import is_loopback
from darkroom_cli.errors import RefusedError, UnreachableError
from darkroom_cli.text import short, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import BinaryIO

    from darkroom_cli.configuration import Account

LARGEST_ANSWER = 16_000_000
LONGEST_ANSWER_S = 60.0
"""Seconds for the body of an answer, however slowly it trickles."""
LARGEST_FILE = 1_000_000_000
LONGEST_PAUSE_S = 120.0
"""Seconds of a single pause, whatever the service asks for."""
PATIENCE_S = 30.0
"""Seconds in which a command repeats a request before it gives up."""
REPEATED = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


@dataclass
class Backoff:
    """Pauses between repetitions of one request: doubling, with jitter, up to the patience."""

    patience_s: float
    random: Callable[[], float]
    first_s: float = 0.5
    most_s: float = 30.0
    spent_s: float = 0.0
    tries: int = 0

    def next(self, asked_s: float | None) -> float | None:
        """Return the seconds until the next try, at least those that the service asks for; None if
        the patience is over."""
        ceiling = min(self.most_s, self.first_s * 2.0 ** min(self.tries, 20))
        jitter = ceiling * (0.5 + self.random() / 2)
        pause = jitter if asked_s is None else asked_s + jitter / 4
        pause = min(pause, LONGEST_PAUSE_S)
        if self.spent_s + pause > self.patience_s:
            return None
        self.spent_s += pause
        self.tries += 1
        return pause


@dataclass
class Answer:
    """An answer that arrived whole."""

    status: int
    headers: httpx.Headers
    content: bytes
    certain: bool = True
    """Whether no earlier try of the request may have had an effect."""

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds that the service asks to wait; None if it names no number."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None

    def json(self) -> Any:
        """Return the body; None if it is not JSON."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            return None
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


@dataclass
class Service:
    """The service's API, called with the account's key. Safe for use by several threads."""

    account: Account
    transport: httpx.BaseTransport | None = None
    """In place of the network."""
    pause: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.SystemRandom().random
    patience_s: float = PATIENCE_S
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        host = urlsplit(self.account.url).hostname or ""
        # A proxy cannot reach this machine, and must not see what is meant for it.
        direct = dict.fromkeys(_LOOPBACK) if is_loopback(host) and not self.transport else None
        self._http = httpx.Client(
            transport=self.transport,
            mounts=direct,
            headers={"User-Agent": "darkroom-cli", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(40, connect=10),
            limits=httpx.Limits(max_connections=200),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    @property
    def host(self) -> str:
        """Return the host as the user knows it."""
        return visible(urlsplit(self.account.url).netloc)

    def get(self, path: str, query: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """GET a JSON object. Raises RefusedError or UnreachableError."""
        return self._ask("GET", path, params=dict(query or {}))

    def post(
        self,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> dict[str, Any]:
        """POST, and repeat it while there is no answer: so a create has an Idempotency-Key.

        Raises RefusedError or UnreachableError.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        given = {"json": body} if body is not None else {"files": files}
        return self._ask("POST", path, params=dict(query or {}), headers=headers, **given)

    def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, **given: Any
    ) -> dict[str, Any]:
        headers = {**(headers or {}), "Authorization": f"Bearer {self.account.token}"}
        answer = self._repeated(method, self.account.url + path, headers=headers, **given)
        body = answer.json()
        if answer.status >= 300:
            raise self._refusal(answer, body)
        if not isinstance(body, dict):
            raise self._no_service(answer)
        return body

    def send_form(self, url: str, fields: Mapping[str, str], file: tuple[str, bytes, str]) -> None:
        """POST a form to a URL that the service named, without the key.

        Raises RefusedError or UnreachableError.
        """
        answer = self._repeated("POST", self._elsewhere(url), data=fields, files={"file": file})
        if answer.status >= 300:
            raise RefusedError(
                f"The upload was rejected with status {answer.status}.", answer.status
            )

    def fetch(self, url: str, to: BinaryIO, size: int) -> str:
        """Write the file at a URL that the service named, and return its SHA-256. Sends no key.

        Raises UnreachableError, also if it is longer than `size`. Does not repeat.
        """
        digest, seen, url = hashlib.sha256(), 0, self._elsewhere(url)
        try:
            with self._http.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise UnreachableError(f"A file was answered with {answer.status_code}.")
                self._check_plain(answer)
                for piece in answer.iter_bytes(1 << 16):
                    seen += len(piece)
                    if seen > min(size, LARGEST_FILE):
                        raise UnreachableError("A file is larger than its description says.")
                    digest.update(piece)
                    to.write(piece)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise UnreachableError(f"A file did not arrive: {_reason(error)}") from None
        return digest.hexdigest()

    def _repeated(self, method: str, url: str, **given: Any) -> Answer:
        """Return the first answer after which a repetition is of no use, or the last one."""
        backoff, certain = Backoff(self.patience_s, self.random), True
        while True:
            answer, silence = None, ""
            try:
                answer = self._once(method, url, **given)
            except (httpx.RequestError, httpx.InvalidURL) as error:
                silence = _reason(error)
            if answer:
                answer.certain = certain
                if answer.status not in REPEATED:
                    return answer
            certain = certain and answer is not None and answer.status == 429
            pause = backoff.next(answer.retry_after_s if answer else None)
            if pause is None:
                if answer:
                    return answer
                raise UnreachableError(f"{self.host} cannot be reached: {silence}")
            self.pause(pause)

    def _once(self, method: str, url: str, **given: Any) -> Answer:
        data, until = bytearray(), time.monotonic() + LONGEST_ANSWER_S
        with self._http.stream(method, url, **given) as answer:
            self._check_plain(answer)
            for piece in answer.iter_bytes(1 << 16):
                data += piece
                if len(data) > LARGEST_ANSWER or time.monotonic() > until:
                    raise UnreachableError(f"{self.host} sent an answer without end.")
            return Answer(answer.status_code, answer.headers, bytes(data))

    def _check_plain(self, answer: httpx.Response) -> None:
        """Reject a compressed body, which could unpack to any size. Raises UnreachableError."""
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise UnreachableError(f"{self.host} sent an encoding that was not asked for.")

    def _elsewhere(self, url: str) -> str:
        """Return the URL of a file, if it is as safe as the service's own. Raises
        UnreachableError."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        ours = urlsplit(self.account.url)
        near = ours.scheme == "http" and (is_loopback(host) or self.account.insecure_http)
        if not host or not (parts.scheme == "https" or (parts.scheme == "http" and near)):
            raise UnreachableError(
                f"{self.host} names a file at an address that is not safe: {short(url, 60)}"
            )
        return url

    def _refusal(self, answer: Answer, body: object) -> RefusedError | UnreachableError:
        if answer.status < 400:
            to = short(urlsplit(answer.headers.get("location", "")).netloc or "another page", 100)
            return UnreachableError(
                f"{self.host} redirects to {to}, which is not followed because "
                "the key is for this host only. Is the address right?"
            )
        if not isinstance(body, dict):
            return self._no_service(answer)
        said = body.get("detail") or body.get("message") or body.get("title")
        text = f"{short(said or 'without a reason', 2000)} ({answer.status} from {self.host})"
        if answer.status >= 500:
            return UnreachableError(text)
        if answer.status == 401:
            text += ". `darkroom login` sets another key."
        return RefusedError(text, answer.status, certain=answer.certain)

    def _no_service(self, answer: Answer) -> UnreachableError:
        kind = short(answer.headers.get("content-type", "no type"), 60)
        return UnreachableError(
            f"{self.host} answered {answer.status} with {kind}, and not as Darkroom does. Is the "
            "address right, or is a proxy or a login page in between?"
        )


def _reason(error: Exception) -> str:
    return short(error, 200) or type(error).__name__
