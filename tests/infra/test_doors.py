"""The core of a stage, and its optional parts: a closed door adds nothing to a template."""

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
from infra.config import StageConfig, all_doors
from infra.grants import UnknownResourceError, statements
from tests.infra.synthesis import NO_BUNDLING, Synth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOORS = Path(__file__).parent / "doors"
DECLARED = set(all_doors())


@pytest.fixture
def parlor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of functions with an additional one, which belongs to a door of its own."""
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
        done = synth(config)
        made = done.service.properties("Lambda::Function").keys()
        behind_cdn = done.cdn.properties("Lambda::Function").keys()
        assert made | behind_cdn == {f"{name}Function" for name in config.functions()}
        assert behind_cdn == {f"{name}Function" for name in config.origins()}


def test_the_local_stage_has_every_door(local: Synth) -> None:
    assert local.config.functions().keys() == {name.title() for name in declared()}


def test_a_door_that_is_closed_has_no_function_route_alarm_or_right(
    prod: Synth, parlor: None, tmp_path: Path
) -> None:
    assert set(all_doors()) == DECLARED | {"parlor"}
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
    with pytest.raises(ValueError, match=r"doors: attic; known: .*parlor"):
        replace(StageConfig.prod(), doors=("attic", "parlor"))


def test_a_right_on_what_no_stack_has_fails_the_synth() -> None:
    with pytest.raises(UnknownResourceError, match="dynamodb:GetItem BatchGetItem: predictions"):
        statements(declared()["read"], {}, set())


def told(synth: Synth, function: str) -> dict[str, object]:
    made = synth.service.properties("Lambda::Function")[f"{function}Function"]
    variables: dict[str, object] = made["Environment"]["Variables"]
    return variables


def test_the_door_wait_adds_to_the_core_what_it_needs_and_no_more(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("wait",)))
    for function in prod.config.functions():
        added = told(opened, function).keys() - told(prod, function).keys()
        assert added == ({"WATCH_KEY_SECRET"} if function in {"Submit", "Read"} else set())
    routes = {
        name: {r["RouteKey"] for r in made.service.properties("ApiGatewayV2::Route").values()}
        for name, made in (("opened", opened), ("closed", prod))
    }
    added = routes["opened"] - routes["closed"]
    assert {"GET /v1/predictions/{id}/wait", "GET /v1/predictions/{id}/watch"} <= added
    assert all("/wait" in key or "/watch" in key for key in added)
    assert "wait" not in json.dumps(sorted(routes["closed"]))
    alarms = [set(made.observability.properties("CloudWatch::Alarm")) for made in (opened, prod)]
    assert alarms[0] - alarms[1] == {"WaitThrottled"}
    names = json.dumps(opened.observability.properties("CloudWatch::Alarm")["RequestsThrottled"])
    assert "Wait" not in names
    # A secret would cost as much per month as a thousand predictions, so the door adds none.
    assert opened.stateful.body == prod.stateful.body


def test_the_door_openai_adds_its_functions_alone(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("openai",)))
    for function in prod.config.functions():
        assert told(opened, function).keys() == told(prod, function).keys()
    functions = opened.service.properties("Lambda::Function")
    core = prod.service.properties("Lambda::Function")
    assert functions.keys() - core.keys() == {"ImagesFunction", "ImagewaitFunction"}
    assert functions["ImagewaitFunction"]["ReservedConcurrentExecutions"] == 100
    # Pillow is in no other function's asset, and the core's is as it was.
    codes = {name: json.dumps(made["Code"]) for name, made in functions.items()}
    assert [name for name, code in codes.items() if code != codes["SubmitFunction"]] == [
        "ImagesFunction"
    ]
    routes = [
        {r["RouteKey"] for r in made.service.properties("ApiGatewayV2::Route").values()}
        for made in (opened, prod)
    ]
    assert all(" /openai/v1/" in key for key in routes[0] - routes[1])
    alarms = [set(made.observability.properties("CloudWatch::Alarm")) for made in (opened, prod)]
    assert alarms[0] - alarms[1] == {"ImagewaitThrottled"}
    assert opened.stateful.body == prod.stateful.body


def test_what_the_door_wait_reserves_is_the_stages(
    synth: Callable[[StageConfig], Synth],
) -> None:
    def made(**settings: object) -> tuple[object, object]:
        found = synth(replace(StageConfig.prod(), doors=("wait",), **settings))  # type: ignore[arg-type]
        functions = found.service.properties("Lambda::Function")
        reserved = functions["WaitFunction"].get("ReservedConcurrentExecutions")
        return reserved, told(found, "Wait")["WAIT_S"]

    assert made() == (100, "25")
    assert made(wait_concurrency=7, wait_s=9) == (7, "9")
    assert made(small_account=True) == (None, "5")
    assert made(small_account=True, wait_s=2) == (None, "2")


def test_the_door_mcp_adds_a_function_and_changes_no_other(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("mcp",)))
    for function in prod.config.functions():
        assert told(opened, function) == told(prod, function)
    keys = [
        {r["RouteKey"] for r in made.service.properties("ApiGatewayV2::Route").values()}
        for made in (opened, prod)
    ]
    assert keys[0] - keys[1] == {"POST /mcp", "GET /mcp", "DELETE /mcp"}
    alarms = [set(made.observability.properties("CloudWatch::Alarm")) for made in (opened, prod)]
    assert alarms[0] - alarms[1] == {"McpThrottled"}
    assert opened.stateful.body == prod.stateful.body
    assert told(opened, "Mcp")["WAIT_S"] == "25"
    assert "CORS_ORIGINS" not in told(opened, "Mcp")
    made = opened.service.properties("Lambda::Function")["McpFunction"]
    assert made["ReservedConcurrentExecutions"] == StageConfig.prod().mcp_concurrency


def test_the_door_mcp_lets_those_pages_in_that_the_stage_does(
    synth: Callable[[StageConfig], Synth],
) -> None:
    origins = ("https://app.example.com", "http://localhost:6274")
    for doors in ((), ("mcp",)):
        made = synth(replace(StageConfig.prod(), doors=doors, cors_origins=origins))
        (api,) = made.service.properties("ApiGatewayV2::Api").values()
        allowed = api["CorsConfiguration"]["AllowHeaders"]
        assert ("mcp-protocol-version" in allowed) is bool(doors)
        for function in made.config.functions():
            given = told(made, function).get("CORS_ORIGINS")
            assert given == (",".join(origins) if function == "Mcp" else None)


def test_the_door_console_adds_a_function_without_rights_and_changes_no_other(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("console",)))
    for function in prod.config.functions():
        assert told(opened, function) == told(prod, function)
    keys = [
        {r["RouteKey"] for r in made.service.properties("ApiGatewayV2::Route").values()}
        for made in (opened, prod)
    ]
    assert keys[0] - keys[1] == {"GET /console", "GET /console/{rest+}"}
    (policy,) = opened.service.properties("IAM::Role")["ConsoleRole"]["Policies"]
    actions = [each["Action"] for each in policy["PolicyDocument"]["Statement"]]
    assert actions == [["logs:CreateLogStream", "logs:PutLogEvents"]]
    alarms = [set(made.observability.properties("CloudWatch::Alarm")) for made in (opened, prod)]
    assert alarms[0] == alarms[1]
    watched = opened.observability.properties("CloudWatch::Alarm")["RequestsThrottled"]
    assert "Console" in json.dumps(watched)


def test_the_door_console_lets_pages_of_any_origin_send_a_signed_form_and_read_nothing(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    opened = synth(replace(StageConfig.prod(), doors=("console",)))
    rule = {"AllowedMethods": ["POST"], "AllowedOrigins": ["*"], "MaxAge": 3600}
    buckets = opened.stateful.properties("S3::Bucket")
    assert buckets["Uploads"]["CorsConfiguration"]["CorsRules"] == [rule]
    assert "CorsConfiguration" not in buckets["Outputs"]
    closed = prod.stateful.properties("S3::Bucket")
    assert "CorsConfiguration" not in closed["Uploads"]
    assert {**buckets["Uploads"], "CorsConfiguration": None} == {
        **closed["Uploads"],
        "CorsConfiguration": None,
    }
    origin = "https://app.example.com"
    both = synth(replace(StageConfig.prod(), doors=("console",), cors_origins=(origin,)))
    rules = both.stateful.properties("S3::Bucket")["Uploads"]["CorsConfiguration"]["CorsRules"]
    assert [each["AllowedOrigins"] for each in rules] == [[origin], ["*"]]
    assert rules[1] == rule


@pytest.mark.parametrize("cdn", [True, False])
def test_the_console_is_told_where_pictures_come_from_and_uploads_go(
    synth: Callable[[StageConfig], Synth], *, cdn: bool
) -> None:
    stage = replace(StageConfig.prod(), doors=("console",), cdn=cdn)
    variables = told(synth(stage), "Console")
    assert variables.keys() == {
        *("POWERTOOLS_SERVICE_NAME", "PUBLIC_URL", "PICTURE_ORIGINS", "UPLOAD_ORIGINS"),
    }
    pictures, uploads = (json.dumps(variables[f"{kind}_ORIGINS"]) for kind in ("PICTURE", "UPLOAD"))
    assert "Uploads" in pictures
    assert "Uploads" in uploads
    assert ("Outputs" in pictures) is not cdn
    assert ("Cdn" in pictures) is cdn
    assert "Outputs" not in uploads
    assert all("S3Endpoint" in text for text in (pictures, uploads))


@pytest.mark.parametrize(
    "wrong",
    [{"wait_s": 0}, {"wait_s": 26}, {"wait_concurrency": 0}, {"mcp_concurrency": 0}],
)
def test_a_wait_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(StageConfig.prod(), **wrong)  # type: ignore[arg-type]
