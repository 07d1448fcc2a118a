"""Published clients, Replicate's and others: every method works, or fails with a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients.published import CLIENTS, OTHERS
from tests.e2e.clients.report import PAGE, render

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud

Results = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_every_method_works_or_is_clearly_refused(results: Results, client: str) -> None:
    lines = results[client]
    assert [f"{line['method']}: {line['note']}" for line in lines if not line["ok"]] == []
    assert len(lines) > 50
    methods = [line["method"] for line in lines]
    assert len(set(methods)) == len(methods)


@pytest.mark.parametrize("client", [client.name for client in OTHERS])
def test_what_stands_on_replicate_works_on_darkroom(results: Results, client: str) -> None:
    lines = results[client]
    assert [f"{line['method']}: {line['note']}" for line in lines if not line["ok"]] == []
    assert len(lines) >= 5


def test_the_compatibility_page_says_what_was_seen(results: Results) -> None:
    assert render(results) == PAGE.read_text(), "run python -m tests.e2e.clients.report"


def test_a_token_that_came_as_an_input_is_in_no_log(
    results: Results, secure_cloud: EmbeddedCloud
) -> None:
    """The JavaScript client sent it; the functions' logs are those of CloudWatch."""
    assert results["javascript"]
    logs = secure_cloud.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    captured = [
        event["message"]
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
    assert any("refused" in message for message in captured)
    assert not [message for message in captured if secure_cloud.token in message]
    files = secure_cloud._state_dir.joinpath("logs").iterdir()
    assert not [file for file in files if secure_cloud.token in file.read_text(errors="replace")]
    table = secure_cloud.client("dynamodb").scan(TableName=secure_cloud.outputs["PredictionsTable"])
    assert secure_cloud.token not in str(table["Items"])
