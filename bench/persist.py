"""Copying outputs: throughput relative to boto3's own upload, memory, and several files at once."""

from __future__ import annotations

import contextlib
import http.server
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from darkroom.aws.s3 import S3Outputs
from darkroom.outbound.download import OutputFetcher, output_guard
from darkroom.outbound.http import Client
from darkroom.services.predictions.persist import Persist

from bench.report import Result
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1_000_000
ROUNDS = 9
SIZE = 50 * MB
"""A large picture."""
PICTURE_MB = 2
FILES = 4
PAUSE_S = 0.1
"""Time to the first byte of the output host when several files are copied."""
MEMORY_SIZES = (1, 10, 100, 1000)

_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"
_HEAD += b"\x12\x34\x56\x78"
_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_FILLING = bytes(MB)


class _Handler(http.server.BaseHTTPRequestHandler):
    """The output host, and the part of S3 that accepts objects and discards them."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, length, pause, _ = self.path.split("/", 3)
        time.sleep(float(pause))
        size = int(length)
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(size))
        self.end_headers()
        left = size - len(_HEAD) - len(_TAIL)
        self.wfile.write(_HEAD)
        while left:
            part = min(left, MB)
            self.wfile.write(_FILLING[:part])
            left -= part
        self.wfile.write(_TAIL)

    def do_PUT(self) -> None:
        self._take()
        self._send(b"", {"ETag": '"0"'})

    def do_POST(self) -> None:
        self._take()
        kind = "InitiateMultipartUploadResult" if "uploads" in self.path else "CompleteResult"
        self._send(f"<{kind}><UploadId>u</UploadId></{kind}>".encode())

    def _take(self) -> None:
        if self.headers.get("expect"):
            self.send_response_only(100)
            self.end_headers()
        left = int(self.headers.get("content-length", 0))
        while left:
            left -= len(self.rfile.read(min(left, MB)))

    def _send(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle_expect_100(self) -> bool:
        return True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextlib.contextmanager
def _servers() -> Iterator[str]:
    """Run both hosts in one process. Yields their origin."""
    command = [sys.executable, "-m", "bench.persist", "serve"]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


@dataclass
class _Copier:
    """The persist use case over real adapters, with its records in memory."""

    origin: str

    def __post_init__(self) -> None:
        self.world = World()
        make: Any = boto3.client
        self.s3 = make(
            "s3",
            region_name="eu-west-1",
            endpoint_url=self.origin,
            aws_access_key_id="x",
            aws_secret_access_key="x",  # noqa: S106 - the server takes any
            # As over TLS, where the payload is not signed in addition to its checksum.
            config=Config(s3={"addressing_style": "path", "payload_signing_enabled": False}),
        )
        guard = output_guard((self.origin,))
        self.fetcher = OutputFetcher(Client(guard), (self.origin,), 2000 * MB, budget_s=600.0)

    def url(self, size: int, pause: float, number: int) -> str:
        """Return the URL of an output of `size` bytes."""
        return f"{self.origin}/{size}/{pause}/{number}.png"

    def copy(self, *sizes: int, pause: float = 0.0, at_once: int = 1) -> float:
        """Return the seconds from the message to `succeeded`."""
        record = self.world.accept()
        provider_id = str(record.provider_id)
        outputs = [self.url(size, pause, number) for number, size in enumerate(sizes)]
        self.world.provider.finish(provider_id, output=outputs)
        self.world.webhook(record.id, provider_id)
        persist = Persist(
            self.world.changes, self.fetcher, S3Outputs(self.s3, "outputs"), at_once=at_once
        )
        began = time.perf_counter()
        after = persist(record.id)
        seconds = time.perf_counter() - began
        if after is None or len(after.files) != len(sizes):
            raise RuntimeError(f"not stored: {after}")
        return seconds

    def upload(self, size: int) -> float:
        """Return the seconds of boto3's own upload of the same download, without hashes and
        checks."""
        with self.fetcher.open(self.url(size, 0.0, 0)) as download:
            began = time.perf_counter()
            file = _File(self.fetcher.client, download.chunks())
            self.s3.upload_fileobj(file, "outputs", "0.png")
            return time.perf_counter() - began


class _File:
    """A file object for upload_fileobj."""

    def __init__(self, client: Client, chunks: Iterator[bytes]) -> None:
        self._client = client
        self._chunks = chunks
        self._buffer = bytearray()

    def read(self, most: int) -> bytes:
        """Read like a file."""
        # boto3 reads in its own threads, and a budget belongs to its thread.
        self._client.begin(600.0)
        while len(self._buffer) < most:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
        taken = bytes(self._buffer[:most])
        del self._buffer[:most]
        return taken


def run(progress: Callable[[str], None]) -> list[Result]:
    """Measure throughput, memory and parallel copies."""
    with _servers() as origin:
        return [
            *_throughput(_Copier(origin), progress),
            *_memory(origin, progress),
            *_several(_Copier(origin), progress),
        ]


def _throughput(copier: _Copier, progress: Callable[[str], None]) -> list[Result]:
    copier.copy(SIZE)
    copier.upload(SIZE)
    ours, theirs = [], []
    for number in range(ROUNDS):
        progress(f"throughput {number + 1}/{ROUNDS}")
        ours.append(SIZE / MB / copier.copy(SIZE))
        theirs.append(SIZE / MB / copier.upload(SIZE))
    mine, other = statistics.median(ours), statistics.median(theirs)
    method = (
        f"{SIZE // MB} MB from an output host to S3, both on loopback in one other process; "
        f"medians of {ROUNDS} alternating runs; ratio to boto3's upload_fileobj of the same stream"
    )
    return [
        Result("persist.mb_per_s", mine, "MB/s", mine / other, method),
        Result("persist.boto3_mb_per_s", other, "MB/s", None, method),
        Result("persist.ratio", mine / other, "of boto3", None, method),
    ]


def _memory(origin: str, progress: Callable[[str], None]) -> list[Result]:
    peaks = {}
    for size in MEMORY_SIZES:
        progress(f"memory, {size} MB")
        command = [sys.executable, "-m", "bench.persist", "copy", origin, str(size * MB)]
        done = subprocess.run(  # noqa: S603 - our own module
            command, check=True, capture_output=True, text=True
        )
        peaks[size] = json.loads(done.stdout)
    shown = ", ".join(f"{size} MB: {peak:.1f}" for size, peak in peaks.items())
    method = (
        "resident memory that a warm process adds while it copies one file, at its peak "
        f"({shown} MB): the most of these"
    )
    return [Result("persist.extra_rss_mb", max(peaks.values()), "MB", None, method)]


def _added_mb(copier: _Copier, size: int) -> float:
    """Return peak minus resting memory of one copy in this process, from Linux's /proc."""
    copier.copy(MB)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_kb("VmRSS")
    copier.copy(size)
    return (_resident_kb("VmHWM") - before) * 1024 / MB


def _resident_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _several(copier: _Copier, progress: Callable[[str], None]) -> list[Result]:
    sizes = [PICTURE_MB * MB] * FILES
    one, many = [], []
    for number in range(ROUNDS):
        progress(f"several at once {number + 1}/{ROUNDS}")
        one.append(copier.copy(*sizes, pause=PAUSE_S, at_once=1))
        many.append(copier.copy(*sizes, pause=PAUSE_S, at_once=FILES))
    after, before = statistics.median(many), statistics.median(one)
    method = (
        f"{FILES} files of {PICTURE_MB} MB, {1000 * PAUSE_S:.0f} ms to the first byte of each; "
        f"medians of {ROUNDS} alternating runs; ratio to one after another"
    )
    return [Result("persist.four_outputs_s", after, "s", after / before, method)]


def _main(arguments: list[str]) -> None:
    """Run one of the processes of this benchmark."""
    if arguments[0] == "serve":
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
    print(_added_mb(_Copier(arguments[1]), int(arguments[2])))


if __name__ == "__main__":
    _main(sys.argv[1:])
