"""Each door as the demo shows it: its picture, and the printed commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.doors import DOORS, opened

if TYPE_CHECKING:
    from local.doors import Door
    from tests.e2e.driver import Driver

BEGINS = (b"RIFF", b"\x89PNG", b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_a_picture_comes_through(driver: Driver, door: Door) -> None:
    assert door in opened(driver.cloud.outputs)
    assert door.picture(driver.api).startswith(BEGINS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_the_command_that_is_printed_does_the_same(driver: Driver, door: Door) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "URL": driver.cloud.base_url,
        "TOKEN": driver.cloud.token,
    }
    done = subprocess.run(
        ["bash", "-euc", door.how],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert not answer.get("error"), answer
    assert "detail" not in answer, answer
    assert driver.cloud.base_url in done.stdout, "there is a URL in it"
