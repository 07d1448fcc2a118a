"""A tenant's callback secrets during rotations of versions and of the master key."""

from __future__ import annotations

import base64

from darkroom.ports import SecretVersion
from darkroom.services.callbacks.secrets import callback_secret

from tests.support.world import World

OLD, NEW = b"c" * 32, b"n" * 32


def test_during_a_rotation_of_the_master_key_both_sign_and_the_new_one_is_shown() -> None:
    world = World()
    world.secrets.callback = (NEW, OLD)
    new, old = callback_secret(NEW, "acme"), callback_secret(OLD, "acme")
    assert world.callback_secrets.keys("acme") == (new, old)
    assert world.callback_secrets.current("acme") == f"whsec_{base64.b64encode(new).decode()}"


def test_both_rotations_at_once_leave_no_secret_out() -> None:
    world = World()
    world.secrets.callback = (NEW, OLD)
    world.controls.versions["acme"] = SecretVersion(2, world.clock() + 1)
    assert set(world.callback_secrets.keys("acme")) == {
        callback_secret(master, "acme", version) for master in (OLD, NEW) for version in (1, 2)
    }
