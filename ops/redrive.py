"""Redrive: hands what ended in a dead-letter queue back to the work queue it came from."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.audit import waiting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ops.deployment import Deployment

QUEUES = {
    "dispatch": ("DispatchDlq", "DispatchQueue"),
    "persist": ("PersistDlq", "PersistQueue"),
    "deliver": ("DeliverDlq", "DeliverQueue"),
    "tasks": ("TasksDlq", "TasksQueue"),
    "intake": ("IntakeDlq", "IntakeQueue"),
}
RELAY = "relay"
TARGETS = (*QUEUES, RELAY)
ALL = tuple(name for name in TARGETS if name != "intake")
"""Rejected requests are asked for by name: they fail again, unless something has changed."""
MAX_TICKS = 20
"""Sweeps for the relay's failures, at most: each takes up some hundreds of records."""

_BATCH = 10
_HIDDEN_S = 60
_POLL_S = 2.0
_NOT_OFFERED = {"InvalidAction", "UnknownOperation", "UnknownOperationException"}


class RedriveError(Exception):
    """Something could not be moved. The text is for the operator."""


@dataclass(slots=True)
class Moved:
    """What became of one dead-letter queue."""

    queue: str
    found: int = 0
    moved: int = 0
    """Messages sent to the work queue; for the relay, records that the sweep stands in for."""
    error: str | None = None


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """`python -m ops redrive`: 0 when all was moved, 1 when something was not, 130 on Ctrl-C."""
    wanted = ALL if given.queue == "all" else (given.queue,)
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


def redrive(
    deployment: Deployment,
    queues: tuple[str, ...] = TARGETS,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Moved]:
    """Move each queue's messages, one result per queue.

    Safe to repeat and to interrupt: a message is deleted only after it was sent, every function
    takes a message twice, and the records say whether there is anything left to do.
    """
    sqs = deployment.client("sqs")
    for queue in queues:
        result = Moved(queue)
        try:
            if queue == RELAY:
                _relay(deployment, sqs, result, say)
            else:
                dlq, target = (deployment.outputs[name] for name in QUEUES[queue])
                result.found = waiting(sqs, dlq)
                if queue == "intake":
                    # What is rejected again is back at once: SQS would move it round and round.
                    _move_by_hand(sqs, dlq, target, result, say, most=result.found)
                elif result.found:
                    _move(sqs, dlq, target, result, say)
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
    """Watch SQS move the messages: it goes on even if we stop watching. `earlier` is the start of
    the task before ours."""
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
    sqs: Any,
    dlq: str,
    target: str,
    result: Moved,
    say: Callable[[str], None],
    *,
    most: int | None = None,
) -> None:
    """For an SQS that moves none itself. A message that fails again is back after minutes only:
    this ends before, or after about `most` messages."""
    for messages in _received(sqs, dlq):
        # Our messages are a body, and of a tenant.
        sent = sqs.send_message_batch(
            QueueUrl=target,
            Entries=[
                {"Id": str(number), "MessageBody": message["Body"], **message.get("Attributes", {})}
                for number, message in enumerate(messages)
            ],
        )
        taken = [messages[int(entry["Id"])] for entry in sent.get("Successful", [])]
        _delete(sqs, dlq, taken)
        result.moved += len(taken)
        say(f"{result.queue}: {result.moved} of {result.found} moved")
        if len(taken) < len(messages):
            raise RedriveError(f"SQS did not take {len(messages) - len(taken)} messages")
        if most is not None and result.moved >= most:
            return


def _relay(deployment: Deployment, sqs: Any, result: Moved, say: Callable[[str], None]) -> None:
    """The messages only name places in the stream, which may have gone from there: but whatever
    they stood for is in the records, and the sweep carries out what the relay could not."""
    failures = deployment.outputs["RelayFailures"]
    result.found = waiting(sqs, failures)
    if not result.found:
        return
    _sweep_all(deployment, say)
    for messages in _received(sqs, failures):
        result.moved += sum(map(_batch_size, messages))
        _delete(sqs, failures, messages)
        say(f"relay: the sweep stands in for {result.moved} changes of records")


def _sweep_all(deployment: Deployment, say: Callable[[str], None]) -> None:
    """Run the sweep until a tick leaves nothing for the next one."""
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
    """Changes that a failure message of the stream stands for; 0 where it does not say."""
    try:
        size = json.loads(message["Body"])["DDBStreamBatchInfo"]["batchSize"]
    except (ValueError, KeyError, TypeError):
        return 0
    return size if isinstance(size, int) else 0


def _received(sqs: Any, queue_url: str) -> Iterator[list[dict[str, Any]]]:
    """Batches of messages until none is left, hidden from others for a minute."""
    while True:
        messages = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN_S,
            MessageSystemAttributeNames=["MessageGroupId"],
            WaitTimeSeconds=1,  # long polling asks all of SQS's servers
        ).get("Messages", [])
        if not messages:
            return
        yield messages


def _delete(sqs: Any, queue_url: str, messages: list[dict[str, Any]]) -> None:
    """One that stays is moved again by the next redrive: harmless."""
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
