"""Clients that poll their running predictions, for which there are no webhooks."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from darkroom.domain.prediction import State

from tests.scale.crowd import FIRST_TENANT, Crowd

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

POLLS_S = 0.5, 1.0
"""Minimum and maximum interval between polls; Replicate's clients use half a second."""
CANCELS_EVERY, CANCELED_AFTER = 25, 5 / 12
"""One in so many is canceled, after this fraction of its run."""
LONE = "lone"
"""The tenant of a single watcher."""


class Watchers(Crowd):
    """More than half of the watchers belong to the first tenant; one tenant has one."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.polls = 0
        self.shown: dict[str, State] = {}
        """By prediction: its state at the client's last poll."""
        self.ages: dict[str, int] = defaultdict(int)
        """By tenant: the maximum age of the logs that a poll showed, in milliseconds."""
        self._all_ages = 0
        self.canceled: dict[str, int] = {}
        """Time of the client's request, by provider id."""

    def _arrive(self) -> None:
        if self.submitted >= int(self._wanted()):
            return
        record = self._create(self._tenant(self.submitted))
        if record:
            self._poll_soon(record)
            if self.submitted % CANCELS_EVERY == 0:
                runs_s = 60 * self.scenario.minutes
                self.timeline.after(runs_s * CANCELED_AFTER, partial(self._cancel, record))
        self.timeline.after(self.scale / self.scenario.rate, self._arrive)

    def _wanted(self) -> float:
        return self.scenario.watchers / self.scale

    def _tenant(self, number: int) -> str:
        tenants = self.scenario.tenants
        if number == 0 and tenants > 1:
            return LONE
        return FIRST_TENANT if number % 5 < 3 else f"t{number % max(1, tenants - 1)}"

    def _poll_soon(self, record: Prediction) -> None:
        self.timeline.after(self.random.uniform(*POLLS_S), partial(self._poll, record))

    def _poll(self, shown: Prediction) -> None:
        """Do a GET; the client sees the state stored before it."""
        read: list[Prediction] = []

        def get() -> None:
            read.append(self.cloud.read.get(shown.tenant, shown.id))
            self.cloud.ask_for_look(read[0])

        self.cloud.at_once(get)
        (shown,) = read
        self.polls += 1
        self.shown[shown.id] = shown.state
        if shown.state.terminal:
            return
        run = self.cloud.upstream.runs[str(shown.provider_id)]
        logged = min(self.cloud.clock(), run.ended_at) - run.started_at
        age = max(0, logged - 1000 * shown.log_size)
        self._all_ages += age
        self.ages[shown.tenant] = max(self.ages[shown.tenant], age)
        self._poll_soon(shown)

    def _cancel(self, record: Prediction) -> None:
        self.canceled[str(record.provider_id)] = self.cloud.clock()
        self.cloud.at_once(partial(self.cloud.cancel, record.tenant, record.id))

    def _figures(self, minutes: int, took_s: float) -> dict[str, Any]:
        cloud, figures = self.cloud, super()._figures(minutes, took_s)
        others = [age for tenant, age in self.ages.items() if tenant != FIRST_TENANT]
        seen = list(self.shown.values())
        return figures | {
            "lost": figures["lost"] - seen.count(State.CANCELED),
            "unseen_ends": sum(not state.terminal for state in seen),
            "looks_a_minute": cloud.looks.most_in_a_minute(),
            "mean_looks_a_minute": round(cloud.looks.reads().total() / minutes),
            "logs_age_s": round(max(self.ages.values()) / 1000, 1),
            "logs_age_others_s": round(max(others, default=0) / 1000, 1),
            # It represents as many watchers as the scale, who share the rate of one.
            "logs_age_lone_s": round(self.ages[LONE] / 1000 / self.scale, 1),
            "mean_logs_age_s": round(self._all_ages / self.polls / 1000, 1),
            "polls": self.polls,
            "writes_too_early": cloud.store.watched_early,
            "dispatch_wait_s": max(cloud.queues["dispatch_queue"].waits.values(), default=0) / 1000,
            "cancel_s": max(map(self._cancel_ms, self.canceled), default=0) / 1000,
        }

    def _cancel_ms(self, provider_id: str) -> int:
        """Return the time from the client's request to the provider's end; an hour if it never
        came."""
        at = self.cloud.upstream.runs[provider_id].canceled_at
        return 3_600_000 if at is None else at - self.canceled[provider_id]
