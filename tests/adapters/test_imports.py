"""The packages and AWS clients that a cold start of each function loads.

Each costs every cold start some milliseconds, which bench/cold.py measures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import darkroom
import pytest
from darkroom.runtime.function import declared

FUNCTIONS = Path(darkroom.__file__).parent.parent

ALWAYS = {
    *("aws_lambda_powertools", "typing_extensions"),
    *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),
}
HTTP = {"httpx", "httpcore", "h11"}
FORMS = {"multipart"}
CALLS_OUT = {"provider", "fetcher", "sender"}
"""Adapters that load HTTP."""
CLIENTS = {
    **dict.fromkeys(("predictions", "controls", "deliveries"), "dynamodb"),
    **dict.fromkeys(("forms", "outputs"), "s3"),
    **dict.fromkeys(("queue", "redelivery", "dead_letters"), "sqs"),
    "bus": "events",
    "secrets": "secretsmanager",
}
"""The service of which an adapter creates a client, unless it is `lazy`. Others create it later."""

# boto3 and pydantic are here for the development environment alone; what httpcore finds there
# besides (h2, anyio) is in no asset.
WATCHED = (
    ALWAYS | HTTP | FORMS | {"boto3", "s3transfer", "pydantic", "cryptography", "multiprocessing"}
)

CODE = """
import gc, json, sys
from darkroom.handlers.{function} import FUNCTION
print(FUNCTION.is_ready)
from darkroom.runtime.adapters import Adapters

class Recording(Adapters):
    asked = set()

    def __getattribute__(self, name):
        make = super().__getattribute__(name)

        def recorded(*args, lazy=None, **named):
            self.asked.add((name, bool(lazy)))
            return make(*args, **named) if lazy is None else make(*args, lazy=lazy, **named)

        return make if name == "asked" else recorded

FUNCTION.build(FUNCTION.settings.from_env(), Recording())
from botocore.client import BaseClient
gc.unfreeze()
clients = [each for each in gc.get_objects() if isinstance(each, BaseClient)]
print(json.dumps([
    sorted(Recording.asked),
    sorted({name.partition(".")[0] for name in sys.modules}),
    sorted({each.meta.service_model.service_name for each in clients}),
]))
"""


@pytest.mark.parametrize("function", declared())
def test_a_cold_start_loads_what_the_function_is_built_of_and_no_more(function: str) -> None:
    """The packages and the AWS clients, excluding `lazy` ones."""
    asked, modules, clients = json.loads(_started(function, CODE)[1])
    packages = HTTP if {name for name, _ in asked} & CALLS_OUT else set()
    if {route.body for route in declared()[function].routes.values()} & {
        "NewFileForm",
        "ImageEditBody",
    }:
        packages = packages | FORMS
    assert set(modules) & WATCHED == ALWAYS | packages
    assert set(clients) == {CLIENTS[name] for name, lazy in asked if name in CLIENTS and not lazy}


@pytest.mark.parametrize("function", declared())
def test_aws_m2_on_lambda_all_is_made_before_the_first_event(function: str) -> None:
    """Secrets are fetched as well; without any, each fetch is repeated on use."""
    on_lambda = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_EC2_METADATA_DISABLED": "true"}
    assert ready(function) == "False"
    assert ready(function, _HANDLER=f"darkroom.handlers.{function}.handler", **on_lambda) == "True"


def test_a_function_that_names_the_others_routes_makes_nothing_of_theirs() -> None:
    """An unknown request is answered with the routes of its path."""
    on_lambda = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_EC2_METADATA_DISABLED": "true"}
    code = (
        "from darkroom.api.routes import methods_on; import darkroom.handlers.read as read;"
        "from darkroom.runtime.function import declared;"
        "print(methods_on('/v1/predictions'));"
        "print(*(name for name, function in declared().items() if function.is_ready))"
    )
    handler = "darkroom.handlers.read.handler"
    written = _started("read", code, _HANDLER=handler, **on_lambda)
    assert written == ["['GET', 'HEAD', 'POST']", "read"]


def test_nothing_is_ready_that_a_cold_start_of_another_function_needs() -> None:
    code = "import sys, darkroom.handlers.webhook; print(*sys.modules)"
    (modules,) = _started("webhook", code)
    loaded = {name for name in modules.split() if name.startswith("darkroom.handlers.")}
    assert loaded == {"darkroom.handlers.webhook"}


def ready(function: str, **environment: str) -> str:
    """Return how often the imported handler module has created its parts."""
    return _started(function, CODE, **environment)[0]


def _started(function: str, code: str, **environment: str) -> list[str]:
    """Return the output of a new process that has the function's environment and runs the code."""
    required = declared()[function].settings.required()
    environment |= {
        **{name.upper(): "https://x.test" if name.endswith("_url") else "x" for name in required},
        "PYTHONPATH": str(FUNCTIONS),
        "AWS_DEFAULT_REGION": "eu-west-1",
        # As in every stage.
        "RESULT_CACHE": "true",
    }
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code.replace("{function}", function)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()
