"""POST and GET /v1/files, POST /v1/uploads, GET and DELETE /v1/files/{id}."""

from __future__ import annotations

from typing import Any

from darkroom.api import queries
from darkroom.api.http import Request, Response, answer, page, respond
from darkroom.api.multipart import read_form
from darkroom.api.requests import read_metadata, read_upload
from darkroom.api.routes import unserved
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation
from darkroom.services.files import file_name


def _files(request: Request) -> Response:
    authenticate, files = wiring.files()
    writes = request.method != "GET"
    tenant = authenticate(request.header("authorization"), "submit" if writes else "read")
    files.admit(tenant, writes=writes)
    match request.route:
        case "POST /v1/files":
            form = read_form(request.header("content-type"), request.body)
            said = read_metadata(form.metadata)
            name = file_name(form.filename)
            made = files.create(tenant, name, form.data, form.content_type, said)
            count("FileUploaded")
            return answer(201, made)
        case "POST /v1/uploads":
            filename, content_type = read_upload(request)
            count("UploadBegun")
            return answer(201, files.form(tenant, file_name(filename), content_type))
        case "GET /v1/files":
            queries.asked(request)
            shown, following = files.page(tenant, request.query.get("cursor"))
            return answer(200, page(f"{files.public_url}/v1/files", shown, following))
        case "GET /v1/files/{id}":
            return answer(200, files.get(tenant, request.parameters["id"]))
        case "DELETE /v1/files/{id}":
            files.delete(tenant, request.parameters["id"])
            return {"statusCode": 204, "headers": {"content-type": "text/plain"}, "body": ""}
    raise unserved(request.method, request.path)


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Keep small files that later inputs name."""
    return respond(event, _files)


wiring.at_init(wiring.files)
