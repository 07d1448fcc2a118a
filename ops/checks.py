"""What a report of looks at a deployment says: the states of its lines, and why a look failed."""

from __future__ import annotations

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from darkroom.domain.errors import UnavailableError

from ops.deployment import SetupError

OK, WARN, FAIL = "OK", "WARN", "FAIL"
LOOK_ERRORS = (SetupError, UnavailableError, ClientError, BotoCoreError, httpx.HTTPError)
"""What may go wrong with a look that is no fault of this program."""


def why(error: Exception) -> str:
    """For the operator, without the texts of AWS and of the network: they may hold anything."""
    match error:
        case ClientError():
            return f"AWS: {error.response['Error']['Code']} for {error.operation_name}"
        case BotoCoreError() | httpx.HTTPError():
            return f"cannot be looked at: {type(error).__name__}"
    return str(error)


def line(state: str, name: str, text: str, remedy: str = "") -> str:
    """For the terminal; the remedy below it."""
    return f"{state:<6}{name}: {text}" + (f"\n      → {remedy}" if remedy else "")
