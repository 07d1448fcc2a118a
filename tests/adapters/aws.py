"""AWS emulated by moto in this process, and the shared parts of the suites of two
implementations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.ports import Controls, PredictionStore

    from tests.support.fakes import (
        Month,
    )


@dataclass
class Aws:
    """Clients of moto, with Darkroom's tables and buckets as the stacks create them."""

    dynamodb: Any
    s3: Any
    sqs: Any
    events: Any
    secretsmanager: Any


@dataclass
class LedgerStore:
    """A store, with shortcuts for its tenants' entries."""

    store: PredictionStore
    controls: Controls
    month: Callable[[str], Month]
    meet: Callable[[int], None]
    """Lets the next n attempts to write conflict with another transaction."""
