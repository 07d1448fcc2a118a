"""`python -m emulator`: runs the emulator as a process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from pathlib import Path

from emulator.server import Emulator, Options, Server, listen
from emulator.webhooks import new_secret


def main() -> int:
    """Serve until a signal or, with the option, until stdin ends."""
    arguments = _parser().parse_args()
    options = Options(
        host=arguments.host,
        port=arguments.port,
        token=arguments.token,
        public_url=arguments.public_url,
        webhook_secret=arguments.webhook_secret or new_secret(),
        retention_s=arguments.retention,
        retry_scale=arguments.retry_scale,
        seed=arguments.seed,
        ca_file=arguments.ca,
        models=tuple(json.loads(file.read_text("utf-8")) for file in arguments.model),
    )
    try:
        listener, url = listen(options)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        print(f"{options.host}:{options.port}: {reason}", file=sys.stderr)
        return 1
    emulator = Emulator(options, url)
    server = Server(emulator, lambda: print(f"Replicate emulator on {url}", flush=True))
    if arguments.exit_with_stdin:
        threading.Thread(target=_watch_stdin, args=(server,), daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))
    return 0


def _watch_stdin(server: Server) -> None:
    # Unbuffered, because a buffered read would hold a lock that the interpreter needs at exit.
    while os.read(0, 4096):
        pass
    server.should_exit = True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8788, help="0 takes any free one")
    parser.add_argument("--token", help="the only token taken; without it, any")
    parser.add_argument("--public-url", help="origin written into all URLs")
    parser.add_argument("--webhook-secret", help="whsec_…; without it, a new one")
    parser.add_argument("--retention", type=float, default=3600.0, help="life of data, seconds")
    parser.add_argument("--retry-scale", type=float, default=1.0, help="on webhook retry pauses")
    parser.add_argument(
        "--ca", type=Path, help="another certificate authority to trust in https calls (PEM)"
    )
    parser.add_argument("--seed", type=int, help="makes the draws of faults repeatable")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], help="another catalogue entry (JSON)"
    )
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when the parent process does"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
