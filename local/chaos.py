"""The fault run: many predictions while the provider fails and functions are killed, then the
audit.

Every printed number is counted: faults by the emulated provider and by the killer, results in the
tables, the bucket and the queues.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import json
import os
import random
import signal
import socket
import statistics
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
from darkroom.aws.items import from_item, is_record, read_prediction
from darkroom.domain.details import STATUS
from PIL import Image

from emulator.models import STREAM_TEXT
from local.cloud import EmbeddedCloud
from local.processes import StartError, state_dir
from ops import limits
from ops.audit import Report, audit, table
from ops.deployment import embedded, functions
from ops.redrive import redrive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from darkroom.domain.prediction import Prediction

    from ops.deployment import Deployment

TIME_SCALE = 0.2
CAP = 10**9
"""Micro-USD; more than the predictions can cost."""
CLIENTS = 8
CLOSEST_S = 0.5
"""Minimum interval between submissions of all clients; few submissions are spread over all
phases."""
BROKEN_S = 5.0
"""Time for which a function's handler is replaced by one that always raises."""
RAISES = "darkroom.domain.link.is_id"
"""A function of one argument, called as handler with two. A handler that cannot be imported would
do too much harm: if one worker cannot start, the embedded AWS stops all of the function's workers.
"""
KILL_EVERY_S = 1.5
LOOKED_AT_S = 0.5
"""Interval between two samples of the workers. A worker that slept meanwhile counts as started …"""
LEAST_TICKS = 10
"""… if it had used at least this many clock ticks before; importing a handler takes more."""
FAULTS_S = 240.0
"""Maximum duration of the faults. They wait for a slow machine that is behind with its work."""
SETTLE_S = 150.0
"""Time after the faults without a change in the unfinished work. Here the sweep's grace periods are
seconds, and the provider's last webhook comes within a minute."""
SETTLE_MOST_S = 900.0
"""Maximum settling time, however slow the machine."""
CLIENT_RETRIES_S = 60.0

ELSEWHERE = "http://127.0.0.1:9/"
HOSTILE_DEPTH = 100
"""Nested lists in the input of a foreign prediction."""

SCHNELL = "black-forest-labs/flux-schnell"
LONG = "bytedance/seedream-5-pro"
"""A model that takes 90 seconds at its own pace."""


@dataclass(frozen=True)
class Phase:
    """A period with faults of the provider, and optionally one function that cannot start."""

    name: str
    breaks: str
    faults: dict[str, Any] = field(default_factory=dict)
    seconds: float = 12.0


ALWAYS = {
    "time_scale": TIME_SCALE,
    "webhook_drop": 0.2,
    "webhook_duplicate": 0.2,
    "webhook_reorder": 0.2,
    "output_404": 0.1,
    "output_truncate": 0.1,
    "output_html": 0.05,
}
REFUSING = {"create_429": 0.2, "retry_after_s": 2, "create_500": 0.1}
SPOILING = {"output_404": 0.2, "output_truncate": 0.2, "output_html": 0.1}
LOSING = {"create_accept_then_drop": 0.3}
PHASES = (
    Phase("late webhooks", "Relay", {"webhook_delay_s": 1.5}),
    Phase("refused creates", "Webhook", REFUSING),
    Phase("creates that hang", "Persist", {"create_hang_s": 5}, 7),
    Phase("spoiled outputs", "Dispatch", SPOILING),
    Phase("outputs slow and with a tail", "Persist", {"output_slow": 0.3, "output_tail": 3}),
    Phase("lost answers", "Sweep", {**LOSING, "echo_webhook": False}),
    Phase("inputs shown as URLs", "Relay", {**LOSING, "show_input": "urls"}),
    Phase("inputs masked", "Sweep", {**LOSING, "show_input": "masked", "echo_webhook": False}),
    Phase("creates that come late", "Deliver", {"create_late_s": 4}, 7),
    Phase("a provider that lags", "Persist", {"list_lag_s": 3, "get_404_s": 3, "create_500": 0.1}),
    Phase(
        "everything",
        "Relay",
        {**REFUSING, **SPOILING, "create_accept_then_drop": 0.1, "webhook_delay_s": 1},
        16,
    ),
)


@dataclass
class Wanted:
    """One submission, and the answers that its client got."""

    model: str
    input: dict[str, Any]
    number: int
    keyed: bool
    """Sent with an Idempotency-Key, and repeated until it is answered."""
    callback: bool
    dead: bool
    """Its callback goes to an endpoint that never answers."""
    cancel_s: float | None
    """Canceled this long after the answer."""
    cancel_after: str | None
    ids: set[str] = field(default_factory=set)
    sent: int = 0
    refusal: str | None = None


def chaos(*, predictions: int, seed: int) -> int:
    """Run all phases and the audit. Returns 1 if any promise is broken. A seed repeats the
    submissions.

    Raises StartError.
    """
    if predictions < 1:
        raise StartError("--predictions is 1 or more.")
    began = time.monotonic()
    draw = random.Random(seed)
    wanted = plan(predictions, draw)
    print(f"chaos: {predictions} predictions, seed {seed}", flush=True)
    with (
        EmbeddedCloud(
            state_dir=state_dir() / "chaos", time_scale=TIME_SCALE, local_callbacks=True, say=_say
        ) as cloud,
        Receiver() as receiver,
        dead_endpoint() as dead,
        httpx.Client(base_url=cloud.replicate_url, trust_env=False, timeout=30) as emulator,
    ):
        deployment = embedded(cloud.aws_endpoint, cloud.replicate_url)
        # With a cap, every prediction is reserved and settled, and the audit compares the month.
        controls = cloud.outputs["ControlsTable"]
        limits.write(cloud.client("dynamodb"), controls, "local", {"monthly_cap": CAP})
        run = Run(cloud, deployment, emulator, receiver, dead, wanted, draw)
        run.submit_under_faults()
        run.settle()
        differences = run.report()
        differences += run.wait_long()
    _say(f"chaos took {time.monotonic() - began:.0f} s.")
    print(f"chaos: {predictions} predictions, {differences} differences", flush=True)
    return 1 if differences else 0


def plan(predictions: int, draw: random.Random) -> list[Wanted]:
    """Return the submissions of a run."""
    picture = _picture()
    return [_one(number, picture, draw) for number in range(predictions)]


def _one(number: int, picture: str, draw: random.Random) -> Wanted:
    prompt = {"prompt": f"number {number} of the fault run"}
    small = {"aspect_ratio": "custom", "width": 256, "height": 256}
    kind = draw.random()
    model = SCHNELL
    input_: dict[str, Any] = {**prompt, "megapixels": "0.25"}
    if kind < 0.12:  # equal byte for byte: only their links distinguish them
        input_ = {"prompt": "one of many equal ones", "seed": 7, "megapixels": "0.25"}
    elif kind < 0.22:
        model = "black-forest-labs/flux-dev"
        input_ = {**prompt, "image": picture, "prompt_strength": 0.5, "megapixels": "0.25"}
    elif kind < 0.32:
        model, input_ = "black-forest-labs/flux-1.1-pro", {**prompt, **small}
    elif kind < 0.40:
        model, input_ = "black-forest-labs/flux-pro", {**prompt, **small}
    elif kind < 0.48:
        model, input_ = "stability-ai/sdxl", {**prompt, "width": 256, "height": 256}
    elif kind < 0.52:
        input_["prompt"] += ": FAIL"  # the emulated model fails on it
    elif kind < 0.75:
        input_["num_outputs"] = draw.randint(2, 4)
    return Wanted(
        model=model,
        input=input_,
        number=number,
        keyed=draw.random() < 0.5,
        callback=draw.random() < 0.15,
        dead=number % 25 == 5,
        cancel_s=draw.uniform(0, 2) if draw.random() < 0.08 else None,
        cancel_after="5s" if draw.random() < 0.04 else None,
    )


def _picture() -> str:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((96, 96)).convert("RGB").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class Receiver:
    """A client's webhook endpoint on loopback. Stores what it receives by webhook-id."""

    def __init__(self) -> None:
        told: defaultdict[str, list[str]] = defaultdict(list)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                told[self.headers["webhook-id"]].append(body["status"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.told = told
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def dead_endpoint() -> Iterator[str]:
    """Yield the URL of an endpoint that accepts connections but never reads or answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/dead"


class Run:
    """One fault run over one embedded cloud."""

    def __init__(
        self,
        cloud: EmbeddedCloud,
        deployment: Deployment,
        emulator: httpx.Client,
        receiver: Receiver,
        dead: str,
        wanted: list[Wanted],
        draw: random.Random,
    ) -> None:
        self._cloud = cloud
        self._deployment = deployment
        self._receiver = receiver
        self._dead = dead
        self._foreign: set[str] = set()
        """The provider's ids of predictions in the same account that are not Darkroom's."""
        self._wanted = wanted
        self._killing = random.Random(draw.random())
        self._lambda = cloud.client("lambda")
        self._emulator = emulator
        self._over = threading.Event()
        self._stopping = threading.Event()
        self._killed: Counter[str] = Counter()
        self._broken: Counter[str] = Counter()
        self._dead_letters: Counter[str] = Counter()

    def wait_long(self) -> int:
        """Follow the redirects of the door `openai` to a picture that takes longer than any one
        request may, with real waits. Returns 1 if it does not come."""
        self._set_faults({"time_scale": 1})
        _say(f"waiting for a picture of {LONG} through the door openai, as OpenAI's clients do …")
        began = time.monotonic()
        body = {"model": LONG, "prompt": "a lighthouse", "response_format": "url"}
        with self._api() as api:
            path = "/openai/v1/images/generations"
            answer = api.post(path, json=body, follow_redirects=True)
        taken, hops = time.monotonic() - began, len(answer.history)
        _say(f"{answer.status_code} after {hops} redirects and {taken:.0f} s.")
        return int(answer.status_code != 200)

    # -- submitting --------------------------------------------------------------------------

    def submit_under_faults(self) -> None:
        """Submit, and return when every client is done, every phase is over, and most work is
        finished."""
        killer = threading.Thread(target=self._kill_now_and_then, daemon=True)
        killer.start()
        began = time.monotonic()
        spacing = max(CLOSEST_S, sum(phase.seconds for phase in PHASES) / len(self._wanted))
        with self._api() as api, ThreadPoolExecutor(CLIENTS) as pool:
            try:
                running = [
                    pool.submit(self._submit, api, one, began + one.number * spacing)
                    for one in self._wanted
                ]
                for number, phase in enumerate(itertools.cycle(PHASES)):
                    done = sum(future.done() for future in running)
                    ended = sum(record.state.terminal for record in self._records().values())
                    passed = time.monotonic() - began
                    submitted = done == len(running) and number >= len(PHASES)
                    if submitted and (ended > 0.75 * done or passed > FAULTS_S):
                        break
                    _say(f"{passed:4.0f} s  {done:4} submitted  {ended:4} ended  {phase.name}")
                    self._live_through(phase)
            except BaseException:
                self._stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                self._over.set()
                killer.join()
        for future in running:
            future.result()

    def _api(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self._cloud.token}"}
        base_url = self._cloud.base_url
        return httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=40)

    def _live_through(self, phase: Phase) -> None:
        self._plant()
        self._set_faults({**ALWAYS, **phase.faults})
        with self._without(phase.breaks):
            time.sleep(BROKEN_S)
        time.sleep(phase.seconds - BROKEN_S)

    def _set_faults(self, faults: dict[str, Any]) -> None:
        self._emulator.put("/_emulator/faults", json=faults).raise_for_status()

    def _plant(self) -> None:
        """Create a prediction that is hard to parse and appears in the provider's list."""
        self._set_faults({"time_scale": TIME_SCALE})
        deep = "[" * HOSTILE_DEPTH + "]" * HOSTILE_DEPTH
        answer = self._emulator.post(
            "/v1/predictions",
            # A lone surrogate, which its output repeats. Its webhook shows that it is foreign.
            content=f'{{"version":"{STREAM_TEXT["version"]}","webhook":"{ELSEWHERE}",'
            f'"input":{{"prompt":"half a \\ud83d","deep":{deep}}}}}',
            headers={"authorization": f"Bearer {self._cloud.replicate_token}"},
        )
        self._foreign.add(answer.raise_for_status().json()["id"])

    @contextlib.contextmanager
    def _without(self, function: str) -> Iterator[None]:
        name = self._cloud.outputs[f"Function{function}"]
        kept = self._lambda.get_function_configuration(FunctionName=name)["Handler"]
        self._lambda.update_function_configuration(FunctionName=name, Handler=RAISES)
        self._broken[function.lower()] += 1
        try:
            yield
        finally:
            self._lambda.update_function_configuration(FunctionName=name, Handler=kept)

    def _submit(self, api: httpx.Client, one: Wanted, at: float) -> None:
        if self._stopping.wait(max(0.0, at - time.monotonic())):
            return
        self._create(api, one)
        if one.keyed and one.ids and one.number % 2:
            self._create(api, one)
        if one.cancel_s is not None and one.ids and not self._stopping.wait(one.cancel_s):
            id_ = next(iter(one.ids))
            _post(api, f"/v1/predictions/{id_}/cancel")

    def _create(self, api: httpx.Client, one: Wanted) -> None:
        """Request until there is an answer. Without a key only once, since a repeat could be a
        second one."""
        body: dict[str, Any] = {"version": one.model, "input": one.input}
        if one.callback or one.dead:
            body["webhook"] = self._dead if one.dead else self._receiver.url
        # Equal requests are to be created all the same.
        headers = {"Darkroom-Cache": "bypass"}
        if one.keyed:
            headers["Idempotency-Key"] = f"fault run {one.number}"
        if one.cancel_after:
            headers["Cancel-After"] = one.cancel_after
        give_up = time.monotonic() + (CLIENT_RETRIES_S if one.keyed else 0)
        while not self._stopping.is_set():
            one.sent += 1
            answer = _post(api, "/v1/predictions", json=body, headers=headers)
            if answer is not None and answer.status_code == 201:
                one.ids.add(answer.json()["id"])
                return
            if answer is not None and answer.status_code < 500:
                one.refusal = f"{answer.status_code} {answer.text[:200]}"
                return
            if time.monotonic() > give_up:
                return
            self._stopping.wait(0.5)

    # -- killing -----------------------------------------------------------------------------

    def _kill_now_and_then(self) -> None:
        names = {name: ours.lower() for ours, name in functions(self._cloud.outputs).items()}
        used: dict[int, int] = {}
        started: set[int] = set()
        killed_at = time.monotonic()
        while not self._over.wait(LOOKED_AT_S):
            there = workers()
            started |= {
                worker.pid
                for worker in there
                if worker.ticks >= LEAST_TICKS
                and not worker.running
                and used.get(worker.pid) == worker.ticks
            }
            used = {worker.pid: worker.ticks for worker in there}
            found = [worker for worker in there if worker.pid in started]
            # A busy machine takes long to restart workers, so fewer are killed.
            if 2 * len(found) < len(there) or not found:
                continue
            if time.monotonic() - killed_at < KILL_EVERY_S:
                continue
            # Choose a function first, because most workers belong to the two or three busiest.
            function = self._killing.choice(sorted({worker.function for worker in found}))
            found = [worker for worker in found if worker.function == function]
            # Every other time choose a running worker, otherwise any, since one may be waiting for
            # I/O.
            busy = [worker for worker in found if worker.running]
            chosen = self._killing.choice(busy if busy and self._killing.random() < 0.5 else found)
            killed_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(chosen.pid, signal.SIGKILL)
                self._killed[names.get(chosen.function, "unknown")] += 1

    # -- settling ----------------------------------------------------------------------------

    def settle(self) -> None:
        """End the faults. Returns when nothing is unfinished, or when the time is up."""
        self._emulator.delete("/_emulator/faults").raise_for_status()
        self._set_faults({"time_scale": TIME_SCALE})
        with self._api() as api:
            for one in self._wanted:
                if one.keyed and not one.ids and not one.refusal:
                    self._create(api, one)
        began = moved = time.monotonic()
        left: Counter[str] = Counter()
        while True:
            report = self._audit(whole=False)
            kinds = Counter(difference.kind for difference in report.differences)
            now = time.monotonic()
            if kinds != left:
                left, moved = kinds, now
            _say(f"{now - began:4.0f} s without faults, left: {_listed(kinds) or 'nothing'}")
            if not kinds or now - moved > SETTLE_S or now - began > SETTLE_MOST_S:
                return
            if kinds["dead letters"]:
                for back in redrive(self._deployment):
                    self._dead_letters[back.queue] += back.moved
            time.sleep(3)

    def _audit(self, *, whole: bool) -> Report:
        """Audit, ignoring what is expected here: foreign predictions, and callbacks to the dead
        endpoint, which are retried for days."""
        report = audit(self._deployment, settled=True, whole=whole)
        owed = self._owed_to_nobody()
        report.differences = [
            difference
            for difference in report.differences
            if not (difference.kind == "upstream" and difference.id in self._foreign)
            and not (difference.kind == "delivery" and difference.id in owed)
        ]
        return report

    def _owed_to_nobody(self) -> set[str]:
        """Return the records whose callback to the dead endpoint is still pending. Repeated
        failures delay an endpoint, so some were never attempted."""
        table = self._cloud.outputs["DeliveriesTable"]
        pages = self._cloud.client("dynamodb").get_paginator("scan")
        rows = [
            from_item(item)
            for page in pages.paginate(TableName=table, ConsistentRead=True)
            for item in page["Items"]
        ]
        pending = {
            row["prediction"] for row in rows if row["state"] == "pending" and row.get("due_at")
        }
        dead = {id_ for id_, record in self._records().items() if record.webhook == self._dead}
        return pending & dead

    # -- reporting ---------------------------------------------------------------------------

    def report(self) -> int:
        """Print the injected faults and the results. Returns the number of differences."""
        records = self._records()
        found = self._audit(whole=True)
        self._check_clients(records, found)
        self._check_callbacks(records, found)
        for record in records.values():
            # No create is slower here than Darkroom's wait before it repeats one.
            if record.extra_provider_ids:
                text = f"{record.provider_id} and {list(record.extra_provider_ids)} upstream"
                found.add("double create", record.id, text)
        _section("injected", self._injected())
        _section("came out", self._came_out(records))
        print("audit, every stored byte read again", flush=True)
        for line in table(found):
            print(line, flush=True)
        for id_ in {difference.id for difference in found.differences} & records.keys():
            record = replace(records[id_], input={}, logs="")
            print(f"\n{record}", flush=True)
        return len(found.differences)

    def _records(self) -> dict[str, Prediction]:
        pages = self._cloud.client("dynamodb").get_paginator("scan")
        name = self._cloud.outputs["PredictionsTable"]
        found = [
            read_prediction(item)
            for page in pages.paginate(TableName=name, ConsistentRead=True)
            for item in page["Items"]
            if is_record(item)
        ]
        return {record.id: record for record in found}

    def _check_clients(self, records: dict[str, Prediction], found: Report) -> None:
        """Check that no answered request is missing, and that no key created two predictions."""
        for one in self._wanted:
            who = f"request {one.number}"
            if one.refusal or (one.keyed and not one.ids):
                found.add("client", who, one.refusal or "was never answered")
            if len(one.ids) > 1:
                found.add("client", who, f"one Idempotency-Key made {sorted(one.ids)}")
            for id_ in one.ids - records.keys():
                found.add("client", who, f"{id_} was accepted, and there is no record of it")
        told = {id_ for one in self._wanted for id_ in one.ids}
        unanswered = sum(not one.ids for one in self._wanted)
        if len(records.keys() - told) > unanswered:
            text = f"{len(records.keys() - told)} records for {unanswered} unanswered requests"
            found.add("client", "all requests", text)

    def _check_callbacks(self, records: dict[str, Prediction], found: Report) -> None:
        owed = self._owed_to_nobody()
        for record in records.values():
            if record.webhook == self._dead and record.id not in owed:
                found.add("callback", record.id, "its endpoint took nothing, and nothing is owed")
            if record.webhook in {None, "", self._dead}:
                continue
            told = self._receiver.told[f"{record.id}_completed"]
            if not told:
                found.add("callback", record.id, "its client was never told of the end")
            elif set(told) != {STATUS[record.state]}:
                found.add("callback", record.id, f"its client was told {told}")

    def _injected(self) -> Iterator[tuple[str, object]]:
        attempts = self._emulator.get("/_emulator/webhooks").json()
        calls = self._emulator.get("/_emulator/requests").json()
        yield "webhooks sent or dropped", len(attempts)
        yield "  dropped", sum(one["error"] == "dropped" for one in attempts)
        sent = Counter((one["webhook_id"], one["attempt"]) for one in attempts)
        yield "  doubled", sum(number > 1 for number in sent.values())
        ended: dict[str, float] = {}
        for one in attempts:
            if one["event"] == "completed":
                ended.setdefault(one["prediction"], one["time"])
        late = [a for a in attempts if a["event"] != "completed" and a["prediction"] in ended]
        yield "  after the terminal one", sum(a["time"] > ended[a["prediction"]] for a in late)
        answers = [str(one["response"]) for one in attempts if (one["response"] or 0) >= 300]
        yield "  refused by us", _listed(Counter(answers))
        creates = [c for c in calls if c["method"] == "POST" and c["path"].endswith("predictions")]
        statuses = Counter(str(call["status"] or "no answer") for call in creates)
        yield "creates by answer", _listed(statuses)
        outputs = Counter(str(c["status"]) for c in calls if c["path"].startswith("/outputs/"))
        yield "output requests by answer", _listed(outputs)
        yield "predictions of somebody else", len(self._foreign)
        yield "workers killed", f"{self._killed.total()}: {_listed(self._killed)}"
        yield f"functions broken for {BROKEN_S:.0f} s", _listed(self._broken)

    def _came_out(self, records: dict[str, Prediction]) -> Iterator[tuple[str, object]]:
        yield "requests", len(self._wanted)
        yield "  answered with an id", sum(bool(one.ids) for one in self._wanted)
        yield "  sent again with their key", sum(max(0, one.sent - 1) for one in self._wanted)
        yield "predictions", len(records)
        ends = Counter(f"{r.state.value} {r.code or ''}".strip() for r in records.values())
        for end, number in sorted(ends.items()):
            yield f"  {end}", number
        yield "creates after the first", sum(r.create.attempt - 1 for r in records.values())
        yield "copies tried again", sum(r.store_attempts for r in records.values())
        yield "double creates, cancelled", sum(len(r.extra_provider_ids) for r in records.values())
        yield "callbacks that nobody takes", len(self._owed_to_nobody())
        yield "dead letters moved back", _listed(+self._dead_letters) or 0
        ended = [r for r in records.values() if r.state.terminal]
        seconds = sorted((r.updated_at - r.created_at) / 1000 for r in ended)
        if len(seconds) > 1:
            cuts = statistics.quantiles(seconds, n=20, method="inclusive")
            yield "seconds to the end", f"p50 {cuts[9]:.1f}, p95 {cuts[18]:.1f}"


def _post(api: httpx.Client, path: str, **what: Any) -> httpx.Response | None:
    """POST; None without an answer."""
    try:
        return api.post(path, **what)
    except httpx.TransportError:
        return None


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


def _section(title: str, rows: Iterator[tuple[str, object]]) -> None:
    print(title, flush=True)
    for name, value in rows:
        print(f"  {name:<32}{value!s:>10}", flush=True)


@dataclass(frozen=True)
class Worker:
    """A process of the embedded AWS that runs one function."""

    pid: int
    function: str
    running: bool
    ticks: int
    """Processor time used, in the kernel's clock ticks."""


def workers() -> list[Worker]:
    """Return the workers of the embedded AWS that this process started; empty without /proc."""
    table: dict[int, list[str]] = {}
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            pid = int(path.parent.name)
            table[pid] = path.read_text().rpartition(")")[2].split()
            children[int(table[pid][1])].append(pid)
    # The process tree: the tether, then the embedded AWS, then its workers.
    return [
        Worker(
            pid,
            _function(pid),
            running=table[pid][0] == "R",
            ticks=int(table[pid][11]) + int(table[pid][12]),
        )
        for tether in children[os.getpid()]
        for server in children[tether]
        for pid in children[server]
        if table[pid][0] != "Z"  # killed, but not yet reaped
    ]


def _function(pid: int) -> str:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == b"AWS_LAMBDA_FUNCTION_NAME":
                return value.decode()
    return ""


def _say(text: str) -> None:
    print(text, flush=True)
