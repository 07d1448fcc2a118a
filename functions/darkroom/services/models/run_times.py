"""Recent run times of models: recorded when outputs are stored, shown before money is spent."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from darkroom.domain.times import milliseconds
from darkroom.ports import RunTime

if TYPE_CHECKING:
    from darkroom.domain.model import Model
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import Clock, RunTimeStore

logger = logging.getLogger(__name__)

AGE_MS = 60_000
"""Maximum age of cached values, and minimum interval between updates of one model by one
process."""
COLD_AFTER_MS = 600_000
"""Idle time after which a model that is not official has probably been shut down."""
MOST_MODELS = 200
"""Maximum models in the item, since names of open models are arbitrary. The oldest is replaced."""
_WEIGHT = 0.2
_SPREAD = 4
"""Bounds of one run relative to the average, so that one cold start does not look like the rule."""
_LONGEST_MS = 24 * 3600 * 1000


@dataclass(slots=True)
class RunTimes:
    """One item of the Controls table for all models.

    It costs a process at most one read per minute, eventually consistent (half a read unit per 4
    kB, some 60 models), and persist one small write per minute for each model whose outputs it
    stores. It never raises: without the item, only the catalogue's durations are known.
    """

    controls: RunTimeStore
    clock: Clock
    _known: dict[str, RunTime] = field(default_factory=dict)
    _read_at: int | None = None
    _noted: dict[str, int] = field(default_factory=dict)

    def expected(self, model: Model) -> dict[str, Any]:
        """Return `expected_seconds` of a run, and whether the model is probably `cold`; None if
        unknown."""
        seen = self._read().get(model.model)
        # A model without a price is not in the catalogue, so its duration is a guess.
        typical = model.typical_seconds if model.price is not None else None
        cold = False if model.official else None
        if seen and cold is None:
            cold = self.clock() - seen.at > COLD_AFTER_MS
        seconds = round(seen.run_ms / 1000, 1) if seen else typical
        return {"expected_seconds": seconds, "cold": cold}

    def note(self, record: Prediction) -> None:
        """Add a succeeded prediction to its model's average."""
        run_ms = _run_ms(record)
        now = self.clock()
        last = self._noted.get(record.model)
        if run_ms is None or (last is not None and now - last < AGE_MS):
            return
        if len(self._noted) >= MOST_MODELS:
            self._noted.clear()
        self._noted[record.model] = now
        known = self._read()
        before = known.get(record.model)
        if before:
            run_ms = min(max(run_ms, before.run_ms // _SPREAD), before.run_ms * _SPREAD)
            run_ms = round(before.run_ms * (1 - _WEIGHT) + run_ms * _WEIGHT)
        full = before is None and len(known) >= MOST_MODELS
        drop = min(known, key=lambda name: known[name].at) if full else None
        self._known = {name: known[name] for name in known if name != drop}
        self._known[record.model] = RunTime(run_ms, now)
        try:
            self.controls.note_run_time(record.model, RunTime(run_ms, now), drop)
        except Exception:
            logger.warning("a run time was not noted", exc_info=True)

    def _read(self) -> dict[str, RunTime]:
        now = self.clock()
        if self._read_at is None or now - self._read_at >= AGE_MS:
            self._read_at = now
            try:
                self._known = self.controls.run_times()
            except Exception:
                logger.warning("run times cannot be read", exc_info=True)
        return self._known


def _run_ms(record: Prediction) -> int | None:
    """Return its duration upstream, as measured by the provider, or between its two times."""
    measured = (record.metrics or {}).get("predict_time")
    if isinstance(measured, int | float) and not isinstance(measured, bool):
        ran = measured * 1000
    else:
        started, ended = milliseconds(record.started_at), milliseconds(record.completed_at)
        if started is None or ended is None:
            return None
        ran = ended - started
    return int(ran) if 0 < ran < _LONGEST_MS else None
