"""Keys of the rows in the Controls table. Each kind has a prefix, which the IAM policies use as
well."""

from __future__ import annotations

API_KEY = "KEY#"
"""An API key, by the token's hash. No function has the right to write one."""
TENANT = "TENANT#"
"""A tenant's limits, and the versions of its callback secrets."""
MONTH = "SPEND#"
"""A tenant's month, or an end user's: reserved, spent, in flight."""
USAGE = "USAGE#"
"""A tenant's day: predictions and cost of each model."""
TAGGED = "TAGGED#"
"""A tenant's day for one tag: predictions and cost of each model."""
RATE = "RATE#"
"""A token bucket."""
IDEMPOTENCY = "IDEM#"
"""A client's idempotency key, hashed within its tenant."""
REPEAT = "REPEAT#"
"""Requests with a client's number of attempts, by what is the same in all attempts."""
OWNER = "PID#"
"""The record that owns a provider id."""
SCHEMA = "SCHEMA#"
"""An open model's schema, as the provider published it."""
RESULT = "CACHE#"
"""The prediction whose result answers an equal request."""
RECEIVERS = "HOOK#"
"""The state of a tenant's callback endpoints."""
RUN_TIMES = "RUNTIMES"
"""One row for the run times of all models."""


def tenant(name: str) -> str:
    """Return the key of a tenant's row."""
    return f"{TENANT}{name}"


def month(tenant: str, yyyy_mm: str, end_user: str | None = None) -> str:
    """Return the key of a tenant's month, or of the month of one of its end users (by digest)."""
    row = f"{MONTH}{tenant}#{yyyy_mm}"
    return row if end_user is None else f"{row}#{end_user}"


def usage(tenant: str, day: str, tag: str | None = None) -> str:
    """Return the key of a tenant's usage on a day (`yyyy-mm-dd`), or of its usage with the tag."""
    return f"{USAGE}{tenant}#{day}" if tag is None else f"{TAGGED}{tenant}#{day}#{tag}"


def schema(model: str, version: str) -> str:
    """Return the key of the schema of a model's version."""
    return f"{SCHEMA}{model}:{version}"


def every(prefix: str) -> str:
    """Return the pattern that matches all keys of a kind in an IAM policy."""
    return f"{prefix}*"
