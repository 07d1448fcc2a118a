"""Mutations of the handling of an inexact provider, one for each correction."""

from __future__ import annotations

from tests.proof.edit import Edit, Mutant

_LIFE = "domain.lifecycle"
_EVIDENCE = "domain.evidence"
_SWEEP = "services.predictions.sweep"

ODD_MUTANTS: dict[str, Mutant] = {
    "one 404 ends a bound record after 200 s": Mutant(
        Edit(
            _LIFE,
            "_bound_upkeep",
            "now >= since + int(timings.output_life_s * 1000)",
            "now >= record.created_at + 200_000",
        ),
        where="echo=exact-deaf-blip-patient",
    ),
    "what is shown otherwise is another's": Mutant(
        Edit(
            _EVIDENCE,
            "_input_differs",
            "isinstance(ours, bool) and isinstance(shown, bool)",
            "True",
        ),
        where="deaf-show_input=urls",
    ),
    "a hidden version is another version": Mutant(
        Edit(_EVIDENCE, "ruled_out", "_VERSION.fullmatch(shown)", "True"),
        where="deaf-show_version=hidden",
    ),
    "a model under another owner is another model": Mutant(
        Edit(_EVIDENCE, "_other_model", "shown_owner == owner", "True"),
        Edit(_EVIDENCE, "ruled_out", "record.version is not None", "False"),
        where="deaf-show_version=internal",
    ),
    "a webhook that is not to the letter is another's": Mutant(
        Edit(
            _EVIDENCE,
            "holds_our_id",
            "record.id in unquote(snapshot.webhook).lower()",
            'f"/{record.id}?t=" in snapshot.webhook',
        ),
        Edit(
            _EVIDENCE,
            "named_record",
            "_HOOK.search(unquote(webhook))",
            "_HOOK.search(webhook if '?t=' in webhook else '')",
        ),
        Edit(_EVIDENCE, "_webhook_is_foreign", "named_record(snapshot.webhook)", "True"),
        where="echo=bare-deaf",
    ),
    "silence is judged by the clock of the write": Mutant(
        Edit(_LIFE, "_apply_search", "news.begun_at", "now"),
        where="echo=exact-late-clocks=apart",
    ),
    "what could not be read of the list counts as nothing": Mutant(
        Edit(
            "replicate.client",
            "page_of",
            "complete = False",
            "pass",
        ),
        where="echo=exact-deaf-stays=item",
    ),
    "one unreadable item makes the page unreadable": Mutant(
        Edit(
            "replicate.client",
            "page_of",
            "complete = False",
            'raise ProviderUnavailableError("an item")',
        ),
        where="echo=exact-deaf-item=junk",
    ),
    "polls do without GET where the list fails": Mutant(
        Edit(
            "services.predictions.listing",
            "Listing._read_recent",
            "with suppress(ProviderUnavailableError):\n    self._read_wanted()",
            "self._read_wanted()",
        ),
        Edit(
            "services.predictions.listing",
            "Listing._read_recent",
            "self._recent_read = True",
            "pass",
        ),
        where="deaf-listing=down-patient",
    ),
    "a success without a file is stored": Mutant(
        Edit(_LIFE, "_succeeded_upstream", "_shows_nothing(record, said)", "False"),
        where="output=null",
    ),
    "a success without a file is not asked for again": Mutant(
        Edit(
            _LIFE,
            "_succeeded_upstream",
            "not (record.asked_again and news.whole and now >= record.next_poll_at)",
            "False",
        ),
        where="output=null-mends",
    ),
    "no last clock": Mutant(
        Edit(_LIFE, "_out_of_time", "now < last_clock(record, timings)", "True"),
        where="stays=get",
    ),
    "an unknown status is refused": Mutant(
        Edit(
            "replicate.snapshot",
            "read_snapshot",
            "not isinstance(status, str) or not status",
            "status not in STATUSES",
        ),
        where="status_word=queued",
    ),
    "others' JSON is read as strictly as clients'": Mutant(
        Edit(
            "services.predictions.handle_webhook",
            "_parse",
            "lenient_json.loads(body)",
            "__import__('darkroom.domain.strict_json', fromlist=['x']).loads(body)",
        ),
        where="body=doubled",
    ),
    "a refusal for good counts as unknown": Mutant(
        Edit(
            "replicate.creates",
            "classify",
            "400 <= status < 500 and status not in _UNSURE",
            "status in {400, 404, 422}",
        ),
    ),
    "a version under another model's name": Mutant(
        Edit(
            "services.models.find",
            "FindModel._open_model",
            "self.catalogue().resolve(version) is not None",
            "False",
        ),
    ),
    "an extra prediction is forgotten where its cancel is answered 404": Mutant(
        Edit(
            "services.predictions.dispatch", "Dispatch.cancel_upstream", "snapshot is None", "False"
        ),
    ),
    "one unreadable record ends the tick": Mutant(
        Edit(_SWEEP, "Sweep._work", "tick.failed[due.key.id] = error", "raise"),
        where="among=next",
    ),
    "a time before the record's is believed": Mutant(
        Edit(
            _LIFE,
            "_succeeded_upstream",
            "within(milliseconds(said.completed_at), record.created_at, now)",
            "min(milliseconds(said.completed_at) or now, now)",
        ),
        where="completed_at=ancient",
    ),
}
