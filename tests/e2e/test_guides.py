"""The code of docs/guides, extracted from the pages and run unchanged."""

from __future__ import annotations

import csv
import datetime as dt
import importlib
import importlib.util
import io
import re
import socket
import sys
import textwrap
import threading
import types
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from PIL import Image
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.driver import Driver

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
BLOCK = re.compile(r"^( *)```python\n\1# (\w+\.py)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def cut_out(page: Path, folder: Path) -> None:
    """Write each block of code that begins with a file's name to that file."""
    for _, name, code in BLOCK.findall(page.read_text()):
        (folder / name).write_text(textwrap.dedent(code))


class FastAPI(Starlette):
    """The part of FastAPI that the guides use, if it is not installed: routes over Starlette, from
    which FastAPI's requests and responses come."""

    def _serve(self, path: str, method: str) -> Callable[[Any], Any]:
        def serve(function: Any) -> Any:
            self.router.routes.append(Route(path, function, methods=[method]))
            return function

        return serve

    def get(self, path: str) -> Callable[[Any], Any]:
        return self._serve(path, "GET")

    def post(self, path: str) -> Callable[[Any], Any]:
        return self._serve(path, "POST")


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which a reader would have saved the guides' files."""
    for page in GUIDES.glob("*.md"):
        cut_out(page, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    if importlib.util.find_spec("fastapi") is None:
        module: Any = types.ModuleType("fastapi")
        module.FastAPI, module.Request, module.Response = FastAPI, Request, Response
        monkeypatch.setitem(sys.modules, "fastapi", module)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def folder(driver: Driver, saved: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, with the environment that the guides name."""
    for name, value in {
        "DARKROOM_URL": driver.cloud.base_url,
        "DARKROOM_TOKEN": driver.cloud.token,
        "DARKROOM_CALLBACK_SECRET": driver.callback_secret(),
        "AWS_ENDPOINT_URL": driver.cloud.aws_endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return saved


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a port of this machine; return its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def test_every_guide_is_in_the_list_and_has_code_that_runs() -> None:
    listed = re.findall(r"\]\((\S+\.md)\) \|$", (GUIDES / "README.md").read_text(), re.MULTILINE)
    there = {path.name for path in GUIDES.glob("*.md")} - {"README.md"}
    assert set(listed) == there
    with_code = {path.name for path in GUIDES.glob("*.md") if BLOCK.search(path.read_text())}
    assert there - with_code == {"deploy-from-github.md"}  # in test_workflows.py


# callbacks-in-fastapi.md


def test_guide_the_receiver_takes_what_darkroom_sends_and_nothing_else(
    driver: Driver, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = importlib.import_module("receiver")
    with served(receiver.app) as url:
        id_ = driver.called_back(f"{url}/darkroom", "completed", prompt="a fox")
        until(lambda: receiver.seen)
        shown = capsys.readouterr().out
        assert id_ in shown
        assert "http" in shown
        until(lambda: driver.callback_state(id_) == "delivered")
        forged = httpx.post(f"{url}/darkroom", json={"id": "x"}, trust_env=False, timeout=60)
        assert forged.status_code == 401
        assert len(receiver.seen) == 1


def test_guide_the_signature_is_checked_as_standard_webhooks_has_it(saved: Path) -> None:
    verify = importlib.import_module("verify").verify
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    now = dt.datetime.now(dt.UTC)
    body = '{"prompt": "ä"}'

    def headers(at: dt.datetime = now, **changed: str) -> dict[str, str]:
        return {
            "webhook-id": "m1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign("m1", at, body),
            **{name.replace("_", "-"): value for name, value in changed.items()},
        }

    good = headers()
    assert verify(secret, good, body.encode())
    old = Webhook("whsec_" + "A" * 32).sign("m1", now, body)
    assert verify(secret, headers(webhook_signature=f"{old} {good['webhook-signature']}"), b"") is (
        False
    )
    assert verify(
        secret, headers(webhook_signature=f"{old} {good['webhook-signature']}"), body.encode()
    )
    for bad in (
        {},
        headers(webhook_signature=old),
        headers(webhook_signature=good["webhook-signature"].replace("v1,", "v2,")),
        headers(webhook_signature=""),
        headers(webhook_signature="é \ud800"),
        headers(webhook_id="m2"),
        headers(now - dt.timedelta(minutes=6)),
        headers(now + dt.timedelta(minutes=6)),
        headers(webhook_timestamp="١٢٣"),
        headers(webhook_timestamp="9" * 5000),
        headers(webhook_timestamp="-1"),
    ):
        assert not verify(secret, bad, body.encode()), bad
    assert not verify(secret, good, body.encode() + b" ")


# lambda-without-waiting.md


def function_url_event(address: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    query = dict(httpx.URL(address).params)
    return {"headers": headers, "queryStringParameters": query, "body": body.decode()}


def test_newcomer_friction_3_guide_a_lambda_asks_and_another_takes_the_result(
    driver: Driver, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = driver.cloud.client("dynamodb")
    dynamodb.create_table(
        TableName="guide-jobs",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("JOBS", "guide-jobs")

    def row(job: str) -> dict[str, Any]:
        found = dynamodb.get_item(TableName="guide-jobs", Key={"id": {"S": job}})
        return dict(found["Item"])

    with receiving() as receiver:
        monkeypatch.setenv("TAKE_URL", receiver.url)
        asked = importlib.import_module("ask").handler({"prompt": "a fox"}, None)
        assert row(asked["job"])["status"] == {"S": "asked"}
        until(lambda: receiver.got)
    ((headers, body),) = receiver.got
    take = importlib.import_module("take").handler
    event = function_url_event(f"{receiver.url}?job={asked['job']}", headers, body)
    for _ in range(2):
        assert take(event, None) == {"statusCode": 204}
    taken = row(asked["job"])
    assert taken["status"] == {"S": "succeeded"}
    assert taken["prediction"] == {"S": asked["prediction"]}
    assert len(taken["files"]["L"]) == 1
    assert take({**event, "body": event["body"] + " "}, None) == {"statusCode": 401}
    assert take({"headers": {}}, None) == {"statusCode": 401}


# pictures-on-a-page.md


def test_guide_a_page_shows_a_picture_and_holds_no_key(driver: Driver, folder: Path) -> None:
    made = driver.create(input={"prompt": "a fox"})
    assert driver.finished(made["id"])["status"] == "succeeded"
    gallery = importlib.import_module("gallery")
    with (
        served(gallery.app) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as browser,
    ):
        page = browser.get(f"/pictures/{made['id']}").text
        source = re.findall(r'src="([^"]+)"', page)[0]
        assert browser.get(source).status_code == 404, "not theirs"
        browser.cookies.set("mine", made["id"])
        sent = browser.get(source)
        assert sent.status_code == 302
        picture = httpx.get(sent.headers["location"], trust_env=False, timeout=60)
        assert Image.open(io.BytesIO(picture.content)).size == (1024, 1024)
        for seen in (page, str(sent.headers), sent.text):
            assert driver.cloud.token not in seen
        for missing in ("1", "-1", "x", "٣"):
            assert browser.get(f"/pictures/{made['id']}/{missing}").status_code == 404
        assert "<script" not in browser.get("/pictures/%22%3E%3Cscript%3E").text
    gallery.darkroom.close()


# batch-from-csv.md


def test_guide_a_csv_is_made_once_however_often_it_is_run(driver: Driver, folder: Path) -> None:
    page = (GUIDES / "batch-from-csv.md").read_text()
    rows = re.findall(r"^```\n(id,prompt\n.*?)^```", page, re.DOTALL | re.MULTILINE)[0]
    (folder / "prompts.csv").write_text(rows)
    batch = importlib.import_module("batch")
    before = len(driver.upstream())
    found = []
    for _ in range(2):
        batch.main(str(folder / "prompts.csv"), str(folder / "pictures"))
        with (folder / "pictures" / "results.csv").open(newline="") as results:
            found.append(list(csv.DictReader(results)))
    assert found[0] == found[1]
    assert [(row["id"], row["status"]) for row in found[0]] == [
        ("lighthouse", "succeeded"),
        ("fox", "succeeded"),
    ]
    for row in found[0]:
        Image.open(folder / "pictures" / row["file"]).verify()
    assert len(driver.upstream()) == before + 2


# change-and-enlarge.md


def test_guide_a_photo_is_changed_and_enlarged(folder: Path) -> None:
    Image.linear_gradient("L").convert("RGB").save(folder / "photo.jpg")
    enlarge = importlib.import_module("enlarge")
    enlarge.main(str(folder / "photo.jpg"), "the same house in winter", str(folder / "winter.png"))
    enlarge.darkroom.close()
    with Image.open(folder / "winter.png") as picture:
        assert picture.width >= 2 * 256
