"""docs/compatibility.md names everything that the wire has beyond Replicate's API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.api.http import ANSWERED_WITH

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT = json.loads((DOCS / "openapi.json").read_text())
SUCCEEDED = json.loads((DOCS / "events" / "prediction-succeeded.json").read_text())
PAGE = (DOCS / "compatibility.md").read_text()

# Replicate's API: by its document, and by what its clients additionally send and read.
ROUTES = {
    "GET /v1/account",
    "GET /v1/files",
    "POST /v1/files",
    "DELETE /v1/files/{id}",
    "GET /v1/files/{id}",
    "GET /v1/models",
    "GET /v1/models/{owner}/{name}",
    "POST /v1/models/{owner}/{name}/predictions",
    "GET /v1/models/{owner}/{name}/versions",
    "GET /v1/models/{owner}/{name}/versions/{id}",
    "GET /v1/predictions",
    "POST /v1/predictions",
    "GET /v1/predictions/{id}",
    "POST /v1/predictions/{id}/cancel",
    "GET /v1/webhooks/default/secret",
}
PREDICTION = {
    *("id", "model", "version", "input", "output", "logs", "error", "status", "created_at"),
    *("started_at", "completed_at", "deadline", "data_removed", "source", "metrics", "webhook"),
    *("urls", "urls.get", "urls.cancel", "urls.web", "urls.stream"),
}
MODEL = {
    *("url", "owner", "name", "description", "visibility", "is_official", "github_url"),
    *("paper_url", "license_url", "run_count", "cover_image_url", "default_example"),
    *("latest_version", "created_at"),
}
VERSION = {"id", "created_at", "cog_version", "openapi_schema"}
FILE = {
    *("id", "name", "content_type", "size", "etag", "metadata", "created_at", "expires_at"),
    *("checksums", "checksums.sha256", "checksums.md5", "urls", "urls.get"),
}
ACCOUNT = {"type", "username", "name"}
SECRET = {"key"}
PROBLEM = {"title", "detail", "status", "invalid_fields", "retry_after"}
ANSWERS = {
    *(PREDICTION | MODEL | VERSION | FILE | ACCOUNT | SECRET | PROBLEM),
    *{f"latest_version.{name}" for name in VERSION},
    *{f"invalid_fields[].{name}" for name in ("type", "field", "description")},
    "darkroom",
}
REQUEST = {"version", "input", "webhook", "webhook_events_filter", "webhook_completed", "stream"}
QUERY = {"cursor", "created_after", "created_before", "source", "sort_by", "sort_direction"}
HEADERS = {"prefer", "cancel-after"}

DESCRIBED_ELSEWHERE = {"darkroom.price", "darkroom.status"}
"""Fields described in docs/models.md."""


def rows() -> list[tuple[str, str]]:
    """Return the first and the last cell of each row."""
    section = PAGE.partition("## What Darkroom adds to the wire")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return [(first.strip(), last.strip()) for first, *_, last in cells[1:]]


def named(kind: str) -> dict[str, str]:
    """Return the names in rows of this kind (`query`, `header`, or neither), with their last
    cells."""
    found = {}
    for first, last in rows():
        if (re.match("[a-z]*", first) or [""])[0] == kind:
            found |= dict.fromkeys(re.findall("`([^`]+)`", first), last)
    return found


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, by_method in DOCUMENT["paths"].items():
        for method, operation in by_method.items():
            yield f"{method.upper()} {path}", operation


def paths(schema: dict[str, Any], document: dict[str, Any], under: str = "") -> Iterator[str]:
    """Yield each property by its path from the body's root; a page's items are bodies
    themselves."""
    if "$ref" in schema:
        found = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        yield from paths(found, document, under)
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from paths(part, document, under)
    if schema.get("type") == "array":
        yield from paths(schema["items"], document, f"{under}[]")
    for name, inner in schema.get("properties", {}).items():
        if not under and name == "results":
            yield from paths(inner["items"], document)
            continue
        if not under and name in {"next", "previous"}:
            continue
        path = f"{under}.{name}" if under else name
        yield path
        if path not in DESCRIBED_ELSEWHERE:
            yield from paths(inner, document, path)


def added() -> dict[str, set[str]]:
    """Return the additions to the routes that Replicate has too."""
    fields, query, headers = set(), set(), {*ANSWERED_WITH}
    for route, operation in operations():
        if route not in ROUTES:
            continue
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                query.add(parameter["name"])
            elif parameter["in"] == "header":
                headers.add(parameter["name"].lower())
        for answer in operation["responses"].values():
            headers |= {name.lower() for name in answer.get("headers", {})}
            for content in answer.get("content", {}).values():
                fields |= {*paths(content["schema"], DOCUMENT)} - ANSWERS
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if kind == "application/json":
                fields |= {*paths(content["schema"], DOCUMENT)} - REQUEST
    return {"": fields, "query": query - QUERY, "header": headers - HEADERS}


@pytest.mark.parametrize("kind", ["", "query", "header"])
def test_the_table_has_what_was_added(kind: str) -> None:
    known = {name.lower() if kind == "header" else name for name in named(kind)}
    events_alone = {name for name, last in named(kind).items() if last == "events only"}
    assert known - events_alone == added()[kind]


def test_the_page_names_the_routes_that_were_added() -> None:
    section = PAGE.partition("Routes of its own:")[2].partition("\n## ")[0]
    ours = {route for route, _ in operations()} - ROUTES
    assert {*re.findall("`([A-Z]+ /[^`]+)`", section)} == ours


def test_the_table_says_what_callbacks_and_events_have() -> None:
    """A callback's body is an answer's without the fields of that answer only: `replicate.wire`."""
    told = {*paths(SUCCEEDED["properties"]["detail"], SUCCEEDED)} - PREDICTION - {"darkroom"}
    fields = named("")
    assert told == {name for name, last in fields.items() if last in {"yes", "events only"}}
    assert {*fields.values()} == {"yes", "no", "events only"}
