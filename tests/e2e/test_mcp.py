"""The door `mcp` on the embedded cloud, by the published client, both its lines."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from darkroom.domain.keys import new_token

from ops import limits
from ops.keys import put_key, revoke_key
from tests.e2e.clients.published import SCRIPTS, SECONDS, Client, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.cloud import EmbeddedCloud
    from tests.e2e.driver import Driver

LONG = "black-forest-labs/flux-2-pro"
"""Takes ten seconds at the emulator: longer than one wait of the scripts'."""
TOOLS = ["list_models", "generate_image", "get_image", "cancel_image", "list_images", "usage"]
CLIENTS = (
    Client("mcp-1", "MCP 1.x", "mcp", "1.30.0", "mcp_1.py"),
    Client("mcp-2", "MCP 2.x", "mcp", "2.3.0", "mcp_2.py"),
)


@pytest.fixture
def slow(driver: Driver) -> Iterator[None]:
    """Predictions that take as long as they do."""
    faults = f"{driver.cloud.replicate_url}/_emulator/faults"
    httpx.put(faults, json={"time_scale": 1}, trust_env=False, timeout=60)
    yield
    httpx.put(faults, json={"time_scale": 0}, trust_env=False, timeout=60)


@pytest.fixture
def tokens(driver: Driver) -> dict[str, str]:
    """Of a tenant whose budget is spent, and one that was revoked."""
    dynamodb, table = driver.cloud.client("dynamodb"), driver.cloud.outputs["ControlsTable"]
    poor, revoked = new_token(), new_token()
    put_key(dynamodb, table, poor, tenant="poor", name="mcp")
    limits.write(dynamodb, table, "poor", {"monthly_cap": 1})
    row = put_key(dynamodb, table, revoked, tenant="gone", name="mcp")
    revoke_key(dynamodb, table, row["id"])
    return {"DARKROOM_POOR_TOKEN": poor, "DARKROOM_REVOKED_TOKEN": revoked}


def drive(cloud: EmbeddedCloud, client: Client, tokens: dict[str, str]) -> Any:
    """What the client's script says that it saw."""
    install(client)
    environment = {
        "PATH": os.defpath,
        "DARKROOM_URL": cloud.base_url,
        "DARKROOM_MODEL": LONG,
        "DARKROOM_TOKEN": cloud.token,
        # Of its own: an equal request would be answered with the stored result.
        "DARKROOM_SEED": client.version.replace(".", ""),
        **tokens,
    }
    ran = subprocess.run(
        [str(client.python), str(SCRIPTS / client.script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("client", "version"),
    [*zip(CLIENTS, ("2025-11-25", "2026-07-28"), strict=True)],
    ids=[client.name for client in CLIENTS],
)
def test_the_published_client_makes_a_picture(
    driver: Driver, slow: None, tokens: dict[str, str], client: Client, version: str
) -> None:
    said = drive(driver.cloud, client, tokens)
    assert (said["version"], said["server"], said["tools"]) == (version, "darkroom", TOOLS)
    assert (said["begun"], said["ended"]) == ("starting", "succeeded")
    assert said["polls"] > 1, "a long generation is polled"
    (link,) = said["links"]
    assert httpx.get(link, trust_env=False, timeout=60).content
    assert said["listed"]
    assert said["spent"] >= 0
    failed, text = said["wrong"]
    assert failed
    assert "list_models" in text
    assert said["unknown"][0] == -32602
    failed, text = said["poor"]
    assert failed
    assert "tell the user" in text
    assert "401" in str(said["revoked"]) or "authentication token" in str(said["revoked"])
    if "task" in said:
        is_error, status, seen = said["task"]
        assert (is_error, status) == (False, "succeeded")
        assert seen[0] == "working"
        assert seen[-1] == "completed"
    assert driver.cloud.failure() is None


def test_the_endpoint_over_http(driver: Driver) -> None:
    """What the gateway and the front make of it."""
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = driver.api.post("/mcp", json=ping)
    assert (answer.status_code, answer.json()["result"]) == (200, {})
    assert answer.headers["cache-control"] == "no-store"
    refused = driver.anyone.post("/mcp", json=ping)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    for method in ("GET", "DELETE"):
        answer = driver.api.request(method, "/mcp")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    noted = driver.api.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (noted.status_code, noted.content) == (202, b"")
    assert driver.api.post("/mcp", json=[ping, ping]).status_code == 400
    assert (
        driver.api.post("/mcp", json=ping, headers={"origin": "https://evil.test"}).status_code
        == 403
    )
