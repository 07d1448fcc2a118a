"""GET: models and their versions, the account, the webhook secret, under any base path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.model import input_schema_of
from darkroom.replicate import cog

from tests.support import events
from tests.support.app import ACME, OTHER, READER, is_problem
from tests.support.world import PUBLIC_URL, SCHNELL, load_catalogue

if TYPE_CHECKING:
    from tests.support.app import App

SDXL = "stability-ai/sdxl"
INPAINTING = "stability-ai/stable-diffusion-inpainting"
MODELS = load_catalogue().names()
PAGE = 25


def test_every_model_of_the_catalogue_is_listed(app: App) -> None:
    page = app.get("/v1/models").json
    assert names(page) == list(MODELS[:PAGE])
    assert (page["next"] is None, page["previous"]) == (len(MODELS) <= PAGE, None)
    rest = app.get("/v1/models", query={"cursor": MODELS[PAGE - 1]}).json
    assert names(rest) == list(MODELS[PAGE:])
    assert rest["next"] is None


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_what_the_clients_read(app: App, name: str) -> None:
    found = app.get(f"/v1/models/{name}").json
    assert f"{found['owner']}/{found['name']}" == name
    for text in ("url", "description", "visibility", "created_at"):
        assert isinstance(found[text], str)
    assert found["run_count"] == 0
    assert found["default_example"] is None
    version = found["latest_version"]
    assert not [key for key, value in version.items() if value is None]
    model = load_catalogue().model(name)
    assert input_schema_of(version["openapi_schema"]) == model.input_schema
    assert found["is_official"] is model.official
    same = app.get(f"/v1/models/{name}/versions/{version['id']}").json
    assert same == version


def test_an_official_model_has_no_versions_to_choose_from(app: App) -> None:
    """Replicate's Python client 2.x detects by this that the model is run by its name."""
    page = app.get(f"/v1/models/{SCHNELL}/versions").json
    assert page == {"next": None, "previous": None, "results": []}


def test_the_versions_of_a_model_begin_with_the_pinned_one(app: App) -> None:
    model = load_catalogue().model(SDXL)
    found = app.get(f"/v1/models/{SDXL}/versions").json["results"]
    assert [version["id"] for version in found] == [model.version, *model.known_versions]
    assert all(app.get(f"/v1/models/{SDXL}/versions/{v['id']}").json == v for v in found)


def test_an_alias_of_a_version_shows_what_it_stands_for(app: App) -> None:
    """Replicate's Python client 1.x requests the given version after the create."""
    model = load_catalogue().model(INPAINTING)
    (alias,) = model.version_aliases
    assert app.get(f"/v1/models/{INPAINTING}/versions/{alias}").json["id"] == model.version


@pytest.mark.parametrize(
    "path",
    [
        "somebody/else",
        f"{SCHNELL}:{'a' * 64}",
        f"{SCHNELL}/versions/latest",
        f"{SCHNELL}/versions/{'a' * 64}",
        f"{SDXL}/versions/{cog.HIDDEN}",
        f"somebody/else/versions/{'a' * 64}",
        "somebody/else/versions",
        "../%2e%2e",
        "A" * 3000 + "/b",
    ],
)
def test_what_the_catalogue_does_not_hold_is_not_found(app: App, path: str) -> None:
    assert is_problem(app.get(f"/v1/models/{path}"), 404)
    assert app.calls == {"FakeControls.api_key": 1}


@pytest.mark.parametrize("cursor", ["x", "A/B", "a/b:c", "a/" + "b" * 200])
def test_a_cursor_of_models_that_is_none_is_refused(app: App, cursor: str) -> None:
    assert is_problem(app.get("/v1/models", query={"cursor": cursor}), 400)


def test_a_page_of_models_begins_after_its_cursor(app: App) -> None:
    found = app.get("/v1/models", query={"cursor": MODELS[5]}).json["results"]
    assert [f"{m['owner']}/{m['name']}" for m in found] == list(MODELS[6 : 6 + PAGE])


def names(page: Any) -> list[str]:
    return [f"{model['owner']}/{model['name']}" for model in page["results"]]


@pytest.mark.parametrize("by", ["model_created_at", "latest_version_created_at"])
def test_oracles_f8_a_list_of_models_is_turned_round(app: App, by: str) -> None:
    query = {"sort_by": by, "sort_direction": "desc"}
    assert names(app.get("/v1/models", query=query).json) == list(MODELS[::-1][:PAGE])
    query |= {"cursor": MODELS[5]}
    found = app.get("/v1/models", query=query).json
    assert names(found) == list(MODELS[4::-1])
    assert found["previous"].endswith(f"&sort_by={by}&sort_direction=desc")
    assert names(app.get("/v1/models", query={"sort_direction": "asc"}).json) == list(MODELS[:PAGE])


@pytest.mark.parametrize("query", [{"sort_by": "name"}, {"sort_direction": "up"}])
def test_an_order_that_is_none_is_refused(app: App, query: dict[str, str]) -> None:
    answer = app.get("/v1/models", query=query)
    assert is_problem(answer, 400)
    assert next(iter(query)) in answer.json["detail"]


def test_a_model_and_a_create_say_what_to_expect(app: App) -> None:
    typical = load_catalogue().model(SCHNELL).typical_seconds
    expected = {"expected_seconds": typical, "cold": False}
    shown = app.get(f"/v1/models/{SCHNELL}").json["darkroom"]
    known = {"tasks": ["text-to-image"], "status": None}
    takes = {"pictures": [], "mask": None, "mask_repaints": None}
    assert shown == {**expected, **known, **takes, "price": {"unit": "image", "usd": 0.003}}
    created = app.submit().json["darkroom"]
    assert created.items() >= expected.items()
    assert app.calls["FakeControls.run_times"] == 2, "once in each function"


@pytest.mark.parametrize(
    ("model", "repaints"),
    [("black-forest-labs/flux-fill-dev", "white"), ("ideogram-ai/ideogram-v3-turbo", "black")],
)
def test_a_model_says_which_inputs_take_pictures_and_how_its_mask_is_meant(
    app: App, model: str, repaints: str
) -> None:
    shown = app.get(f"/v1/models/{model}").json
    takes, schema = shown["darkroom"], shown["latest_version"]["openapi_schema"]
    inputs = schema["components"]["schemas"]["Input"]["properties"]
    assert takes["mask_repaints"] == repaints
    assert {*takes["pictures"], takes["mask"]} <= inputs.keys()


def test_a_model_that_was_taken_back_says_what_comes_after_it(app: App) -> None:
    shown = app.get("/v1/models/black-forest-labs/flux-pro").json["darkroom"]
    successor = "black-forest-labs/flux-1.1-pro"
    assert shown["status"] == {"state": "deprecated", "as_of": "2026-11-30", "successor": successor}


def test_the_account_is_the_tenant(app: App) -> None:
    answer = app.get("/v1/account", READER)
    assert answer.json == {"type": "organization", "username": "acme", "name": "acme"}


def test_the_webhook_secret_is_the_tenants_own(app: App) -> None:
    path = "/v1/webhooks/default/secret"
    keys = [app.get(path, token).json["key"] for token in (ACME, OTHER)]
    assert keys == [app.world.callback_secrets.current(tenant) for tenant in ("acme", "other")]
    assert keys[0] != keys[1]
    assert is_problem(app.get(path, READER), 403)


PATHS = (
    "/v1/models",
    f"/v1/models/{SCHNELL}",
    f"/v1/models/{SCHNELL}/versions",
    f"/v1/models/{SCHNELL}/versions/{'a' * 64}",
    "/v1/account",
    "/v1/webhooks/default/secret",
)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_shown(app: App, path: str) -> None:
    assert is_problem(app.get(path, token=None), 401)
    assert is_problem(app.get(path, token="dk_unknown"), 401)
    assert app.calls == {"FakeControls.api_key": 1}


@pytest.mark.parametrize("base", ["/v1", "/prod", "/a.b~c"])
@pytest.mark.parametrize("path", ["/v1/predictions", *PATHS])
def test_a_base_path_changes_no_answer(app: App, base: str, path: str) -> None:
    assert app.get(base + path) == app.get(path)


def test_a_record_has_the_same_links_by_whatever_base_path(app: App) -> None:
    made = app.submit(path="/v1/v1/predictions")
    assert made.status == 201
    id_ = made.json["id"]
    assert made.headers["location"] == f"{PUBLIC_URL}/v1/predictions/{id_}"
    assert app.get(f"/prod/v1/predictions/{id_}").json == app.get(f"/v1/predictions/{id_}").json


@pytest.mark.parametrize("stage", ["", "/prod"])
def test_a_stages_own_prefix_is_in_the_path_and_not_in_the_route(app: App, stage: str) -> None:
    """A request as the gateway passes it on below a named stage or a domain's mapping."""

    def at(method: str, path: str) -> dict[str, Any]:
        event = events.http(method, path, None, {"authorization": f"Bearer {ACME}"})
        return {**event, "rawPath": stage + path}

    assert app.http("read", at("GET", f"/v1/models/{SDXL}")).json["name"] == "sdxl"
    assert is_problem(app.http("read", at("PUT", "/v1/predictions")), 405)
    assert is_problem(app.http("read", at("GET", "/v1/trainings")), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/predictions", "GET, HEAD, POST"),
        ("QUERY", "/v1/models", "GET, HEAD"),
        ("POST", "/prod/v1/files/x", "DELETE, GET, HEAD"),
    ],
)
def test_a_refused_method_names_those_that_are_served(
    app: App, method: str, path: str, allowed: str
) -> None:
    answer = app.http("read", events.http(method, path))
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == allowed
    assert answer.json["detail"] == f"{method} is not served on this path."


@pytest.mark.parametrize(
    "path",
    [
        "/v1/trainings",
        "/v1/trainings/x/cancel",
        "/v1/deployments/a/b",
        "/v1/hardware",
        "/v1/collections/x",
        "/v1/search",
        "/v1/models/a/b/examples",
        "/v1/models/a/b/readme",
        "/v1/v1/hardware",
    ],
)
def test_what_is_left_out_on_purpose_says_so(app: App, path: str) -> None:
    answer = app.get(path)
    assert is_problem(answer, 404)
    assert answer.json["title"] == "Not served by Darkroom"
    assert "on purpose" in answer.json["detail"]
