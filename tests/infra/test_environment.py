"""The environment that the stack sets agrees with the function's settings class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.domain.timings import Timings
from darkroom.handlers.files import FilesSettings

from infra.config import StageConfig
from infra.constructs.python_function import EnvironmentMismatchError, check_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth


CORE = StageConfig.prod().functions()


def environment(synth: Synth, function: str) -> dict[str, Any]:
    functions = synth.service.properties("Lambda::Function")
    variables: dict[str, Any] = functions[f"{function}Function"]["Environment"]["Variables"]
    return variables


def flat(synth: Synth, value: Any) -> str:
    """Return a value as a deployment would have it, with references replaced by names."""
    return "https://api" if "Fn::If" in value else synth.shown(value)


def parsed(synth: Synth, function: str) -> Any:
    read = {k: flat(synth, v) for k, v in environment(synth, function).items()}
    # A parameter shows as its own name; this one must parse as a boolean.
    read |= {"LOCAL_CALLBACKS": "true"} if "LOCAL_CALLBACKS" in read else {}
    return CORE[function].settings.from_env(read)


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
@pytest.mark.parametrize("function", CORE)
def test_the_settings_class_reads_the_whole_environment(
    stage: str, function: str, request: pytest.FixtureRequest
) -> None:
    synth: Synth = request.getfixturevalue(stage)
    assert environment(synth, function).keys() <= CORE[function].settings.names()
    read = parsed(synth, function)
    if hasattr(read, "timings"):
        assert read.timings == synth.config.timings


KINDS = {"TABLE": "", "BUCKET": "", "SECRET": "", "QUEUE": "TasksQueue", "DLQ": "TasksDlq"}
"""The suffix of a resource's variable, and of its logical id."""


def test_every_resource_variable_names_the_resource_it_is_called_after(prod: Synth) -> None:
    seen: dict[str, set[str]] = {}
    for function in CORE:
        for name, value in environment(prod, function).items():
            seen.setdefault(name, set()).add(flat(prod, value))
    assert all(len(values) == 1 for values in seen.values()), "the same in all functions"
    said = {name: values.pop() for name, values in seen.items()}
    # It exists before the stacks, and is referenced by name.
    assert said.pop("CDN_KEY_SECRET") == "darkroom/prod/cdn-key"
    resources = {name: name.rpartition("_") for name in said if name.split("_")[-1] in KINDS}
    assert len(resources) > 10
    assert {name: said[name] for name in resources} == {
        name: stem.replace("_", " ").title().replace(" ", "") + KINDS[kind]
        for name, (stem, _, kind) in resources.items()
    }
    others = {"EVENT_BUS": "Events", "PUBLIC_URL": "https://api"}
    assert said.items() >= others.items()
    assert (said["CDN_DOMAIN"], said["TASKS"]) == ("Distribution.DomainName", "false")


def test_parameters_default_to_replicate_itself(prod: Synth) -> None:
    parameters = prod.service.body["Parameters"]
    assert {k: v["Default"] for k, v in parameters.items() if k != "BootstrapVersion"} == {
        "ReplicateUrl": "https://api.replicate.com",
        "OutputHosts": "replicate.delivery,*.replicate.delivery",
        "PublicUrl": "",
        "S3Endpoint": "",
    }


def test_the_local_stage_shows_recovery_within_seconds(local: Synth) -> None:
    timings = parsed(local, "Sweep").timings
    assert max(timings.first_poll_s, timings.create_silence_s, timings.store_grace_s) <= 10
    assert parsed(local, "Persist").timings == timings != Timings()


def test_a_stage_may_refuse_what_a_model_does_not_name(
    synth: Callable[[StageConfig], Synth], local: Synth
) -> None:
    done = synth(replace(StageConfig.prod(), strict_inputs=True))
    for function in ("Submit", "Intake"):
        assert parsed(done, function).strict_inputs
        assert not parsed(local, function).strict_inputs


def test_a_stage_sets_how_large_an_output_may_be(synth: Callable[[StageConfig], Synth]) -> None:
    done = synth(replace(StageConfig.prod(), max_output_bytes=1_000_000_000))
    assert parsed(done, "Persist").max_output_bytes == 1_000_000_000


def test_a_slow_client_has_one_consumer_in_five(dev: Synth, local: Synth) -> None:
    assert [parsed(stage, "Deliver").slow_callbacks for stage in (dev, local)] == [1, 1]


def test_a_variable_that_either_side_forgets_fails_the_synth() -> None:
    needed = {"CONTROLS_TABLE": "c", "PUBLIC_URL": "https://api", "UPLOADS_BUCKET": "u"}
    check_environment(FilesSettings, needed)
    with pytest.raises(EnvironmentMismatchError, match=r"missing \['PUBLIC_URL'\], unknown \[\]"):
        check_environment(FilesSettings, {k: v for k, v in needed.items() if k != "PUBLIC_URL"})
    with pytest.raises(EnvironmentMismatchError, match=r"missing \[\], unknown \['TYPO'\]"):
        check_environment(FilesSettings, {**needed, "TYPO": "x"})
