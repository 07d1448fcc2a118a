"""The embedded cloud: everything that Darkroom needs, on loopback, inside a `with` block."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import string
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from darkroom.domain.keys import new_token
from darkroom.replicate.hooks import HOOK_PATH

from local.deploy import ACCOUNT, REGION, SECRET_KEY, Aws, deploy
from local.front import Front, FrontServer
from local.processes import ROOT, Child, StartError, free_port, listen
from local.synth import synthesise
from local.waiting import Waiters
from ops.keys import put_key

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

DEFAULT_PORT = 8787
REPLICATE = "https://api.replicate.com"
TICK_S = 2.0
"""Interval between two sweeps. The embedded AWS also runs the template's schedule every minute."""
DELIVERIES_S = 12.0
"""Maximum time that a requested sweep waits for its callbacks."""


def _silent(_: str) -> None:
    pass


class EmbeddedCloud:
    """Starts on entering. On leaving, no process is left and the port is free.

    Raises StartError, with a text for the user, if something does not start.
    """

    base_url: str
    """URL of the front, which serves the API and the files. No trailing slash, no /v1."""
    token: str
    """An API key of the tenant `local`, without limits."""
    replicate_url: str
    replicate_token: str
    aws_endpoint: str
    outputs: dict[str, str]
    """The outputs of all stacks, by name."""
    ca_file: Path | None = None
    """Certificate authority of an https front; a new one on every start."""
    bundle_file: Path | None = None
    """The same with the public authorities, for programs that call other servers as well."""

    def __init__(
        self,
        *,
        port: int = 0,
        time_scale: float = 1,
        state_dir: Path,
        keep: bool = False,
        local_callbacks: bool = False,
        replicate: tuple[str, str] | None = None,
        tls: bool = False,
        origins: tuple[str, ...] = (),
        say: Callable[[str], None] = _silent,
    ) -> None:
        """`port` 0 takes a free one. `time_scale` 1 uses the models' typical times, 0 none.

        `replicate` is (API token, public URL of this front). With it, no provider is emulated, and
        predictions run, and are paid for, on Replicate. With `keep`, the tables, buckets, queues
        and keys of the last start with `keep` are restored, but not the emulated provider's data.
        With `tls`, the front serves https with its own authority, `ca_file`. Browsers on the
        `origins` may call it.
        """
        self._port = port
        self._time_scale = time_scale
        self._state_dir = state_dir
        self._kept_dir = state_dir / "kept" if keep else None
        self._kept: dict[str, Any] = {}
        self._local_callbacks = local_callbacks
        self._real = replicate
        self._tls = tls
        self._origins = origins
        self._verify: ssl.SSLContext | bool = True
        self._say = say
        self._running = contextlib.ExitStack()
        self._children: list[Child] = []
        self._sweeping = threading.Lock()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            self._start(started)
            self._running = started.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()

    def client(self, service: str) -> Any:
        """Return a boto3 client of the embedded AWS."""
        return self._aws.client(service)

    def failure(self) -> str | None:
        """Return the description of a process that has died, with the end of its log; None if all
        are alive."""
        for child in self._children:
            if not child.running:
                return (
                    f"A part of the embedded cloud ended. The end of {child.log}:\n{child.tail()}"
                )
        return None

    def sweep(self) -> dict[str, Any]:
        """Run one sweep, and wait for the callbacks that it queues.

        Returns the function's answer with `ok`, or `ok` false and the error.
        """
        with self._sweeping:
            result = self._invoke_sweep()
        self._wait_for_deliveries()
        return result

    # -- starting ----------------------------------------------------------------------------

    def _start(self, started: contextlib.ExitStack) -> None:
        listener = listen(self._port)
        started.callback(listener.close)
        port = listener.getsockname()[1]
        server_tls = self._make_certificates()
        self.base_url = f"{'https' if server_tls else 'http'}://127.0.0.1:{port}"
        self._kept = self._read_kept()
        assembly = synthesise(
            cache=ROOT / ".darkroom" / "synth",
            logs=self._state_dir / "logs",
            say=self._say,
            origins=self._origins,
        )

        aws = self._start_aws(started)
        provider = self._start_replicate(started)
        self._await_both(aws, provider)
        if self._kept and not self.client("cloudformation").describe_stacks()["Stacks"]:
            self._say("KEEP: the last state was not saved; starting afresh.")
            self._kept = {}
        self._say("Creating the stacks …")
        parameters = self._parameters()
        self.outputs = deploy(assembly, self._aws, parameters)
        self._put_secrets()
        self.token = self._create_key()

        self._lambda = self.client("lambda")
        self._sqs = self.client("sqs")
        waiters = self._start_waiters(started)
        front = Front(
            aws_endpoint=self.aws_endpoint,
            api_id=self.outputs["ApiId"],
            outputs_bucket=self.outputs["OutputsBucket"],
            uploads_bucket=self.outputs["UploadsBucket"],
            host=urlsplit(parameters["S3Endpoint"]).netloc,
            cors=self._cors_rules(),
            port=port,
            sweep=self.sweep,
            secret_key=SECRET_KEY,
            waiters=waiters,
        )
        log = self._state_dir / "logs" / "front.log"
        server = FrontServer(front, listener, log=log, tls=server_tls)
        server.start()
        started.callback(server.stop)
        self._write_kept()
        self._warm_up()
        self._start_ticking(started)

    def _start_waiters(self, started: contextlib.ExitStack) -> Waiters:
        log = self._state_dir / "logs" / "wait.log"
        waiters = Waiters(self._aws, self.outputs, log=log, origins=self._origins)
        started.callback(waiters.stop)
        return waiters

    def _make_certificates(self) -> ssl.SSLContext | None:
        if not self._tls:
            return None
        from local.certificates import issue, trusting, write_bundle

        self.ca_file = self._state_dir / "ca.pem"
        self.bundle_file = self._state_dir / "ca-bundle.pem"
        served = issue(self.ca_file)
        self._verify = trusting(self.ca_file)
        write_bundle(self.ca_file, self.bundle_file)
        return served

    def _cors_rules(self) -> dict[str, list[dict[str, Any]]]:
        """Return the CORS rules of the buckets that have some, by bucket."""
        s3 = self.client("s3")
        found = {}
        for bucket in (self.outputs["OutputsBucket"], self.outputs["UploadsBucket"]):
            with contextlib.suppress(ClientError):  # which is what a bucket without rules answers
                found[bucket] = s3.get_bucket_cors(Bucket=bucket)["CORSRules"]
        return found

    def _start_aws(self, started: contextlib.ExitStack) -> Child:
        port = self._kept.get("aws_port") or free_port()  # queue URLs contain it
        self.aws_endpoint = f"http://127.0.0.1:{port}"
        self._aws = Aws(self.aws_endpoint)
        environment = {
            # Complete and explicit: functions inherit it, and nothing of the developer's shell,
            # such as a proxy or a token, may reach them.
            "PATH": os.defpath,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_ACCOUNT_CONCURRENCY": "0",  # local.aws has a limit, which queues
            "IOT_MTLS_ENABLED": "0",  # it would listen on all interfaces
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "LOG_LEVEL": "WARNING",
            "POWERTOOLS_LOG_LEVEL": "INFO",  # the level of the functions, as in a deployed stage
        }
        if self._kept_dir:
            environment |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self._kept_dir / "services"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self._kept_dir / "buckets"),
            }
        return self._child(
            started,
            [sys.executable, "-m", "local.aws"],
            environment,
            "aws.log",
            grace=10 if self._kept_dir else 0,  # it writes its state at the end
        )

    def _start_replicate(self, started: contextlib.ExitStack) -> Child | None:
        if self._real:
            self.replicate_url, self.replicate_token = REPLICATE, self._real[0]
            return None
        port = free_port()
        self.replicate_url = f"http://127.0.0.1:{port}"
        alphabet = string.ascii_letters + string.digits
        self.replicate_token = "r8_" + "".join(secrets.choice(alphabet) for _ in range(37))
        command = [sys.executable, "-m", "emulator", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--token", self.replicate_token]
        command += ["--public-url", self.replicate_url]
        if self.ca_file:
            command += ["--ca", str(self.ca_file)]
        environment = {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
        return self._child(started, command, environment, "replicate.log")

    def _child(
        self,
        started: contextlib.ExitStack,
        command: list[str],
        environment: dict[str, str],
        log: str,
        grace: float = 0,
    ) -> Child:
        logs = self._state_dir / "logs"
        child = Child(command, env=environment, log=logs / log, grace=grace)
        started.callback(child.stop)
        self._children.append(child)
        return child

    def _await_both(self, aws: Child, provider: Child | None) -> None:
        aws.wait_until_ready(f"{self.aws_endpoint}/_ministack/health")
        if provider:
            faults = f"{self.replicate_url}/_emulator/faults"
            provider.wait_until_ready(faults)
            if self._time_scale != 1:
                httpx.put(
                    faults, json={"time_scale": self._time_scale}, trust_env=False, timeout=60
                )

    def _parameters(self) -> dict[str, str]:
        seen_as = self._real[1] if self._real else self.base_url
        parameters = {
            "PublicUrl": seen_as,
            "S3Endpoint": seen_as,
            "LocalCallbacks": "true" if self._local_callbacks else "false",
        }
        if not self._real:
            parameters |= {"ReplicateUrl": self.replicate_url, "OutputHosts": self.replicate_url}
        return parameters

    def _put_secrets(self) -> None:
        values = {
            "ReplicateTokenSecret": self.replicate_token,
            "ReplicateWebhookSecret": json.dumps({"current": self._webhook_secret()}),
        }
        if not self._kept:
            values["LinkKeySecret"] = json.dumps({"current": _random_key()})
            values["CallbackKeySecret"] = _random_key()
        store = self.client("secretsmanager")
        for output, value in values.items():
            store.put_secret_value(SecretId=self.outputs[output], SecretString=value)

    def _webhook_secret(self) -> str:
        try:
            answer = httpx.get(
                f"{self.replicate_url}/v1/webhooks/default/secret",
                headers={"Authorization": f"Bearer {self.replicate_token}"},
                trust_env=self._real is not None,
                timeout=20,
            )
        except httpx.TransportError as error:
            raise StartError(f"{self.replicate_url} cannot be reached: {error}") from None
        if answer.status_code != 200:
            raise StartError(f"{self.replicate_url} refused the token ({answer.status_code}).")
        return str(answer.json()["key"])

    def _create_key(self) -> str:
        token = str(self._kept.get("token") or new_token())
        table = self.outputs["ControlsTable"]
        put_key(self.client("dynamodb"), table, token, tenant="local", name="embedded cloud")
        return token

    def _read_kept(self) -> dict[str, Any]:
        if not self._kept_dir:
            return {}
        self._kept_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            kept = json.loads((self._kept_dir / "kept.json").read_text())
        except (OSError, ValueError):
            self._say("KEEP: nothing was kept before; this start's state will be.")
            return {}
        self._say(
            "KEEP: the last state comes back. The emulated Replicate starts empty, so what was "
            "still running there is lost and will fail."
        )
        return dict(kept)

    def _write_kept(self) -> None:
        if self._kept_dir:
            port = int(self.aws_endpoint.rpartition(":")[2])
            kept = {"aws_port": port, "token": self.token}
            (self._kept_dir / "kept.json").write_text(json.dumps(kept))

    def _warm_up(self) -> None:
        """Start one worker of each HTTP function, because imports take a second on a small
        machine."""
        requests = (
            ("POST", "/v1/predictions"),
            ("GET", "/v1/predictions"),
            ("POST", "/v1/predictions/0/cancel"),
            ("POST", "/v1/files"),
            ("POST", f"{HOOK_PATH}0"),
        )
        with (
            httpx.Client(
                base_url=self.base_url, trust_env=False, timeout=60, verify=self._verify
            ) as client,
            ThreadPoolExecutor(len(requests)) as pool,
        ):
            # All are rejected as unauthenticated.
            list(pool.map(lambda request: client.request(*request), requests))

    # -- sweeping ----------------------------------------------------------------------------

    def _start_ticking(self, started: contextlib.ExitStack) -> None:
        stopping = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(stopping,), name="sweep", daemon=True)
        ticker.start()
        started.callback(ticker.join, 5)
        started.callback(stopping.set)

    def _tick(self, stopping: threading.Event) -> None:
        while not stopping.wait(TICK_S):
            with self._sweeping:
                self._invoke_sweep()

    def _invoke_sweep(self) -> dict[str, Any]:
        try:
            answer = self._lambda.invoke(FunctionName=self.outputs["FunctionSweep"], Payload=b"{}")
            payload = json.loads(answer["Payload"].read() or b"null")
        except (BotoCoreError, ClientError, ValueError) as error:
            return {"ok": False, "error": str(error)[:500]}
        if "FunctionError" in answer:
            return {"ok": False, "error": payload}
        return {"ok": True, **(payload if isinstance(payload, dict) else {})}

    def _wait_for_deliveries(self) -> None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        deadline = time.monotonic() + DELIVERIES_S
        while time.monotonic() < deadline:
            try:
                counts = [
                    self._sqs.get_queue_attributes(
                        QueueUrl=self.outputs[queue], AttributeNames=names
                    )["Attributes"]
                    for queue in ("DeliverQueue", "TasksQueue")
                ]
            except (BotoCoreError, ClientError):
                return
            if not any(int(count[name]) for count in counts for name in names):
                return
            time.sleep(0.05)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
