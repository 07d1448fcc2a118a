"""States of a check's result, and the reasons why a check could not run."""

from __future__ import annotations

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from darkroom.domain.errors import UnavailableError

from ops.deployment import SetupError

OK, WARN, FAIL = "OK", "WARN", "FAIL"
LOOK_ERRORS = (SetupError, UnavailableError, ClientError, BotoCoreError, httpx.HTTPError)
"""Errors of a check that are not bugs of this program."""


def why(error: Exception) -> str:
    """Return the reason without the texts of AWS and of the network, which may contain anything."""
    match error:
        case ClientError():
            return f"AWS: {error.response['Error']['Code']} for {error.operation_name}"
        case BotoCoreError() | httpx.HTTPError():
            return f"cannot be looked at: {type(error).__name__}"
    return str(error)


def line(state: str, name: str, text: str, remedy: str = "") -> str:
    """Format one result for the terminal, with the remedy below it."""
    return f"{state:<6}{name}: {text}" + (f"\n      → {remedy}" if remedy else "")
