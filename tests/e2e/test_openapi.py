"""docs/openapi.json against the embedded cloud: no request causes a 5xx or an answer that the
document does not describe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from darkroom.domain.correlation import is_tag
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemathesis import Case
    from schemathesis.schemas import APIOperation

    from tests.e2e.driver import Driver

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
OPERATIONS = {
    found.ok().definition.raw["operationId"]: found.ok()
    for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
    positive_data_acceptance,
    negative_data_rejection,
]
MODEL = "black-forest-labs/flux-schnell"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
SDXL = "stability-ai/sdxl"


@pytest.fixture
def session(driver: Driver) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["authorization"] = f"Bearer {driver.cloud.token}"
        yield session


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_whatever_is_asked_the_answer_is_described(
    driver: Driver, session: requests.Session, operation: APIOperation, mode: GenerationMode
) -> None:
    # Every field of a form arrives as text.
    form = "multipart/form-data" in operation.get_request_payload_content_types()
    checks = [check for check in CHECKS if not form or check is not negative_data_rejection]

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def ask(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            say_what_no_schema_can(case)
        response = case.call(
            base_url=driver.cloud.base_url, session=session, timeout=60, allow_redirects=False
        )
        case.validate_response(response, checks=checks)

    try:
        ask()
    except schemathesis.errors.InvalidSchema:
        if mode is GenerationMode.POSITIVE:
            raise


def say_what_no_schema_can(case: Case) -> None:
    """Change a valid request into a meaningful one: with an existing model, with printable names,
    without a cursor."""
    case.query.pop("cursor", None)
    for name in ("tag", "end_user"):
        if not is_tag(case.query.get(name, "")):
            case.query.pop(name, None)
    if "model" in case.query:
        case.query["model"] = MODEL
    if {"from", "to"} & case.query.keys():
        case.query |= dict.fromkeys(("from", "to"), str(datetime.now(UTC).date()))
    if "Cancel-After" in case.headers:
        case.headers["Cancel-After"] = "1m"
    if isinstance(case.body, dict) and "content" in case.body:
        # A schema cannot limit its length as JSON.
        case.body.pop("metadata", None)
    if isinstance(case.body, dict) and "/openai/" in case.path:
        case.body = in_openais_words(case.body)
    if isinstance(case.body, dict) and "input" in case.body:
        told = {name: given for name, given in case.body.items() if not name.startswith("webhook")}
        told["tags"] = list(filter(is_tag, told.get("tags") or []))
        told["end_user"] = told["end_user"] if is_tag(told.get("end_user") or "") else None
        told["input"] = {"prompt": "a lighthouse"}
        case.body = {**told, "version": MODEL} if "version" in told else told
        if "owner" in case.path_parameters:
            case.path_parameters |= dict(zip(("owner", "name"), MODEL.split("/"), strict=True))


def in_openais_words(body: dict[str, Any]) -> dict[str, Any]:
    """A request of a model that there is, without what it does not take."""
    kept = ("quality", "response_format", "stream", "partial_images", "output_compression")
    told = {name: body[name] for name in kept if name in body}
    told |= {"model": "dall-e-2", "prompt": "a lighthouse"}
    if "images" in body:
        told["images"] = [{"image_url": "https://example.com/a.png"}]
    if "image" in body:
        told["image"] = PNG
    return told


@pytest.fixture
def ask(driver: Driver) -> Callable[..., Any]:
    """Sends a real request and checks the answer against the document; returns its JSON."""

    def send(operation: str, status: int, path: str, **given: Any) -> Any:
        found = OPERATIONS[operation]
        request = driver.api.build_request(found.method, path, **given)
        request.read()
        answer = driver.api.send(request)
        assert answer.status_code == status, answer.text
        found.validate_response(answer)
        return answer.json() if answer.content else None

    return send


def test_every_operation_does_what_the_document_says(
    driver: Driver, ask: Callable[..., Any]
) -> None:
    body = {"input": {"prompt": "a lighthouse"}}
    made = ask("models.predictions.create", 201, f"/v1/models/{MODEL}/predictions", json=body)
    assert made["darkroom"]["expected_seconds"] > 0
    driver.finished(made["id"])
    here = f"/v1/predictions/{made['id']}"
    assert ask("predictions.get", 200, here)["status"] == "succeeded"
    waited = ask("predictions.wait", 200, f"{here}/wait?seconds=1")
    watched = ask("predictions.watch", 200, waited["urls"]["watch"])
    assert watched["revision"] == waited["darkroom"]["revision"]
    patient = {"Darkroom-Wait": "redirect"}
    ask(
        "predictions.create",
        303,
        "/v1/predictions",
        json={**body, "version": MODEL},
        headers=patient,
    )
    assert ask("predictions.cancel", 200, f"{here}/cancel")["status"] == "succeeded"
    listed = ask("predictions.list", 200, "/v1/predictions")["results"]
    assert made["id"] in {prediction["id"] for prediction in listed}
    asked = {**body, "version": MODEL}
    quote = ask("predictions.create", 200, "/v1/predictions?dry_run=true", json=asked)
    assert quote["darkroom"]["most"] > 0
    ask("predictions.get", 404, f"/v1/predictions/{'0' * 26}")
    ask("predictions.create", 422, "/v1/predictions", json={"input": {}})
    ask("predictions.create", 422, "/v1/predictions", json={"version": MODEL, "input": {}})
    ask("predictions.create", 400, "/v1/predictions", content=b"{", headers=JSON)
    ask("predictions.create", 415, "/v1/predictions", content=b"{}")

    models = ask("models.list", 200, "/v1/models")["results"]
    assert MODEL in {f"{model['owner']}/{model['name']}" for model in models}
    latest = ask("models.get", 200, f"/v1/models/{SDXL}")["latest_version"]
    versions = ask("models.versions.list", 200, f"/v1/models/{SDXL}/versions")["results"]
    assert latest in versions
    ask("models.versions.get", 200, f"/v1/models/{SDXL}/versions/{latest['id']}")
    assert ask("account.get", 200, "/v1/account")["username"] == "local"
    ask("webhooks.default.secret.get", 200, "/v1/webhooks/default/secret")

    file = ask("files.create", 201, "/v1/files", files={"content": ("a.txt", b"text")})
    kept = ask("files.get", 200, f"/v1/files/{file['id']}")
    assert kept["checksums"] == file["checksums"]
    assert kept in ask("files.list", 200, "/v1/files")["results"]
    ask("files.delete", 204, f"/v1/files/{file['id']}")
    ask("uploads.create", 201, "/v1/uploads", json={"filename": "a.png"})

    hooked = ask(
        "predictions.create",
        201,
        "/v1/predictions",
        json={**body, "version": MODEL, "webhook": "http://127.0.0.1:9/"},
    )
    driver.finished(hooked["id"])
    here = f"/v1/predictions/{hooked['id']}/deliveries"
    events = {row["event"] for row in ask("predictions.deliveries.list", 200, here)["results"]}
    assert "completed" in events
    ask("predictions.deliveries.redeliver", 202, f"{here}/completed/redeliver")


def test_openais_images_api_does_what_the_document_says(ask: Callable[..., Any]) -> None:
    base = "/openai/v1/images"
    asked = {"model": "dall-e-2", "prompt": "a lighthouse"}
    made = ask("openai.images.generate", 303, f"{base}/generations", json=asked)
    polled = {"headers": {"Prefer": "respond-async"}}
    ask("openai.images.generate", 202, f"{base}/generations", json=asked, **polled)
    here = f"{base}/generations/{made['id']}/wait"
    assert ask("openai.images.generations.wait", 200, here)["darkroom"]["id"] == made["id"]
    picture = {"images": [{"image_url": "data:image/png;base64,AAAA"}], "mask": {"file_id": "x"}}
    ask("openai.images.edit", 400, f"{base}/edits", json={**asked, **picture})
    ask("openai.images.generate", 404, f"{base}/generations", json={**asked, "model": "gpt"})
    ask("openai.images.edits.wait", 404, f"{base}/edits/{'0' * 26}/wait")
    ask("openai.models.list", 200, "/openai/v1/models")


JSON = {"content-type": "application/json"}
