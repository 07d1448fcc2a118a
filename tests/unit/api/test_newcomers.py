"""Answers to new users whose requests nearly work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from darkroom.api.http import read_request
from darkroom.api.requests import ReadCreate
from darkroom.api.routes import unserved
from darkroom.domain import errors
from darkroom.handlers.submit import SubmitSettings

from tests.support import events
from tests.support.world import SCHNELL, World

SWITCH = "DARKROOM_LOCAL_CALLBACKS=1"


def create(webhook: str, *, local: bool | None) -> Any:
    body = {"version": SCHNELL, "input": {"prompt": "a fox"}, "webhook": webhook}
    request = events.http(
        "POST", "/v1/predictions", json.dumps(body), {"content-type": "application/json"}
    )
    return ReadCreate(local_callbacks=local)(read_request(request, {}), "acme")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_newcomer_friction_4_a_callback_to_this_machine_names_the_switch(host: str) -> None:
    url = f"http://{host}:8000/hook"
    with pytest.raises(errors.InvalidInputError, match=SWITCH):
        create(url, local=False)
    assert create(url, local=True).webhook == url
    with pytest.raises(errors.InvalidInputError) as deployed:
        create(url, local=None)
    assert SWITCH not in str(deployed.value)
    assert "embedded" not in str(deployed.value)


@pytest.mark.parametrize("url", ["http://client.example/", "http://127.1/", "http://0.0.0.0/"])
def test_what_is_no_name_of_this_machine_is_refused_with_the_switch_on(url: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=r"also calls http://127\.0\.0\.1:PORT"):
        create(url, local=True)


@pytest.mark.parametrize(("given", "read"), [("true", True), ("false", False), (None, None)])
def test_a_stage_without_the_switch_is_told_from_one_that_has_it_off(
    given: str | None, read: bool | None
) -> None:
    environment = {name.upper(): "x" for name in SubmitSettings.required()}
    if given is not None:
        environment["LOCAL_CALLBACKS"] = given
    assert SubmitSettings.from_env(environment).local_callbacks is read


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/predictions"),
        ("GET", "/predictions/abc"),
        ("POST", "/models/black-forest-labs/flux-schnell/predictions"),
        ("PATCH", "/files"),
    ],
)
def test_newcomer_friction_16_a_base_url_without_v1_is_told_so(method: str, path: str) -> None:
    refused = unserved(method, path)
    assert isinstance(refused, errors.NotFoundError)
    assert "The API is under /v1" in str(refused)


@pytest.mark.parametrize("path", ["/", "/v2/predictions", "/v1", "/v1/x", "/predictions/a/b/c/d"])
def test_other_unknown_paths_are_simply_not_found(path: str) -> None:
    assert str(unserved("GET", path)) == "Not found"


@pytest.mark.parametrize("reference", ["google/imagen-4000", "0" * 64, f"a/b:{'0' * 64}"])
@pytest.mark.parametrize("open_models", [True, False])
def test_newcomer_friction_1_a_model_that_is_not_there_names_the_catalogue(
    reference: str, open_models: bool
) -> None:
    world = World(open_models=open_models)
    world.provider.schemas = {}
    with pytest.raises(errors.InvalidInputError) as refused:
        world.submit.find_model(reference)
    said = str(refused.value)
    assert said.startswith("The specified version does not exist")
    assert "GET /v1/models" in said
    assert "docs/models.md" in said
    assert "python -m ops models add owner/name" in said
    assert ("owner/name:version" in said) is open_models
