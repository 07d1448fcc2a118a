"""Replicate's HTTP API behind the Provider port."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from darkroom.adapters.http import NETWORK_ERRORS, Client, header
from darkroom.domain import strict_json
from darkroom.domain.errors import ProviderUnavailable, Unavailable
from darkroom.domain.lifecycle import Answered, NoAnswer, NotSent
from darkroom.domain.snapshot import BadSnapshot, Snapshot, read_snapshot, rfc3339
from darkroom.ports import Found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.ports import Secrets

READ_BUDGET_S = 5.0
LARGEST_ANSWER = 20_000_000
PAGES = 50
"""Pages of a hundred that a search reads at most."""
FIND_BUDGET_S = 15.0
"""No new page is begun after this: a sweep has other work in its minute."""


@dataclass(frozen=True, slots=True)
class Replicate:
    """Provider. Reads may be repeated by the caller; a create is sent once."""

    client: Client
    url: str
    secrets: Secrets

    def create(
        self,
        *,
        model: str,
        version: str | None,
        input_: dict[str, Any],
        webhook: str,
        events: Iterable[str],
        cancel_after_s: int,
        budget_s: float,
    ) -> Answered | NotSent | NoAnswer:
        body: dict[str, Any] = {
            "version": version or model,
            "input": input_,
            "webhook": webhook,
            "webhook_events_filter": list(events),
        }
        headers = {"cancel-after": f"{cancel_after_s}s"}
        try:
            status, answer, retry_after = self._exchange(
                "POST", f"{self.url}/v1/predictions", budget_s, body, headers
            )
        except Unavailable:
            return NotSent()
        except NETWORK_ERRORS:
            return NoAnswer() if self.client.wrote else NotSent()
        in_body = answer.get("retry_after") if isinstance(answer, dict) else None
        wait = _seconds(in_body) if _seconds(in_body) is not None else _seconds(retry_after)
        return Answered(status, answer, wait)

    def get(self, provider_id: str) -> Snapshot | None:
        return self._snapshot("GET", f"/predictions/{quote(provider_id, safe='')}")

    def cancel(self, provider_id: str) -> Snapshot | None:
        return self._snapshot("POST", f"/predictions/{quote(provider_id, safe='')}/cancel")

    def find(self, created_after: int) -> Found:
        query = urlencode({"created_after": rfc3339(created_after)})
        next_url: str | None = f"{self.url}/v1/predictions?{query}"
        snapshots: list[Snapshot] = []
        complete = True
        ends = time.monotonic() + FIND_BUDGET_S
        for _ in range(PAGES):
            if next_url is None or time.monotonic() >= ends:
                break
            page = self._read("GET", next_url)
            if not isinstance(page, dict) or not isinstance(page.get("results"), list):
                raise ProviderUnavailable("the list is not a page")
            readable = _readable(page["results"])
            # What cannot be read could be the very one that is searched for.
            complete = complete and len(readable) == len(page["results"])
            snapshots += readable
            next_url = self._on_our_host(page.get("next"))
        return Found(snapshots, complete=complete and next_url is None)

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        found = self._read("GET", f"{self.url}/v1/models/{model}/versions/{version}")
        schema = found.get("openapi_schema") if isinstance(found, dict) else None
        return schema if isinstance(schema, dict) else None

    def _on_our_host(self, url: object) -> str | None:
        """The token goes to the provider's own host only, whatever a page says."""
        if url is None:
            return None
        if not isinstance(url, str) or not url.startswith(f"{self.url}/"):
            raise ProviderUnavailable("the next page is on another host")
        return url

    def _snapshot(self, method: str, path: str) -> Snapshot | None:
        body = self._read(method, f"{self.url}/v1{path}")
        if body is None:
            return None
        try:
            return read_snapshot(body)
        except BadSnapshot as error:
            raise ProviderUnavailable(f"not a prediction: {error}") from None

    def _read(self, method: str, url: str) -> Any:
        """The answer's JSON, None for 404. Raises ProviderUnavailable for all else."""
        try:
            status, body, _ = self._exchange(method, url, READ_BUDGET_S)
        except (Unavailable, *NETWORK_ERRORS) as error:
            raise ProviderUnavailable(type(error).__name__) from None
        if status == 404:
            return None
        if not 200 <= status < 300 or body is None:
            raise ProviderUnavailable(f"status {status}")
        return body

    def _exchange(
        self,
        method: str,
        url: str,
        budget_s: float,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, str | None]:
        sent = {"authorization": f"Bearer {self.secrets.replicate_token()}", **(headers or {})}
        content = b""
        if body is not None:
            sent["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        self.client.begin(budget_s)
        with self.client.exchange(method, url, sent, content) as response:
            raw = bytearray()
            for chunk in response.iter_stream():
                raw += chunk
                if len(raw) > LARGEST_ANSWER:
                    return response.status, None, None
        return response.status, _json(bytes(raw)), header(response, "retry-after")


def _json(raw: bytes) -> Any:
    try:
        return strict_json.loads(raw)
    except strict_json.NotStrictJSON:
        return None


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 1e6 else None


def _readable(results: list[Any]) -> list[Snapshot]:
    found = []
    for body in results:
        try:
            found.append(read_snapshot(body))
        except BadSnapshot:
            continue
    return found
