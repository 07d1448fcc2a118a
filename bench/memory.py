"""Memory of the submit function with the bodies that need most of it.

`python -m bench.memory` prints for each the answer, and the peak of a process that got only it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from bench.report import Result
from bench.warm import MODEL, TOKEN, stub_endpoints
from ops.keys import put_key
from tests.support import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MB = 1_000_000
LARGEST_EVENT = 6 * 1024 * 1024
"""The largest event that Lambda passes to a function, as JSON."""
IDLE = "an ordinary request"
METHOD = (
    "VmHWM of a fresh process after one ordinary request, and in another after one more of those "
    "bodies that ask for most memory, events of up to 6 MB as Lambda hands them over"
)
_INPUT = '{"input":{"prompt":"a corgi","more":'


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer, and the peak of resident memory in MB."""

    status: int
    peak_mb: float


def bodies() -> dict[str, str | bytes]:
    """Return bodies that a client may send. Bytes are sent in base64, like the gateway does for
    some."""
    wide = "\N{PARTY POPPER}"
    """A string with one such character takes four bytes for each of its characters."""
    picture = "data:image/png;base64," + "iVBOR" * 900_000
    pictures = ",".join(['"data:,"'] * 80_000)
    keys = ",".join(f'"{number:x}":{{}}' for number in range(400_000))
    return {
        "one string": _string("x" * 6 * MB),
        "one string, wide": _string("x" * 6 * MB + wide),
        "one string, wide, in base64": _string("x" * 4 * MB + wide).encode(),
        "one key": f'{_INPUT}{{"{"x" * 6 * MB}{wide}":1}}}}}}',
        "a picture": _string(picture),
        "a picture, wide": _string(picture, wide),
        "a picture, wide, in base64": _string(picture[: 4 * MB + 22], wide).encode(),
        "a picture in percent": _string("data:," + "%abX" * 1_500_000, wide),
        "a picture of commas": _string("data:," + "," * 6 * MB, wide),
        "a picture with parameters": _string("data:" + ";a" * 3 * MB + ","),
        "100 pictures": _more([picture[:58_022]] * 100, wide),
        "pictures below a long key": f'{_INPUT}{{"{"x" * 4 * MB}{wide}":[{pictures}]}}}}}}',
        "lists, as many as are kept": _more([[0]] * 63_000),
        "objects, as many as are kept": _more([{"a": 0}] * 31_000),
        "keys, as many as are kept": _more({f"{number:x}": 0 for number in range(27_000)}),
        "lists, as many as are read, and a string": _lists(500_000, "x" * 5_500_000 + wide),
        "lists, as many as are kept, and a picture": _lists(230_000, picture, wide),
        "6 MB of lists": _lists(6 * MB, ""),
        "4.5 MB of keys, in base64": f"{_INPUT}{{{keys}}}}}}}".encode(),
    }


def _string(text: str, prompt: str = "a corgi") -> str:
    return f'{{"input":{{"prompt":"{prompt}","more":"{text}"}}}}'


def _more(value: Any, prompt: str = "a corgi") -> str:
    body = {"input": {"prompt": prompt, "more": value}}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def _lists(size: int, text: str, prompt: str = "a corgi") -> str:
    lists = "[0]," * (size // 4)
    return f'{{"input":{{"prompt":"{prompt}","more":[{lists}0],"text":"{text}"}}}}'


def measure(cases: Iterable[tuple[str, str | bytes]]) -> dict[str, Taken]:
    """Send each body to a fresh process after an ordinary request; `IDLE` is that request alone."""
    taken = {}
    with stub_endpoints() as environment, tempfile.TemporaryDirectory() as folder:
        _put_key(environment)
        ordinary, event = Path(folder) / "ordinary.json", Path(folder) / "event.json"
        ordinary.write_text(_event('{"input":{"prompt":"a corgi"}}'))
        for name, body in ((IDLE, '{"input":{"prompt":"a corgi"}}'), *cases):
            event.write_text(_event(body))
            done = subprocess.run(  # noqa: S603 - our own module
                [sys.executable, "-m", "bench.memory", "invoke", str(ordinary), str(event)],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            status, peak = done.stdout.splitlines()[-1].split()
            taken[name] = Taken(int(status), int(peak) * 1024 / MB)
    return taken


def _put_key(environment: dict[str, str]) -> None:
    make: Any = boto3.client
    dynamodb = make(
        "dynamodb",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    put_key(dynamodb, environment["CONTROLS_TABLE"], TOKEN, tenant="bench")
    dynamodb.close()


def _event(body: str | bytes) -> str:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    event = events.http("POST", f"/v1/models/{MODEL}/predictions", body, headers)
    text = json.dumps(event, ensure_ascii=False)
    if len(text.encode()) > LARGEST_EVENT:
        raise ValueError(f"an event of {len(text.encode())} bytes comes to no function")
    return text


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return `memory.idle`, and `memory.submit`, the maximum over all bodies."""
    progress("each body in a process of its own")
    taken = measure(bodies().items())
    idle = taken[IDLE].peak_mb
    most = max(each.peak_mb for each in taken.values())
    return [
        Result("memory.idle", round(idle, 1), "MB", None, METHOD),
        Result("memory.submit", round(most, 1), "MB", round(most / idle, 2), METHOD),
    ]


def _invoke(paths: list[str]) -> None:
    from darkroom.handlers import submit

    answer: dict[str, Any] = {}
    for path in paths:
        # Lambda's runtime keeps the text as well.
        raw = Path(path).read_bytes()
        answer = submit.handler(json.loads(raw), events.Context())
        del raw
    # Not getrusage, because its peak starts with that of the parent process.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    print(f"\n{answer['statusCode']} {peak}")


def _main(arguments: list[str]) -> None:
    if arguments:
        _invoke(arguments[1:])
        return
    taken = measure(bodies().items())
    for name, each in sorted(taken.items(), key=lambda item: -item[1].peak_mb):
        print(f"{each.peak_mb:6.1f} MB  {each.status}  {name}")


if __name__ == "__main__":
    _main(sys.argv[1:])
