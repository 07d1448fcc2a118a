"""`python -m tests.e2e.clients.report` drives the clients and writes docs/compatibility.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.cloud import EmbeddedCloud
from local.processes import ROOT
from tests.e2e.clients.published import CLIENTS, drive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.e2e.clients.published import Client

PAGE = ROOT / "docs" / "compatibility.md"

_HEAD = """\
# Replicate's clients on Darkroom

Made by `python -m tests.e2e.clients.report` from runs of the published packages against the embedded cloud (`make run TLS=1`); the tests fail when it is out of date.
A row stands for calls that were made and whose results were checked. What Darkroom leaves out of Replicate's API raises the client's own typed error, with a body that
says so. How to change over: [README](../README.md#moving-from-replicates-client).

## What to know

- **A create never blocks.** `Prefer: wait` is answered at once with `starting`; `run()` then polls, as it does on Replicate once the wait is over.
- **https.** The clients take an output for a file (`FileOutput`) only where its URL begins with `https:`; on the embedded cloud that is `make run TLS=1`.
- **`FileOutput.read()` of Python 1.x sends the API token to the output's host.** CloudFront, which is on by default, ignores it. With the CDN switched off, outputs are
  read from S3 by presigned URLs, and S3 refuses a request that is signed twice: there this one call of this one client fails. Use `httpx.get(output.url)`, or Python 2.x.
- **Files above 4.5 MB** do not pass through the API; `files.create` raises 413, whose text names `POST /v1/uploads`, a form for up to 100 MB. On AWS the gateway itself refuses a request
  above 6 MB, with a text of its own. `metadata` given to `files.create` is not kept.
- **JavaScript 1.4.0 with `fileEncodingStrategy: "data-uri"`** sends its own options, the token among them, in place of the input. Darkroom answers 422 and keeps nothing of it.
- **Streams** are read from Replicate itself: `urls.stream` is handed through, and left out until Replicate has answered.
- **Python 1.x** stands on pydantic's version 1 and does not run on Python 3.14.
"""


def render(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The page. It holds nothing that differs between two good runs."""
    return _HEAD + "".join(_section(client, results[client.name]) for client in CLIENTS)


def _section(client: Client, lines: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(f"| `{line['method']}` | {_result(line)} |\n" for line in lines)
    return (
        f"\n## {client.title}: {client.package} {client.version}\n\n"
        f"| method | result |\n|---|---|\n{rows}"
    )


def _result(line: Mapping[str, Any]) -> str:
    if not line["ok"]:
        return "**fails**"
    note = str(line["note"])
    if note[:3].isdigit():
        return f"answered with a clear error: {note}"
    return note or "works"


def main() -> int:
    """Return the exit code: 1 where something fails, and then the page is not written."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedCloud(
            time_scale=0, state_dir=Path(scratch) / "cloud", tls=True, local_callbacks=True
        ) as cloud,
    ):
        results = drive(cloud, Path(scratch))
    failed = [line for lines in results.values() for line in lines if not line["ok"]]
    for line in failed:
        print(f"{line['client']}: {line['method']}: {line['note']}", file=sys.stderr)
    if failed:
        return 1
    PAGE.write_text(render(results))
    print(f"{PAGE.relative_to(ROOT)}: {sum(map(len, results.values()))} rows, all of them good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
