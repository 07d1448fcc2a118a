"""The core of a stage, and its optional parts: a door that is closed has nothing in a template."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from darkroom import handlers
from darkroom.api.routes import methods_on
from darkroom.runtime.function import declared

from app import build
from infra.config import StageConfig, UnknownDoorError, all_doors
from infra.grants import UnknownResourceError, statements
from tests.infra.synthesis import NO_BUNDLING, Synth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOORS = Path(__file__).parent / "doors"


@pytest.fixture
def parlor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of functions with one more, which belongs to a door of its own."""
    monkeypatch.setattr(handlers, "__path__", [*handlers.__path__, str(DOORS)])
    declared.cache_clear()
    yield
    declared.cache_clear()


def written(synth: Synth) -> str:
    stacks = (synth.stateful, synth.service, synth.observability)
    return json.dumps([stack.body for stack in stacks])


def test_a_stage_has_the_core_and_no_more(prod: Synth) -> None:
    core = {name for name, function in declared().items() if function.door is None}
    made = prod.service.properties("Lambda::Function")
    assert {name.removesuffix("Function").lower() for name in made} == core
    assert prod.config.doors == ()


def test_each_door_alone(synth: Callable[[StageConfig], Synth]) -> None:
    for door in all_doors():
        config = replace(StageConfig.prod(), doors=(door,))
        made = synth(config).service.properties("Lambda::Function")
        assert made.keys() == {f"{name}Function" for name in config.functions()}


def test_the_local_stage_has_every_door(local: Synth) -> None:
    assert local.config.functions().keys() == {name.title() for name in declared()}


def test_a_door_that_is_closed_has_no_function_route_alarm_or_right(
    prod: Synth, parlor: None, tmp_path: Path
) -> None:
    assert all_doors() == ("parlor", "wait")
    assert "Parlor" not in StageConfig.prod().functions()
    assert methods_on("/v1/parlor") == []
    assert "parlor" not in written(prod).lower()
    config = replace(StageConfig.prod(), doors=("parlor",))
    build(config, outdir=str(tmp_path), context=NO_BUNDLING).synth()
    opened = Synth(tmp_path, config)
    functions = opened.service.properties("Lambda::Function")
    assert functions["ParlorFunction"]["Handler"] == "darkroom.handlers.parlor.handler"
    closed = prod.service.properties("Lambda::Function")
    assert functions.keys() - closed.keys() == {"ParlorFunction"}
    keys = {r["RouteKey"] for r in opened.service.properties("ApiGatewayV2::Route").values()}
    assert "GET /v1/parlor" in keys
    watched = opened.observability.properties("CloudWatch::Alarm")["RequestsThrottled"]
    assert "Parlor" in json.dumps(watched)
    (policy,) = opened.service.properties("IAM::Role")["ParlorRole"]["Policies"]
    resources = {
        opened.shown(resource)
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in [statement["Resource"]]
    }
    assert resources == {"Controls", "ParlorLogs"}


def test_a_door_that_there_is_not_is_refused_with_those_that_there_are(parlor: None) -> None:
    with pytest.raises(UnknownDoorError, match="doors: attic; known: parlor, wait"):
        replace(StageConfig.prod(), doors=("attic", "parlor"))


def test_a_right_on_what_no_stack_has_fails_the_synth() -> None:
    with pytest.raises(UnknownResourceError, match="dynamodb:GetItem BatchGetItem: predictions"):
        statements(declared()["read"], {}, set())
