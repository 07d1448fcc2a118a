"""Each function has the rights that its calls need, and no others.

The needed rights come from its observed calls (tests/infra/paths.py) and from Lambda's calls with
its role; the granted ones are in the templates. An oracle of IAM's decisions compares them, because
no emulator evaluates policies.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest

from tests.infra.deployed import ACCOUNT, REGION, Deployed, by_lambda, request
from tests.infra.paths import DOOR_OPENAI, WATCH_KEY, Asked, everything_asked
from tests.support.iam import Decision, decide, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.synthesis import Synth
    from tests.support.iam import Request, Statement

STAGES = ("prod", "local")
"""One with a CDN and one without; one that answers tasks and one that does not; a shared account at
Replicate and a dedicated one."""
SWITCHES = ("TASKS", "DEDICATED_ACCOUNT", "OPEN_MODELS", "RESULT_CACHE")


class Needs:
    """A stage as deployed, and all calls of its functions."""

    def __init__(self, synth: Synth) -> None:
        self.deployed = Deployed(synth)
        environment: dict[str, str] = {}
        for function in self.deployed.functions.values():
            variables = function["Environment"]["Variables"]
            environment |= {name: variables[name] for name in SWITCHES if name in variables}
        if synth.config.cdn:
            environment |= {"CDN_DOMAIN": "cdn.example.com", "CDN_KEY_SECRET": "cdn"}
        if "wait" in synth.config.doors:
            environment[WATCH_KEY] = "watch"
        if "thumbnails" in synth.config.doors:
            environment["THUMBNAILS"] = "true"
        if "openai" in synth.config.doors:
            environment[DOOR_OPENAI] = "25"
        self.asked = everything_asked(environment, synth.config.doors)
        self.requests: dict[str, list[Request]] = {name: [] for name in self.deployed.functions}
        for function, made in by_lambda(self.deployed):
            self.requests[function].append(made)
        for asked in self.asked:
            self.requests[asked.function] += self._made(asked, synth)

    def _made(self, asked: Asked, synth: Synth) -> Iterator[Request]:
        context = {k: v if isinstance(v, str) else list(v) for k, v in asked.context}
        if asked.variable:
            resources = [self.deployed.arn_of(asked.function, asked.variable) + asked.below]
        else:
            resources = [
                f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"
                for name in synth.config.state_machines
            ] or ["*"]
        for resource in resources:
            yield request(self.deployed, asked.function, asked.action, resource, **context)

    def refused(self, function: str, granted: list[Statement]) -> Iterator[str]:
        """Return the function's requests that these statements and the resources' do not allow."""
        for each in self.requests[function]:
            if decide(each, granted, self.deployed.of_resources) is not Decision.ALLOWED:
                yield f"{each.action} {each.resource} {dict(each.context)}"


def alone(granted: list[Statement]) -> Iterator[tuple[str, list[Statement]]]:
    """Yield each grant described in words, and all the others: of one action on one resource, and
    of one value of one condition."""
    single = [
        {**deepcopy(statement), "Action": action, "Resource": resource}
        for statement in granted
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    for number, statement in enumerate(single):
        others = single[:number] + single[number + 1 :]
        name = f"{statement['Action']} {statement['Resource']}"
        yield name, others
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                for value in listed(values):
                    left = [each for each in listed(values) if each != value]
                    condition = {**statement["Condition"], operator: {**keys, key: left}}
                    narrower = {**statement, "Condition": condition}
                    yield f"{name} {value}", [*others, *([narrower] if left else [])]


@pytest.fixture(scope="module", params=STAGES)
def needs(request: pytest.FixtureRequest) -> Needs:
    return Needs(request.getfixturevalue(request.param))


def test_every_call_is_allowed(needs: Needs) -> None:
    refused = {
        function: refused
        for function, granted in needs.deployed.granted.items()
        if (refused := list(needs.refused(function, granted)))
    }
    assert refused == {}


def test_without_any_one_grant_some_call_is_refused(needs: Needs) -> None:
    """No statement, action, resource or value of a condition is superfluous."""
    superfluous = [
        f"{function}: {grant}"
        for function, granted in needs.deployed.granted.items()
        for grant, others in alone(granted)
        if not any(needs.refused(function, others))
    ]
    assert superfluous == []
