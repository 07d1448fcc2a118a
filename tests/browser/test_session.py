"""Signing in and out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from darkroom.domain.keys import new_token
from playwright.sync_api import expect

from ops.keys import put_key, revoke_key

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.e2e.driver import Driver

MOST_REQUESTS = 15
KEPT = "Object.values({...sessionStorage, ...localStorage}).join() + document.cookie"


def test_a_visitor_signs_in_by_enter(visitor: Visitor) -> None:
    visitor.signs_in()
    expect(visitor.generate).to_be_visible()
    navigation = visitor.page.get_by_role("navigation")
    for name in ("Playground", "Gallery", "Usage"):
        expect(navigation.get_by_role("link", name=name, exact=True)).to_be_visible()
    assert visitor.token not in visitor.page.url
    assert not [url for url in visitor.requests if visitor.token in url]


def test_there_are_few_requests_before_the_first_view(visitor: Visitor) -> None:
    visitor.opens()
    expect(visitor.field("API key")).to_be_visible()
    before = len(visitor.requests)
    visitor.field("API key").fill(visitor.token)
    visitor.field("API key").press("Enter")
    expect(visitor.generate).to_be_visible()
    assert before <= MOST_REQUESTS
    files = [url for url in visitor.requests if url.endswith(".js")]
    assert len(files) == len(set(files))


def test_a_wrong_key_is_refused_in_words(visitor: Visitor) -> None:
    visitor.expects(401, "/v1/.*")
    visitor.signs_in("dk_wrong")
    expect(visitor.page.get_by_role("alert")).to_contain_text("does not know this API key")
    expect(visitor.field("API key")).to_be_focused()
    visitor.field("API key").fill("not a kéy")
    visitor.field("API key").press("Enter")
    expect(visitor.page.get_by_role("alert")).to_contain_text("not an API key")
    visitor.field("API key").fill(visitor.token)
    visitor.field("API key").press("Enter")
    expect(visitor.generate).to_be_visible()


def test_the_key_ends_with_a_reload(visitor: Visitor) -> None:
    visitor.arrives()
    assert visitor.token not in visitor.page.evaluate(KEPT)
    visitor.page.reload()
    expect(visitor.field("API key")).to_be_visible()


def test_the_key_is_kept_in_the_tab_if_the_visitor_says_so(visitor: Visitor) -> None:
    visitor.opens()
    visitor.page.get_by_label(re.compile("Keep me signed in")).check()
    visitor.field("API key").fill(visitor.token)
    visitor.field("API key").press("Enter")
    expect(visitor.generate).to_be_visible()
    visitor.page.reload()
    expect(visitor.generate).to_be_visible()

    other = visitor.page.context.new_page()
    other.goto("/console")
    expect(other.get_by_label("API key", exact=True)).to_be_visible()
    other.close()

    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.field("API key")).to_be_visible()
    assert visitor.token not in visitor.page.evaluate(KEPT)
    visitor.page.reload()
    expect(visitor.field("API key")).to_be_visible()


def test_signing_out_clears_what_was_shown(visitor: Visitor, driver: Driver) -> None:
    prompt = "Seen by the last visitor alone"
    made = driver.run(prompt)
    visitor.arrives()
    visitor.page.goto(f"/console#/predictions/{made['id']}")
    expect(visitor.page.get_by_text(prompt).first).to_be_visible()
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.field("API key")).to_have_value("")
    shown = visitor.page.content()
    assert prompt not in shown
    assert made["id"] not in shown + visitor.page.url
    visitor.page.go_back()
    expect(visitor.field("API key")).to_be_visible()
    assert prompt not in visitor.page.content()


def test_a_key_that_is_taken_away_ends_the_session(visitor: Visitor, driver: Driver) -> None:
    visitor.expects(401, "/v1/.*")
    dynamodb, table = driver.cloud.client("dynamodb"), driver.cloud.outputs["ControlsTable"]
    token = new_token()
    key = put_key(dynamodb, table, token, tenant="local", name="a visitor's")
    visitor.signs_in(token)
    expect(visitor.generate).to_be_visible()
    revoke_key(dynamodb, table, key["id"])
    visitor.goes_to("Gallery")
    expect(visitor.field("API key")).to_be_visible()
    expect(visitor.page.get_by_text("You were signed out")).to_be_visible()
