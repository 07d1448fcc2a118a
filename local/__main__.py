"""`python -m local run`, `python -m local demo` and `python -m local chaos`."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from local.announcement import announced, claimed
from local.chaos import chaos
from local.cloud import DEFAULT_PORT, EmbeddedCloud
from local.demo import demo
from local.processes import StartError

if TYPE_CHECKING:
    from local.announcement import Place


_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|\*")


class Stopped(BaseException):
    """A signal requested the end."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="serve until Ctrl-C")
    run_command.add_argument("--port", type=int, default=_port_from_environment())
    run_command.add_argument(
        "--keep", action="store_true", default=os.environ.get("KEEP", "") not in {"", "0"}
    )
    run_command.add_argument(
        "--tls",
        action="store_true",
        default=os.environ.get("TLS", "") not in {"", "0"},
        help="serve https; what to trust is written to .darkroom/ca.pem, and with the public "
        "authorities to .darkroom/ca-bundle.pem",
    )
    run_command.add_argument(
        "--origins",
        default=os.environ.get("ORIGINS", ""),
        help="origins whose browsers may call it, with commas between: http://localhost:5173",
    )
    demo_command = commands.add_parser("demo", help="one prediction for each model, then stop")
    demo_command.add_argument(
        "--all",
        action="store_true",
        default=os.environ.get("ALL", "") not in {"", "0"},
        help="every model of the catalogue, and not a dozen",
    )
    chaos_command = commands.add_parser("chaos", help="many predictions under faults, then audit")
    chaos_command.add_argument("--predictions", type=int, default=300)
    chaos_command.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    # The developer's own AWS settings must not apply, and boto3 fails for a profile that this
    # machine does not have.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    try:
        if given.command == "demo":
            return demo(everything=given.all)
        if given.command == "chaos":
            return chaos(predictions=given.predictions, seed=given.seed)
        origins = _origins(given.origins)
        return run(port=given.port, keep=given.keep, tls=given.tls, origins=origins)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except Stopped:
        print("Stopped.", file=sys.stderr)
        return 0 if given.command == "run" else 130


def run(*, port: int, keep: bool, tls: bool, origins: tuple[str, ...] = ()) -> int:
    """Serve until a signal. Returns 1 if a part of the cloud ended by itself."""
    replicate = _real_replicate()
    with (
        claimed(port) as place,
        EmbeddedCloud(
            port=place.port,
            state_dir=place.state,
            keep=keep,
            local_callbacks=os.environ.get("DARKROOM_LOCAL_CALLBACKS") == "1",
            replicate=replicate,
            tls=tls,
            origins=origins,
            say=_say,
        ) as cloud,
        announced(place.announcement, _found(cloud, emulated=replicate is None)),
    ):
        _say_ready(cloud, place, keep=keep)
        while True:
            time.sleep(0.5)
            failure = cloud.failure()
            if failure:
                print(failure, file=sys.stderr)
                return 1


def _found(cloud: EmbeddedCloud, *, emulated: bool) -> dict[str, Any]:
    return {
        "base_url": cloud.base_url,
        "token": cloud.token,
        "replicate_url": cloud.replicate_url,
        # A real token is the developer's secret and stays in the environment.
        "replicate_token": cloud.replicate_token if emulated else "",
        "aws_endpoint": cloud.aws_endpoint,
        "ca_file": str(cloud.ca_file or ""),
        "pid": os.getpid(),
    }


def _say_ready(cloud: EmbeddedCloud, place: Place, *, keep: bool) -> None:
    print(f"\n  console    {cloud.base_url}/console")
    print(f"  base URL   {cloud.base_url}\n  API token  {cloud.token}", flush=True)
    if not keep:
        print("             (another one at each start; KEEP=1 keeps token and predictions)")
    if cloud.ca_file:
        print(f"  trust      SSL_CERT_FILE={cloud.bundle_file} (with the public roots)")
        print(f"             NODE_EXTRA_CA_CERTS={cloud.ca_file} for Node")
    if place.beside:
        print(
            f"  beside     another one, which `ops --local` finds; this: --local-port {place.port}"
        )
    print("\nReady. Ctrl-C stops it.", flush=True)


def _real_replicate() -> tuple[str, str] | None:
    token = os.environ.get("REPLICATE_API_TOKEN", "")
    public_url = os.environ.get("DARKROOM_PUBLIC_URL", "").rstrip("/")
    if not (token and public_url):
        return None
    if not public_url.startswith("https://"):
        raise StartError("DARKROOM_PUBLIC_URL must begin with https://: Replicate calls it back.")
    _say(f"Using the real Replicate, which costs money; it calls back to {public_url}.")
    return token, public_url


def _origins(given: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in given.split(",") if origin.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise StartError(f"{origin!r} is no origin: http://localhost:5173 is one.")
    return origins


def _port_from_environment() -> int:
    given = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdigit() or not 0 <= int(given) <= 65_535:
        print(f"PORT must be a port number, not {given!r}.", file=sys.stderr)
        sys.exit(1)
    return int(given)


def _stop(_number: int, _frame: object) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the cleanup must not be interrupted
    raise Stopped


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
