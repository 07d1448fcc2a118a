"""Step Functions tasks that wait for an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from darkroom.domain.values import immutable

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

NOBODY_WAITS = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
"""The task was answered before, timed out, or never existed."""


@immutable
class StepFunctionsTasks:
    """Tasks for Step Functions. Its client is best created on first use, since most predictions
    have none."""

    client: Any

    def succeed(self, token: str, output: str) -> bool:
        return _taken(self.client.send_task_success, taskToken=token, output=output)

    def fail(self, token: str, error: str, cause: str) -> bool:
        return _taken(self.client.send_task_failure, taskToken=token, error=error, cause=cause)

    def heartbeat(self, token: str) -> bool:
        try:
            return _taken(self.client.send_task_heartbeat, taskToken=token)
        except (BotoCoreError, ClientError) as error:
            # The next heartbeat comes in time, and a dead letter would help nobody.
            logger.warning("no heartbeat: %s", type(error).__name__)
            return True


def _taken(call: Callable[..., Any], **arguments: str) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOBODY_WAITS:
            return False
        raise
    return True
