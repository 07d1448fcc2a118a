"""AWS as moto plays it in this process, and what the suites of two implementations share."""

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
    """Clients of moto, with Darkroom's tables and buckets made as the stacks make them."""

    dynamodb: Any
    s3: Any
    sqs: Any
    events: Any
    secretsmanager: Any


@dataclass
class Books:
    """A store, and what it enters for its tenants."""

    store: PredictionStore
    controls: Controls
    month: Callable[[str], Month]
    meet: Callable[[int], None]
    """Lets the next so many tries to write meet another transaction."""
