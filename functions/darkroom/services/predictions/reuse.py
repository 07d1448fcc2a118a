"""The result cache: an equal request of the same tenant gets the stored result, with its own copies
of the files."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from darkroom.domain import strict_json
from darkroom.domain.prediction import CreateAttempt, CreateState, State
from darkroom.domain.times import rfc3339
from darkroom.domain.values import immutable
from darkroom.services.predictions.persist import object_key

if TYPE_CHECKING:
    from darkroom.domain.prediction import File, Prediction
    from darkroom.ports import OutputStore, PredictionStore, ResultCache

logger = logging.getLogger(__name__)

COPY_BUDGET_S = 5.0
"""Copies that take longer count as a miss, because the client waits for an answer."""
COPIES_AT_ONCE = 10


def cache_key(
    *, tenant: str, model: str, version: str | None, asked: Any, files: dict[str, str]
) -> str:
    """Return the key that equal requests share. `asked` is the input without a drawn seed, and
    without the files, whose SHA-256 `files` has by their pointers."""
    body = {"tenant": tenant, "model": model, "version": version, "input": asked, "files": files}
    return strict_json.digest(body)


@immutable
class ReuseResult:
    """Finds a stored result and copies its files. Every failure is a miss, never an error."""

    controls: ResultCache
    store: PredictionStore
    outputs: OutputStore
    copy_budget_s: float = COPY_BUDGET_S

    def source(self, tenant: str, key: str, now: int) -> Prediction | None:
        """Return the earlier prediction whose result the key names, or None."""
        try:
            return self._source(tenant, key, now)
        except Exception:
            logger.exception("the result cache is passed over")
            return None

    def copied(self, source: Prediction, place: str, now: int) -> CachedResult | None:
        """Return its result, with the files copied to the place of a prediction with the id
        `place`."""
        try:
            return self._copied(source, place, now)
        except Exception:
            logger.exception("the result cache is passed over")
            return None

    def _source(self, tenant: str, key: str, now: int) -> Prediction | None:
        found = self.controls.cached_result(key)
        source = self.store.get(found) if found else None
        fits = (
            source is not None
            and source.tenant == tenant
            and source.cache_key == key
            and source.state is State.SUCCEEDED
            and bool(source.files)
            and source.expires_at > now // 1000
        )
        return source if fits else None

    def _copied(self, source: Prediction, place: str, now: int) -> CachedResult | None:
        owner = replace(source, id=place, created_at=now)
        files = tuple(
            replace(file, key=_copy_key(object_key(owner, number, file.key.rpartition(".")[2])))
            for number, file in enumerate(source.files)
        )
        pool = ThreadPoolExecutor(min(len(files), COPIES_AT_ONCE))
        try:
            copies = [
                pool.submit(self.outputs.copy, old.key, new.key)
                for old, new in zip(source.files, files, strict=True)
            ]
            _, late = wait(copies, self.copy_budget_s)
            if late:
                logger.warning("a cached result's files are slow to copy")
                return None
            for copy, file in zip(copies, files, strict=True):
                if copy.result() not in {file.sha256, None}:
                    logger.warning("a cached result's file is not what was stored")
                    return None
        finally:
            # A copy in progress is not awaited, since nothing will refer to it.
            pool.shutdown(wait=False, cancel_futures=True)
        return CachedResult(source, files)


def _copy_key(key: str) -> str:
    """Return a key next to the one that persist would use. A copy that fails half-way, or ends
    after it was abandoned, must never replace the output of a real run."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/copy-{name}"


@immutable
class CachedResult:
    """A result of another prediction, with the new record's own files."""

    source: Prediction
    files: tuple[File, ...]

    def ended(self, record: Prediction, now: int) -> Prediction:
        """Return the new record as it is inserted: succeeded at once, without a create."""
        return replace(
            record,
            # Includes the seed that made the picture, if the client gave none.
            input=self.source.input,
            state=State.SUCCEEDED,
            create=CreateAttempt(attempt=0, state=CreateState.REFUSED, started_at=now, until=now),
            output=self.source.output,
            metrics=self.source.metrics,
            started_at=rfc3339(now),
            completed_at=rfc3339(now),
            finished_at=now,
            files=self.files,
            price=None,
            price_base=0,
            price_tiers=(),
            ledger=None,
            end_user_ledger=False,
            cost=0,
            cached_from=self.source.id,
        )


@immutable
class CacheResult:
    """Enters results into the result cache."""

    controls: ResultCache

    def __call__(self, record: Prediction) -> None:
        """Store a result that a model made; the latest counts. Never raises, since a lost entry is
        just a miss.

        Copies are not entered, so that every copy is one step from a model's own result.
        """
        made = record.state is State.SUCCEEDED and record.files and record.cached_from is None
        if not (made and record.cache_key):
            return
        try:
            self.controls.cache_result(record.cache_key, record.id, record.expires_at)
        except Exception:
            logger.exception("the result is not cached", extra={"prediction": record.id})
