"""What ends a command, as a tree, with the exit code of each.

CliError
├── FailedError        1  a prediction failed or was canceled
├── UsageError         2  the command line, a file or the configuration is wrong
├── RefusedError       3  the service rejected the request, or a limit did
└── UnreachableError   4  no usable answer from the service

A command that did what it was asked ends with 0, one that Ctrl-C ended with 130.
"""

from __future__ import annotations

INTERRUPTED = 130


class CliError(Exception):
    """Base of what ends a command. Its text is for the user, and may contain hostile characters."""

    exit_code = 1


class FailedError(CliError):
    """A prediction failed or was canceled."""


class UsageError(CliError):
    """The command line, a file or the configuration is wrong."""

    exit_code = 2


class RefusedError(CliError):
    """The service rejected the request. `status` is that of the answer.

    `certain` is False where an earlier try had no answer: that one may have had an effect.
    """

    exit_code = 3

    def __init__(self, text: str, status: int, *, certain: bool = True) -> None:
        super().__init__(text)
        self.status = status
        self.certain = certain


class UnreachableError(CliError):
    """No usable answer: whether a create took effect is unknown."""

    exit_code = 4
