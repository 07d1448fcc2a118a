"""Thumbnails of stored pictures, made at the first look. An optional part, the door `thumbnails`.

In a stage with a CDN it is the CDN's second origin: it gets the path of a thumbnail that the bucket
does not have, and answers its bytes. CloudFront has verified the URL's signature by then. Without a
CDN it is behind the API, where the URL has a token, and answers a redirect to the bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, binary, problem, respond
from darkroom.api.routes import Routes
from darkroom.domain import thumbnails
from darkroom.domain.errors import DarkroomError, NoThumbnailError
from darkroom.runtime import rights
from darkroom.runtime.function import Alarm, Function, Right
from darkroom.runtime.observability import best_effort, count, logger
from darkroom.runtime.settings import Settings
from darkroom.services.doors.make_thumbnail import LookAtThumbnail, MakeThumbnail
from darkroom.services.doors.thumbnails import LinkedThumbnails

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters

KEPT_BY_CDN_S = 86_400
"""As long as the CDN keeps an original."""
REFUSAL_KEPT_S = 60
"""How long a browser and the CDN remember that there is no such thumbnail."""


class ThumbnailSettings(Settings):
    outputs_bucket: str
    predictions_table: str = ""
    """Empty behind the CDN, which names the object itself."""
    link_key_secret: str = ""
    """The secret that signs thumbnails' URLs; empty behind the CDN."""
    public_url: str = ""
    s3_endpoint: str = ""


class ThumbnailServices(NamedTuple):
    make: MakeThumbnail
    look: LookAtThumbnail | None
    """None behind the CDN."""


def build(s: ThumbnailSettings, a: Adapters) -> ThumbnailServices:
    make = MakeThumbnail(a.outputs(s.outputs_bucket), a.thumbnails())
    if not s.predictions_table:
        return ThumbnailServices(make, None)
    secrets = a.secrets(link_name=s.link_key_secret)
    look = LookAtThumbnail(
        store=a.predictions(s.predictions_table),
        links=LinkedThumbnails(secrets, a.clock(), s.public_url),
        make=make,
        signer=a.signer(s.outputs_bucket, "", s.s3_endpoint),
    )
    return ThumbnailServices(make, look)


ROUTES: Routes[LookAtThumbnail] = Routes()


@ROUTES.add(
    "GET /v1/predictions/{id}/files/{number}/thumbnail/{width}",
    scope=None,
    status=302,
    query=("t",),
    operation="predictions.files.thumbnail",
    errors=(400, 404, 503),
)
def look(made: LookAtThumbnail, call: Call) -> str:
    """A file's thumbnail, by its URL in `files`; of a deployment without a CDN"""
    id_, token = call.named("id"), call.asked.get("t", "")
    url, kept_s = made(id_, call.named("number"), call.named("width"), token)
    logger.append_keys(prediction=id_)
    call.headers["location"] = url
    call.headers["cache-control"] = f"private, max-age={kept_s}"
    return ""


def handle(made: ThumbnailServices, event: dict[str, Any], _context: Any) -> Response:
    """Answer the CDN with bytes, or a client with a redirect."""
    if made.look is None:
        response = _answer_cdn(made.make, event)
    else:
        response = respond(event, ROUTES, made.look, _refusal)
    count("ThumbnailFailed", int(response["statusCode"] >= 500))
    return response


def _answer_cdn(make: MakeThumbnail, event: dict[str, Any]) -> Response:
    try:
        original, width = thumbnails.original_of(str(event.get("rawPath"))[1:])
        made = make.made(original, width)
        with best_effort("a thumbnail could not be stored"):
            make.keep(original, width, made)
    except NoThumbnailError as error:
        return _refusal(error)
    except Exception:  # noqa: BLE001 - the edge: nothing of it may reach the client
        logger.exception("failed")
        return _refusal(RuntimeError())
    headers = {
        "content-type": thumbnails.TYPE.type,
        "cache-control": f"max-age={KEPT_BY_CDN_S}",
    }
    return binary(200, made, headers)


def _refusal(error: Exception) -> Response:
    response = problem(error)
    if isinstance(error, NoThumbnailError):
        logger.info("no thumbnail", reason=str(error))
        count("ThumbnailRefused")
        response["headers"]["cache-control"] = f"max-age={REFUSAL_KEPT_S}"
    elif not isinstance(error, DarkroomError):
        response["headers"]["cache-control"] = "no-store"
    return response


FUNCTION = Function(
    __name__,
    settings=ThumbnailSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    # With it comes a whole processor. A usual picture takes a tenth of a second, the largest one
    # more than a second and 650 MB (`make bench ONLY=thumbnails`).
    memory_mb=1769,
    timeout_s=20,
    lock="pictures.txt",
    door="thumbnails",
    behind_cdn=True,
    alarms=(Alarm("ThumbnailsFail", "ThumbnailFailed", 5, "Thumbnails cannot be made or stored."),),
    rights=(
        Right("s3:GetObject", "outputs/*"),
        Right("s3:PutObject", "thumbnails"),
        Right("dynamodb:GetItem", "predictions", when="no cdn"),
        Right(rights.READ_SECRET, "link_key", when="no cdn"),
    ),
)
handler = FUNCTION.handler()
