"""Rows about Replicate: how it shows our predictions, and how it interprets unclear input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from darkroom.catalog import Catalogue
from darkroom.domain import evidence, link
from darkroom.replicate.hooks import HOOK_PATH
from darkroom.replicate.snapshot import read_snapshot

from ops.deployment import SetupError
from ops.live import calls
from ops.live.logs import WEBHOOK_REFUSED
from ops.live.run import RUNNING
from ops.live.verdict import Verdict, fail, ok

if TYPE_CHECKING:
    from ops.live.run import Run

CALLED_WITHIN_S = 20.0
"""Time in which an ended prediction's webhook and its log line have arrived."""
UNKNOWN_INPUT = "no_such_input"
_VERSION = re.compile(r"[0-9a-f]{64}")


def _there(run: Run) -> dict[str, Any]:
    shown = calls.main(run)
    there = run.at_replicate(str(shown["darkroom"]["provider_id"]))
    if there is None:
        raise SetupError("Replicate does not know the prediction that it made")
    return there


# The webhook's echo


@dataclass(frozen=True, slots=True)
class Echo:
    """Whether Replicate shows the webhook of a prediction."""

    by_get: bool
    in_list: bool
    dedicated: bool
    """The stage declares that only it uses the account."""


def see_echo(run: Run) -> Echo:
    """Read the first prediction, alone and in the list."""
    there = _there(run)
    api, token = run.replicate()
    listed = {one.get("id"): one for one in api.newest(token)}
    return Echo(
        by_get=calls.main_id(run) in str(there.get("webhook")),
        in_list=calls.main_id(run) in str(listed.get(there["id"], {}).get("webhook")),
        dedicated=run.told.get("DEDICATED_ACCOUNT") == "true",
    )


def judge_echo(seen: Echo) -> Verdict:
    """Pass if unknown creates can be identified, by the webhook or by a dedicated account."""
    where = [name for name, there in (("GET", seen.by_get), ("list", seen.in_list)) if there]
    text = f"shown by {' and '.join(where)}" if where else "not shown"
    if seen.in_list:
        return ok(text)
    if seen.dedicated:
        return ok(f"{text}; unknown creates are told by version, input and time")
    remedy = "give Darkroom an account of its own and set dedicated_account in the stage"
    return fail(f"{text}: an unknown create whose webhook is lost too is not found again", remedy)


# Input and version


@dataclass(frozen=True, slots=True)
class Shown:
    """How Replicate shows the request that it got."""

    input: str
    """`exact`, or a description of the difference."""
    version: str
    model: str
    file: str
    """How a data URI is shown."""
    ruled_out: str | None
    """Why the sweep would not match it to its record; None if it would."""


def see_shown(run: Run) -> Shown:
    """Compare the first prediction with its record, like the sweep does without a webhook."""
    there, ours = _there(run), run.record(calls.main_id(run))
    bare = {name: value for name, value in there.items() if name != "webhook"}
    reason = evidence.ruled_out(
        read_snapshot(bare),
        ours,
        public_host=urlsplit(run.told["PUBLIC_URL"]).netloc,
        choices=Catalogue.load().choices(run.model),
    )
    return Shown(
        input=difference(calls.main_input(run), there.get("input")),
        version=_kind_of(there.get("version")),
        model="the same" if there.get("model") == run.model else "another",
        file=_file(run),
        ruled_out=reason.value if reason else None,
    )


def _file(run: Run) -> str:
    shown = run.ended(calls.deadline_id(run))["darkroom"]["provider_id"]
    there = (run.at_replicate(shown) if shown else None) or {}
    given = there.get("input")
    text = given.get("image") if isinstance(given, dict) else None
    if not isinstance(text, str):
        return "nothing"
    return text.partition(":")[0][:10] if ":" in text else "another text"


def difference(sent: dict[str, Any], shown: object) -> str:
    """Describe the difference without any value."""
    if not isinstance(shown, dict):
        return "not shown"
    said = [
        f"{kind}: {', '.join(names)}"
        for kind, names in (
            ("left out", sorted(sent.keys() - shown.keys())),
            ("added", sorted(map(str, shown.keys() - sent.keys()))),
            ("changed", sorted(n for n in sent.keys() & shown.keys() if sent[n] != shown[n])),
        )
        if names
    ]
    return "; ".join(said) or "exact"


def _kind_of(version: object) -> str:
    if not isinstance(version, str):
        return "not shown"
    return "64 hex digits" if _VERSION.fullmatch(version) else version[:20]


def judge_shown(seen: Shown) -> Verdict:
    """Pass if the sweep would still match it."""
    text = f"input {seen.input}; version {seen.version}; model {seen.model}; "
    text += f"a data URI is shown as {seen.file}"
    if seen.ruled_out is None:
        return ok(text)
    remedy = "an unknown create would be made twice: report it (docs/adr/0007)"
    return fail(f"{text}; the sweep would say: {seen.ruled_out}", remedy)


# An empty filter, an unknown input, blanks


@dataclass(frozen=True, slots=True)
class Asked:
    """A create sent to Replicate directly: an empty filter, an unknown input name, and blanks."""

    status: int
    """HTTP status of the create."""
    ended: str = ""
    called: int = 0
    """Number of webhooks that arrived."""
    shown: str = ""
    """Its input, described by `difference`."""


def probe(run: Run) -> tuple[str, int, dict[str, Any]]:
    """Create it. Returns the id in its webhook URL, the status, and the answer.

    The id belongs to no record, so the webhook function refuses the webhook and logs its arrival.
    """

    def create() -> tuple[str, int, dict[str, Any]]:
        id_ = link.new_id()
        api, token = run.replicate()
        body = {
            "input": _probe_input(),
            "webhook": f"{run.told['PUBLIC_URL']}{HOOK_PATH}{id_}",
            "webhook_events_filter": [],
        }
        status, answer = api.create(token, run.model, body)
        if status == 201:
            run.endings.append(lambda: api.cancel(token, str(answer["id"])))
            run.spent += run.picture_usd
        return id_, status, answer

    return run.once("probe", create)


def _probe_input() -> dict[str, Any]:
    return {"prompt": f" {calls.PROMPT} ", UNKNOWN_INPUT: "x"}


def see_filter(run: Run) -> Asked:
    """Wait until it has ended, and a little longer for a webhook."""
    id_, status, answer = probe(run)
    if status != 201:
        return Asked(status)

    def over() -> dict[str, Any] | None:
        there = run.at_replicate(str(answer["id"])) or {}
        return None if there.get("status") in RUNNING else there

    there = run.until(over, "the end of a prediction at Replicate")

    def webhooks() -> list[dict[str, Any]]:
        lines = run.logs.about("Webhook", id_)
        return [line for line in lines if line.get("message") == WEBHOOK_REFUSED]

    called = run.seen(webhooks, CALLED_WITHIN_S / (10 if run.deployment.emulator else 1))
    ended, shown = str(there.get("status")), difference(_probe_input(), there.get("input"))
    return Asked(status, ended, len(called), shown)


def judge_filter(seen: Asked) -> Verdict:
    """Report what an empty filter means at Replicate. Darkroom treats it as none either way."""
    if seen.status == 422:
        return ok("refused: 422. Darkroom takes an empty filter for none")
    if seen.status != 201 or seen.ended != "succeeded":
        text = f"cannot be told: the create answered {seen.status}, it ended as {seen.ended or '-'}"
        return fail(text, "try again, or ask for it by hand")
    means = "as if absent" if seen.called else "no webhook is sent"
    return ok(f"{means} ({seen.called} webhooks); input {seen.shown}")
