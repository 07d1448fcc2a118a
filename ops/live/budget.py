"""The predictions that a run pays for, and their maximum cost, known before anything is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from darkroom.domain.money import MICRO, price_of
from darkroom.domain.price import picture_usd
from darkroom.domain.timings import Timings

from ops.deployment import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from darkroom.catalog import Catalogue

    from ops.live.verdict import Facts

SLOW = "stability-ai/sdxl"
"""A model that runs longer than the shortest deadline and is billed by the second, so that an early
stop costs little."""
SLOW_INPUT: dict[str, Any] = {"num_outputs": 4, "num_inference_steps": 100}
DEADLINE_S = 5
"""The shortest deadline that Darkroom accepts."""
CANCEL_TRIES = 3
"""Attempts at a cancel, since one that comes too late proves nothing."""
EXAMPLE = ("black-forest-labs/flux-schnell", "nightmareai/real-esrgan")
"""Models that the state machine of examples/pictures runs."""


class BudgetError(Exception):
    """The run could cost more than its budget. The text is for the operator."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A prediction that the run creates, at most `times` times."""

    what: str
    model: str
    times: int = 1
    limit_s: int | None = None
    """Its deadline; None means the provider's own limit."""


def cheapest(catalogue: Catalogue) -> str:
    """Return the cheapest model that makes a picture from a prompt, by its price for one
    picture."""
    prices: dict[str, float] = {}
    for name in catalogue.names():
        model = catalogue.model(name)
        usd = picture_usd(model.price)
        if usd is not None and model.tasks[0] == "text-to-image" and not model.status:
            prices[name] = usd
    if not prices:
        raise SetupError("The catalogue has no text-to-image model with a price per image.")
    return min(sorted(prices), key=lambda name: prices[name])


def plan(facts: Facts, model: str) -> list[Paid]:
    """Return everything that is created, including attempts that may fail."""
    paid = [
        Paid("a picture, stored and shown", model),
        Paid("a cancel", model, CANCEL_TRIES),
        Paid("a deadline", SLOW, limit_s=DEADLINE_S),
        Paid("a request of the intake queue", model),
        Paid("a create at Replicate itself, with an empty filter", model),
    ]
    if facts.cache:
        paid.append(Paid("an equal request, if it is not answered from the cache", model))
    if facts.mcp:
        paid.append(Paid("an agent's request, if it is not answered from the cache", model))
    if facts.openai:
        paid.append(Paid("a picture by OpenAI's Images API", model))
    if facts.event_source:
        paid.append(Paid("an event", model))
    if facts.state_machine:
        paid += [Paid("a state machine's task", each) for each in EXAMPLE]
    return paid


def most(paid: Iterable[Paid], catalogue: Catalogue) -> int:
    """Return the maximum in millionths of a dollar. Raises SetupError for a model of unknown
    price."""
    return sum(one.times * _most(one, catalogue) for one in paid)


def _most(one: Paid, catalogue: Catalogue) -> int:
    found = catalogue.resolve(one.model)
    limit = one.limit_s or Timings().run_limit_s
    price = price_of(found.model, _input(one.model), limit) if found else None
    if price is None:
        raise SetupError(f"The catalogue has no price of {one.model}.")
    return price.most


def _input(model: str) -> dict[str, Any]:
    return SLOW_INPUT if model == SLOW else {}


def check(paid: Iterable[Paid], catalogue: Catalogue, budget_usd: float) -> int:
    """Return the maximum in millionths of a dollar. Raises BudgetError if it exceeds the budget."""
    needed = most(paid, catalogue)
    if needed > budget_usd * MICRO:
        raise BudgetError(
            f"A run may cost up to ${needed / MICRO:.3f}, more than --budget-usd {budget_usd:g}. "
            "Nothing was created."
        )
    return needed
