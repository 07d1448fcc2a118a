"""POST and GET /v1/files, POST /v1/uploads, GET and DELETE /v1/files/{id}."""

from __future__ import annotations

from typing import Any

from darkroom.api.http import Request, Response, answer, page, respond
from darkroom.api.multipart import file_part
from darkroom.api.requests import read_upload
from darkroom.api.routes import unserved
from darkroom.runtime import wiring
from darkroom.runtime.observability import count, invocation

LONGEST_NAME = 100
LONGEST_EXTENSION = 10


def _files(request: Request) -> Response:
    authenticate, files = wiring.files()
    writes = request.method != "GET"
    tenant = authenticate(request.header("authorization"), "submit" if writes else "read")
    files.admit(tenant, writes=writes)
    match request.route:
        case "POST /v1/files":
            part = file_part(request.header("content-type"), request.body)
            count("FileUploaded")
            name = _name(part.filename)
            return answer(201, files.create(tenant, name, part.data, part.content_type))
        case "POST /v1/uploads":
            filename, content_type = read_upload(request)
            count("UploadBegun")
            return answer(201, files.form(tenant, _name(filename), content_type))
        case "GET /v1/files":
            shown, following = files.page(tenant, request.query.get("cursor"))
            return answer(200, page(f"{files.public_url}/v1/files", shown, following))
        case "GET /v1/files/{id}":
            return answer(200, files.get(tenant, request.parameters["id"]))
        case "DELETE /v1/files/{id}":
            files.delete(tenant, request.parameters["id"])
            return {"statusCode": 204, "headers": {"content-type": "text/plain"}, "body": ""}
    raise unserved(request.method, request.path)


def _name(given: str | None) -> str:
    """A file name without what does not print, short; a cut keeps its extension."""
    kept = "".join(c for c in given or "" if c.isprintable()).strip()
    stem, dot, extension = kept.rpartition(".")
    if len(extension) <= LONGEST_EXTENSION:
        kept = stem[: LONGEST_NAME - len(dot + extension)] + dot + extension
    return kept[:LONGEST_NAME] or "file"


@invocation
def handler(event: dict[str, Any], _context: Any) -> Response:
    """Keep small files that later inputs name."""
    return respond(event, _files)
