"""Stages differ in values, in the places named here, and in nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk.aws_lambda import ApplicationLogLevel
from darkroom.domain.timings import Timings

from infra.config import Domain, StageConfig, UnknownStageError, all_doors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.synthesis import Synth

DIFFERENCES = {
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "DeletionProtectionEnabled",
    "RecoveryPeriodInDays",
    "RetentionInDays",
    "ThrottlingBurstLimit",
    "ThrottlingRateLimit",
    "MaximumConcurrency",
    "SLOW_CALLBACKS",
    "ReservedConcurrentExecutions",
    "PriceClass",
}
LOCAL_DIFFERENCES = {
    "PointInTimeRecoveryEnabled",
    "RecoveryPeriodInDays",
    "RetentionInDays",
    "MaximumConcurrency",
    "VisibilityTimeout",
    "TIMINGS",
    "LOCAL_CALLBACKS",
    "DEDICATED_ACCOUNT",
    "LocalCallbacks",
    "Action",
    "Resource",
    "Statement",
    "Condition",
    "ForAllValues:StringEquals",
    "ForAllValues:StringLike",
    "dynamodb:LeadingKeys",
    "S3Key",
    # The local application that requests by events, and its state machine.
    "EventsInLocalAppA2E13F6B",
    "$or",
    "source",
    "TASKS",
}
MISSING = object()
ANSWERED_WITH = r'headers(?: = \{|\[)"([\w-]+)"'
FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


def differing(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """Yield the keys whose values differ, or that one side lacks."""
    if name != "Resource" and isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from differing(one.get(key, MISSING), other.get(key, MISSING), key)
    elif isinstance(one, list) and isinstance(other, list):
        for a, b in zip_longest(one, other, fillvalue=MISSING):
            yield from differing(a, b, name)
    elif one != other:
        yield name


def nameless(value: Any) -> Any:
    """Return a template without the stage's name, which CDK puts into exports and one logical
    id."""
    if isinstance(value, dict):
        return {nameless(k): nameless(v) for k, v in value.items()}
    if isinstance(value, list):
        return [nameless(v) for v in value]
    if isinstance(value, str):
        text = re.sub(r"Darkroom(-?)(local|dev|prod)(-?)Service\w*", "Service", value)
        text = re.sub(r"Darkroom-(local|dev|prod)-Stateful", "Stateful", text)
        text = re.sub(r"Darkroom(local|dev|prod)Cdn\w*", "Cdn", text)
        return re.sub(r"\b(local|dev|prod)\b", "stage", text)
    return value


@pytest.mark.parametrize(
    ("stage", "expected"), [("prod", DIFFERENCES), ("local", LOCAL_DIFFERENCES)]
)
def test_a_stage_differs_from_dev_only_here(
    synth: Callable[[StageConfig], Synth],
    stage: str,
    expected: set[str],
    request: pytest.FixtureRequest,
) -> None:
    other: Synth = request.getfixturevalue(stage)
    # The alarms' targets are exported to their stack, if there is one.
    beside: dict[str, Any] = {
        "observability": other.config.observability,
        "doors": other.config.doors,
        # Where the function of the door `thumbnails` is depends on it.
        "cdn": other.config.cdn,
    }
    dev = synth(replace(StageConfig.dev(), **beside))
    pairs = [(dev.stateful, other.stateful), (dev.service, other.service)]
    pairs += [(dev.cdn, other.cdn)] if other.config.cdn else []
    pairs += [(dev.observability, other.observability)] if other.config.observability else []
    found = {
        name
        for ours, theirs in pairs
        for name in differing(nameless(ours.body), nameless(theirs.body))
    }
    assert found == expected


def test_the_local_stage_alone_has_no_cdn(local: Synth, dev: Synth, prod: Synth) -> None:
    assert [synth.config.cdn for synth in (local, dev, prod)] == [False, True, True]
    told = {"CDN_DOMAIN", "CDN_KEY_SECRET"}
    for synth in (dev, prod):
        assert all(name in synth.service.path.read_text() for name in told)
    assert not any(name in local.service.path.read_text() for name in told)


def test_callbacks_to_this_machine_exist_in_the_local_stage_alone(
    local: Synth, dev: Synth, prod: Synth
) -> None:
    assert "LOCAL_CALLBACKS" in local.service.path.read_text()
    assert local.service.body["Parameters"]["LocalCallbacks"]["Default"] == "false"
    for synth in (dev, prod):
        assert "local_callbacks" not in synth.service.path.read_text().lower()
        assert "localcallbacks" not in synth.service.path.read_text().lower()


def test_an_unknown_stage_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(UnknownStageError, match=r"'staging'.*dev, prod"):
        StageConfig.named("staging")


def test_prod_outlives_its_stack(prod: Synth, dev: Synth) -> None:
    for synth, policy in ((prod, "Retain"), (dev, "Delete")):
        kept = {
            resource["DeletionPolicy"]
            for type_ in ("DynamoDB::Table", "S3::Bucket", "SecretsManager::Secret")
            for _, resource in synth.stateful.resources(type_)
        }
        assert kept == {policy}
    for table in prod.stateful.properties("DynamoDB::Table").values():
        assert table["DeletionProtectionEnabled"] is True


DOMAIN = Domain(name="img.example.com", certificate_arn="arn:aws:acm:eu-west-1:1:certificate/x")


def public_urls(synth: Synth) -> list[Any]:
    return [
        function["Environment"]["Variables"]["PUBLIC_URL"]
        for function in synth.service.properties("Lambda::Function").values()
        if "PUBLIC_URL" in function["Environment"]["Variables"]
    ]


def test_the_public_url_is_the_parameter_or_else_the_api_itself(prod: Synth) -> None:
    urls = public_urls(prod)
    assert len(urls) == 8
    for url in urls:
        condition, given, otherwise = url["Fn::If"]
        assert condition == "PublicUrlGiven"
        assert given == {"Ref": "PublicUrl"}
        assert prod.shown(otherwise) == "HttpApi.ApiEndpoint"
    assert prod.service.body["Conditions"]["PublicUrlGiven"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "PublicUrl"}, ""]}]
    }


def test_a_custom_domain_becomes_the_public_url(synth: Callable[[StageConfig], Synth]) -> None:
    done = synth(replace(StageConfig.prod(), domain=DOMAIN))
    assert {url["Fn::If"][2] for url in public_urls(done)} == {"https://img.example.com"}
    assert done.service.body["Outputs"]["ApiUrl"]["Value"] == "https://img.example.com"
    (mapped,) = done.service.properties("ApiGatewayV2::DomainName").values()
    assert mapped["DomainNameConfigurations"][0]["SecurityPolicy"] == "TLS_1_2"
    assert len(list(done.service.resources("ApiGatewayV2::ApiMapping"))) == 1
    assert list(done.service.resources("Route53::RecordSet")) == []
    (api,) = done.service.properties("ApiGatewayV2::Api").values()
    assert not api.get("DisableExecuteApiEndpoint")


def test_the_default_endpoint_closes_and_the_alias_appears_when_asked_for(
    synth: Callable[[StageConfig], Synth],
) -> None:
    domain = replace(
        DOMAIN,
        hosted_zone_id="Z1",
        hosted_zone_name="example.com",
        close_default_endpoint=True,
    )
    done = synth(replace(StageConfig.prod(), domain=domain))
    (api,) = done.service.properties("ApiGatewayV2::Api").values()
    assert api["DisableExecuteApiEndpoint"] is True
    (record,) = done.service.properties("Route53::RecordSet").values()
    assert record["Name"] == "img.example.com."


def test_half_a_hosted_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        replace(DOMAIN, hosted_zone_id="Z1")


def test_tracing_and_cors_when_a_stage_asks_for_them(
    prod: Synth, synth: Callable[[StageConfig], Synth]
) -> None:
    done = synth(
        replace(StageConfig.prod(), tracing=True, cors_origins=("https://app.example.com",))
    )
    for function in done.service.properties("Lambda::Function").values():
        assert function["TracingConfig"] == {"Mode": "Active"}
    (api,) = done.service.properties("ApiGatewayV2::Api").values()
    assert api["CorsConfiguration"]["AllowOrigins"] == ["https://app.example.com"]
    assert "AllowCredentials" not in api["CorsConfiguration"]
    (plain,) = prod.service.properties("ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in plain


def headers_of(folder: Path, pattern: str) -> set[str]:
    """Return the headers that the functions name in this way."""
    return {name for path in folder.rglob("*.py") for name in re.findall(pattern, path.read_text())}


def test_aws_l3_browsers_may_send_what_is_read_and_read_what_is_set(
    synth: Callable[[StageConfig], Synth], prod: Synth
) -> None:
    origins = ["https://app.example.com"]
    stage = replace(StageConfig.prod(), cors_origins=tuple(origins), doors=all_doors())
    done = synth(stage)
    (api,) = done.service.properties("ApiGatewayV2::Api").values()
    cors = api["CorsConfiguration"]
    read = headers_of(FUNCTIONS, r'\.header\("([\w-]+)"\)')
    assert read >= {"authorization", "cancel-after", "darkroom-cache"}
    # Browsers do not encode bodies, and set the others without asking.
    by_themselves = {"accept-encoding", "content-encoding", "if-none-match", "origin"}
    assert read - by_themselves <= set(cors["AllowHeaders"])
    assert {"GET", "HEAD", "POST", "DELETE"} == set(cors["AllowMethods"])
    edge = [FUNCTIONS / "darkroom" / part for part in ("api", "handlers")]
    answered = {name for folder in edge for name in headers_of(folder, ANSWERED_WITH)}
    assert answered >= {"location", "warning", "idempotent-replayed", "retry-after"}
    always = {"cache-control", "content-encoding", "content-type"}
    assert answered - always <= set(cors["ExposeHeaders"])

    buckets = done.stateful.properties("S3::Bucket")
    rules = {
        name: bucket["CorsConfiguration"]["CorsRules"]
        for name, bucket in buckets.items()
        if "CorsConfiguration" in bucket
    }
    assert {
        n: [(r["AllowedOrigins"], sorted(r["AllowedMethods"])) for r in rs]
        for n, rs in rules.items()
    } == {
        "Outputs": [(origins, ["GET", "HEAD"])],
        # The console's pages have no origin that the stack knows.
        "Uploads": [(origins, ["GET", "HEAD", "POST"]), (["*"], ["POST"])],
    }
    plain = prod.stateful.properties("S3::Bucket").values()
    assert not any("CorsConfiguration" in bucket for bucket in plain)


def test_field_f27_browsers_may_send_what_generated_clients_add(
    synth: Callable[[StageConfig], Synth],
) -> None:
    """Replicate's and OpenAI's own in a browser: a preflight with an unknown header is rejected."""
    done = synth(replace(StageConfig.prod(), cors_origins=("https://app.example.com",)))
    (api,) = done.service.properties("ApiGatewayV2::Api").values()
    sent = {"authorization", "cancel-after", "content-type", "prefer", "user-agent"}
    about = ("arch", "lang", "os", "package-version", "runtime", "runtime-version")
    each = ("retry-count", "timeout", "read-timeout", "async", "helper-method", "poll-helper")
    sent |= {f"x-stainless-{name}" for name in (*about, *each)}
    assert sent <= set(api["CorsConfiguration"]["AllowHeaders"])


def test_aws_m5_a_small_account_keeps_room_for_its_api(
    synth: Callable[[StageConfig], Synth],
) -> None:
    done = synth(replace(StageConfig.prod(), small_account=True))
    functions = done.service.properties("Lambda::Function").values()
    assert not any("ReservedConcurrentExecutions" in function for function in functions)
    for mapping in done.service.properties("Lambda::EventSourceMapping").values():
        if "StartingPosition" in mapping:
            assert mapping["ParallelizationFactor"] == 1
        else:
            assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_newcomer_bug_5_the_app_refuses_an_unknown_stage_in_one_line(tmp_path: Path) -> None:
    root = FUNCTIONS.parent
    refused = subprocess.run(
        [sys.executable, "app.py"],
        cwd=root,
        env={**os.environ, "CDK_CONTEXT_JSON": '{"stage": "prdo"}', "CDK_OUTDIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert refused.stderr == "no stage 'prdo'; choose one of dev, prod, local\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [ApplicationLogLevel.WARN, ApplicationLogLevel.ERROR])
def test_a_log_level_that_would_silence_the_alarms_is_refused(level: ApplicationLogLevel) -> None:
    with pytest.raises(ValueError, match="metrics and alarms need INFO"):
        StageConfig(name="quiet", log_level=level)


@pytest.mark.parametrize(
    "settings",
    [
        {"retention_day": 30},
        {"recovery_days": 36},
        {"retention_days": 0},
        {"queue_concurrency": 1},
        {"monthly_budget_usd": "much"},
        {"cdn": "perhaps"},
        {"domain": "images.example.com"},
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        StageConfig(name="odd", **settings)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_output_bytes": 0}, "max_output_bytes"),
        ({"max_output_bytes": 5_000_000_001}, "max_output_bytes"),
        ({"timings": Timings(output_budget_s=101)}, "output_budget_s"),
    ],
)
def test_an_output_that_persist_could_not_copy_cannot_be_allowed(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        StageConfig(name="large", **settings)
