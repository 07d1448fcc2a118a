"""Redrive: moves messages of a dead-letter queue back to the work queue they came from."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.audit import waiting
from ops.queues import stood_in_for, work_queues

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ops.deployment import Deployment

BY_NAME = ("intake",)
"""Not part of `all`: a rejected request is rejected again unless something has changed."""
MAX_TICKS = 20
"""Maximum of sweeps for failures without a work queue. Each handles some hundreds of records."""

_BATCH = 10
_HIDDEN_S = 60
_POLL_S = 2.0
_PASSED_OVER = 100
"""Maximum of newer messages that are skipped while looking for an older one."""
_NOT_OFFERED = {"InvalidAction", "UnknownOperation", "UnknownOperationException"}


class RedriveError(Exception):
    """Something could not be moved. The text is for the operator."""


@dataclass(slots=True)
class Moved:
    """Result of one dead-letter queue."""

    queue: str
    found: int = 0
    moved: int = 0
    """Messages sent to the work queue or, without one, changes that the sweep does instead."""
    error: str | None = None


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Run `python -m ops redrive`. Returns 0 if all was moved, 1 if not, 130 on Ctrl-C."""
    known = targets(deployment)
    if given.queue not in {*known, "all"}:
        raise RedriveError(f"There is no queue {given.queue!r}: say {', '.join(known)} or all.")
    by_default = tuple(name for name in known if name not in BY_NAME)
    wanted = by_default if given.queue == "all" else (given.queue,)
    results: list[Moved] = []
    code = 0
    try:
        for result in redrive(deployment, wanted, say=_say):
            results.append(result)
            code = code or int(result.error is not None)
    except KeyboardInterrupt:
        _say("Stopped. Nothing is lost: run it again for what is left.")
        code = 130
    if given.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        for result in results:
            end = f"  {result.error}" if result.error else ""
            print(f"  {result.queue:<10}{result.found:>8} found{result.moved:>8} moved{end}")
    return code


def targets(deployment: Deployment) -> tuple[str, ...]:
    """Return the queues that can be redriven, by their names in the command."""
    return (*work_queues(deployment.outputs), *stood_in_for(deployment.outputs))


def redrive(
    deployment: Deployment,
    queues: tuple[str, ...] | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Moved]:
    """Move the messages that each queue had at the start; one result per queue. By default all
    queues.

    Safe to repeat and to interrupt: a message is deleted only after it was sent, every function
    handles duplicate messages, and the records say whether work remains.
    """
    sqs, outputs = deployment.client("sqs"), deployment.outputs
    work = work_queues(outputs)
    for queue in targets(deployment) if queues is None else queues:
        result = Moved(queue)
        try:
            if queue in work:
                dlq, target = (outputs[name] for name in work[queue])
                result.found = waiting(sqs, dlq)
                if queue in BY_NAME:
                    # A message that is rejected again is back at once, and SQS would move it in
                    # circles.
                    _move_by_hand(sqs, dlq, target, result, say)
                elif result.found:
                    _move(sqs, dlq, target, result, say)
            else:
                _stand_in(deployment, sqs, outputs[stood_in_for(outputs)[queue]], result, say)
        except (ClientError, RedriveError) as error:
            result.error = str(error)[:500]
        yield result


def _move(sqs: Any, dlq: str, target: str, result: Moved, say: Callable[[str], None]) -> None:
    attributes = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    try:
        earlier = _task(sqs, arn)
        if earlier.get("Status") == "RUNNING":
            earlier = {}
        else:
            sqs.start_message_move_task(SourceArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_OFFERED:
            raise
        _move_by_hand(sqs, dlq, target, result, say)
        return
    _follow(sqs, arn, earlier.get("StartedTimestamp"), result, say)


def _task(sqs: Any, arn: str) -> dict[str, Any]:
    tasks = sqs.list_message_move_tasks(SourceArn=arn, MaxResults=1).get("Results", [])
    return dict(tasks[0]) if tasks else {}


def _follow(
    sqs: Any, arn: str, earlier: int | None, result: Moved, say: Callable[[str], None]
) -> None:
    """Watch SQS move the messages. SQS continues even if watching stops. `earlier` is the start of
    the previous task."""
    while True:
        task = _task(sqs, arn)
        if task and task.get("StartedTimestamp") != earlier:
            result.moved = task.get("ApproximateNumberOfMessagesMoved", 0)
            say(f"{result.queue}: {result.moved} of {result.found} moved")
            if task["Status"] == "COMPLETED":
                return
            if task["Status"] not in {"RUNNING", "CANCELLING"}:
                raise RedriveError(f"SQS: {task.get('FailureReason') or task['Status']}")
        time.sleep(_POLL_S)


def _move_by_hand(
    sqs: Any, dlq: str, target: str, result: Moved, say: Callable[[str], None]
) -> None:
    """Move messages one by one, for an SQS without move tasks, and for messages that may be back at
    once."""
    for messages in _there(sqs, dlq, result.found):
        entries = [{"Id": str(n), **_again(message)} for n, message in enumerate(messages)]
        sent = sqs.send_message_batch(QueueUrl=target, Entries=entries)
        taken = [messages[int(entry["Id"])] for entry in sent.get("Successful", [])]
        _delete(sqs, dlq, taken)
        result.moved += len(taken)
        say(f"{result.queue}: {result.moved} of {result.found} moved")
        if len(taken) < len(messages):
            raise RedriveError(f"SQS did not take {len(messages) - len(taken)} messages")


def _again(message: dict[str, Any]) -> dict[str, str]:
    """Return the fields that send the message again: its body and, if any, its group."""
    group = message["Attributes"].get("MessageGroupId")
    return {"MessageBody": message["Body"], **({"MessageGroupId": group} if group else {})}


def _stand_in(
    deployment: Deployment, sqs: Any, failures: str, result: Moved, say: Callable[[str], None]
) -> None:
    """Run the sweep instead of moving messages. They only name positions in the stream, which may
    have expired, or a tick; but the records still contain the work, and the sweep does it."""
    result.found = waiting(sqs, failures)
    if not result.found:
        return
    began = _clock_of(sqs, failures)
    _sweep_all(deployment, say)
    for messages in _there(sqs, failures, result.found, began):
        result.moved += sum(map(_batch_size, messages))
        _delete(sqs, failures, messages)
        say(f"{result.queue}: the sweep stands in for {result.moved} changes of records")


def _sweep_all(deployment: Deployment, say: Callable[[str], None]) -> None:
    """Run the sweep until a tick leaves no work for the next one."""
    lambda_ = deployment.client("lambda")
    for number in range(1, MAX_TICKS + 1):
        answer = lambda_.invoke(FunctionName=deployment.outputs["FunctionSweep"], Payload=b"{}")
        tick = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RedriveError(f"the sweep failed: {json.dumps(tick)[:300]}")
        say(f"sweep {number}: {json.dumps(tick['done'])}, {tick['left']} left")
        if not tick["left"]:
            return
    raise RedriveError(f"after {MAX_TICKS} sweeps there is more to do: run it again")


def _batch_size(message: dict[str, Any]) -> int:
    """Return the number of changes that a failure message of the stream stands for, 1 for a tick of
    the schedule, 0 if unknown."""
    try:
        body = json.loads(message["Body"])
        size = 1 if "detail-type" in body else body["DDBStreamBatchInfo"]["batchSize"]
    except (ValueError, KeyError, TypeError):
        return 0
    return size if isinstance(size, int) else 0


def _there(
    sqs: Any, queue_url: str, most: int, began: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of the messages that existed at `began` (default: now), `most` in all,
    invisible to other consumers for a minute. Newer messages stay."""
    began = began or _clock_of(sqs, queue_url)
    left, passed_over = most, 0
    while left > 0 and passed_over <= _PASSED_OVER:
        messages = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=min(_BATCH, left),
            VisibilityTimeout=_HIDDEN_S,
            WaitTimeSeconds=1,  # long polling queries all of SQS's servers
            MessageSystemAttributeNames=["SentTimestamp", "MessageGroupId"],
        ).get("Messages", [])
        if not messages:
            return
        wanted = [m for m in messages if int(m["Attributes"]["SentTimestamp"]) <= began]
        left -= len(wanted)
        passed_over += len(messages) - len(wanted)
        if wanted:
            yield wanted


def _clock_of(sqs: Any, queue_url: str) -> int:
    """Return the time of SQS's own clock, which sets SentTimestamp; in milliseconds."""
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    told = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if told is None:
        return time.time_ns() // 1_000_000
    whole_seconds = parsedate_to_datetime(told).timestamp()
    return int(whole_seconds * 1000) + 999


def _delete(sqs: Any, queue_url: str, messages: list[dict[str, Any]]) -> None:
    """Delete the messages. One that remains is moved again by the next redrive, which is
    harmless."""
    if messages:
        sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ],
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
