"""`ops live`: verifies a deployment in its own account, with real predictions within a budget."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.catalog import Catalogue
from darkroom.domain.money import MICRO
from darkroom.domain.price import picture_usd

from ops.checks import LOOK_ERRORS, why
from ops.deployment import ROOT, SetupError
from ops.live import behind, calls, platform, upstream
from ops.live.budget import BudgetError, cheapest, check, plan
from ops.live.logs import Logs
from ops.live.receiver import Receiver, receiving
from ops.live.report import Outcome, Result, line
from ops.live.rows import ROWS
from ops.live.run import Api, RefusedError, Run, TooLongError, temporary_key
from ops.live.verdict import Facts, Verdict, fail
from ops.replicate import http

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ops.deployment import Deployment
    from ops.live.budget import Paid
    from ops.live.rows import Row

PATIENCE_S = 300


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command `live`."""
    parser = commands.add_parser(
        "live",
        parents=parents,
        help="prove a deployment with real predictions, within a budget; writes a report",
    )
    parser.add_argument(
        "--budget-usd",
        type=_dollars,
        metavar="N",
        help="refuse to begin where it could cost more; not asked for where Replicate is emulated",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="PATH",
        help="the page, and with the ending .json the same for programs (default: docs/live.md; "
        "of the embedded cloud .darkroom/live.md)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long to wait for one thing (default: %(default)s)",
    )
    parser.add_argument(
        "--receiver", metavar="URL", help="takes callbacks: any address that answers 2xx to a POST"
    )
    parser.add_argument(
        "--receiver-port",
        type=int,
        metavar="PORT",
        help="listen here for what arrives at --receiver, by a tunnel say: signatures are checked",
    )
    parser.add_argument(
        "--state-machine", metavar="ARN", help="one made of examples/pictures: its tasks are tried"
    )
    parser.add_argument(
        "--event-source",
        metavar="SOURCE",
        help="of event_sources, the one to put an event of (default: the first)",
    )
    parser.add_argument(
        "--leave-functions",
        action="store_true",
        help="do not switch Lambda's own lines on for the run, which starts every function anew: "
        "what is read from them is n/a",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[row.name for row in ROWS],
        metavar="ROW",
        help="look at this row alone, or at these; no report is written unless one is named",
    )
    parser.add_argument("--json", action="store_true", help="print the report's JSON")
    parser.set_defaults(run=command, could_not_run=2)


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Return 0 if every row is OK or n/a, 1 if one FAILs. Raises BudgetError and SetupError."""
    stage = "local" if given.local else given.stage
    report = given.report or (None if given.only else _default_report(local=given.local))
    if report and report.suffix == ".json":
        raise SetupError("--report is the page, such as live.md: the JSON is written beside it.")
    with _terminated_as_interrupted(), contextlib.ExitStack() as lasting:
        outcome = _prove(deployment, stage, given, lasting)
    if report:
        _say(f"written: {report}, {outcome.write(report)}")
    if given.json:
        print(json.dumps(outcome.as_json(), indent=1))
    return 0 if outcome.passed else 1


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt, so that a stopped job cleans up as after Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _dollars(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(text)
    return value


def _default_report(*, local: bool) -> Path:
    state = Path(os.environ.get("DARKROOM_STATE_DIR") or ROOT / ".darkroom")
    return (state if local else ROOT / "docs") / "live.md"


def _prove(
    deployment: Deployment,
    stage: str,
    given: argparse.Namespace,
    lasting: contextlib.ExitStack,
) -> Outcome:
    """Set everything up, check all rows, and clean up in reverse order."""
    told = deployment.environment("Submit")
    sources = _event_sources(deployment, given.event_source)
    receiver = _receiver(deployment, told, given, lasting)
    speaks = platform.speaks(deployment)
    facts = Facts(
        embedded=deployment.endpoint is not None,
        cdn=bool(told.get("CDN_DOMAIN")),
        alarms="AlarmTopic" in deployment.outputs,
        cache=told.get("RESULT_CACHE") == "true",
        event_source=bool(sources),
        receiver=receiver is not None,
        state_machine=given.state_machine is not None,
        platform_lines=speaks or not given.leave_functions,
        wait="FunctionWait" in deployment.outputs,
        mcp="FunctionMcp" in deployment.outputs,
        openai="FunctionImages" in deployment.outputs,
        thumbnails="FunctionThumbnail" in deployment.outputs,
        console="FunctionConsole" in deployment.outputs,
    )
    catalogue = Catalogue.load()
    model = catalogue.model(cheapest(catalogue))
    most = _check_budget(deployment, plan(facts, model.model), catalogue, given.budget_usd)
    began = time.time()
    client = lasting.enter_context(http(deployment))
    if facts.platform_lines and not speaks:
        lasting.enter_context(platform.platform_lines(deployment, _say))
    token, tenant = lasting.enter_context(temporary_key(deployment, _say))
    run = Run(
        deployment=deployment,
        stage=stage,
        http=client,
        facts=facts,
        told=told,
        api=Api(client, told["PUBLIC_URL"], token),
        tenant=tenant,
        logs=Logs(deployment, began),
        model=model.model,
        picture_usd=picture_usd(model.price) or 0.0,
        receiver=receiver,
        state_machine=given.state_machine,
        event_source=sources[0] if sources else None,
        patience_s=given.patience,
        say=_say,
        began=began,
    )
    lasting.callback(run.stop)
    results = _look_at_all(run, given)
    return Outcome(
        stage=stage,
        region=str(deployment.session.region_name),
        version=_version(),
        began=began,
        seconds=time.time() - began,
        budget_usd=given.budget_usd,
        most=most,
        spent=_spent(run),
        results=results,
    )


def _look_at_all(run: Run, given: argparse.Namespace) -> tuple[Result, ...]:
    if not given.only:
        begin(run)
    rows = (row for row in ROWS if not given.only or row.name in given.only)
    return tuple(_look(run, row, as_json=given.json) for row in rows)


def _check_budget(
    deployment: Deployment, paid: list[Paid], catalogue: Catalogue, budget_usd: float | None
) -> int:
    """Return the maximum cost of the run. Raises BudgetError."""
    if budget_usd is None:
        if deployment.emulator is None:
            raise BudgetError("Real predictions cost money: say how much with --budget-usd.")
        return check(paid, catalogue, float("inf"))
    most = check(paid, catalogue, budget_usd)
    _say(f"at most ${most / MICRO:.3f} at Replicate")
    return most


def _event_sources(deployment: Deployment, wanted: str | None) -> list[tuple[str, str]]:
    """Return the stage's event sources. Raises SetupError if `wanted` is not one of them."""
    events, bus = deployment.client("events"), deployment.outputs["EventBus"]
    rules = []
    for rule in events.list_rules(EventBusName=bus)["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]
        for target in targets:
            template = target.get("InputTransformer", {}).get("InputTemplate", "")
            rules.append((json.loads(rule.get("EventPattern") or "{}"), template))
    found = behind.event_sources(rules)
    if wanted is None:
        return found
    chosen = [one for one in found if one[0] == wanted]
    if not chosen:
        raise SetupError(f"The stage takes no events of the source {wanted!r}.")
    return chosen


def _receiver(
    deployment: Deployment,
    told: dict[str, str],
    given: argparse.Namespace,
    lasting: contextlib.ExitStack,
) -> Receiver | None:
    port = given.receiver_port
    if given.receiver is None:
        if port is not None and not deployment.endpoint:
            raise SetupError("--receiver-port listens for what comes from --receiver URL: name it.")
        if not (deployment.endpoint and told.get("LOCAL_CALLBACKS") == "true"):
            return None
        port = port or 0
    return lasting.enter_context(receiving(given.receiver, port))


def begin(run: Run) -> None:
    """Create all slow predictions first, so that they run concurrently."""
    starts = [calls.main_id, calls.deadline_id, behind.queue_request, upstream.probe]
    if run.facts.event_source:
        starts.append(behind.event_request)
    for start in starts:
        # Each row that needs it reports the reason of a failure.
        with contextlib.suppress(Exception):
            start(run)


def _look(run: Run, row: Row[Any], *, as_json: bool) -> Result:
    """Return a row's verdict. Any error becomes this row's FAIL, and the other rows continue."""
    verdict = row.missing(run.facts)
    if verdict is None:
        _say(f"looking at: {row.name}")
        verdict = look(run, row)
    if not as_json:
        print(line(row.name, verdict), flush=True)
    return Result(row.name, row.settles, verdict)


def look(run: Run, row: Row[Any]) -> Verdict:
    """Observe, and judge the observation."""
    try:
        return row.judge(row.look(run))
    except (TooLongError, RefusedError, *LOOK_ERRORS) as error:
        return fail(why(error))
    except Exception as error:  # noqa: BLE001 - its text may hold anything
        return fail(f"cannot be looked at: {type(error).__name__}", "report this")


def _spent(run: Run) -> int:
    """Return the cost of ended predictions in millionths of a dollar, as Darkroom calculates it."""
    total = run.spent
    with contextlib.suppress(httpx.HTTPError, RefusedError, ValueError):
        total += sum(one["darkroom"]["cost"] or 0 for one in run.api.mine())
    return round(total * MICRO)


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
