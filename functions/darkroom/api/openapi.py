"""The API as an OpenAPI document: `python -m darkroom.api.openapi > docs/openapi.json`."""

from __future__ import annotations

import json
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from darkroom.api import bodies, schemas
from darkroom.api.parameters import CreateHeaders, PathNames, Queries
from darkroom.api.routes import OPENAI, described
from darkroom.api.schemas import published

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from darkroom.runtime.function import Route

DESCRIPTION = """\
Replicate's HTTP API in front of Replicate: its official clients work with this base URL and a
Darkroom token. A prediction that was accepted is never lost, and `succeeded` means that its files
are in the deployment's own bucket. What Darkroom adds is under `darkroom`, or a route of its own.

Every path below /v1 is also served below one more path segment, `/v1/v1/…` or `/prod/v1/…`, and
with a slash at its end; HEAD wherever there is GET. A path or method that is not described here is
answered with 404 or 405 and a problem that says why, a name in a list's query that it does not have
with 400. No answer may be kept (`Cache-Control: no-store`) unless its own `Cache-Control` says how
long: those about thumbnails."""

_REF = "#/components/schemas/{model}"
_JSON = "application/json"
_FORM_TYPE = "multipart/form-data"
_PROBLEM = "application/problem+json"


_EVERYWHERE = (401, 403, 429, 500)
"""Problems of every operation. 429 and 500 come from the gateway too, in its own form."""

_WITHOUT_KEY = (429, 500)
"""Problems of an operation without an API key."""

_PARAMETERS: dict[str, Any] = bodies.schema(PathNames)["properties"]
_QUERIES: dict[str, Any] = bodies.schema(Queries)["properties"]
_CREATE_HEADERS: dict[str, Any] = bodies.schema(CreateHeaders)["properties"]


def document() -> dict[str, Any]:
    """Build the whole document from the functions' routes and the types of the bodies.

    Its order is independent of the functions, so that nothing moves when a function takes over a
    route.
    """
    paths: dict[str, Any] = {}
    for route in sorted(described(), key=lambda route: route.key.split(" ")[::-1]):
        method, path = route.key.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Darkroom", "version": "v1", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of Darkroom's, `dk_…`. The scheme `Token` works too.",
                }
            },
            "schemas": _schemas(),
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    theirs = OPENAI in route.key
    found = {str(route.status): _answer(route)}
    if route.redirects and not theirs:
        found["303"] = {
            **_answer(route),
            "description": "Go on waiting at `Location`; of a deployment that has the door `wait`",
            "headers": {"Location": {"schema": {"type": "string", "format": "uri-reference"}}},
        }
    if theirs and 303 in {route.status, 303 * route.redirects}:
        found |= _under_way("202", "Poll at `Location`")
        found |= _under_way("303", "Wait at `Location`, or read the pictures there")
    if route.creates:
        found = {"200": _content("OK", schemas.DryRun), **found}
    everywhere = _EVERYWHERE if route.scope is not None else _WITHOUT_KEY
    for status in sorted({*everywhere, *route.errors}):
        found[str(status)] = _problem(status, theirs=theirs)
    for status in route.bare:
        found[str(status)] = {"description": HTTPStatus(status).phrase}
    for status in route.own_errors:
        found[str(status)] = {**_answer(route), "description": HTTPStatus(status).phrase}
    parameters = list(_parameters(route))
    body = {"requestBody": _body(route.body)} if route.body else {}
    return {
        "operationId": route.operation,
        "summary": route.run.__doc__,
        "tags": [route.operation.split(".")[0]],
        **({"parameters": parameters} if parameters else {}),
        **body,
        **({} if route.scope is not None else {"security": []}),
        "responses": found,
    }


def _under_way(status: str, description: str) -> dict[str, Any]:
    found = _content(description, schemas.UnderWay)
    location = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
    return {status: {**found, "headers": location}}


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for segment in route.key.split("/"):
        if segment.startswith("{"):
            name = segment.strip("{}")
            yield {"name": name, "in": "path", "required": True, "schema": _PARAMETERS[name]}
    for name in route.query or ():
        needed = {"required": True} if name == "t" else {}
        yield {"name": name, "in": "query", **needed, "schema": _QUERIES[name]}
    if route.creates:
        yield {"name": "dry_run", "in": "query", "schema": _QUERIES["dry_run"]}
        for name, schema in _CREATE_HEADERS.items():
            yield {"name": name, "in": "header", "schema": schema}


def _body(name: str) -> dict[str, Any]:
    """A body none of whose fields is needed may itself be left out."""
    model: type[BaseModel] = getattr(bodies, name)
    made = bodies.schema(model)
    if model is bodies.NewFileForm:
        return {"required": True, "content": {_FORM_TYPE: {"schema": made}}}
    content = {_JSON: {"schema": _reference(model)}}
    if model is bodies.ImageEditBody:
        content[_FORM_TYPE] = {"schema": _reference(bodies.ImageEditForm)}
    return {"required": "required" in made, "content": content}


def _answer(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.creates or route.status == HTTPStatus.FOUND:
        found["headers"] = {"Location": {"schema": {"type": "string", "format": "uri"}}}
    if not route.answer:
        return found
    found |= _content(found["description"], answer_type(route))
    if answer_type(route) is schemas.ImagesAnswer:
        found["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return found


def _content(description: str, answer: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _reference(answer)}}}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=_name(model))}


def answer_type(route: Route) -> type[BaseModel]:
    """Return the type that a route names as its answer: `PageBody[FileBody]`, or a single one."""
    outer, _, inner = route.answer.rstrip("]").partition("[")
    found: Any = getattr(schemas, outer)
    made: type[BaseModel] = found[getattr(schemas, inner)] if inner else found
    return made


_PHRASES = {413: "Request Entity Too Large", 422: "Unprocessable Entity"}
"""Fixed phrases, because Python 3.13 changed them and the document must not depend on the
version."""


def _problem(status: int, *, theirs: bool) -> dict[str, Any]:
    form, model = (_JSON, "ImagesRefusal") if theirs else (_PROBLEM, "Problem")
    found: dict[str, Any] = {
        "description": _PHRASES.get(status) or HTTPStatus(status).phrase,
        "content": {form: {"schema": {"$ref": _REF.format(model=model)}}},
    }
    if status == 429:
        found["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return found


def _schemas() -> dict[str, Any]:
    types = {answer_type(route) for route in described() if route.answer}
    types |= {schemas.DryRun, schemas.Problem, schemas.ImagesRefusal}
    models: list[type[BaseModel]] = sorted(types, key=_name)
    _, found = models_json_schema([(model, "serialization") for model in models])
    made: dict[str, Any] = _renamed(found["$defs"])
    for sent in _sent():
        made[_name(sent)] = bodies.schema(sent)
    return dict(sorted(made.items()))


def _sent() -> Iterator[type[BaseModel]]:
    """Bodies that the document names; the form with one file stands at its route."""
    for route in described():
        if route.body and route.body != bodies.NewFileForm.__name__:
            yield getattr(bodies, route.body)
    yield bodies.ImageEditForm


def _name(model: type[BaseModel]) -> str:
    """Return the component's name without brackets: `Page[Prediction]` is PagePrediction."""
    return published(model.__name__).replace("[", "").replace("]", "")


def _renamed(definitions: dict[str, Any]) -> dict[str, Any]:
    text = published(json.dumps(definitions)).replace("#/$defs/", "#/components/schemas/")
    found: dict[str, Any] = json.loads(text.replace("Page_", "Page"))
    return {name.rstrip("_"): schema for name, schema in found.items()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
