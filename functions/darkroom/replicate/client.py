"""Replicate's HTTP API as Provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from darkroom.domain import lenient_json
from darkroom.domain.errors import (
    PageTooLargeError,
    ProviderSilentError,
    ProviderUnavailableError,
    UnavailableError,
)
from darkroom.domain.times import rfc3339
from darkroom.domain.values import immutable
from darkroom.outbound.http import NETWORK_ERRORS, Client, read_whole
from darkroom.ports import Answered, NoAnswer, NotSent, ProviderPage
from darkroom.replicate.snapshot import BadSnapshotError, read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.domain.snapshot import Snapshot
    from darkroom.ports import Secrets

READ_BUDGET_S = 5.0
LARGEST_ANSWER = 6_000_000
"""Maximum bytes of an answer, since a page takes memory of the function."""


@immutable
class Replicate:
    """Provider for Replicate. Callers may repeat reads; a create is sent once."""

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
        cancel_after_s: int | None,
        budget_s: float,
    ) -> Answered | NotSent | NoAnswer:
        body: dict[str, Any] = {
            "version": version or model,
            "input": input_,
            "webhook": webhook,
            "webhook_events_filter": list(events),
        }
        headers = {} if cancel_after_s is None else {"cancel-after": f"{cancel_after_s}s"}
        try:
            status, answer, retry_after = self._exchange(
                "POST", f"{self.url}/v1/predictions", budget_s, body, headers
            )
        except UnavailableError:
            return NotSent()
        except NETWORK_ERRORS:
            return NoAnswer() if self.client.wrote else NotSent()
        said = _json(answer or b"")
        in_body = said.get("retry_after") if isinstance(said, dict) else None
        wait = _seconds(in_body) if _seconds(in_body) is not None else _seconds(retry_after)
        return Answered(status, said, wait)

    def get(self, provider_id: str) -> Snapshot | None:
        return self._snapshot("GET", f"/predictions/{quote(provider_id, safe='')}")

    def cancel(self, provider_id: str) -> Snapshot | None:
        return self._snapshot("POST", f"/predictions/{quote(provider_id, safe='')}/cancel")

    def page(
        self, created_after: int, created_before: int | None = None, cursor: str | None = None
    ) -> ProviderPage:
        window = {"created_after": rfc3339(created_after)}
        if created_before is not None:
            window["created_before"] = rfc3339(created_before)
        url = self._on_our_host(cursor) or f"{self.url}/v1/predictions?{urlencode(window)}"
        listed = page_of(self._read("GET", url) or b"")
        self._on_our_host(listed.next)
        return listed

    def token_works(self) -> bool:
        try:
            status, _, _ = self._exchange("GET", f"{self.url}/v1/account", READ_BUDGET_S)
        except (UnavailableError, *NETWORK_ERRORS):
            return True
        return status not in {401, 403}

    def input_schema(self, model: str, version: str) -> dict[str, Any] | None:
        found = _json(self._read("GET", f"{self.url}/v1/models/{model}/versions/{version}") or b"")
        schema = found.get("openapi_schema") if isinstance(found, dict) else None
        return schema if isinstance(schema, dict) else None

    def _on_our_host(self, url: str | None) -> str | None:
        """Return the URL if it is on the provider's own host, because the token must not go
        anywhere else."""
        if url is None:
            return None
        if not url.startswith(f"{self.url}/"):
            raise ProviderUnavailableError("the next page is on another host")
        return url

    def _snapshot(self, method: str, path: str) -> Snapshot | None:
        raw = self._read(method, f"{self.url}/v1{path}")
        return None if raw is None else snapshot_of(raw)

    def _read(self, method: str, url: str) -> bytes | None:
        """Return the answer's body; None for 404. Raises ProviderUnavailableError for other
        statuses."""
        try:
            status, body, _ = self._exchange(method, url, READ_BUDGET_S)
        except (UnavailableError, *NETWORK_ERRORS) as error:
            raise ProviderSilentError(type(error).__name__) from None
        if status == 404:
            return None
        if not 200 <= status < 300:
            raise ProviderUnavailableError(f"status {status}")
        if body is None:
            raise PageTooLargeError(f"an answer above {LARGEST_ANSWER} bytes")
        return body

    def _exchange(
        self,
        method: str,
        url: str,
        budget_s: float,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes | None, str | None]:
        """Return status, body (None above LARGEST_ANSWER) and `retry-after`."""
        sent = {"authorization": f"Bearer {self.secrets.replicate_token()}", **(headers or {})}
        content = b""
        if body is not None:
            sent["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        with self.client.exchange(
            method, url, budget_s=budget_s, headers=sent, content=content
        ) as response:
            raw = read_whole(response, LARGEST_ANSWER)
        retry_after = None if raw is None else response.headers.get("retry-after")
        return response.status_code, raw, retry_after


def snapshot_of(raw: bytes) -> Snapshot:
    """Parse a prediction from an answer's body. Raises ProviderUnavailableError if it is not
    one."""
    try:
        return read_snapshot(lenient_json.loads(raw))
    except (lenient_json.LenientJSONError, BadSnapshotError) as error:
        raise ProviderUnavailableError(f"not a prediction: {error}") from None


def page_of(raw: bytes) -> ProviderPage:
    """Parse a page of the list item by item, so that an unreadable one does not affect the others.
    Raises ProviderUnavailableError if it is not a page."""
    page = _json(raw)
    if page is None:
        # If one item is nested too deeply for the parser, the others are parsed one by one.
        texts = lenient_json.elements(raw, "results")
        results = None if texts is None else [_json(text) for text in texts]
        complete, following = False, None
    else:
        results = page.get("results") if isinstance(page, dict) else None
        complete, following = True, page.get("next") if isinstance(page, dict) else None
    if not isinstance(results, list):
        raise ProviderUnavailableError("the list is not a page")
    found = []
    for body in results:
        try:
            found.append(read_snapshot(body))
        except BadSnapshotError:
            # It could be the very prediction that is searched for.
            complete = False
    return ProviderPage(found, complete, following if isinstance(following, str) else None)


def _json(raw: bytes) -> Any:
    try:
        return lenient_json.loads(raw)
    except lenient_json.LenientJSONError:
        return None


def _seconds(value: object) -> float | None:
    if isinstance(value, int) and not -1 < value < 1_000_000:
        return None
    try:
        seconds = float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 1e6 else None
