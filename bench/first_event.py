"""Imports a function's module and invokes it once. Started by bench/first.py in a process that has
only the asset's packages."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any


class _Context:
    function_name = "darkroom"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:darkroom"
    aws_request_id = "8f507cfc-0000-4000-8000-0123456789ab"


def measure(name: str, event: dict[str, Any]) -> tuple[float, float]:
    """Return the milliseconds of processor time of the import and of the first event."""
    # A create's budget counts from here.
    event["requestContext"]["timeEpoch"] = time.time_ns() // 1_000_000
    began = time.process_time()
    module = importlib.import_module(f"darkroom.handlers.{name}")
    imported = time.process_time()
    answer = module.handler(event, _Context())
    ended = time.process_time()
    if answer["statusCode"] >= 300:
        raise RuntimeError(f"{name}: {answer['body']}")
    return (imported - began) * 1000, (ended - imported) * 1000


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[2]).read_text())
    sys.stdout.write("\n" + json.dumps(measure(sys.argv[1], given[sys.argv[1]])) + "\n")
