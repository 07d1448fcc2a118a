"""Each endpoint of the API, and its errors."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from emulator.server import running
from tests.emulator.client import SCHNELL, TOKEN, Client, until

if TYPE_CHECKING:
    from emulator.server import Emulator

SDXL = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
BAD_EVENT = (
    "- webhook_events_filter.0: webhook_events_filter.0 must be one of the following: "
    '"start", "output", "logs", "completed"\n'
)
REQUIRED = {"id", "model", "version", "input", "output", "data_removed", "error", "status"} | {
    "created_at",
    "urls",
}


def problem(response: httpx.Response) -> dict:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    return body


class TestAuthentication:
    @pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
    def test_both_schemes(self, client: Client, scheme: str) -> None:
        response = client.get("/v1/account", headers={"authorization": f"{scheme} {TOKEN}"})
        assert response.json() == {
            "type": "organization",
            "username": "emulator",
            "name": "Emulated account",
        }
        assert response.headers["ratelimit-remaining"] == "2999"

    @pytest.mark.parametrize("header", ["Bearer r8_other", "Basic " + TOKEN, "Bearer", "Bearer é"])
    def test_bad_token(self, client: Client, header: str) -> None:
        headers = {"authorization": header.encode()}
        body = problem(client.get("/v1/account", headers=headers))
        assert body["title"] == "Unauthenticated"
        assert body["detail"] == "You did not pass a valid authentication token"

    def test_no_token(self, emulator: Emulator) -> None:
        body = problem(httpx.get(emulator.url + "/v1/predictions", trust_env=False, timeout=60))
        assert body["detail"] == "You did not pass an authentication token"

    def test_unknown_routes_and_methods(self, client: Client) -> None:
        assert problem(client.get("/v1/nothing"))["status"] == 404
        assert problem(client.put("/v1/predictions"))["status"] == 405


class TestCreate:
    @pytest.mark.parametrize(
        "version",
        [SCHNELL, SDXL, f"stability-ai/sdxl:{SDXL}"],
        ids=["official name", "hash", "name and hash"],
    )
    def test_three_forms_of_version(self, client: Client, version: str) -> None:
        body = client.create(version)
        assert body.keys() >= REQUIRED
        assert re.fullmatch(r"[a-z0-9]{26}", body["id"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["created_at"])
        assert (body["status"], body["output"], body["source"]) == ("starting", None, "api")
        assert "started_at" not in body
        assert body["version"] == ("hidden" if version == SCHNELL else SDXL)
        assert body["urls"].keys() == {"get", "cancel", "web"}
        assert client.get(body["urls"]["get"]).json()["id"] == body["id"]

    def test_by_model_route(self, client: Client) -> None:
        response = client.post(
            f"/v1/models/{SCHNELL}/predictions", json={"input": {"prompt": "a tea house"}}
        )
        assert response.status_code == 201
        assert response.json()["model"] == SCHNELL
        assert response.headers["ratelimit-remaining"] == "599"

    @pytest.mark.parametrize("model", ["stability-ai/sdxl", "nobody/nothing"])
    def test_model_route_knows_official_models_only(self, client: Client, model: str) -> None:
        response = client.post(f"/v1/models/{model}/predictions", json={"input": {}})
        assert problem(response)["status"] == 404

    @pytest.mark.parametrize(
        "version",
        [
            "stability-ai/sdxl",
            "stability-ai/sdxl:latest",
            f"{SCHNELL}:{SDXL}",
            "0" * 64,
            "95b7223104132402a9ae91cc677285bc5eb997f76ab45f93e1cbd4b4e08d6e29",
            "",
        ],
    )
    def test_unknown_version(self, client: Client, version: str) -> None:
        response = client.post("/v1/predictions", json={"version": version, "input": {}})
        assert problem(response) == {
            "title": "Invalid version or not permitted",
            "detail": "The specified version does not exist (or perhaps you don't have "
            "permission to use it?)",
            "status": 422,
        }

    def test_missing_input(self, client: Client) -> None:
        response = client.post("/v1/predictions", json={"version": SCHNELL, "input": {}})
        assert problem(response) == {
            "title": "Input validation failed",
            "detail": "- input: prompt is required\n",
            "status": 422,
            "invalid_fields": [
                {"type": "required", "field": "input", "description": "prompt is required"}
            ],
        }

    def test_unknown_top_level_keys(self, client: Client) -> None:
        body = problem(client.post("/v1/predictions", json={"model": SCHNELL, "input": {}}))
        assert body["detail"] == (
            "- version is required\n- Additional property model is not allowed\n"
        )
        assert [field["type"] for field in body["invalid_fields"]] == [
            "required",
            "additional_property_not_allowed",
        ]

    @pytest.mark.parametrize(
        ("extra", "detail"),
        [
            ({"input": "x"}, "- input: Invalid type. Expected: object, given: string\n"),
            ({"webhook": None}, "- webhook: Invalid type. Expected: string, given: null\n"),
            ({"webhook": "ftp://x/"}, "- webhook: Does not match format 'uri'\n"),
            ({"webhook": "http://[::1"}, "- webhook: Does not match format 'uri'\n"),
            ({"stream": 1}, "- stream: Invalid type. Expected: boolean, given: integer\n"),
            ({"webhook_events_filter": ["done"]}, BAD_EVENT),
        ],
    )
    def test_bad_top_level_values(self, client: Client, extra: dict, detail: str) -> None:
        given = {"version": SCHNELL, "input": {"prompt": "x"}, **extra}
        assert problem(client.post("/v1/predictions", json=given))["detail"] == detail

    def test_tolerated_keys(self, client: Client) -> None:
        client.create(body={"webhook_completed": None, "stream": False})

    @pytest.mark.parametrize(
        "raw",
        [b"", b"{", b"\xff", b"NaN", b'{"a":1e999}', b"[" * 5000, b"1" * 5000],
        ids=lambda raw: raw[:8].decode("latin-1"),
    )
    def test_not_json(self, client: Client, raw: bytes) -> None:
        assert problem(client.post("/v1/predictions", content=raw))["status"] == 400

    def test_not_an_object(self, client: Client) -> None:
        detail = problem(client.post("/v1/predictions", json=[]))["detail"]
        assert detail == "- Invalid type. Expected: object, given: array\n"

    def test_lone_surrogates_do_no_harm(self, client: Client) -> None:
        raw = f'{{"version":"{SCHNELL}","input":{{"prompt":"\\ud800"}}}}'
        assert client.post("/v1/predictions", content=raw).status_code in {201, 422}
        assert client.get("/_emulator/predictions").status_code == 200

    def test_wait_holds_until_the_result(self, client: Client) -> None:
        response = client.post(
            "/v1/predictions",
            json={"version": SCHNELL, "input": {"prompt": "x"}},
            headers={"prefer": "wait=20"},
        )
        assert response.status_code == 201
        assert response.headers["preference-applied"] == "wait=20"
        assert response.json()["status"] == "succeeded"

    def test_wait_that_runs_out_is_starting(self, client: Client) -> None:
        client.faults(time_scale=1000)
        response = client.post(
            "/v1/predictions",
            json={"version": SCHNELL, "input": {"prompt": "x"}},
            headers={"prefer": "wait=1"},
        )
        assert (response.status_code, response.json()["status"]) == (202, "starting")
        client.post(response.json()["urls"]["cancel"])

    @pytest.mark.parametrize("value", ["4", "x", "", "-9", "10s5m"])
    def test_bad_cancel_after(self, client: Client, value: str) -> None:
        response = client.post(
            "/v1/predictions",
            json={"version": SCHNELL, "input": {"prompt": "x"}},
            headers={"cancel-after": value},
        )
        assert problem(response)["status"] == 422

    def test_deadline_is_shown(self, client: Client) -> None:
        body = client.post(
            "/v1/predictions",
            json={"version": SCHNELL, "input": {"prompt": "x"}},
            headers={"cancel-after": "1h30m5s"},
        ).json()
        life = datetime.fromisoformat(body["deadline"]) - datetime.fromisoformat(body["created_at"])
        assert life == timedelta(hours=1, minutes=30, seconds=5)


class TestGetListCancel:
    def test_get(self, client: Client) -> None:
        body = client.prediction(client.create(wait=True)["id"])
        assert body.keys() >= REQUIRED | {"started_at", "completed_at", "logs", "source"}
        assert body["status"] == "succeeded"
        assert body["metrics"]["predict_time"] > 0
        assert re.search(r"^\s*100%\s*\|.+?\|\s*4/4$", body["logs"], re.MULTILINE)
        assert problem(client.get("/v1/predictions/nope"))["status"] == 404

    def test_cancel(self, client: Client) -> None:
        client.faults(time_scale=1000)
        created = client.create()
        body = client.post(created["urls"]["cancel"]).json()
        assert (body["status"], body["output"]) == ("canceled", None)
        assert body["completed_at"]
        assert problem(client.post("/v1/predictions/nope/cancel"))["status"] == 404

    def test_cancel_of_a_finished_one_changes_nothing(self, client: Client) -> None:
        done = client.create(wait=True)
        response = client.post(done["urls"]["cancel"])
        assert response.status_code == 200
        assert response.json() == client.prediction(done["id"])
        assert response.json()["status"] == "succeeded"

    def test_list_pages(self) -> None:
        with running(token=TOKEN) as emulator, Client(emulator.url) as client:
            client.faults(time_scale=1000)
            ids = [client.create()["id"] for _ in range(205)][::-1]
            first = client.get("/v1/predictions").json()
            assert first["previous"] is None
            assert first["next"].startswith(emulator.url + "/v1/predictions?")
            second = client.get(first["next"]).json()
            third = client.get(second["next"]).json()
            pages = [[item["id"] for item in page["results"]] for page in (first, second, third)]
            assert [len(page) for page in pages] == [100, 100, 5]
            assert [one for page in pages for one in page] == ids
            assert third["next"] is None
            assert client.get(third["previous"]).json()["results"] == second["results"]
            assert problem(client.get("/v1/predictions?cursor=xx"))["status"] == 404

    def test_list_filters(self, client: Client) -> None:
        first = client.create()
        until(lambda: client.create()["created_at"] > first["created_at"])
        last = client.create()

        def ids(**query: str) -> list[str]:
            results = client.get("/v1/predictions", params=query).json()["results"]
            return [item["id"] for item in results]

        assert ids(created_after=last["created_at"])[0] == last["id"]
        assert first["id"] not in ids(created_after=last["created_at"])
        assert first["id"] in ids(created_after=first["created_at"])
        assert first["id"] not in ids(created_before=first["created_at"])
        assert ids(created_after=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
        assert ids(source="web") == []
        bad = client.get("/v1/predictions", params={"created_after": "yesterday"})
        assert problem(bad)["status"] == 400


class TestModels:
    def test_list(self, client: Client) -> None:
        names = [
            f"{model['owner']}/{model['name']}"
            for model in client.get("/v1/models").json()["results"]
        ]
        assert {SCHNELL, "stability-ai/sdxl", "emulator/stream-text"} <= set(names)

    def test_model(self, client: Client) -> None:
        body = client.get(f"/v1/models/{SCHNELL}").json()
        assert body["is_official"] is True
        schema = body["latest_version"]["openapi_schema"]["components"]["schemas"]
        ratio = schema["Input"]["properties"]["aspect_ratio"]
        assert ratio["allOf"] == [{"$ref": "#/components/schemas/aspect_ratio"}]
        assert "16:9" in schema["aspect_ratio"]["enum"]
        assert schema["Output"]["type"] == "array"
        assert problem(client.get("/v1/models/nobody/nothing"))["status"] == 404

    def test_versions(self, client: Client) -> None:
        versions = client.get("/v1/models/stability-ai/sdxl/versions").json()["results"]
        assert versions[0]["id"] == SDXL
        one = client.get(f"/v1/models/stability-ai/sdxl/versions/{SDXL}").json()
        assert one == versions[0]
        assert client.get(f"/v1/models/{SCHNELL}/versions").json()["results"] == []
        missing = client.get("/v1/models/stability-ai/sdxl/versions/" + "0" * 64)
        assert problem(missing)["status"] == 404

    def test_extra_models(self) -> None:
        extra = {
            "model": "acme/portrait",
            "official": False,
            "version": "ab" * 32,
            "input_schema": {"type": "object", "properties": {"prompt": {"type": "string"}}},
            "output": "string",
            "typical_seconds": 1,
        }
        with running(models=(extra,)) as emulator, Client(emulator.url) as client:
            client.faults()
            assert client.create("ab" * 32, wait=True)["status"] == "succeeded"


class TestFiles:
    def test_life_of_a_file(self, client: Client) -> None:
        data = bytes(range(256)) + b"\r\n--x\r\n\r\n"
        response = client.post(
            "/v1/files",
            files={
                "content": ("a.bin", data, "application/octet-stream"),
                "metadata": (None, b'{"shot":1}', "application/json"),
            },
        )
        assert response.status_code == 201
        file = response.json()
        assert (file["name"], file["content_type"]) == ("a.bin", "application/octet-stream")
        assert (file["size"], file["metadata"]) == (len(data), {"shot": 1})
        assert file["checksums"]["sha256"] == hashlib.sha256(data).hexdigest()
        assert client.get(file["urls"]["get"]).json() == file
        assert file in client.get("/v1/files").json()["results"]
        deleted = client.delete(f"/v1/files/{file['id']}")
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert problem(client.get(file["urls"]["get"]))["detail"] == "File not found"
        assert problem(client.delete(f"/v1/files/{file['id']}"))["status"] == 404

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("multipart/form-data", b"", 415),
            ("multipart/form-data; boundary=b", b"", 400),
            ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--", 400),
            ("multipart/form-data; boundary=b", b"--b", 400),
            (
                "multipart/form-data; boundary=b",
                b'--b\r\ncontent-disposition: form-data; name="content"\r\n\r\nx',
                400,
            ),
        ],
    )
    def test_bad_uploads(self, client: Client, content_type: str, body: bytes, status: int) -> None:
        headers = {"content-type": content_type}
        assert problem(client.post("/v1/files", content=body, headers=headers))["status"] == status

    def test_too_large(self, client: Client) -> None:
        response = client.post("/v1/files", files={"content": bytes(100_000_001)})
        assert problem(response)["detail"] == "Files must be less than 100MB in size"


def test_webhook_secret(client: Client, emulator: Emulator) -> None:
    body = client.get("/v1/webhooks/default/secret").json()
    assert body == {"key": emulator.options.webhook_secret}
    assert body["key"].startswith("whsec_")


def test_a_uri_with_white_space_is_none(client: Client) -> None:
    image = "data:image/png;base64,AA\nAA"
    body = {"version": SDXL, "input": {"prompt": "a fox", "image": image}}
    answer = client.post("/v1/predictions", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "- input.image: Does not match format 'uri'\n"
