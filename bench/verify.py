"""Webhook signatures verified per second, on one core."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from darkroom.domain import signature

from bench.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
CALLS = 20_000
AT = 1_800_000_000
METHOD = (
    f"domain.signature.verify on the 14 headers of a gateway's event and a body of 1 kB, one key; "
    f"median of {ROUNDS} rounds of {CALLS} calls, by process time."
)


def run(progress: Callable[[str], None]) -> list[Result]:
    """Measure `verify.per_s`; its goal is 100 000."""
    key = b"k" * 32
    body = b'{"status":"succeeded","output":["https://replicate.delivery/x.webp"]}'.ljust(1000)
    signed = signature.sign("msg_2LJCvuTzkqdSVBw8iKhKFdCyRAk", AT, body, key=key)
    headers: dict[str, object] = {
        "accept": "*/*",
        "accept-encoding": "gzip",
        "content-length": "1000",
        "content-type": "application/json",
        "forwarded": "for=198.51.100.7;proto=https",
        "host": "abcdefghij.execute-api.eu-west-1.amazonaws.com",
        "user-agent": "Replicate",
        "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678",
        "x-forwarded-for": "198.51.100.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "webhook-id": "msg_2LJCvuTzkqdSVBw8iKhKFdCyRAk",
        "webhook-timestamp": str(AT),
        "webhook-signature": signed,
    }
    rates = []
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        began = time.process_time()
        for _ in range(CALLS):
            signature.verify(headers, body, keys=(key,), now=AT)
        rates.append(CALLS / (time.process_time() - began))
    return [Result("verify.per_s", round(statistics.median(rates)), "1/s", None, METHOD)]
