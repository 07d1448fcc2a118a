"""Carries out the effects of committed changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from darkroom.domain.lifecycle import effects
from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from darkroom.domain.prediction import Prediction
    from darkroom.ports import PredictionStore
    from darkroom.services.predictions.reuse import CacheResult
    from darkroom.services.predictions.run_effects import RunEffects


@immutable
class Relay:
    """Runs for each record of the table's stream, at least once, in order per prediction."""

    run_effects: RunEffects
    store: PredictionStore
    remember: CacheResult | None = None
    """If given, results are entered into the result cache."""

    def __call__(self, old: Prediction | None, new: Prediction) -> None:
        """Carry out the effects of a change, and mark the effects of an end as done.

        The mark comes last: if anything fails before it, the stream or the sweep repeats
        everything.
        """
        self.run_effects(new, effects(old, new))
        if self.remember and (old is None or not old.state.terminal):
            self.remember(new)
        # If the end itself was an earlier, unmarked change, its effects may be lost. Then only the
        # sweep, which carries out all of them, may mark it.
        lost = old is not None and old.state.terminal and not old.effects_done
        if new.state.terminal and not new.effects_done and not lost:
            self.store.mark_effects_done(new)
