"""docs/openapi.json: up to date with the code, and valid for the functions' answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.api import schemas
from darkroom.api.openapi import document
from darkroom.runtime.function import declared

from tests.support import events
from tests.support.app import ACME
from tests.support.multipart import FORM, file_form
from tests.support.world import SCHNELL

if TYPE_CHECKING:
    from darkroom.runtime.function import Route
    from pydantic import BaseModel

    from tests.support.app import App

WRITTEN = Path(__file__).parents[3] / "docs" / "openapi.json"
MADE = "python -m darkroom.api.openapi > docs/openapi.json"


def test_the_written_document_is_up_to_date() -> None:
    assert json.loads(WRITTEN.read_text()) == document(), f"run: PYTHONPATH=functions {MADE}"


def test_operations_have_names_and_summaries_of_their_own() -> None:
    operations = [each for path in document()["paths"].values() for each in path.values()]
    for name in ("operationId", "summary"):
        named = [operation[name] for operation in operations]
        assert all(named)
        assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    ("function", "route", "base"),
    [
        (name, route, base)
        for name, function in declared().items()
        for route in function.routes.values()
        if route.scope is not None
        # What is not below /v1 is spelt in one way.
        for base in (["", "/v1"] if " /v1/" in route.key else [""])
    ],
    ids=lambda each: getattr(each, "key", each),
)
def test_every_route_asks_for_a_token_before_anything_else(
    app: App, function: str, route: Route, base: str
) -> None:
    method, template = route.key.split(" ")
    path = base + template.replace("{", "").replace("}", "")
    answer = app.http(function, events.http(method, path, "{", {"content-type": "text/plain"}))
    assert answer.status == 401
    if template.startswith("/openai/"):
        assert answer.json["error"]["code"] == "invalid_api_key"
        return
    told = answer.json["error"]["data"] if 401 in route.own_errors else answer.json
    assert told["title"] == "Unauthenticated"
    assert not app.calls


def test_every_reference_leads_somewhere() -> None:
    known = document()["components"]["schemas"].keys()
    text = json.dumps(document())
    named = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= known
    assert known <= named


def fits(model: type[BaseModel], body: Any) -> bool:
    """Exact: no key missing, none in addition, and null only if documented."""
    model.model_validate(body, strict=True, extra="forbid")
    return True


def test_predictions_are_as_described(app: App) -> None:
    url = "https://client.example/hook"
    made = app.submit({"version": SCHNELL, "input": {"prompt": "x"}, "webhook": url}).json
    assert fits(schemas.CreatedPrediction, made)
    record = app.world.record(made["id"])
    app.world.succeed(str(record.provider_id))
    app.world.webhook(record.id, str(record.provider_id))
    app.world.settle()
    assert fits(schemas.PredictionBody, app.get(f"/v1/predictions/{record.id}").json)
    assert fits(schemas.PageBody[schemas.PredictionBody], app.get("/v1/predictions").json)
    headers = {"authorization": f"Bearer {ACME}"}
    listed = events.http("GET", f"/v1/predictions/{record.id}/deliveries", None, headers)
    deliveries = app.http("deliveries", listed).json
    assert fits(schemas.PageBody[schemas.DeliveryBody], deliveries)
    assert deliveries["results"][0]["history"]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models", schemas.PageBody[schemas.ModelBody]),
        (f"/v1/models/{SCHNELL}", schemas.ModelBody),
        ("/v1/models/stability-ai/sdxl/versions", schemas.PageBody[schemas.ModelVersion]),
        ("/v1/account", schemas.Account),
        ("/v1/webhooks/default/secret", schemas.WebhookSecret),
        ("/v1/predictions/x", schemas.Problem),
        ("/v1/trainings", schemas.Problem),
    ],
)
def test_what_is_read_is_as_described(app: App, path: str, model: type[BaseModel]) -> None:
    assert fits(model, app.get(path).json)


def test_files_are_as_described(app: App) -> None:
    def call(method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        headers = {"authorization": f"Bearer {ACME}", "content-type": kind}
        return app.http("files", events.http(method, path, body, headers)).json

    file = call("POST", "/v1/files", file_form(), FORM)
    assert fits(schemas.FileBody, file)
    assert fits(schemas.PageBody[schemas.FileBody], call("GET", "/v1/files"))
    assert fits(schemas.Upload, call("POST", "/v1/uploads"))


def test_a_refused_input_is_as_described(app: App) -> None:
    answer = app.submit({"version": SCHNELL, "input": {"num_outputs": 9}})
    assert fits(schemas.Problem, answer.json)
    assert [field["type"] for field in answer.json["invalid_fields"]] == ["required", "number_lte"]
