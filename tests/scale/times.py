"""Assumed durations of all I/O. Nothing here was measured at AWS or Replicate.

Waiting time in one region, in milliseconds per call, as `bench/cost.py` assumes it. A record that
the sweep handles costs processor time too, which its claim includes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of a call; `shared` if one call serves many predictions."""

    ms: float
    shared: bool = False


READ, WRITE, TRANSACTION, QUERY, BATCH = 4.0, 6.0, 15.0, 5.0, 6.0
PROCESSOR = 4.0
"""Reading, advancing and writing one claimed record, at a third of a processor."""

STORE = {
    "insert": Cost(WRITE),
    "get": Cost(READ),
    "get_many": Cost(BATCH),
    "commit": Cost(WRITE),
    "owner_of": Cost(READ),
    "due": Cost(16 * QUERY, shared=True),
    "look": Cost(BATCH, shared=True),
    "claim": Cost(WRITE + PROCESSOR),
    "watch": Cost(WRITE),
    "mark_effects_done": Cost(TRANSACTION),
    "recent_ids": Cost(QUERY),
    "list_ids": Cost(QUERY),
}
"""`due` covers the sixteen shards of a sweep that has all of them; `look` a hundred keys."""
DELIVERIES = {
    "put": Cost(WRITE),
    "get": Cost(READ),
    "of": Cost(QUERY),
    "write": Cost(WRITE),
    "due": Cost(16 * QUERY, shared=True),
    "claim": Cost(WRITE),
}
CONTROLS_READ, CONTROLS_WRITE = Cost(READ), Cost(WRITE)
QUEUE = Cost(8.0)
BUS = Cost(15.0)
TASKS = Cost(15.0)
OUTPUT = Cost(120.0)
OUTPUTS = {"write_once": Cost(60.0), "copy": Cost(60.0), "keys": Cost(20.0), "get": Cost(40.0)}
CALLBACK = Cost(100.0)
PROVIDER = {
    "create": Cost(250.0),
    "get": Cost(100.0),
    "cancel": Cost(100.0),
    "page": Cost(300.0, shared=True),
    "other": Cost(100.0),
}
"""A page of a hundred predictions, read and parsed."""
