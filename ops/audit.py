"""The audit: compares every record with the tables, the buckets, the queues and the provider."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import ClientError
from darkroom.aws.items import from_item, is_record, read_prediction
from darkroom.domain.errors import UnreadableRecordError
from darkroom.domain.outputs import places_in
from darkroom.domain.prediction import Code, State
from darkroom.domain.snapshot import FINAL
from darkroom.replicate.hooks import HOOK_PATH

from ops.books import LedgerAudit, rows
from ops.queues import OWES_NOTHING, failure_queues

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator

    from darkroom.domain.prediction import File, Prediction

    from ops.books import Rows
    from ops.deployment import Deployment

LATE_MS = 5 * 60_000
"""Due work that is later than this is reported as a difference."""
STUCK_MS = 65 * 60_000
"""Longest time that a record may stay unfinished after its deadline. An unknown create is abandoned
after 50 minutes, and the provider deletes an output one hour after it was created."""
DELIVERIES_KEPT_MS = 29 * 86_400_000
"""Rows of deliveries live for 30 days; the audit leaves a margin of one day."""
COUNTS = ("", "NotVisible", "Delayed")
SHOWN = 200
"""Maximum number of differences printed; `--json` prints all."""
_READERS = 8


@dataclass(frozen=True, slots=True)
class Difference:
    """One violation that the audit found."""

    kind: str
    id: str
    text: str


@dataclass(slots=True)
class Report:
    """Counts of everything that was checked, and every difference."""

    counts: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, kind: str, id_: str, text: str) -> None:
        """Add a difference."""
        self.differences.append(Difference(kind, id_, text))

    def about(self, id_: str) -> list[Difference]:
        """Return the differences of one record, queue or upstream prediction."""
        return [difference for difference in self.differences if difference.id == id_]


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Run `python -m ops audit`. Returns 0 without a difference, 1 with any."""
    report = audit(deployment, settled=given.settled, whole=given.hash, say=_say)
    if given.json:
        shown = [asdict(difference) for difference in report.differences]
        print(json.dumps({"counts": report.counts, "differences": shown}, indent=2))
    else:
        print("\n".join(table(report)))
    return 1 if report.differences else 0


def table(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    for name, number in report.counts.items():
        yield f"  {name:<32}{number:>10}"
    for difference in report.differences[:SHOWN]:
        yield f"DIFFERENCE  {difference.kind}  {difference.id}  {difference.text}"
    more = len(report.differences) - SHOWN
    if more > 0:
        yield f"… and {more} more: --json shows all"
    looked, found = report.counts["predictions"], len(report.differences)
    yield f"audit: {looked} predictions, {found} differences"


def audit(
    deployment: Deployment,
    *,
    settled: bool = False,
    whole: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Check everything once. Changes nothing, and may run while predictions are created.

    With `settled`, unfinished work is a difference even if it is not late. With `whole`, every
    stored byte is read again; otherwise S3's own size and checksum are compared. Raises
    ClientError, BotoCoreError or httpx.HTTPError if something cannot be read.
    """
    return _Audit(deployment, settled=settled, whole=whole, say=say).run()


class _Audit:
    def __init__(
        self, deployment: Deployment, *, settled: bool, whole: bool, say: Callable[[str], None]
    ) -> None:
        self._deployment = deployment
        self._outputs = deployment.outputs
        self._settled = settled
        self._whole = whole
        self._say = say
        self._now = time.time_ns() // 1_000_000
        self._s3 = deployment.client("s3")
        self._report = Report()
        self._owners: dict[str, Prediction] = {}
        self._owed: set[str] = set()
        self._unfinished: set[str] = set()
        self._books = LedgerAudit({})

    def run(self) -> Report:
        # Read before the records, because a prediction created meanwhile has no record to match
        # yet.
        made = self._upstream()
        self._books = LedgerAudit(self._money())
        self._read_predictions()
        money = self._money()
        self._report.counts["months and days of tenants"] = len(money)
        for row, text in self._books.differences(money, self._now / 1000):
            self._report.add("money", row, text)
        self._read_deliveries()
        self._read_queues()
        if made is not None:
            self._compare(made, self._upstream() or {})
        return self._report

    def _money(self) -> Rows:
        return rows(item for page in self._scan("ControlsTable") for item in page)

    # Records

    def _read_predictions(self) -> None:
        counts = self._report.counts
        counts["predictions"] = 0
        with ThreadPoolExecutor(_READERS) as pool:
            for page in self._scan("PredictionsTable"):
                records = list(self._readable(page))
                stored = []
                for record in records:
                    self._look_at(record)
                    self._books.add(record)
                    # DynamoDB deletes expired records with a delay, so a record may outlive its
                    # files.
                    if record.expires_at > self._now // 1000:
                        stored += [(record, file) for file in record.files]
                for difference in pool.map(lambda pair: self._file(*pair), stored):
                    self._report.differences += difference
                counts["predictions"] += len(records)
                counts["files"] += len(stored)
                counts["bytes"] += sum(file.bytes for _, file in stored)
                self._say(f"{counts['predictions']} predictions, {counts['files']} files")
        counts["provider ids"] = len(self._owners)
        counts["extra provider ids"] += 0

    def _readable(self, page: Iterable[dict[str, Any]]) -> Iterator[Prediction]:
        """Yield the readable records. An unreadable one is reported as a difference and skipped."""
        for item in page:
            try:
                if is_record(item):
                    yield read_prediction(item)
            except UnreadableRecordError as unreadable:
                self._report.add("unreadable", unreadable.id, unreadable.reason)

    def _look_at(self, record: Prediction) -> None:
        report = self._report
        report.counts[f"predictions {record.state.value}"] += 1
        if not record.state.terminal:
            self._unfinished.add(record.id)
        late = self._late(record)
        if late:
            report.add("unfinished", record.id, late)
        places = places_in(record.output)
        if record.state is State.SUCCEEDED and len(record.files) != places:
            text = f"{len(record.files)} files for {places} outputs"
            report.add("files", record.id, text)
        bound = (record.provider_id,) if record.provider_id else ()
        for provider_id in (*bound, *record.extra_provider_ids):
            owner = self._owners.setdefault(provider_id, record)
            if owner is not record:
                report.add("provider id", record.id, f"{provider_id} is also that of {owner.id}")
        report.counts["extra provider ids"] += len(record.extra_provider_ids)
        wanted = record.webhook and "completed" in record.webhook_events
        young = record.updated_at > self._now - DELIVERIES_KEPT_MS
        if wanted and record.state.terminal and record.effects_done and young:
            self._owed.add(record.id)

    def _late(self, record: Prediction) -> str | None:
        """Return a description of unfinished work that is late; None if the record is done or in
        time."""
        if record.state.terminal and record.effects_done:
            return None
        where = record.state.value
        if record.state.terminal:
            where += ", its effects not done"
        elif record.state is State.ACCEPTED:
            where += f", its create {record.create.state.value}"
        if self._settled:
            return where
        if record.due_at is None:
            return f"{where}, and no sweep will see it"
        overdue = self._now - record.due_at
        if overdue > LATE_MS:
            return f"{where}, due for {overdue // 1000} s"
        if not record.state.terminal and self._now - record.deadline > STUCK_MS:
            return f"{where}, {(self._now - record.deadline) // 1000} s past its deadline"
        return None

    def _file(self, record: Prediction, file: File) -> list[Difference]:
        """Return the differences between a stored file and its record. Runs in a worker thread."""
        where = {"Bucket": self._outputs["OutputsBucket"], "Key": file.key}
        try:
            size, digest = self._read(where) if self._whole else self._head(where)
        except ClientError as error:
            # Without the right to list, S3 answers 403 for an object that does not exist.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {403, 404}:
                raise
            return [Difference("file missing", record.id, file.key)]
        if size != file.bytes:
            text = f"{file.key} has {size} bytes and not {file.bytes}"
            return [Difference("file differs", record.id, text)]
        if digest not in {None, file.sha256}:
            text = f"{file.key} has the SHA-256 {digest} and not {file.sha256}"
            return [Difference("file differs", record.id, text)]
        return []

    def _read(self, where: dict[str, str]) -> tuple[int, str]:
        size, whole = 0, hashlib.sha256()
        for chunk in self._s3.get_object(**where)["Body"].iter_chunks(1024 * 1024):
            whole.update(chunk)
            size += len(chunk)
        return size, whole.hexdigest()

    def _head(self, where: dict[str, str]) -> tuple[int, str | None]:
        head = self._s3.head_object(**where, ChecksumMode="ENABLED")
        # For a multipart upload, S3 keeps a checksum of checksums, which contains a dash.
        checksum = head.get("ChecksumSHA256", "-")
        digest = None if "-" in checksum else base64.b64decode(checksum).hex()
        return head["ContentLength"], digest

    # Deliveries and queues

    def _read_deliveries(self) -> None:
        report = self._report
        told = set()
        report.counts["deliveries"] = 0
        for page in self._scan("DeliveriesTable"):
            for row in map(from_item, page):
                report.counts["deliveries"] += 1
                report.counts[f"deliveries {row['state']}"] += 1
                if row["event"] == "completed":
                    told.add(row["prediction"])
                if row["state"] == "pending":
                    self._pending(row)
        for id_ in sorted(self._owed - told):
            report.add("delivery", id_, "the end was to be delivered, and no delivery was made")

    def _pending(self, row: dict[str, Any]) -> None:
        due_at = row.get("due_at")
        text = f"{row['event']}: pending after {row['attempts']} attempts"
        if due_at is None:
            self._report.add("delivery", row["prediction"], f"{text}, and no sweep will see it")
        elif self._settled or self._now - due_at > LATE_MS:
            self._report.add("delivery", row["prediction"], text)

    def _read_queues(self) -> None:
        sqs = self._deployment.client("sqs")
        for name in failure_queues(self._outputs):
            if name in OWES_NOTHING:
                continue
            number = waiting(sqs, self._outputs[name])
            self._report.counts["dead letters"] += number
            if number:
                self._report.add("dead letters", name, f"{number} messages: see `ops redrive`")

    # The emulated provider

    def _upstream(self) -> dict[str, dict[str, Any]] | None:
        if self._deployment.emulator is None:
            return None
        url = f"{self._deployment.emulator}/_emulator/predictions"
        answer = httpx.get(url, trust_env=False, timeout=30).raise_for_status()
        return {made["id"]: made for made in answer.json()}

    def _compare(self, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
        """Compare records with the provider's predictions, read `before` and `after` the
        records."""
        report = self._report
        report.counts["predictions upstream"] = len(before)
        for provider_id, made in before.items():
            of = _record_of(made["webhook"])
            # An unknown create is bound later, when its webhook arrives or the list shows it.
            if provider_id not in self._owners and (self._settled or of not in self._unfinished):
                text = f"made for {of or 'nobody'}, {made['status']}, and no record holds it"
                report.add("upstream", provider_id, text)
        for provider_id, record in self._owners.items():
            if provider_id not in after:
                report.add("upstream", provider_id, f"{record.id} has it; it was never made")
                continue
            status = after[provider_id]["status"]
            extra = record.provider_id != provider_id
            old = self._settled or self._now - record.updated_at > LATE_MS
            if status not in FINAL and (extra or record.state.terminal) and old:
                what = "an extra one of" if extra else "that of"
                text = f"{what} {record.id}, which is {record.state.value}, still runs"
                report.add("upstream", provider_id, text)
            elif not extra and not _same_end(record, status):
                text = f"{status} upstream, but {record.id} is {record.state.value}"
                report.add("upstream", provider_id, text)

    def _scan(self, name: str) -> Iterable[list[dict[str, Any]]]:
        pages = self._deployment.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self._outputs[name], ConsistentRead=True):
            yield page["Items"]


def waiting(sqs: Any, queue_url: str) -> int:
    """Return the number of messages, including those in flight and delayed. SQS counts
    approximately."""
    names = [f"ApproximateNumberOfMessages{suffix}" for suffix in COUNTS]
    counts = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(counts.get(name, 0)) for name in names)


def _record_of(webhook: str | None) -> str:
    """Return the id of the record that the webhook URL of an upstream prediction names."""
    return (webhook or "").partition("?")[0].rpartition(HOOK_PATH)[2]


def _same_end(record: Prediction, status: str) -> bool:
    """Return False if record and provider disagree on the end. Unfinished ones always agree."""
    if record.state is State.FAILED:
        return record.code is not Code.PROVIDER_FAILED or status == "failed"
    return not record.state.terminal or status == record.state.value


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
