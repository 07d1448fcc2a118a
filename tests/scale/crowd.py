"""Runs one scenario and measures it."""

from __future__ import annotations

import gc
import sys
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from darkroom.aws.items import read_prediction
from darkroom.services.predictions.submit import NewPrediction

from tests.scale.cloud import Cloud
from tests.scale.endpoints import Callbacks, OutputHost
from tests.scale.store import Records
from tests.scale.times import PROVIDER
from tests.support.simulated import Timeline
from tests.support.world import SCHNELL

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction

    from tests.scale.scenarios import Scenario

SMALL, LARGE, LARGE_ONES = 4_000, 250_000, 50
CLOSE = 3
"""One in so many is large, where they are close together: a page of the list is just readable."""
FIRST_TENANT = "t0"
TELL_S = 10.0
"""Seconds of real time between two progress messages."""


class Crowd:
    """Clients, the provider and Darkroom, from the first create until nothing is left."""

    def __init__(self, scenario: Scenario, scale: int, timeline: Timeline) -> None:
        self.scenario, self.scale, self.timeline = scenario, scale, timeline
        self.random = Random(5)  # noqa: S311 - the same crowd in every run
        self.outputs, self.callbacks = OutputHost(scenario.slow_s), Callbacks()
        self.cloud = Cloud(
            timeline,
            scale,
            scenario.parts,
            scenario.page,
            self._run_ms,
            self.outputs,
            self.callbacks,
            unanswered=self._unanswered,
            files=scenario.files,
            talks=bool(scenario.watchers),
        )
        self.outputs.cloud = self.callbacks.cloud = self.cloud
        self.cloud.traced = scenario.traced
        if scenario.traced:
            # The memory of a sweep shall include what it reads.
            self.cloud.store.records = Records(0)
        self.cloud.webhooks_lost = scenario.webhooks_lost
        words = "a red fox over hills at dawn in soft light with long shadows, oil on canvas"
        pool = [f"{word}{number}" for word in words.split() for number in range(99)]
        self._texts = [" ".join(self.random.choices(pool, k=700)) for _ in range(200)]
        self.submitted = 0
        self.refused = 0

    # Load

    def _run_ms(self, number: int) -> int:
        """Most run for seconds, a few for minutes."""
        if self.scenario.watchers:
            return int(60_000 * self.scenario.minutes)
        draw = Random(number).random()  # noqa: S311
        if not self.scenario.long_runs or draw < 0.85:
            return 1_000 + int(5_000 * draw)
        return 30_000 if draw < 0.95 else int(60_000 + 5_000_000 * (draw - 0.95))

    def _unanswered(self, number: int) -> bool:
        every = self.scenario.unanswered_every
        return every > 0 and number % every == 0

    def _create(self, tenant: str) -> Prediction | None:
        self.submitted += 1
        number, scenario = self.submitted, self.scenario
        prompt = self._prompt(number)
        named = self.random.random() < scenario.callbacks
        dead = scenario.dead_tenant and tenant == FIRST_TENANT
        task = f"task-{number}" if scenario.dead_tenant and not dead and number % 4 == 0 else None
        if task:
            self.cloud.tasks.waiting.add(task)
        wanted = NewPrediction(
            tenant=tenant,
            reference=SCHNELL,
            input={"prompt": f"{number} {prompt}"},
            webhook=f"https://{'dead' if dead else tenant}.test/hook" if named else None,
            task_token=task,
        )
        try:
            made: list[Prediction] = []
            self.cloud.at_once(lambda: made.append(self.cloud.submit(wanted).record))
            return made[0]
        except Exception as error:  # noqa: BLE001 - told in the figures
            self.refused += 1
            self.cloud.errors[f"submit {type(error).__name__}"] += 1
            return None

    def _prompt(self, number: int) -> str:
        """Some are large; every other one of those is larger in Python than in the table."""
        if self.scenario.watchers:
            return self._texts[number % len(self._texts)][:SMALL]
        large = max(1, LARGE_ONES // self.scale)
        every = CLOSE if self.scenario.traced else max(1, int(self._wanted() / large))
        if number % every or number // every > large:
            return self._texts[number % len(self._texts)][:SMALL]
        if number // every % 2:
            return "🐕" + "a" * LARGE
        return "".join(self.random.choices(self._texts, k=1 + LARGE // SMALL))[:LARGE]

    def _wanted(self) -> float:
        scenario = self.scenario
        if scenario.burst:
            return (scenario.burst + scenario.tenants) / self.scale
        return scenario.rate * scenario.minutes * 60 / self.scale

    def _arrive(self) -> None:
        """Send one create, and schedule the next."""
        scenario = self.scenario
        if self.submitted >= int(self._wanted()):
            return
        if scenario.burst:
            before = self.submitted < scenario.burst // self.scale
            tenant = FIRST_TENANT if before else f"t{1 + self.submitted % (scenario.tenants - 1)}"
        else:
            tenant = f"t{self.submitted % scenario.tenants}"
        self._create(tenant)
        self.timeline.after(self.scale / scenario.rate, self._arrive)

    # Run

    def run(self) -> dict[str, Any]:
        """Run the scenario and return the measurements."""
        scenario, began, told = self.scenario, time.monotonic(), time.monotonic()
        self.timeline.after(1.0, self._arrive)
        first, last = scenario.silent
        if last:
            self.timeline.after(60 * first, partial(setattr, self.cloud.upstream, "silent", True))
            self.timeline.after(60 * last, partial(setattr, self.cloud.upstream, "silent", False))
        minutes, end = 0, int(scenario.minutes + scenario.tail)
        if scenario.burst:
            end = int(self._wanted() * self.scale / scenario.rate / 60 + scenario.tail)
        while minutes < end:
            self.timeline.run(60)
            minutes += 1
            # Existing objects stay: a garbage collection of all of them would take ever longer.
            gc.freeze()
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                number = len(self.cloud.store.items)
                say(f"{scenario.name}: minute {minutes} of at most {end}, {number} predictions")
            if self.submitted >= int(self._wanted()) and not self._open():
                break
        return self._figures(minutes, time.monotonic() - began)

    def _open(self) -> bool:
        """Whether any work is left."""
        return bool(self.cloud.store.ages.waiting)

    def _figures(self, minutes: int, took_s: float) -> dict[str, Any]:
        cloud = self.cloud
        cloud.store.ages.end()
        records = [read_prediction(item) for item in cloud.store.items.values()]
        ages, ticks = cloud.store.ages, cloud.ticks
        others = [age for tenant, age in ages.by_tenant.items() if tenant != FIRST_TENANT]
        reads = cloud.calls.reads().total()
        sampled = max(1, sum(ages.number.values()))
        ended = [record for record in records if record.state.terminal]
        good = [record for record in ended if record.state.value == "succeeded" and record.files]
        pages = cloud.calls.by_second["page"].total()
        done = sum(ticks.done[kind] for kind in ("storing", "effects", "poll", "create"))
        return {
            "predictions": len(records),
            "lost": len(ended) - len(good) + self.refused,
            "codes": sorted({r.code.value for r in ended if r.code}),
            "unfinished": len(records) - len(ended),
            "twice": cloud.upstream.creates - len(records),
            "minutes": minutes,
            "took_s": round(took_s, 1),
            "processor_s": round(time.process_time(), 1),
            "age_s": round(max(ages.most.values(), default=0) / 1000),
            "age_others_s": round(max(others, default=0) / 1000),
            "ages_s": {kind: round(age / 1000) for kind, age in sorted(ages.most.items())},
            "mean_age_s": round(sum(ages.total.values()) / sampled / 1000, 1),
            "reads_a_minute": cloud.calls.most_in_a_minute(),
            "mean_reads_a_minute": round(reads / minutes, 1),
            "asked_in_silence": cloud.upstream.unheard,
            "pages": pages,
            "gets": cloud.calls.by_second["get"].total(),
            "ticks_killed": ticks.killed,
            "failed_in_ticks": ticks.failed,
            "mean_tick_s": round(ticks.lasted_ms / max(1, ticks.number) / 1000, 2),
            "mean_work_s": round(
                (ticks.lasted_ms - pages * PROVIDER["page"].ms) / max(1, ticks.number) / 1000, 2
            ),
            "longest_tick_s": round(ticks.longest_ms / 1000, 1),
            "peak_mb": round(ticks.peak_bytes / 1e6, 1),
            "swept_storing": ticks.done["storing"],
            "relayed_each": round(cloud.relayed / max(1, len(records)), 2),
            "most_left": ticks.most_left,
            "swept_a_minute": round(done * self.scale / minutes),
            "callback_wait_others_s": self._callback_wait_s(records),
            "task_wait_s": self._task_wait_s(records),
            "downloads_each": round(self.outputs.opened / max(1, len(records)), 2),
            "dead_messages": sum(queue.dead for queue in cloud.queues.values()),
            "errors": dict(cloud.errors),
        }

    def _callback_wait_s(self, records: list[Any]) -> int:
        """Return the maximum time from a prediction's end to its callback, of endpoints that
        answer.

        A callback that never arrived counts as an hour.
        """
        waits = [0.0]
        for record in records:
            if record.webhook and record.tenant != FIRST_TENANT and record.state.terminal:
                at = self.callbacks.told.get(f"{record.id}_completed")
                waits.append((at - record.updated_at) / 1000 if at else 3600.0)
        return round(max(waits))

    def _task_wait_s(self, records: list[Any]) -> float:
        """Return the maximum time from a prediction's end to its task's answer; a missing one
        counts as an hour."""
        told = self.cloud.told
        waits = [
            (told[record.id] - record.updated_at) / 1000 if record.id in told else 3600.0
            for record in records
            if record.task_token and record.state.terminal
        ]
        return round(max(waits, default=0.0), 1)


def run(scenario: Scenario, scale: int) -> dict[str, Any]:
    """Run the scenario at a scale in this process, and return the measurements."""
    from tests.scale.watchers import Watchers

    crowd = Watchers if scenario.watchers else Crowd
    with Timeline() as timeline:
        return crowd(scenario, scale, timeline).run()


def say(text: str) -> None:
    """Print a progress line."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
