"""Sends webhooks like Replicate: signed, throttled, the terminal one retried for a minute."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from emulator.faults import Faults

RETRY_PAUSES_S = (0, 1, 2, 4, 8, 16, 32)
"""Delays before the attempts at the terminal webhook; the last is about a minute after the
first."""
TIMEOUT_S = 10.0
STALE_S = 600


@dataclass(frozen=True, kw_only=True)
class Message:
    """One webhook. Its bytes and its id are the same for every attempt."""

    id: str
    prediction: str
    event: str
    status: str
    url: str
    body: bytes

    @property
    def terminal(self) -> bool:
        return self.event == "completed"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Result of one attempt. `response` is the status, or None without an answer."""

    prediction: str
    event: str
    status: str
    webhook_id: str
    attempt: int
    time: float
    response: int | None
    error: str | None


def new_secret() -> str:
    """Create a signing secret in Replicate's form."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the Standard Webhooks signature, version 1."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


class WebhookSender:
    """Sends each message in the background, and records all attempts."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        faults: Faults,
        secret: str,
        retry_scale: float,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._client = client
        self._faults = faults
        self.secret = secret
        """The newest secret, which the API shows."""
        self._before = ""
        self._before_until = 0.0
        self._retry_scale = retry_scale
        self._spawn = spawn
        self._held: defaultdict[str, list[Message]] = defaultdict(list)
        self._attempts: list[Attempt] = []

    def attempts(self) -> list[dict[str, Any]]:
        """Return every attempt so far, oldest first."""
        return [asdict(attempt) for attempt in self._attempts]

    def rotate(self, overlap_s: float) -> None:
        """Sign with a new secret, and for `overlap_s` seconds with the previous one too."""
        self._before, self._before_until = self.secret, time.time() + overlap_s
        self.secret = new_secret()

    def _signature(self, message: Message, sent_at: int) -> str:
        secrets_ = [self.secret]
        if self._faults.happens("webhook_bad_signature"):
            secrets_ = [new_secret()]
        elif time.time() < self._before_until:
            secrets_.append(self._before)
        return " ".join(sign(one, message.id, sent_at, message.body) for one in secrets_)

    def send(self, message: Message, *, may_hold: bool) -> None:
        """Send in the background. With `may_hold`, it may be reordered after the terminal
        message."""
        if may_hold and self._faults.happens("webhook_reorder"):
            self._held[message.prediction].append(message)
        else:
            self._spawn(self._deliver(message))

    async def _deliver(self, message: Message) -> None:
        if not message.terminal:
            await self._attempt(message, 1)
            return
        for number, pause in enumerate(RETRY_PAUSES_S, start=1):
            await asyncio.sleep(pause * self._retry_scale)
            accepted = await self._attempt(message, number)
            for held in self._held.pop(message.prediction, ()):
                self._spawn(self._deliver(held))
            if accepted:
                return

    async def _attempt(self, message: Message, number: int) -> bool:
        copies = 2 if self._faults.happens("webhook_duplicate") else 1
        return any(await asyncio.gather(*(self._post(message, number) for _ in range(copies))))

    async def _post(self, message: Message, number: int) -> bool:
        await self._faults.hold(self._faults["webhook_delay_s"])
        response, error = None, None
        if self._faults.happens("webhook_drop"):
            error = "dropped"
        else:
            try:
                response = await self._exchange(message)
            except TimeoutError:
                error = "timeout"
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
                error = f"{type(failure).__name__}: {failure}"
        self._attempts.append(
            Attempt(
                prediction=message.prediction,
                event=message.event,
                status=message.status,
                webhook_id=message.id,
                attempt=number,
                time=time.time(),
                response=response,
                error=error,
            )
        )
        return response is not None and 200 <= response < 300

    async def _exchange(self, message: Message) -> int:
        stale = self._faults.happens("webhook_stale")
        sent_at = int(time.time()) - (STALE_S if stale else 0)
        headers = {
            "content-type": "application/json",
            "user-agent": "Replicate",
            "webhook-id": message.id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": self._signature(message, sent_at),
        }
        async with (
            asyncio.timeout(TIMEOUT_S),
            self._client.stream(
                "POST", message.url, content=message.body, headers=headers
            ) as response,
        ):
            return response.status_code
