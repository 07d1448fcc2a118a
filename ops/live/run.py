"""One run over a deployment: its key, its predictions, and waiting with a timeout."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from darkroom.domain.keys import new_token

from ops.deployment import SetupError, predictions
from ops.keys import KeyRefusedError, put_key, revoke_key
from ops.replicate import Replicate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from darkroom.domain.prediction import Prediction

    from ops.deployment import Deployment
    from ops.live.logs import Logs
    from ops.live.receiver import Receiver
    from ops.live.verdict import Facts

PAUSE_S = 1.0
EMBEDDED_PAUSE_S = 0.2
RUNNING = ("starting", "processing")
_KEY_KNOWN_S = 10
"""A key's row is read with eventual consistency, so a new key may be unknown for a moment."""

Seen = TypeVar("Seen")


class TooLongError(Exception):
    """A wait timed out. The text names its subject."""


class RefusedError(Exception):
    """Darkroom or Replicate gave an answer with which a row cannot continue."""


@dataclass
class Api:
    """Darkroom's API as the run's own tenant calls it, and the predictions created there."""

    http: httpx.Client
    url: str
    token: str = field(repr=False)
    made: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send a request and return any answer."""
        headers = {"Authorization": f"Bearer {self.token}", **given.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **given)

    def read(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """Return the JSON object of a 2xx answer. Raises RefusedError."""
        answer = self.ask(method, path, **given)
        if not answer.is_success:
            raise RefusedError(f"{method} {path.partition('?')[0]} answered {answer.status_code}")
        return dict(answer.json())

    def create(self, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Create a prediction. It is canceled at the end of the run if it still runs then."""
        began = time.monotonic()
        while True:
            answer = self.ask("POST", "/v1/predictions", json=body, headers=headers)
            if answer.status_code != 401 or time.monotonic() - began > _KEY_KNOWN_S:
                break
            time.sleep(EMBEDDED_PAUSE_S)
        if answer.status_code != 201:
            raise RefusedError(f"POST /v1/predictions answered {answer.status_code}")
        shown = dict(answer.json())
        self.made.append(str(shown["id"]))
        return shown

    def get(self, id_: str) -> dict[str, Any]:
        """Return a prediction as the API shows it."""
        return self.read("GET", f"/v1/predictions/{id_}")

    def cancel(self, id_: str) -> None:
        """Cancel a prediction. Raises RefusedError."""
        self.read("POST", f"/v1/predictions/{id_}/cancel")

    def mine(self) -> list[dict[str, Any]]:
        """Return all of the tenant's predictions, including those not created over HTTP."""
        page = self.read("GET", "/v1/predictions")["results"]
        listed = {one["id"]: one for one in page if isinstance(one, dict)}
        # The list is eventually consistent.
        late = [id_ for id_ in self.made if id_ not in listed]
        return [*listed.values(), *map(self.get, late)]

    def stop(self) -> None:
        """Cancel everything that still runs."""
        for one in self.mine():
            if one["status"] in RUNNING:
                self.cancel(one["id"])


@dataclass
class Run:
    """State that rows share. A shared observation is made once, by the first row that needs it."""

    deployment: Deployment
    stage: str
    http: httpx.Client
    facts: Facts
    told: dict[str, str]
    """The functions' environment variables, such as the URLs that the deployment really uses."""
    api: Api
    tenant: str
    logs: Logs
    model: str
    """The cheapest model."""
    picture_usd: float
    """Price of one picture with it."""
    receiver: Receiver | None = None
    state_machine: str | None = None
    event_source: tuple[str, str] | None = None
    """A source whose events the stage accepts, and its tenant."""
    patience_s: float = 300
    say: Callable[[str], None] = lambda _: None
    began: float = field(default_factory=time.time)
    endings: list[Callable[[], object]] = field(default_factory=list)
    """Functions that stop predictions of other tenants."""
    spent: float = 0
    """Dollars spent on those."""
    _made: dict[str, Any] = field(default_factory=dict)

    def stop(self) -> None:
        """Stop everything that still runs. What cannot be reached is left running."""
        for end in (self.api.stop, *self.endings):
            try:
                end()
            except Exception as error:  # noqa: BLE001 - the others are stopped all the same
                self.say(f"something could not be stopped: {type(error).__name__}")

    def once(self, name: str, make: Callable[[], Seen]) -> Seen:
        """Return or raise what `make` did when it was first called under this name."""
        if name not in self._made:
            try:
                self._made[name] = make()
            except Exception as error:  # noqa: BLE001 - raised below, for each that asks
                self._made[name] = error
        found = self._made[name]
        if isinstance(found, Exception):
            raise found
        return cast("Seen", found)

    def until(
        self, look: Callable[[], Seen | None], what: str, patience_s: float | None = None
    ) -> Seen:
        """Poll `look` until its result is true, and return it. Raises TooLongError."""
        patience_s = self.patience_s if patience_s is None else patience_s
        found = self.seen(look, patience_s)
        if not found:
            raise TooLongError(f"not within {patience_s:g} s: {what}")
        return found

    def seen(self, look: Callable[[], Seen], patience_s: float) -> Seen:
        """Poll likewise, but return the last result after the timeout."""
        deadline = time.monotonic() + patience_s
        while not (found := look()) and time.monotonic() < deadline:
            time.sleep(EMBEDDED_PAUSE_S if self.facts.embedded else PAUSE_S)
        return found

    def comes(self, look: Callable[[], object], patience_s: float) -> bool:
        """Whether `look` returns a true result in time."""
        return bool(self.seen(look, patience_s))

    def record(self, id_: str) -> Prediction:
        """Return the stored record."""
        found = predictions(self.deployment).get(id_)
        if found is None:
            raise SetupError(f"there is no record {id_}")
        return found

    def replicate(self) -> tuple[Replicate, str]:
        """Return Replicate's API and the deployment's token."""

        def token() -> str:
            name = self.deployment.outputs["ReplicateTokenSecret"]
            stored = (self.deployment.secret(name) or "").strip()
            if not stored:
                raise SetupError("no token of Replicate's is stored: `ops setup`")
            return stored

        url = self.told["REPLICATE_URL"]
        return Replicate(self.http, url), self.once("Replicate's token", token)

    def at_replicate(self, provider_id: str) -> dict[str, Any] | None:
        """Return a prediction as Replicate shows it; None if Replicate does not know it."""
        api, token = self.replicate()
        return api.get(token, provider_id)

    def ended(self, id_: str) -> dict[str, Any]:
        """Return a prediction after its end. Raises TooLongError."""

        def over() -> dict[str, Any] | None:
            shown = self.api.get(id_)
            return None if shown["status"] in RUNNING else shown

        return self.until(over, f"the end of {id_}")


@contextlib.contextmanager
def temporary_key(deployment: Deployment, say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Yield a token and its new tenant `live-…`. The key is always revoked at the end."""
    dynamodb, table = deployment.client("dynamodb"), deployment.outputs["ControlsTable"]
    token, tenant = new_token(), f"live-{secrets.token_hex(4)}"
    row = put_key(dynamodb, table, token, tenant=tenant, name="ops live")
    try:
        yield token, tenant
    finally:
        try:
            revoke_key(dynamodb, table, row["id"])
        except (BotoCoreError, ClientError, KeyRefusedError):
            say(f"the key {row['id']} of {tenant} could not be revoked: `ops keys revoke`")
