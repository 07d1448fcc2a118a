"""The door `console`: what is served, under which policy, and how much of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.handlers import console
from darkroom.runtime.adapters import Adapters

from tests.support import events
from tests.support.world import PUBLIC_URL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Ask = Callable[..., dict[str, Any]]

PICTURES, FORMS = "https://pictures.test", "https://forms.test"
LARGEST = 70_000
"""Bytes of the whole console, compressed."""
MOST_REQUESTS = 15
"""Requests before the first view, whether the visitor signs in or is signed in."""
MODELS = ("/v1/models", "/v1/models?cursor")
"""The playground reads the catalogue by pages."""
TEXTS = {path.name: path.read_text() for path in console.FOLDER.iterdir() if path.suffix != ".pyc"}
SCRIPTS = {name: text for name, text in TEXTS.items() if name.endswith(".js")}


@pytest.fixture
def ask() -> Ask:
    """A console of a stage with a CDN and an uploads bucket."""
    settings = console.ConsoleSettings(
        public_url=PUBLIC_URL, picture_origins=(PICTURES, FORMS), upload_origins=(FORMS,)
    )
    made = console.build(settings, Adapters())
    handler = console.FUNCTION.entry(lambda: made)

    def asked(path: str = "/console", headers: Mapping[str, str] = {}) -> Any:
        return handler(events.http("GET", path, None, headers), events.Context())

    return asked


def body(answer: dict[str, Any]) -> bytes:
    """The bytes that a browser gets."""
    sent = answer["body"]
    plain = base64.b64decode(sent) if answer.get("isBase64Encoded") else sent.encode()
    compressed = answer["headers"].get("content-encoding") == "gzip"
    return gzip.decompress(plain) if compressed else plain


def policy(answer: dict[str, Any]) -> dict[str, list[str]]:
    """The Content-Security-Policy by directive."""
    parts = (each.split() for each in answer["headers"]["content-security-policy"].split(";"))
    return {name: values for name, *values in parts}


def test_the_page_and_its_files_are_served_as_what_they_are(ask: Ask) -> None:
    page = ask()
    assert page["statusCode"] == 200
    assert page["headers"]["content-type"] == "text/html; charset=utf-8"
    assert body(page) == (console.FOLDER / "index.html").read_bytes()
    assert body(ask("/console/")) == body(page)
    for name, text in TEXTS.items():
        answer = ask(f"/console/{name}")
        assert (answer["statusCode"], body(answer).decode()) == (200, text)
        assert answer["headers"]["x-content-type-options"] == "nosniff"
    assert ask("/console/app.js")["headers"]["content-type"] == "text/javascript; charset=utf-8"
    assert ask("/console/style.css")["headers"]["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "deflate,GZIP ; q=1.0"])
def test_a_browser_that_takes_gzip_gets_it(ask: Ask, accepted: str) -> None:
    answer = ask("/console/app.js", {"accept-encoding": accepted})
    assert answer["headers"]["content-encoding"] == "gzip"
    assert answer["headers"]["vary"] == "accept-encoding"
    assert body(answer).decode() == TEXTS["app.js"]


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.0", "x-gzip-like"])
def test_others_get_it_as_it_is(ask: Ask, accepted: str) -> None:
    answer = ask("/console/app.js", {"accept-encoding": accepted})
    assert "content-encoding" not in answer["headers"]
    assert body(answer).decode() == TEXTS["app.js"]


def test_a_browser_asks_each_time_and_gets_what_it_has_not(ask: Ask) -> None:
    first = ask("/console/app.js", {"accept-encoding": "gzip"})
    assert first["headers"]["cache-control"] == "no-cache"
    etag = first["headers"]["etag"]
    for tag in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = ask("/console/app.js", {"if-none-match": tag})
        assert (again["statusCode"], body(again)) == (304, b"")
        assert again["headers"]["etag"] == etag
    assert ask("/console/app.js", {"if-none-match": '"other"'})["statusCode"] == 200
    assert ask("/console/api.js")["headers"]["etag"] != etag


@pytest.mark.parametrize(
    "path",
    [
        "/console/none.js",
        "/console/../handlers/console.py",
        "/console/%2e%2e%2fhandlers%2fconsole.py",
        "/console//etc/passwd",
        "/console/a/app.js",
        "/console/app.js%00",
        "/console/__init__.py",
        "/console/APP.JS",
    ],
)
def test_console_p1_a_path_reaches_no_other_file(ask: Ask, path: str) -> None:
    answer = ask(path)
    assert answer["statusCode"] == 404
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert answer["headers"]["cache-control"] == "no-store"
    assert policy(answer)["default-src"] == ["'none'"]


def test_console_p2_the_policy_allows_no_code_or_style_but_the_consoles_own(ask: Ask) -> None:
    found = policy(ask())
    assert "unsafe" not in json.dumps(found)
    assert found["default-src"] == ["'none'"]
    assert found["script-src"] == found["style-src"] == ["'self'"]
    assert found["img-src"] == ["'self'", PUBLIC_URL, PICTURES, FORMS, "blob:"]
    assert found["media-src"] == found["img-src"]
    assert found["connect-src"] == ["'self'", FORMS]
    for closed in ("object-src", "base-uri", "form-action", "frame-ancestors"):
        assert found[closed] == ["'none'"]
    assert found["require-trusted-types-for"] == ["'script'"]
    assert found["trusted-types"] == ["'none'"]


def test_console_p3_no_page_of_others_gets_hold_of_it(ask: Ask) -> None:
    headers = ask()["headers"]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=()" in headers["permissions-policy"]
    assert not [name for name in headers if name.startswith("access-control-")]


def test_console_p4_it_has_no_right_and_no_secret() -> None:
    assert console.FUNCTION.rights == ()
    assert not [name for name in console.ConsoleSettings.kinds() if "secret" in name]


def test_the_whole_console_is_small(ask: Ask) -> None:
    sizes = [
        len(base64.b64decode(ask(f"/console/{name}", {"accept-encoding": "gzip"})["body"]))
        for name in TEXTS
    ]
    assert sum(sizes) <= LARGEST


def imported(*names: str) -> set[str]:
    """The modules that these load before they run."""
    found: set[str] = set()
    while names:
        found |= set(names)
        each = (
            re.findall(r'^(?:import|} from|.*from) "/console/(\S+)"', SCRIPTS[n], re.MULTILINE)
            for n in names
        )
        names = tuple({name for these in each for name in these} - found)
    return found


def test_the_first_view_needs_few_requests() -> None:
    page = TEXTS["index.html"]
    linked = set(re.findall(r'(?:href|src)="/console/(\S+?)"', page))
    assert linked <= set(TEXTS)
    entrance = {"index.html", *linked, *imported("app.js")}
    assert len(entrance) <= MOST_REQUESTS
    # What is loaded ahead is needed, and no module of the entrance waits for another.
    assert {name for name in linked if name.endswith(".js")} == imported("app.js")
    playground = entrance | imported("playground.js")
    assert len(playground) + len(MODELS) <= MOST_REQUESTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_console_p5_no_script_makes_markup_or_code_of_text(name: str) -> None:
    """The policy would stop it too."""
    careless = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b"
        r"|new Function|setTimeout\([\"'`]|createContextualFragment|setAttribute\([\"'`]on"
        r"|localStorage|document\.cookie|window\.open|console\.log\((?!await answer)"
    )
    assert not re.findall(careless, SCRIPTS[name])
    assert "style=" not in SCRIPTS[name]
    assert "style:" not in SCRIPTS[name]


@pytest.mark.parametrize("name", TEXTS)
def test_console_p6_nothing_comes_from_elsewhere(name: str) -> None:
    elsewhere = re.findall(r"https?://[\w.-]+\.\w+|@import|url\(", TEXTS[name])
    assert set(elsewhere) <= {"http://www.w3.org"}, "the namespace of SVG"
    assert not re.findall(r"<script(?! type=\"module\" src=)|<style|\son\w+=", TEXTS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_its_files_keep_to_the_width_of_the_repository(name: str) -> None:
    assert max(map(len, TEXTS[name].splitlines())) <= 100


def test_scripts_load_only_what_there_is() -> None:
    for text in SCRIPTS.values():
        assert set(re.findall(r'"/console/([\w.-]+)"', text)) <= set(TEXTS)


def test_the_asset_has_the_files() -> None:
    """They are beside the code, which is the asset."""
    assert Path(console.__file__).parents[1] / "console" == console.FOLDER
    assert {"index.html", "app.js", "style.css", "icon.svg"} <= set(console.read_files())
