"""The control interface, and each fault of creates, reads and the output host."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.emulator.client import SCHNELL, Client, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.server import Emulator

BODY = {"version": SCHNELL, "input": {"prompt": "a fault"}}


def count(client: Client) -> int:
    return len(client.get("/_emulator/predictions").json())


def in_background(call: Callable[[], httpx.Response]) -> tuple[threading.Thread, list]:
    results: list[httpx.Response | Exception] = []

    def work() -> None:
        try:
            results.append(call())
        except httpx.HTTPError as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, results


class TestControl:
    def test_put_replaces_the_whole_set(self, emulator: Emulator) -> None:
        with httpx.Client(base_url=emulator.url, trust_env=False, timeout=60) as anyone:
            anyone.put("/_emulator/faults", json={"webhook_drop": 0.5, "echo_webhook": False})
            now = anyone.put("/_emulator/faults", json={"create_429": 1}).json()
            assert (now["create_429"], now["webhook_drop"], now["echo_webhook"]) == (1, 0, True)
            assert anyone.get("/_emulator/faults").json() == now
            defaults = anyone.delete("/_emulator/faults").json()
            assert (defaults["create_429"], defaults["time_scale"]) == (0, 1)
            assert defaults["retry_after_s"] == 5

    @pytest.mark.parametrize(
        "given",
        [
            {"webhook_lose": 1},
            {"webhook_drop": 1.5},
            {"webhook_drop": -0.1},
            {"webhook_drop": True},
            {"webhook_drop": "1"},
            {"time_scale": -1},
            {"list_lag_s": None},
            {"echo_webhook": 1},
            {"time_scale": 10**400},
            {"show_input": "other"},
            {"show_input": ["exact"]},
            {"show_input": None},
            {"show_version": True},
            {"metrics": "FULL"},
            {"output_kind": "gif"},
            {"output_length": "true "},
            {"status_word": None},
            {"completed_at": 0},
            {"read_status": "503"},
            {"read_status": 503.0},
            {"read_status": True},
            {"read_status": 200},
            {"create_status": 600},
            {"create_status": -1},
            {"output_tail": -1},
            {"output_tail": 1.5},
            {"output_tail": False},
            {"output_tail": 10**9},
            [],
        ],
    )
    def test_bad_sets_are_refused_whole(self, client: Client, given: object) -> None:
        before = client.get("/_emulator/faults").json()
        mixed = {"create_500": 1, **given} if isinstance(given, dict) else given
        response = client.put("/_emulator/faults", json=mixed)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert client.get("/_emulator/faults").json() == before

    @pytest.mark.parametrize(
        ("given", "known"),
        [
            ({"show_inputs": "exact"}, ["webhook_drop", "echo_webhook", "output_kind"]),
            ({"show_input": "x"}, ["exact, urls, known, rounded, trimmed, masked, empty"]),
            ({"show_version": "x"}, ["true, hidden, internal"]),
            ({"metrics": "x"}, ["full, none, text, large"]),
            ({"output_length": "x"}, ["true, absent"]),
            (
                {"output_kind": "x"},
                ["picture, svg, heic, mov, webm, html, none, empty, text, mapping"],
            ),
            (
                {"create_500": 2, "read_status": 1},
                ["create_500 lies between 0 and 1", "300 to 599"],
            ),
        ],
    )
    def test_a_refusal_says_what_is_known(
        self, client: Client, given: dict, known: list[str]
    ) -> None:
        body = client.put("/_emulator/faults", json=given).json()
        assert {field["field"] for field in body["invalid_fields"]} == given.keys()
        for text in known:
            assert text in body["detail"]

    def test_modes_and_numbers_come_back_as_they_were_given(self, client: Client) -> None:
        given = {
            "create_status": 413,
            "read_status": 503,
            "show_input": "urls",
            "show_version": "internal",
            "status_word": "queued",
            "metrics": "none",
            "completed_at": "0001-01-01T00:00:00Z",
            "output_tail": 3,
            "output_length": "absent",
            "output_kind": "heic",
        }
        now = client.put("/_emulator/faults", json=given).json()
        assert {name: now[name] for name in given} == given
        assert type(now["create_status"]) is int
        defaults = client.delete("/_emulator/faults").json()
        assert {name: defaults[name] for name in given} == {
            "create_status": 0,
            "read_status": 0,
            "show_input": "exact",
            "show_version": "true",
            "status_word": "",
            "metrics": "full",
            "completed_at": "",
            "output_tail": 0,
            "output_length": "true",
            "output_kind": "picture",
        }

    def test_predictions_are_listed_oldest_first(self, client: Client) -> None:
        ids = [client.create(body={"webhook": "http://127.0.0.1:1/"})["id"] for _ in range(2)]
        listed = client.get("/_emulator/predictions").json()
        assert [item["id"] for item in listed[-2:]] == ids
        assert listed[-1]["webhook"] == "http://127.0.0.1:1/"

    def test_requests_are_recorded(self, client: Client) -> None:
        started = time.time()
        client.post("/v1/predictions", json={})
        call = client.get("/_emulator/requests").json()[-1]
        assert (call["method"], call["path"], call["status"]) == ("POST", "/v1/predictions", 422)
        assert started <= call["time"] <= time.time()


class TestCreate:
    def test_429(self, client: Client) -> None:
        client.faults(create_429=1, retry_after_s=7)
        before = count(client)
        response = client.post("/v1/predictions", json=BODY)
        assert response.status_code == 429
        assert response.headers["retry-after"] == "7"
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["retry_after"] == 7
        assert count(client) == before

    def test_500(self, client: Client) -> None:
        client.faults(create_500=1)
        before = count(client)
        assert client.post("/v1/predictions", json=BODY).status_code == 500
        assert count(client) == before

    @pytest.mark.parametrize("status", [302, 304, 401, 413, 503, 599])
    def test_any_status(self, client: Client, status: int) -> None:
        client.faults(create_status=status)
        before = count(client)
        by_model = f"/v1/models/{SCHNELL}/predictions"
        for path, body in (("/v1/predictions", BODY), (by_model, {"input": {"prompt": "x"}})):
            response = client.post(path, json=body)
            assert response.status_code == status
            assert (response.content == b"") == (status == 304)
        assert count(client) == before

    def test_a_status_comes_before_other_faults(self, client: Client) -> None:
        client.faults(create_status=413, create_429=1, create_hang_s=60, create_late_s=60)
        assert client.post("/v1/predictions", json=BODY).status_code == 413

    def test_accept_then_drop(self, client: Client) -> None:
        client.faults(create_accept_then_drop=1)
        before = count(client)
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            client.post("/v1/predictions", json=BODY)
        assert count(client) == before + 1
        assert client.get("/_emulator/requests").json()[-1]["status"] is None
        last = client.get("/_emulator/predictions").json()[-1]
        until(lambda: client.prediction(last["id"])["status"] == "succeeded")

    def test_hang(self, client: Client) -> None:
        client.faults(create_hang_s=0.2)
        before, started = count(client), time.monotonic()
        assert client.post("/v1/predictions", json=BODY).status_code == 504
        assert time.monotonic() - started >= 0.2
        assert count(client) == before

    def test_hang_ends_with_the_faults(self, client: Client) -> None:
        client.faults(create_hang_s=60)
        before, calls = count(client), len(client.get("/_emulator/requests").json())
        thread, results = in_background(lambda: client.post("/v1/predictions", json=BODY))
        until(lambda: len(client.get("/_emulator/requests").json()) > calls)
        client.delete("/_emulator/faults")
        thread.join(60)
        assert results[0].status_code == 504
        assert count(client) == before

    def test_late_to_a_patient_client(self, client: Client) -> None:
        client.faults(create_late_s=0.2)
        assert client.create()["status"] == "starting"

    def test_late_to_a_client_that_has_gone(self, client: Client) -> None:
        client.faults(create_late_s=0.4)
        before = count(client)
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/predictions", json=BODY, timeout=0.1)
        assert count(client) == before
        until(lambda: count(client) == before + 1)

    def test_late_ends_with_the_faults(self, client: Client) -> None:
        client.faults(create_late_s=60)
        calls = len(client.get("/_emulator/requests").json())
        thread, results = in_background(lambda: client.post("/v1/predictions", json=BODY))
        until(lambda: len(client.get("/_emulator/requests").json()) > calls)
        client.delete("/_emulator/faults")
        thread.join(60)
        assert results[0].status_code == 201


class TestRead:
    def test_list_lag(self, client: Client) -> None:
        client.faults(list_lag_s=60)
        created = client.create()
        assert client.prediction(created["id"])
        listed = client.get("/v1/predictions").json()["results"]
        assert created["id"] not in [item["id"] for item in listed]

    def test_get_404(self, client: Client) -> None:
        client.faults(get_404_s=0.3)
        created = client.create()
        response = client.get(created["urls"]["get"])
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        until(lambda: client.get(created["urls"]["get"]).status_code == 200)

    @pytest.mark.parametrize("status", [302, 403, 500, 502])
    def test_any_status(self, client: Client, status: int) -> None:
        created = client.create(wait=True)
        client.faults(read_status=status)
        for id_ in (created["id"], "nope"):
            response = client.get(f"/v1/predictions/{id_}")
            assert response.status_code == status
            assert response.json()["status"] == status
        # Only this one route is affected.
        assert client.get("/v1/predictions").status_code == 200
        assert client.create(wait=True)["status"] == "succeeded"
        assert client.post(created["urls"]["cancel"]).status_code == 200


class TestOutputs:
    @pytest.fixture
    def url(self, client: Client) -> str:
        return client.create(wait=True)["output"][0]

    def test_headers_and_ranges(self, client: Client, url: str) -> None:
        whole = client.get(url, headers={"authorization": "Bearer nonsense"})
        assert whole.headers["content-type"] == "image/webp"
        assert whole.headers["cache-control"] == "public,max-age=3600"
        assert whole.headers["access-control-allow-origin"] == "*"
        etag = whole.headers["etag"]
        assert client.get(url, headers={"if-none-match": etag}).status_code == 304
        assert client.head(url).headers["content-length"] == str(len(whole.content))
        for wanted, part in (
            ("bytes=0-9", whole.content[:10]),
            ("bytes=10-", whole.content[10:]),
            ("bytes=-7", whole.content[-7:]),
        ):
            response = client.get(url, headers={"range": wanted})
            assert (response.status_code, response.content) == (206, part)
        beyond = client.get(url, headers={"range": "bytes=999999999-"})
        assert beyond.status_code == 416
        assert client.get(url, headers={"range": "lines=1"}).content == whole.content

    def test_404(self, client: Client, url: str) -> None:
        client.faults(output_404=1)
        assert client.get(url).status_code == 404

    def test_truncate(self, client: Client, url: str) -> None:
        client.faults(output_truncate=1)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            client.get(url)

    def test_html(self, client: Client, url: str) -> None:
        client.faults(output_html=1)
        response = client.get(url)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")

    def test_oversize(self, client: Client, url: str) -> None:
        client.faults(output_oversize=1)
        with client.stream("GET", url) as response:
            assert int(response.headers["content-length"]) > 50_000_000
            received = 0
            for chunk in response.iter_raw():
                received += len(chunk)
                if received > 5_000_000:
                    break
        assert received > 5_000_000

    def test_slow(self, client: Client, url: str) -> None:
        size = len(client.get(url).content)
        client.faults(output_slow=1)
        started = time.monotonic()
        with client.stream("GET", url) as response:
            first = next(response.iter_raw())
        assert time.monotonic() - started < 20
        # A fiftieth every half second.
        assert 0 < len(first) <= size / 20

    @pytest.mark.parametrize("tail", [1, 5000])
    def test_tail(self, client: Client, url: str, tail: int) -> None:
        whole = client.get(url)
        client.faults(output_tail=tail)
        longer = client.get(url)
        assert longer.content == whole.content + b"\n" * tail
        assert longer.headers["content-length"] == str(len(longer.content))
        assert client.head(url).headers["content-length"] == str(len(longer.content))
        assert longer.headers["etag"] != whole.headers["etag"]
        end = client.get(url, headers={"range": "bytes=-1"})
        assert (end.status_code, end.content) == (206, b"\n")
        client.faults()
        assert client.get(url).content == whole.content

    def test_length_that_nobody_says(self, client: Client, url: str) -> None:
        whole = client.get(url).content
        client.faults(output_length="absent")
        response = client.get(url)
        assert "content-length" not in response.headers
        assert response.headers["transfer-encoding"] == "chunked"
        assert response.content == whole
        assert "content-length" not in client.head(url).headers

    @pytest.mark.parametrize("fault", ["output_slow", "output_oversize", "output_html"])
    def test_no_length_beside_other_faults(self, client: Client, url: str, fault: str) -> None:
        client.faults(output_length="absent", **{fault: 1})
        with client.stream("GET", url) as response:
            assert "content-length" not in response.headers
            assert next(response.iter_raw())

    def test_half_a_file_without_a_length_ends_like_a_whole_one(
        self, client: Client, url: str
    ) -> None:
        whole = client.get(url).content
        client.faults(output_length="absent", output_truncate=1, output_tail=2)
        assert client.get(url).content == (whole + b"\n\n")[: len(whole) // 2 + 1]
