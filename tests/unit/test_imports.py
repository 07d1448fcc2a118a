"""What a cold start of each function loads: foreign packages, and clients of AWS.

Each costs every cold start milliseconds: bench/cold.py measures how many.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import darkroom
import pytest
from darkroom.runtime import settings

FUNCTIONS = Path(darkroom.__file__).parent.parent

ALWAYS = {
    *("aws_lambda_powertools", "typing_extensions"),
    *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),
}
HTTP = {"httpx", "httpcore", "h11"}
LOADED: dict[str, tuple[set[str], set[str]]] = {
    "cancel": (HTTP, {"dynamodb", "secretsmanager"}),
    "deliver": (HTTP, {"dynamodb", "secretsmanager", "sqs"}),
    "deliveries": (set(), {"dynamodb", "sqs"}),
    "dispatch": (HTTP, {"dynamodb", "secretsmanager"}),
    "files": (set(), {"dynamodb", "s3"}),
    "intake": (HTTP, {"dynamodb", "events", "secretsmanager", "sqs"}),
    "persist": (HTTP, {"dynamodb", "s3"}),
    "read": (set(), {"dynamodb"}),
    "relay": (set(), {"dynamodb", "events", "sqs"}),
    "submit": (HTTP, {"dynamodb", "secretsmanager"}),
    "sweep": (HTTP, {"dynamodb", "events", "secretsmanager", "sqs"}),
    "webhook": (set(), {"dynamodb", "secretsmanager"}),
}
"""Per function: what it loads beside ALWAYS, and the services that it makes a client of at init."""

# boto3 and pydantic are here for the development environment alone; what httpcore finds there
# besides (h2, anyio) is in no asset.
WATCHED = ALWAYS | HTTP | {"boto3", "s3transfer", "pydantic", "cryptography", "multiprocessing"}

CODE = """
import gc, json, sys
import darkroom.handlers.{function} as handler
print(handler.wiring.{function}.cache_info().currsize)
handler.wiring.{function}()
from botocore.client import BaseClient
gc.unfreeze()
clients = [each for each in gc.get_objects() if isinstance(each, BaseClient)]
print(json.dumps([
    sorted({{name.partition(".")[0] for name in sys.modules}}),
    sorted({{each.meta.service_model.service_name for each in clients}}),
]))
"""


def test_every_function_is_in_the_table() -> None:
    handlers = (FUNCTIONS / "darkroom" / "handlers").glob("[a-z]*.py")
    assert LOADED.keys() == {path.stem for path in handlers}


@pytest.mark.parametrize("function", LOADED)
def test_a_cold_start_loads_what_the_table_says_and_no_more(function: str) -> None:
    packages, services = LOADED[function]
    modules, clients = cold_start(function)
    assert modules & WATCHED == ALWAYS | packages
    assert clients == services


@pytest.mark.parametrize("function", LOADED)
def test_aws_m2_on_lambda_all_is_made_before_the_first_event(function: str) -> None:
    """Secrets are asked for besides; where there are none, each is tried again when wanted."""
    on_lambda = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_EC2_METADATA_DISABLED": "true"}
    assert ready(function) == "0"
    assert ready(function, **on_lambda) == "1"


def cold_start(function: str) -> tuple[set[str], set[str]]:
    """Top-level modules and AWS services of a fresh process that is ready for its first event."""
    modules, clients = json.loads(_started(function)[1])
    return set(modules), set(clients)


def ready(function: str, **environment: str) -> str:
    """How often the handler's module, once imported, has made what it needs."""
    return _started(function, **environment)[0]


def _started(function: str, **environment: str) -> list[str]:
    required = getattr(settings, f"{function.title()}Settings").required()
    environment |= {
        **{name.upper(): "https://x.test" if name.endswith("_url") else "x" for name in required},
        "PYTHONPATH": str(FUNCTIONS),
        "AWS_DEFAULT_REGION": "eu-west-1",
        # As every stage is deployed.
        "RESULT_CACHE": "true",
    }
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.format(function=function)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()
