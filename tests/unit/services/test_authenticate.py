"""Authenticate: one of our keys with the required scope, or nothing."""

from __future__ import annotations

import pytest
from darkroom.domain import keys
from darkroom.domain.errors import NotAuthenticatedError, OutOfScopeError
from darkroom.ports import ApiKey

from tests.support.world import World

TOKEN = "dk_a-token"


def world_with_key() -> World:
    world = World()
    key = ApiKey("acme", frozenset({"submit", "read"}))
    world.controls.keys[keys.key_id(TOKEN)] = key
    return world


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "TOKEN"])
def test_both_of_replicates_schemes_are_taken(scheme: str) -> None:
    assert world_with_key().authenticate(f"{scheme} {TOKEN}", "submit") == "acme"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer  {TOKEN}",
        f"Bearer {TOKEN} ",
        "Bearer dk_another",
        "Bearer é",
        "Bearer \udcff",
        f"Bearer {TOKEN}\n",
        "Bearer " + "x" * 201,
        f"Bearer {keys.key_id(TOKEN)}",
    ],
)
def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(NotAuthenticatedError):
        world_with_key().authenticate(header, "read")


def test_a_key_without_the_scope_is_out_of_scope() -> None:
    with pytest.raises(OutOfScopeError):
        world_with_key().authenticate(f"Bearer {TOKEN}", "admin")


def test_a_revoked_key_is_refused_by_the_next_request() -> None:
    world = world_with_key()
    world.controls.keys.clear()
    with pytest.raises(NotAuthenticatedError):
        world.authenticate(f"Bearer {TOKEN}", "read")


def test_an_admin_key_may_do_all() -> None:
    world = world_with_key()
    world.controls.keys[keys.key_id(TOKEN)] = ApiKey("acme", frozenset({"admin"}))
    for scope in keys.SCOPES:
        assert world.authenticate(f"Bearer {TOKEN}", scope) == "acme"
