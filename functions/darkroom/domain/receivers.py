"""State of a tenant's receivers: paused, limited to a share, or disabled.

An endpoint is one host, whatever the path, since a host that hangs does so for all paths.
"""

from __future__ import annotations

import hashlib
from dataclasses import field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from darkroom.domain.callback import GONE, taken
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from darkroom.domain.timings import Timings

SLOW_MS = 2000
"""Duration from which an attempt counts as slow."""
STRIKES, MOST_STRIKES = 10, 20
"""Strikes of one slow attempt, and their maximum; each quick attempt removes one."""
FAILURES = 5
"""Consecutive failures after which an endpoint is paused."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 3600.0
"""Bounds of that pause, which is as long as it has been failing."""
CROWD = 3
"""Number of slow or failing endpoints from which all of the tenant's endpoints are limited, because
a dead host under a new name for each prediction is not a new endpoint."""
MOST_ENDPOINTS, MOST_ADDRESSES = 20, 50
"""Maximum entries stored for a tenant: the worst endpoints, and the latest addresses."""
REFUSALS = 3
"""Answers of 410 by one address, without a success in between, that disable it."""
NEW_CHANCE_MS = 30 * 86_400_000
"""Time after which a disabled endpoint is tried again."""


@immutable
class Endpoint:
    """State of an unhealthy endpoint. Times are in milliseconds."""

    failing_since: int | None = None
    """Time of the first failure after the last success."""
    failures: int = 0
    """Consecutive failures, counted up to the threshold."""
    next_at: int = 0
    """Nothing is sent to it before this time."""
    strikes: int = 0
    """It is slow while this is above zero."""
    disabled_at: int | None = None
    """Time since which nothing is sent to it, until a redelivery is requested."""

    @property
    def shares(self) -> bool:
        """Whether its concurrent attempts are limited."""
        return self.strikes > 0 or self.failures >= FAILURES

    def after(self, status: int | None, took_ms: int, now: int, timings: Timings) -> Endpoint:
        """Return its state after an attempt that ended with `status`, None for no answer."""
        slow = took_ms >= SLOW_MS
        strikes = min(self.strikes + STRIKES, MOST_STRIKES) if slow else max(0, self.strikes - 1)
        if taken(status):
            return Endpoint(strikes=strikes)
        if status == GONE:
            # It concerns one address, and of the endpoint it only proves that it answers.
            return replace(self, strikes=strikes)
        since = now if self.failing_since is None else self.failing_since
        failing = replace(
            self,
            failing_since=since,
            failures=min(self.failures + 1, FAILURES),
            strikes=strikes,
        )
        if now - since >= int(timings.callback_disable_s * 1000):
            return replace(failing, disabled_at=now)
        if failing.failures == FAILURES and now >= self.next_at:
            # As long as it has been failing, so a short outage causes little delay, and a long one
            # little cost.
            least, most = (
                int(s * 1000 * timings.callback_scale) for s in (FIRST_PAUSE_S, LONGEST_PAUSE_S)
            )
            return replace(failing, next_at=now + max(least, min(most, now - since)))
        return failing


WELL = Endpoint()


@immutable
class Refusal:
    """Answers of 410 by one address, including its query."""

    times: int
    last_at: int


@immutable
class Receivers:
    """State of a tenant's unhealthy receivers; healthy ones are not stored."""

    revision: int = 0
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    busy: tuple[int, ...] = ()
    """End times of the attempts in progress that occupy a slot of the tenant's share."""

    def disabled(self, url: str, now: int) -> bool:
        """Whether nothing is sent to this URL."""
        at = self._of(url).disabled_at
        if at is not None and now - at < NEW_CHANCE_MS:
            return True
        refusal = self.refused.get(address(url))
        return (
            refusal is not None
            and refusal.times >= REFUSALS
            and now - refusal.last_at < NEW_CHANCE_MS
        )

    def next_at(self, url: str) -> int:
        """Return the time before which nothing is sent to this URL."""
        return self._of(url).next_at

    def shares(self, url: str) -> bool:
        """Whether an attempt needs a slot of the tenant's share."""
        slow = sum(endpoint.shares for endpoint in self.endpoints.values())
        return self._of(url).shares or slow >= CROWD

    def enter(self, now: int, until: int, share: int) -> Receivers | None:
        """Return the state with one more slot occupied until `until`; None if all are."""
        busy = tuple(end for end in self.busy if end > now)
        return None if len(busy) >= share else replace(self, busy=(*busy, until))

    def leave(self, place: int | None) -> Receivers:
        """Return the state without the slot that was occupied until `place`."""
        if place not in self.busy:
            return self
        at = self.busy.index(place)
        return replace(self, busy=self.busy[:at] + self.busy[at + 1 :])

    def after(
        self, url: str, status: int | None, took_ms: int, now: int, timings: Timings
    ) -> Receivers:
        """Return the state after an attempt; equal to this one if all is well."""
        endpoint = self._of(url).after(status, took_ms, now, timings)
        refused = dict(self.refused)
        if taken(status):
            refused.pop(address(url), None)
        elif status == GONE:
            before = refused.pop(address(url), None)
            recent = before is not None and now - before.last_at < NEW_CHANCE_MS
            times = before.times + 1 if before is not None and recent else 1
            refused[address(url)] = Refusal(min(times, REFUSALS), now)
        latest = sorted(refused.items(), key=lambda each: each[1].last_at)[-MOST_ADDRESSES:]
        return replace(self._with(url, endpoint), refused=dict(latest))

    def enable(self, url: str) -> Receivers:
        """Return the state after a redelivery request: enabled at once, but within the share."""
        endpoint = replace(self._of(url), failing_since=None, next_at=0, disabled_at=None)
        refused = {
            name: kept
            for name, kept in self.refused.items()
            if name != address(url) or kept.times < REFUSALS
        }
        return replace(self._with(url, endpoint), refused=refused)

    def _of(self, url: str) -> Endpoint:
        return self.endpoints.get(host(url), WELL)

    def _with(self, url: str, endpoint: Endpoint) -> Receivers:
        known = {**self.endpoints, host(url): endpoint}
        worst = sorted(
            (name for name, known_one in known.items() if known_one != WELL),
            key=lambda name: _badness(known[name]),
        )[-MOST_ENDPOINTS:]
        return replace(self, endpoints={name: known[name] for name in worst})


def _badness(endpoint: Endpoint) -> tuple[bool, int, int]:
    return endpoint.disabled_at is not None, endpoint.failures, endpoint.strikes


def host(url: str) -> str:
    """Return the endpoint's name: a digest of scheme, host and port."""
    parts = urlsplit(url)
    return _digest(f"{parts.scheme}://{parts.netloc}".lower())


def address(url: str) -> str:
    """Return the address's name: a digest of the whole URL, since a query may identify one job."""
    return _digest(url)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
