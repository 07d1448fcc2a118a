"""GET: predictions, models, account, usage, webhook secret; and paths without a route."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api import queries
from darkroom.api.http import Response, page, respond
from darkroom.api.routes import MODEL, Routes
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import best_effort, logger
from darkroom.runtime.settings import Thumbnailed
from darkroom.services.callbacks.secrets import CallbackSecrets
from darkroom.services.models.browse import Models
from darkroom.services.models.run_times import RunTimes
from darkroom.services.predictions.look import AskForLook
from darkroom.services.predictions.read import Read
from darkroom.services.tenants.spending import Spending
from darkroom.services.tenants.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.predictions.shown import Shown
    from darkroom.services.tenants.authenticate import Authenticate
    from darkroom.services.tenants.limits import TenantLimits


class ReadSettings(Thumbnailed):
    callback_key_secret: str
    dispatch_queue: str
    open_models: bool = False
    watch_key_secret: str = ""
    """The secret that signs watch URLs; empty if the stage has no door `wait`."""
    thumbnail_key_secret: str = ""
    """The same secret for URLs of thumbnails; empty with a CDN, or without the door
    `thumbnails`."""


class ReadServices(NamedTuple):
    authenticate: Authenticate
    read: Read
    ask_for_look: AskForLook
    models: Models
    shown: Shown
    usage: Usage
    spending: Spending
    limits: TenantLimits
    callback_secrets: Callable[[], CallbackSecrets]
    """Creates its client when it is first called, since most reads need no secret."""
    public_url: str


def build(s: ReadSettings, a: Adapters) -> ReadServices:
    controls, store = a.controls(s.controls_table), parts.changes(s, a, s.controls_table).store
    usage, limits = Usage(controls, a.clock()), parts.limits(s, a)
    link_key = s.watch_key_secret or s.thumbnail_key_secret
    secrets = a.secrets(link_name=link_key) if link_key else None
    watch = parts.watch(s, a, secrets) if secrets and s.watch_key_secret else None
    return ReadServices(
        authenticate=parts.authenticate(s, a),
        read=Read(store),
        ask_for_look=AskForLook(store, a.queue(s.dispatch_queue, lazy=True), a.clock()),
        models=Models(a.catalogue(), controls, RunTimes(controls, a.clock()), s.open_models),
        shown=parts.shown_with_thumbnails(s, a, secrets, often=True, watches=watch),
        usage=usage,
        spending=Spending(usage, limits, store, a.clock()),
        limits=limits,
        callback_secrets=lru_cache(
            lambda: CallbackSecrets(
                a.secrets(callback_name=s.callback_key_secret), controls, a.clock()
            )
        ),
        public_url=s.public_url,
    )


ROUTES: Routes[ReadServices] = Routes(admit=lambda made, call: made.limits.admit_read(call.tenant))


@ROUTES.add(
    "GET /v1/predictions",
    scope="read",
    query=(
        *("cursor", "limit", "created_after", "created_before", "source"),
        *("tag", "end_user", "model", "status"),
    ),
    operation="predictions.list",
    answer="PageBody[PredictionBody]",
    errors=(400,),
)
def list_predictions(made: ReadServices, call: Call) -> dict[str, Any]:
    """The tenant's predictions, newest first, 100 a page; a page may be short, or empty"""
    cursor, limit = call.request.query.get("cursor"), call.request.query.get("limit")
    wanted = queries.wanted(call.asked)
    listed = made.read.page(call.tenant, cursor, limit, made.shown, wanted)
    for left_out in listed.unreadable:
        logger.error("unreadable", prediction=left_out.id, reason=left_out.reason)
    here = f"{made.public_url}/v1/predictions"
    return page(here, listed.results, *listed.cursors, call.asked)


@ROUTES.add(
    "GET /v1/predictions/{id}",
    scope="read",
    operation="predictions.get",
    answer="PredictionBody",
    errors=(404,),
)
def get_prediction(made: ReadServices, call: Call) -> dict[str, Any]:
    """One prediction"""
    record = made.read.get(call.tenant, call.named("id"))
    logger.append_keys(prediction=record.id)
    with best_effort("a refresh could not be requested"):
        made.ask_for_look(record)
    return made.shown.alone(record)


@ROUTES.add(
    "GET /v1/models",
    scope="read",
    query=("cursor", "sort_by", "sort_direction"),
    operation="models.list",
    answer="PageBody[ModelBody]",
    errors=(400,),
)
def list_models(made: ReadServices, call: Call) -> dict[str, Any]:
    """The models of this deployment, 25 a page"""
    descending = queries.descending(call.asked)
    found = made.models.page(call.request.query.get("cursor"), descending=descending)
    return page(f"{made.public_url}/v1/models", *found, call.asked)


def _model(call: Call) -> str:
    return f"{call.named('owner')}/{call.named('name')}"


@ROUTES.add(f"GET {MODEL}", scope="read", operation="models.get", answer="ModelBody", errors=(404,))
def get_model(made: ReadServices, call: Call) -> dict[str, Any]:
    """One model"""
    return made.models.get(_model(call))


@ROUTES.add(
    f"GET {MODEL}/versions",
    scope="read",
    query=(),
    operation="models.versions.list",
    answer="PageBody[ModelVersion]",
    errors=(400, 404),
)
def list_versions(made: ReadServices, call: Call) -> dict[str, Any]:
    """A model's versions; none for a model that is run by its name"""
    return page(made.public_url, made.models.versions(_model(call)), None)


@ROUTES.add(
    f"GET {MODEL}/versions/{{id}}",
    scope="read",
    operation="models.versions.get",
    answer="ModelVersion",
    errors=(404,),
)
def get_version(made: ReadServices, call: Call) -> dict[str, Any]:
    """One version"""
    return made.models.version(_model(call), call.named("id"))


@ROUTES.add("GET /v1/account", scope="read", operation="account.get", answer="Account")
def get_account(_made: ReadServices, call: Call) -> dict[str, Any]:
    """The account of the token"""
    return {"type": "organization", "username": call.tenant, "name": call.tenant}


@ROUTES.add(
    "GET /v1/usage",
    scope="read",
    query=("from", "to", "tag"),
    operation="usage.get",
    answer="UsageBody",
    errors=(400,),
)
def get_usage(made: ReadServices, call: Call) -> dict[str, Any]:
    """Predictions and cost by day and model"""
    asked = call.asked
    return made.usage(call.tenant, asked.get("from"), asked.get("to"), queries.tag(asked))


@ROUTES.add(
    "GET /v1/usage/month",
    scope="read",
    query=(),
    operation="usage.month.get",
    answer="MonthBody",
    errors=(400,),
)
def get_month(made: ReadServices, call: Call) -> dict[str, Any]:
    """Spending in the current month, and the rest of the cap"""
    return made.spending(call.tenant)


@ROUTES.add(
    "GET /v1/webhooks/default/secret",
    # A holder of the secret can forge callbacks, so the right to read predictions is not enough.
    scope="submit",
    operation="webhooks.default.secret.get",
    answer="WebhookSecret",
    errors=(503,),
)
def get_secret(made: ReadServices, call: Call) -> dict[str, Any]:
    """The secret for verifying callbacks"""
    return {"key": made.callback_secrets().current(call.tenant)}


def handle(made: ReadServices, event: dict[str, Any], _context: Any) -> Response:
    """Show what is recorded, without calling the provider."""
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=ReadSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    default_route=True,
    timeout_s=10,
    rights=(
        Right("dynamodb:GetItem BatchGetItem", "predictions"),
        *rights.ASK_FOR_LOOK,
        Right("dynamodb:BatchGetItem", "controls", keys=rights.USAGE),
        Right("dynamodb:Query", "predictions/tenant"),
        Right("dynamodb:GetItem", "controls"),
        *rights.SHOW,
        Right(rights.READ_SECRET, "callback_key"),
        Right(rights.READ_SECRET, "link_key", when="tokens in urls"),
    ),
)
handler = FUNCTION.handler()
