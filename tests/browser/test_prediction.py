"""The page of a prediction, and usage."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import httpx
from playwright.sync_api import expect

from tests.e2e.receiver import receiving
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Route

    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver


def test_everything_is_told_about_a_prediction(
    visitor: Visitor, driver: Driver, tmp_path: Path
) -> None:
    made = driver.finished(
        driver.create(
            input={"prompt": "All about it", "seed": 42},
            tags=["spring"],
            metadata={"order": "4711"},
            headers={"Darkroom-Cache": "bypass"},
        )["id"]
    )
    (file,) = made["darkroom"]["files"]
    visitor.arrives()
    visitor.looks_at(made["id"])
    main = visitor.page.get_by_role("main")
    visitor.sees_picture(main.get_by_role("img", name="All about it").first)
    for text in (made["model"], made["darkroom"]["provider_id"], file["sha256"], "4711", "spring"):
        expect(main.get_by_text(text).first).to_be_visible()
    expect(main.get_by_text(re.compile(r"\$0\.\d+")).first).to_be_visible()

    with visitor.page.expect_download() as downloading:
        main.get_by_role("link", name="Download").click()
    path = tmp_path / "downloaded"
    downloading.value.save_as(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]


def test_the_same_call_is_given_for_programs_without_the_key(
    visitor: Visitor, driver: Driver
) -> None:
    made = driver.run("Copied into a program, isn't it")
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.arrives()
    visitor.looks_at(made["id"])
    for language in ("curl", "Python", "JavaScript"):
        visitor.page.get_by_text(language, exact=True).click()
        copy = visitor.page.get_by_role("button", name=f"Copy {language}")
        copy.click()
        expect(copy).to_have_text("Copied")
        text = visitor.page.evaluate("navigator.clipboard.readText()")
        assert "DARKROOM_TOKEN" in text
        assert "Copied into a program, isn" in text
        assert visitor.token not in text
        visitor.page.get_by_text(language, exact=True).click()


def test_a_repeat_fills_the_form(visitor: Visitor, driver: Driver) -> None:
    made = driver.run("Said again", seed=99)
    visitor.arrives()
    visitor.looks_at(made["id"])
    visitor.page.get_by_role("button", name="Repeat").click()
    expect(visitor.field("prompt")).to_have_value("Said again")
    visitor.page.get_by_text("More", exact=True).click()
    expect(visitor.field("seed")).to_have_value("99")


def test_a_callback_is_sent_again(visitor: Visitor, driver: Driver) -> None:
    with receiving() as receiver:
        id_ = driver.called_back(receiver.url, "completed", prompt="Told twice")
        until(lambda: driver.callback_state(id_) == "delivered")
        visitor.arrives()
        visitor.looks_at(id_)
        expect(visitor.page.get_by_text("delivered")).to_be_visible()
        expect(visitor.page.get_by_text(re.compile("204"))).to_have_count(1)
        visitor.page.get_by_role("button", name="Redeliver completed").click()
        until(lambda: len(receiver.got) == 2)
        expect(visitor.page.get_by_text(re.compile("204"))).to_have_count(2)
        assert len(set(receiver.ids)) == 1


def test_states_change_while_one_looks(visitor: Visitor, driver: Driver) -> None:
    with driver.without("Persist"):
        made = driver.submit("Looked at while it is made")
        driver.recorded(made["id"], lambda item: item["state"]["S"] == "storing")
        visitor.arrives()
        visitor.looks_at(made["id"])
        main = visitor.page.get_by_role("main")
        expect(main.get_by_role("progressbar")).to_be_visible()
        expect(main.get_by_text("Processing").first).to_be_visible()
    expect(main.get_by_text("Succeeded").first).to_be_visible()
    visitor.sees_picture(main.get_by_role("img", name="Looked at while it is made").first)


def test_a_picture_whose_url_has_expired_is_read_anew(visitor: Visitor, driver: Driver) -> None:
    """URLs live for an hour; a page may be open for longer."""
    made = driver.run("Seen after an hour")
    visitor.expects(403, ".*")
    refused: list[str] = []

    def expire_the_first(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=403, body="")

    key = made["darkroom"]["files"][0]["key"]
    visitor.page.route(re.compile(re.escape(key)), expire_the_first)
    visitor.arrives()
    visitor.looks_at(made["id"])
    visitor.sees_picture(visitor.page.get_by_role("img", name="Seen after an hour").first)
    assert refused


def test_an_unknown_prediction_is_said_to_be_so(visitor: Visitor) -> None:
    visitor.expects(404, "/v1/predictions/.*")
    visitor.arrives()
    visitor.looks_at("0" * 26, heading=None)
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.goes_to("Playground")
    expect(visitor.generate).to_be_visible()


def test_usage_is_shown_by_day_and_by_model(visitor: Visitor, driver: Driver) -> None:
    driver.handed_on(driver.run("Counted")["id"])
    month: dict[str, object] = {}

    def counted() -> bool:
        month.update(driver.api.get("/v1/usage/month").json())
        return bool(month["predictions"])

    until(counted)
    visitor.arrives()
    visitor.goes_to("Usage")
    visitor.settles("Usage")
    main = visitor.page.get_by_role("main")
    expect(main.get_by_role("img", name="Cost by day")).to_be_visible()
    expect(main.get_by_role("cell", name=re.compile(r"\$")).first).to_be_visible()
    row = main.get_by_role("row").filter(has_text="black-forest-labs/flux-schnell")
    expect(row).to_be_visible()
    answer = httpx.get(
        f"{driver.cloud.base_url}/v1/usage",
        headers={"Authorization": f"Bearer {visitor.token}"},
        trust_env=False,
        timeout=60,
    ).json()
    counts = [
        found["predictions"]
        for found in answer["results"]
        if found["model"] == "black-forest-labs/flux-schnell"
    ]
    expect(row.get_by_role("cell").first).to_have_text(str(sum(counts)))
