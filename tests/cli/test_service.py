"""Calls: what is repeated, what is bounded, and where the key never goes."""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from darkroom_cli import files, predictions
from darkroom_cli.configuration import Account
from darkroom_cli.errors import RefusedError, UnreachableError, UsageError
from darkroom_cli.service import LARGEST_ANSWER, LONGEST_PAUSE_S, Backoff, Service
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.fake import FILES, NAME, TOKEN, URL, Deployment, picture, problem

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/v1/account"


def answering(deployment: Deployment, *answers: httpx.Response | Exception) -> None:
    deployment.answers += answers


@given(st.floats(0, 1), st.lists(st.none() | st.floats(0, 10**7), max_size=60), st.floats(0, 10**4))
def test_pauses_grow_with_jitter_and_end(
    chance: float, asked: list[float | None], patience: float
) -> None:
    backoff, total = Backoff(patience, lambda: chance), 0.0
    for seconds in asked:
        pause = backoff.next(seconds)
        if pause is None:
            break
        assert 0 < pause <= LONGEST_PAUSE_S
        assert pause >= min(seconds or 0, LONGEST_PAUSE_S)
        total += pause
    assert total <= patience


def test_a_pause_is_at_least_what_the_service_asks(deployment: Deployment) -> None:
    pauses: list[float] = []
    answering(
        deployment,
        problem(429, "slow", **{"retry-after": "7"}),
        problem(503, "busy", **{"retry-after": "soon"}),
        httpx.ConnectTimeout("none"),
    )
    assert deployment.service(pause=pauses.append).get(PATH) == {"username": "acme"}
    assert pauses[0] >= 7
    assert all(0 < pause < 7 for pause in pauses[1:])


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 415, 422])
def test_a_refusal_is_not_repeated(deployment: Deployment, status: int) -> None:
    answering(deployment, problem(status, "no \x1b[2J"))
    with pytest.raises(RefusedError, match=r"no \\x1b\[2J") as refused:
        deployment.service().get(PATH)
    assert (refused.value.status, refused.value.certain) == (status, True)
    assert len(deployment.requests) == 1


@pytest.mark.parametrize(
    ("first", "certain"),
    [(httpx.ReadError("reset"), False), (problem(500, "x"), False), (problem(429, "x"), True)],
)
def test_a_refusal_after_a_lost_answer_proves_nothing(
    deployment: Deployment, first: httpx.Response | Exception, certain: bool
) -> None:
    answering(deployment, first, problem(402, "the cap"))
    with pytest.raises(RefusedError) as refused:
        deployment.service().get(PATH)
    assert refused.value.certain == certain


def test_silence_ends_with_the_patience(deployment: Deployment) -> None:
    answering(deployment, *[httpx.ConnectError("refused \x1b[0m")] * 50)
    with pytest.raises(UnreachableError, match=r"images.example.com cannot be reached: refused"):
        deployment.service(patience_s=5).get(PATH)
    assert 2 < len(deployment.requests) < 20


HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, content="<html>Sign in", headers=HTML), "a login page in between"),
        (httpx.Response(407, content="<html>", headers=HTML), "answered 407"),
        (httpx.Response(200, json=[]), "not as Darkroom does"),
        (httpx.Response(200, content="{", headers={"content-type": "application/json"}), "200"),
        (
            httpx.Response(200, content="[" * 10**5, headers={"content-type": "application/json"}),
            "200",
        ),
        (
            httpx.Response(302, headers={"location": "https://evil.example/"}),
            "redirects to evil.example",
        ),
        (httpx.Response(308, headers={"location": "/elsewhere"}), "redirects to another page"),
        (httpx.Response(200, content=b"x" * (LARGEST_ANSWER + 1)), "without end"),
        (httpx.Response(400, json={"message": "Not \u202e"}), r"Not \\u202e"),
    ],
)
def test_an_answer_that_is_not_darkrooms(
    deployment: Deployment, answer: httpx.Response, said: str
) -> None:
    answering(deployment, answer)
    with pytest.raises((UnreachableError, RefusedError), match=said):
        deployment.service().get(PATH)
    assert len(deployment.requests) == 1


def test_a_compressed_answer_is_not_unpacked() -> None:
    class Raw(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert request.headers["accept-encoding"] == "identity"
            packed = gzip.compress(b"{}" * 10)
            headers = {"content-encoding": "gzip", "content-type": "application/json"}
            return httpx.Response(200, headers=headers, stream=httpx.ByteStream(packed))

    with (
        Service(Account(URL, TOKEN), transport=Raw()) as service,
        pytest.raises(UnreachableError, match="not asked for"),
    ):
        service.get(PATH)


def finished(deployment: Deployment) -> predictions.Prediction:
    service = deployment.service()
    made = predictions.create(service, NAME, {"prompt": "a fox"}, "key")
    return predictions.watch(service, made, lambda _: None)


def test_files_come_from_another_host_without_the_key(
    deployment: Deployment, tmp_path: Path
) -> None:
    """The fake deployment refuses a key at its files' host."""
    deployment.pictures = 2
    shown = finished(deployment)
    saved = files.save(deployment.service(), shown, tmp_path, shown.id)
    assert [name for name, _ in saved] == [f"{shown.id}.png", f"{shown.id}-2.png"]
    content = (tmp_path / f"{shown.id}-2.png").read_bytes()
    assert content == picture(f"acme/{shown.id}/1.png")
    before = len(deployment.requests)
    assert files.save(deployment.service(), shown, tmp_path, shown.id) == saved
    assert len(deployment.requests) == before


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.net/x",
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "https://",
        "https://[",
        "javascript:alert(1)",
    ],
)
def test_a_file_at_an_unsafe_address_is_not_fetched(deployment: Deployment, url: str) -> None:
    with pytest.raises(UnreachableError, match="not safe"):
        deployment.service().fetch(url, io.BytesIO(), 10)
    assert deployment.requests == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, content=b"longer than 5"), "larger"),
        (httpx.Response(302, headers={"location": URL}), "302"),
        (httpx.ReadError("reset"), "reset"),
    ],
)
def test_a_file_that_does_not_arrive(
    deployment: Deployment, answer: httpx.Response | Exception, said: str
) -> None:
    answering(deployment, answer)
    with pytest.raises(UnreachableError, match=said):
        deployment.service().fetch(f"{FILES}/x", io.BytesIO(), 5)


def test_an_expired_url_is_signed_anew(deployment: Deployment, tmp_path: Path) -> None:
    shown = finished(deployment)
    answering(deployment, httpx.Response(403))
    assert files.save(deployment.service(), shown, tmp_path, shown.id)
    paths = [request.url.path for request in deployment.requests[-2:]]
    assert paths == [f"/v1/predictions/{shown.id}", f"/acme/{shown.id}/0.png"]


def broken(shown: predictions.Prediction, **file: Any) -> predictions.Prediction:
    body = json.loads(json.dumps(shown.body))
    body["darkroom"]["files"][0].update(file)
    return predictions.prediction(body)


@pytest.mark.parametrize(
    "file", [{"sha256": "x"}, {"bytes": "9"}, {"key": None}, {"sha256": "a" * 63}]
)
def test_a_file_without_its_description_is_not_fetched(
    deployment: Deployment, file: dict[str, Any]
) -> None:
    with pytest.raises(UnreachableError):
        broken(finished(deployment), **file).files()


def test_a_files_name_is_not_the_services(deployment: Deployment, tmp_path: Path) -> None:
    shown = broken(finished(deployment), content_type="../../../etc/passwd")
    ((name, _),) = files.save(deployment.service(), shown, tmp_path, shown.id)
    assert name == f"{shown.id}.bin"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "../x", "status": "starting"},
        {"id": "a" * 26, "status": "\x1b"},
        {"id": 5, "status": "failed"},
    ],
)
def test_what_is_no_prediction(body: dict[str, Any]) -> None:
    with pytest.raises(UnreachableError):
        predictions.prediction(body)


def test_another_prediction_than_the_one_asked_for(deployment: Deployment) -> None:
    answering(deployment, httpx.Response(200, json={"id": "a" * 26, "status": "starting"}))
    with pytest.raises(UnreachableError, match="another prediction"):
        predictions.find(deployment.service(), "b" * 26)


# Waiting


def test_without_the_door_it_polls_ever_more_rarely(deployment: Deployment) -> None:
    deployment.polls_until_end = 12
    pauses: list[float] = []
    service = deployment.service(pause=pauses.append)
    made = predictions.create(service, NAME, {"prompt": "a fox"}, "key")
    told: list[str] = []
    ended = predictions.watch(service, made, lambda one: told.append(one.status))
    assert (ended.status, told[-1]) == ("succeeded", "succeeded")
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10.0
    assert not [r for r in deployment.requests if r.url.path.endswith("/wait")]


def test_with_the_door_it_waits_there_and_comes_back_if_it_closes(deployment: Deployment) -> None:
    deployment.door, deployment.polls_until_end = True, 3
    service = deployment.service()
    made = predictions.create(service, NAME, {"prompt": "a fox"}, "key")
    answering(deployment, problem(503, "busy"), problem(404, "Not served by Darkroom"))
    assert predictions.watch(service, made, lambda _: None).status == "succeeded"
    paths = [request.url.path.rpartition("/")[2] for request in deployment.requests[1:]]
    assert paths == ["wait", "wait", made.id, "wait", "wait"]
    query = dict(deployment.requests[-1].url.params)
    assert query == {"seconds": "25", "revision": "2"}


def test_an_unknown_prediction_ends_a_wait(deployment: Deployment) -> None:
    deployment.door = True
    service = deployment.service()
    made = predictions.create(service, NAME, {"prompt": "a fox"}, "key")
    answering(deployment, problem(404, "Not found"), problem(404, "Not found"))
    with pytest.raises(RefusedError):
        predictions.watch(service, made, lambda _: None)


# Lists


def page(*numbers: int, following: object = None) -> httpx.Response:
    results = [{"id": f"{n:026d}", "status": "starting"} for n in numbers]
    return httpx.Response(200, json={"next": following, "results": results})


def test_a_list_is_followed_by_its_cursor_alone(deployment: Deployment) -> None:
    answering(
        deployment,
        page(1, following="https://evil.example/v1/predictions?cursor=a%2Bb&x=y"),
        page(),
        page(2, following="http://[?cursor=z"),
    )
    deployment.answers[1] = page(following=f"{URL}/?cursor=c")
    found = list(predictions.listed(deployment.service(), {"tag": "x"}, 100))
    assert [one.id[-1] for one in found] == ["1", "2"]
    assert {request.url.host for request in deployment.requests} == {"images.example.com"}
    assert [request.url.params.get("cursor") for request in deployment.requests] == [
        None,
        "a+b",
        "c",
    ]


def test_a_list_that_leads_in_a_circle_ends(deployment: Deployment) -> None:
    following = f"{URL}/v1/predictions?cursor=a"
    answering(deployment, *[page(1, following=following)] * 5)
    assert len(list(predictions.listed(deployment.service(), {}, 100))) == 2


def test_a_list_is_as_long_as_asked(deployment: Deployment) -> None:
    answering(deployment, page(1, 2, 3, following=f"{URL}/v1/predictions?cursor=a"))
    assert len(list(predictions.listed(deployment.service(), {}, 2))) == 2
    answering(deployment, httpx.Response(200, json={"results": ["x"]}))
    with pytest.raises(UnreachableError):
        list(predictions.listed(deployment.service(), {}, 2))


# Uploads


def test_a_small_file_passes_through_the_api_and_a_large_one_by_the_form(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "small.png").write_bytes(b"x")
    (tmp_path / "large.png").write_bytes(b"x" * (files.MOST_DIRECT + 1))
    service = deployment.service()
    assert files.upload(service, str(tmp_path / "small.png")) == f"{URL}/v1/files/1"
    assert files.upload(service, str(tmp_path / "large.png")) == f"{URL}/v1/files/2"
    paths = [f"{request.url.host}{request.url.path}" for request in deployment.requests]
    assert paths == [
        "images.example.com/v1/files",
        "images.example.com/v1/uploads",
        "files.example.net/post",
    ]
    assert json.loads(deployment.requests[1].content) == {
        "filename": "large.png",
        "content_type": "image/png",
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.webp", "image/webp"),
        ("a.JPG", "image/jpeg"),
        ("a.jpeg", "image/jpeg"),
        ("a.tar.png", "image/png"),
        ("png", "application/octet-stream"),
        ("a.unheardof", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_the_type_of_an_upload_follows_from_its_name(name: str, kind: str) -> None:
    assert files.kind_of(name) == kind


def test_a_file_that_has_changed_is_not_uploaded(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"other")
    with pytest.raises(UsageError, match="has changed"):
        files.upload(deployment.service(), str(tmp_path / "photo.png"), "0" * 64)
    assert deployment.requests == []


def test_an_upload_that_is_rejected(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(b"x")
    (tmp_path / "large.png").write_bytes(b"x" * (files.MOST_DIRECT + 1))
    service = deployment.service()
    answering(deployment, httpx.Response(201, json={"urls": {}}))
    with pytest.raises(UnreachableError):
        files.upload(service, str(tmp_path / "small.png"))
    answering(deployment, httpx.Response(201, json={"url": 5}))
    with pytest.raises(UnreachableError):
        files.upload(service, str(tmp_path / "large.png"))
    answering(deployment, httpx.Response(400))
    with pytest.raises(RefusedError):
        service.send_form(f"{FILES}/x", {}, ("x", b"", "image/png"))


@pytest.mark.parametrize("path", ["missing.png", "\x00", "/"])
def test_a_file_that_cannot_be_read(deployment: Deployment, path: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        files.upload(deployment.service(), path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        files.folder(tmp_path / "file" / "out")
