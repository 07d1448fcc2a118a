"""POST and GET /v1/files, POST /v1/uploads, GET and DELETE /v1/files/{id}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from darkroom.api.http import Response, page, respond
from darkroom.api.multipart import read_form
from darkroom.api.requests import read_metadata, read_upload
from darkroom.api.routes import Routes
from darkroom.runtime import parts, rights
from darkroom.runtime.function import Function, Right
from darkroom.runtime.observability import count
from darkroom.runtime.settings import Controlled
from darkroom.services.files.uploads import Files, file_name

if TYPE_CHECKING:
    from darkroom.api.http import Call
    from darkroom.runtime.adapters import Adapters
    from darkroom.services.tenants.authenticate import Authenticate


class FilesSettings(Controlled):
    public_url: str
    uploads_bucket: str
    s3_endpoint: str = ""


class Keeps(NamedTuple):
    authenticate: Authenticate
    files: Files


def build(s: FilesSettings, a: Adapters) -> Keeps:
    forms = a.forms(s.uploads_bucket, s.s3_endpoint)
    uploads, limits = a.uploads(s.uploads_bucket), parts.limits(s, a)
    files = Files(uploads, a.clock(), s.public_url, forms, limits)
    return Keeps(parts.authenticate(s, a), files)


def _admit(made: Keeps, call: Call) -> None:
    made.files.admit(call.tenant, writes=call.request.method != "GET")


ROUTES: Routes[Keeps] = Routes(_admit)


@ROUTES.add(
    "POST /v1/files",
    scope="submit",
    status=201,
    operation="files.create",
    answer="FileBody",
    errors=(400, 413, 415),
    body="NewFileForm",
)
def create_file(made: Keeps, call: Call) -> dict[str, Any]:
    """Store a file of up to 4.5 MB, for use in inputs"""
    form = read_form(call.request.header("content-type"), call.request.body)
    said = read_metadata(form.metadata)
    name = file_name(form.filename)
    kept = made.files.create(call.tenant, name, form.data, form.content_type, said)
    count("FileUploaded")
    return kept


@ROUTES.add(
    "GET /v1/files",
    scope="read",
    query=("cursor",),
    operation="files.list",
    answer="PageBody[FileBody]",
    errors=(400,),
)
def list_files(made: Keeps, call: Call) -> dict[str, Any]:
    """The tenant's files, newest first, 25 a page"""
    shown, following = made.files.page(call.tenant, call.request.query.get("cursor"))
    return page(f"{made.files.public_url}/v1/files", shown, following)


@ROUTES.add(
    "GET /v1/files/{id}", scope="read", operation="files.get", answer="FileBody", errors=(404,)
)
def get_file(made: Keeps, call: Call) -> dict[str, Any]:
    """Description of a file"""
    return made.files.get(call.tenant, call.named("id"))


@ROUTES.add(
    "DELETE /v1/files/{id}", scope="submit", status=204, operation="files.delete", errors=(404,)
)
def delete_file(made: Keeps, call: Call) -> None:
    """Delete a file"""
    made.files.delete(call.tenant, call.named("id"))


@ROUTES.add(
    "POST /v1/uploads",
    scope="submit",
    status=201,
    operation="uploads.create",
    answer="Upload",
    errors=(400, 413, 415, 422),
    body="NewUploadBody",
)
def create_upload(made: Keeps, call: Call) -> dict[str, Any]:
    """Get a form with which the client uploads a file of up to 100 MB"""
    filename, content_type = read_upload(call.request)
    count("UploadBegun")
    return made.files.form(call.tenant, file_name(filename), content_type)


def handle(made: Keeps, event: dict[str, Any], _context: Any) -> Response:
    """Store small files for use in later inputs."""
    return respond(event, ROUTES, made)


FUNCTION = Function(
    __name__,
    settings=FilesSettings,
    build=build,
    handle=handle,
    routes=ROUTES,
    timeout_s=30,
    rights=(
        Right("dynamodb:GetItem", "controls"),
        rights.COUNT_REQUEST,
        Right("s3:PutObject GetObject DeleteObject", "uploads/*"),
        Right("s3:ListBucket", "uploads", prefixes=("*/files/*",)),
    ),
)
handler = FUNCTION.handler()
