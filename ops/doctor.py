"""`ops doctor`: checks a deployment without changing it, and names a remedy for each problem."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.aws.cdn import CdnSigner
from darkroom.aws.s3 import S3Signer
from darkroom.aws.secrets import SecretsManagerStore
from darkroom.domain.errors import UnavailableError
from darkroom.domain.thumbnails import SHOWN, key_of
from darkroom.replicate.hooks import HOOK_PATH
from darkroom.runtime.adapters import now

from ops import capacity, cdn_key
from ops.audit import waiting
from ops.checks import FAIL, LOOK_ERRORS, OK, WARN, line, why
from ops.deployment import OPTIONAL_STACKS, STACKS, SetupError, fields, functions, predictions
from ops.keys import list_keys
from ops.queues import INTAKE_DLQ, failure_queues
from ops.replicate import Replicate, http

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ops.deployment import Deployment

SWEEP_WARN_MS = 3 * 60_000
SWEEP_FAIL_MS = 10 * 60_000
"""Maximum delay of due work before it is a problem; the sweep runs every minute."""
OLDEST_CDN_KEY_DAYS = 365
LOOKED_AT = 5
"""Number of each tenant's newest predictions that are compared with Replicate."""
TENANTS = 20
NO_ID = "0" * 26
"""An id that no prediction has."""
_SEE_OPENAI = "see the logs of the functions images and imagewait"
_SEE_CONSOLE = "see the log of the function console"
_SEE_WAIT = "see the log of the function wait; at its `wait_concurrency` a 503 is right"
_SEE_THUMBNAILS = "see the log of the function thumbnail, and the stack's events"
_SEE_MCP = "see the log of the function mcp; at its `mcp_concurrency` a 503 is right"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    state: str
    name: str
    text: str
    remedy: str = ""


def examine(
    deployment: Deployment,
    stage: str,
    client: httpx.Client,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Run all checks. A check that cannot run is a FAIL, and the others continue."""
    return _Doctor(deployment, stage, client, say).run()


class _Doctor:
    def __init__(
        self,
        deployment: Deployment,
        stage: str,
        client: httpx.Client,
        say: Callable[[str], None],
    ) -> None:
        self._deployment = deployment
        self._outputs = deployment.outputs
        self._stage = stage
        self._http = client
        self._say = say
        self._told: dict[str, str] = {}
        self._token: str | None = None
        self._checks: list[Check] = []

    def run(self) -> list[Check]:
        doors: list[tuple[str, Callable[[], None]]] = [
            (door, partial(self._door, door, function, remedy, look))
            for door, function, remedy, look in (
                ("wait", "Wait", _SEE_WAIT, self._wait),
                ("mcp", "Mcp", _SEE_MCP, self._mcp),
                ("openai", "Images", _SEE_OPENAI, self._openai),
                ("thumbnails", "Thumbnail", _SEE_THUMBNAILS, self._thumbnails),
                ("console", "Console", _SEE_CONSOLE, self._console),
            )
        ]
        for name, look in (
            ("stacks", self._stacks),
            ("functions", self._functions),
            ("concurrency", self._concurrency),
            ("API", self._api),
            *doors,
            ("secrets", self._secrets),
            ("API keys", self._keys),
            ("Replicate", self._account),
            ("webhook secret", self._webhook_secret),
            ("webhook echo", self._echo),
            ("dead letters", self._dead_letters),
            ("sweep", self._sweep),
            ("alarms", self._alarms),
            ("CDN key", self._cdn_key),
        ):
            self._say(f"looking at: {name}")
            try:
                look()
            except KeyError as error:
                text = f"the stacks do not tell {error}"
                self._add(FAIL, name, text, "deploy this version: `make deploy`")
            except LOOK_ERRORS as error:
                self._add(FAIL, name, why(error))
        return self._checks

    def _add(self, state: str, name: str, text: str, remedy: str = "") -> None:
        self._checks.append(Check(state, name, text, remedy))

    # AWS

    def _stacks(self) -> None:
        wanted = {f"Darkroom-{self._stage}-{stack}" for stack in STACKS}
        found = {}
        pages = self._deployment.client("cloudformation").get_paginator("describe_stacks")
        for page in pages.paginate():
            for stack in page["Stacks"]:
                if stack["StackName"] in wanted:
                    found[stack["StackName"]] = stack["StackStatus"]
        for name, status in found.items():
            if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
                state = WARN if status.endswith(("IN_PROGRESS", "ROLLBACK_COMPLETE")) else FAIL
                self._add(state, "stacks", f"{name} is {status}", "see its events, then deploy")
        optional = {f"Darkroom-{self._stage}-{stack}" for stack in OPTIONAL_STACKS}
        missing = wanted - set(found) - optional
        if missing:
            self._add(FAIL, "stacks", f"missing: {', '.join(sorted(missing))}", "`make deploy`")
        elif not self._checks:
            self._add(OK, "stacks", f"{len(found)} are there")

    def _functions(self) -> None:
        self._told = self._deployment.environment("Submit")
        client = self._deployment.client("lambda")
        names = functions(self._outputs)
        wrong = {}
        for key, name in names.items():
            found = client.get_function_configuration(FunctionName=name)
            states = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
            if states != ("Active", "Successful"):
                wrong[key] = " and ".join(states)
        for key, text in wrong.items():
            self._add(FAIL, "functions", f"{key} is {text}", "deploy again")
        if not wrong:
            self._add(OK, "functions", f"{len(names)} are ready")

    def _concurrency(self) -> None:
        found = capacity.look(self._deployment)
        if found:
            state = OK if not found.remedy else WARN if found.enough else FAIL
            self._add(state, "concurrency", found.text, found.remedy)

    def _api(self) -> None:
        url = self._told["PUBLIC_URL"]
        wanted = {"API": ("GET", "/v1/predictions"), "webhooks": ("POST", f"{HOOK_PATH}0")}
        for name, (method, path) in wanted.items():
            remedy = "see the domain's DNS, and the functions' logs"
            try:
                status = self._http.request(method, url + path).status_code
            except httpx.HTTPError as error:
                text = f"{url} cannot be reached: {type(error).__name__}"
                self._add(FAIL, name, text, remedy)
                continue
            if status == 401:
                self._add(OK, name, f"{url} rejects unauthenticated requests")
            else:
                self._add(FAIL, name, f"{path} answered {status} and not 401", remedy)

    def _door(
        self, door: str, function: str, remedy: str, look: Callable[[], tuple[str, str]]
    ) -> None:
        """Check a door, if the stage has its function. `look` returns what it serves, and what is
        wrong: empty if nothing is."""
        if f"Function{function}" not in self._outputs:
            return
        try:
            served, wrong = look()
        except httpx.HTTPError as error:
            served, wrong = "", f"cannot be reached: {type(error).__name__}"
        if wrong:
            self._add(FAIL, door, wrong, remedy)
        else:
            self._add(OK, door, served)

    def _wait(self) -> tuple[str, str]:
        """Check that both routes reach the function, and that it rejects requests without proof."""
        here = f"{self._told['PUBLIC_URL']}/v1/predictions/{NO_ID}"
        wanted = {"wait": 401, "watch": 404}
        answers = {name: self._http.get(f"{here}/{name}") for name in wanted}
        wrong = [
            f"…/{name} answered {answer.status_code} and not {wanted[name]}"
            for name, answer in answers.items()
            if answer.status_code != wanted[name]
        ]
        # The default route also answers 404, but without CORS headers.
        if not wrong and "access-control-allow-origin" not in answers["watch"].headers:
            wrong = ["…/watch is not served by the function wait"]
        return "serves …/wait and …/watch", "; ".join(wrong)

    def _mcp(self) -> tuple[str, str]:
        """Check that the route reaches the function, and that it rejects requests without a key in
        the way that its clients expect."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        answer = self._http.post(f"{self._told['PUBLIC_URL']}/mcp", json=message)
        wrong = ""
        if answer.status_code != 401:
            wrong = f"/mcp answered {answer.status_code} and not 401"
        elif answer.headers.get("www-authenticate") != "Bearer":
            wrong = "/mcp is not served by the function mcp"
        return "serves /mcp", wrong

    def _openai(self) -> tuple[str, str]:
        """Check that the routes reach the functions, which answer in OpenAI's form."""
        here = f"{self._told['PUBLIC_URL']}/openai/v1"
        paths = ("models", f"images/generations/{NO_ID}/wait")
        answers = {path: self._http.get(f"{here}/{path}") for path in paths}
        wrong = [
            f"{path} answered {answer.status_code}"
            + (" and not 401" if answer.status_code != 401 else " in another form than OpenAI's")
            for path, answer in answers.items()
            if answer.status_code != 401 or "x-should-retry" not in answer.headers
        ]
        return "serves models and images", "; ".join(wrong)

    def _thumbnails(self) -> tuple[str, str]:
        """Check that a URL that no prediction has reaches the function, which answers with a
        problem of its own."""
        domain = self._told.get("CDN_DOMAIN")
        # The default route also answers 404, and the bucket alone 403.
        wanted = 404 if domain else 400
        answer = self._http.get(self._no_thumbnail(domain))
        kind = answer.headers.get("content-type", "")
        where = "behind the CDN" if domain else "behind the API"
        wrong = ""
        if (answer.status_code, kind) != (wanted, "application/problem+json"):
            wrong = f"a URL of none answered {answer.status_code} and not {wanted} {where}"
        return f"served {where}", wrong

    def _no_thumbnail(self, domain: str | None) -> str:
        if not domain:
            here = f"{self._told['PUBLIC_URL']}/v1/predictions/{NO_ID}"
            return f"{here}/files/0/thumbnail/{SHOWN}?by=doctor"
        name = self._told["CDN_KEY_SECRET"]
        secrets = SecretsManagerStore(self._deployment.client("secretsmanager"), cdn_name=name)
        signer = CdnSigner(domain, secrets.cdn_key, S3Signer(None, "", ""), now)
        return signer.output_url(key_of(f"doctor/2026/01/{NO_ID}/0.png", SHOWN))

    def _console(self) -> tuple[str, str]:
        """Check that its page is served, under its policy."""
        answer = self._http.get(f"{self._told['PUBLIC_URL']}/console")
        wrong = ""
        if answer.status_code != 200:
            wrong = f"/console answered {answer.status_code} and not 200"
        elif "content-security-policy" not in answer.headers:
            wrong = "/console is not served by the function console"
        return "serves /console", wrong

    def _secrets(self) -> None:
        """Read the secrets with the functions' own adapter."""
        secrets = SecretsManagerStore(
            self._deployment.client("secretsmanager"),
            token_name=self._outputs["ReplicateTokenSecret"],
            webhook_name=self._outputs["ReplicateWebhookSecret"],
            link_name=self._outputs["LinkKeySecret"],
            callback_name=self._outputs["CallbackKeySecret"],
        )
        reads = (
            secrets.replicate_token,
            secrets.webhook_keys,
            secrets.link_keys,
            secrets.callback_keys,
        )
        unset = []
        for read in reads:
            try:
                read()
            except UnavailableError as error:
                unset.append(str(error))
        for text in unset:
            self._add(FAIL, "secrets", text, "`ops setup`")
        if not unset:
            self._add(OK, "secrets", "all are set")

    def _keys(self) -> None:
        tenants = {row["tenant"] for row in self._key_rows()}
        if tenants:
            self._add(OK, "API keys", f"of {len(tenants)} tenants")
        else:
            self._add(WARN, "API keys", "there is none", "`ops keys create --tenant NAME`")

    def _key_rows(self) -> list[dict[str, Any]]:
        dynamodb = self._deployment.client("dynamodb")
        return list(list_keys(dynamodb, self._outputs["ControlsTable"]))

    def _dead_letters(self) -> None:
        sqs = self._deployment.client("sqs")
        found = {name: waiting(sqs, self._outputs[name]) for name in failure_queues(self._outputs)}
        full = {name: number for name, number in found.items() if number}
        for name, number in full.items():
            remedy = "see the function's log, then `ops redrive`"
            if name == INTAKE_DLQ:
                remedy = (
                    "each message's attribute `reason` says why; `ops redrive intake`, or purge"
                )
            self._add(FAIL, "dead letters", f"{number} messages in {name}", remedy)
        if not full:
            self._add(OK, "dead letters", "none")

    def _sweep(self) -> None:
        now = time.time_ns() // 1_000_000
        due = predictions(self._deployment).due(now, 1)
        late = now - due[0].due_at if due else 0
        remedy = "see the schedule and the log of the sweep function; `ops sweep` runs it now"
        if late < SWEEP_WARN_MS:
            self._add(OK, "sweep", "nothing has been due for long")
        else:
            state = FAIL if late >= SWEEP_FAIL_MS else WARN
            self._add(state, "sweep", f"something has been due for {late // 1000} s", remedy)

    def _alarms(self) -> None:
        topic = self._outputs.get("AlarmTopic")
        if topic is None:
            return
        pages = self._deployment.client("sns").get_paginator("list_subscriptions_by_topic")
        told, waiting_for = 0, []
        for page in pages.paginate(TopicArn=topic):
            for one in page["Subscriptions"]:
                # A subscription has no ARN until its owner confirms it.
                if one["SubscriptionArn"].startswith("arn:"):
                    told += 1
                else:
                    waiting_for.append(one["Endpoint"])
        if waiting_for:
            text = f"not confirmed: {', '.join(waiting_for)}"
            self._add(WARN, "alarms", text, "follow the link in AWS's e-mail to that address")
        if not told and not waiting_for:
            remedy = f"alarm_emails in the stage, then `make deploy`; or subscribe to {topic}"
            self._add(WARN, "alarms", "they have no receiver", remedy)
        elif not waiting_for:
            self._add(OK, "alarms", f"told to {told}")

    def _cdn_key(self) -> None:
        if not self._told.get("CDN_DOMAIN"):
            return
        stored = cdn_key.read(self._deployment, self._stage)
        public_key = cdn_key.public_half(stored["private_key"])
        key_id = cdn_key.id_of(self._outputs, public_key)
        if key_id is None or stored.get("key_id") != key_id:
            text = "what the functions sign with is not what CloudFront trusts"
            self._add(FAIL, "CDN key", text, "`make deploy`, then `ops setup`")
            return
        days = int((time.time() - self._made_at(stored)) / 86_400)
        if "retired_at" in stored or "next_private_key" in stored:
            text = "a rotation was begun and is not complete"
            self._add(WARN, "CDN key", text, "`ops rotate cdn-key` continues it")
        elif days > OLDEST_CDN_KEY_DAYS:
            self._add(WARN, "CDN key", f"{days} days old", "`ops rotate cdn-key`")
        else:
            self._add(OK, "CDN key", f"{key_id}, {days} days old")

    def _made_at(self, stored: dict[str, Any]) -> float:
        if "made_at" in stored:
            return float(stored["made_at"])
        client = self._deployment.client("secretsmanager")
        found = client.describe_secret(SecretId=cdn_key.secret_name(self._stage))
        return float(found["CreatedDate"].timestamp())

    # Replicate

    def _replicate(self) -> Replicate:
        return Replicate(self._http, self._told["REPLICATE_URL"])

    def _stored_token(self) -> str:
        token = (self._deployment.secret(self._outputs["ReplicateTokenSecret"]) or "").strip()
        if not token:
            raise SetupError("no token is stored: `ops setup`")
        return token

    def _account(self) -> None:
        token = self._stored_token()
        try:
            account = self._replicate().account(token)
        except SetupError as error:
            self._add(FAIL, "Replicate", str(error), "`ops rotate replicate-token`")
            return
        self._token = token
        self._add(OK, "Replicate", f"takes the token of {account.get('username', 'an account')}")

    def _webhook_secret(self) -> None:
        if self._token is None:
            return  # reported already
        current = self._replicate().webhook_secret(self._token)
        stored = fields(self._deployment.secret(self._outputs["ReplicateWebhookSecret"]))
        if current == stored.get("current"):
            self._add(OK, "webhook secret", "the one that Replicate signs with")
        else:
            text = "Replicate signs with another one: every webhook is refused"
            if current == stored.get("previous"):
                text = "Replicate still signs with the one before"
            state = WARN if current == stored.get("previous") else FAIL
            self._add(state, "webhook secret", text, "`ops rotate webhook-secret`")

    def _echo(self) -> None:
        """Check whether Replicate shows a prediction's webhook, which identifies unknown
        creates."""
        if self._token is None:
            return
        dedicated = self._told.get("DEDICATED_ACCOUNT") == "true"
        listed = {str(one.get("id")): one for one in self._replicate().newest(self._token)}
        ours = self._latest()
        shown = [listed.get(id_) or self._replicate().get(self._token, id_) for id_ in ours]
        seen = [bool(one.get("webhook")) for one in shown if one is not None]
        if not seen:
            text = "unknown before the first prediction"
            self._add(WARN, "webhook echo", text, "make one, and run this again within an hour")
        elif all(seen):
            self._add(OK, "webhook echo", "Replicate shows the webhook of our predictions")
        elif dedicated:
            text = "not shown; unknown creates are told by version, input and time"
            self._add(OK, "webhook echo", text)
        else:
            text = "Replicate does not show it: a create without an answer whose webhook is lost "
            text += "too can be made again after two minutes of silence"
            remedy = "give Darkroom an account of its own and set dedicated_account in the stage"
            self._add(WARN, "webhook echo", text, remedy)
        if dedicated:
            self._dedicated(listed)

    def _dedicated(self, listed: dict[str, dict[str, Any]]) -> None:
        store = predictions(self._deployment)
        strangers = [
            id_
            for id_, shown in list(listed.items())[:LOOKED_AT]
            if HOOK_PATH not in str(shown.get("webhook")) and store.owner_of(id_) is None
        ]
        if strangers:
            text = f"{', '.join(strangers)} at Replicate: no record here has it"
            remedy = "find the other users of the account, or unset dedicated_account in the stage"
            self._add(WARN, "dedicated account", text, remedy)
        else:
            self._add(OK, "dedicated account", "no other user was found")

    def _latest(self) -> list[str]:
        """Return Replicate's ids of the newest predictions of this deployment."""
        store = predictions(self._deployment)
        tenants = sorted({row["tenant"] for row in self._key_rows()})[:TENANTS]
        ids = [id_ for tenant in tenants for id_ in store.recent_ids(tenant, 0, LOOKED_AT)]
        records = list(store.get_many(ids[:100])) if ids else []
        newest = sorted(records, key=lambda record: -record.created_at)
        return [record.provider_id for record in newest if record.provider_id][:LOOKED_AT]


# The command


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command `doctor`."""
    parser = commands.add_parser(
        "doctor", parents=parents, help="what is wrong, and what to do; changes nothing"
    )
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=command, could_not_run=2)


def command(deployment: Deployment, given: argparse.Namespace) -> int:
    """Return 0 without a FAIL, 1 with one, 2 if nothing could be checked."""
    stage = "local" if given.local else given.stage
    with http(deployment) as client:
        checks = examine(deployment, stage, client, say=_say)
    if given.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print("\n".join(line(c.state, c.name, c.text, c.remedy) for c in checks))
    return 1 if any(check.state == FAIL for check in checks) else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
