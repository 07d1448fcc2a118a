"""POST /openai/v1/images/…: OpenAI's Images API, and its list of models. Of the door `openai`.

A create goes through the same use case as any other and never waits: it sends the client on to the
function `imagewait`, which holds no token of the provider's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, respond
from darkroom.api.openai.answers import models
from darkroom.api.openai.bodies import read_edit, read_generation
from darkroom.api.openai.create import CreatePictures
from darkroom.api.openai.errors import identified, refusal
from darkroom.api.requests import ReadCreate
from darkroom.api.routes import OPENAI, Routes
from darkroom.domain.errors import NotFoundError
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function
from darkroom.runtime.observability import note_refused
from darkroom.runtime.settings import Submitting

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.models.find import FindModel
    from darkroom.services.tenants.authenticate import Authenticate
    from darkroom.services.tenants.limits import TenantLimits


class ImagesSettings(Submitting):
    pass


class Images(NamedTuple):
    authenticate: Authenticate
    limits: TenantLimits
    find_model: FindModel
    create: CreatePictures
    public_url: str


def build(s: ImagesSettings, a: Adapters) -> Images:
    submit = parts.submit(s, a)
    read_create = ReadCreate(local_callbacks=s.local_callbacks)
    return Images(
        authenticate=parts.authenticate(s, a),
        limits=submit.limits,
        find_model=submit.find_model,
        create=CreatePictures(read_create, submit, a.masks()),
        public_url=s.public_url,
    )


def _admit(made: Images, call: Call) -> None:
    # A create is counted where it is accepted.
    if call.request.method == "GET":
        made.limits.admit_read(call.tenant)


ROUTES: Routes[Images] = Routes(_admit)
_CREATES: dict[str, Any] = {
    "scope": "submit",
    "status": 303,
    "answer": "UnderWay",
    "errors": (400, 404, 413, 415, 503),
}


@ROUTES.add(
    f"POST {OPENAI}/images/generations",
    operation="openai.images.generate",
    body="ImageGenerationBody",
    **_CREATES,
)
def generate(made: Images, call: Call) -> dict[str, Any]:
    """Make pictures of a text; never waits for them"""
    return made.create(call, "generations", read_generation(call.request))


@ROUTES.add(
    f"POST {OPENAI}/images/edits",
    operation="openai.images.edit",
    body="ImageEditBody",
    **_CREATES,
)
def edit(made: Images, call: Call) -> dict[str, Any]:
    """Make pictures of pictures and a text; never waits for them"""
    return made.create(call, "edits", read_edit(call.request, made.public_url))


@ROUTES.add(
    f"GET {OPENAI}/models",
    scope="read",
    operation="openai.models.list",
    answer="ModelList",
)
def list_models(made: Images, _call: Call) -> dict[str, Any]:
    """OpenAI's names that this deployment has a model for, and its own models"""
    catalogue = made.find_model.catalogue()
    return models(sorted(catalogue.openai_names()), catalogue.names())


@ROUTES.add(f"GET {OPENAI}/{{rest+}}", scope=None)
@ROUTES.add(f"POST {OPENAI}/{{rest+}}", scope=None)
def unknown(_made: Images, _call: Call) -> dict[str, Any]:
    """Whatever else there is of OpenAI's: its clients read errors in no other form."""
    raise NotFoundError("Darkroom serves images/generations, images/edits and models.")


def handle(made: Images, event: dict[str, Any], context: Any) -> Response:
    """Accept pictures to be made; never waits for them."""
    response = identified(respond(event, ROUTES, made, refusal), event, context)
    note_refused(response["statusCode"])
    return response


FUNCTION = Function(
    __name__,
    settings=ImagesSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    # With it comes a whole processor, on which a mask of 16 megapixels takes less than a second. By
    # half of it a create would cost two dollars in a million less.
    memory_mb=1769,
    timeout_s=15,
    lock="pictures.txt",
    door="openai",
    rights=(*rights.SUBMIT, rights.REPEAT),
)
handler = FUNCTION.handler()
