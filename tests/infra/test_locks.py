"""Every installed package is identified by its hash, without the address of a registry."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("functions/requirements.txt", "functions/pictures.txt")
SETUP = (ROOT / "Makefile").read_text().partition("\n$(VENV)/.done:")[2].partition("\n\n")[0]


@pytest.fixture(scope="module")
def packages() -> dict[str, dict[str, Any]]:
    """The packages that npm installs, by folder."""
    lock = json.loads((ROOT / "package-lock.json").read_text())
    return {name: package for name, package in lock["packages"].items() if name}


def test_adversarial_l7_uv_is_installed_by_hash() -> None:
    """By the command of `make setup` itself, from the only place of uv's version."""
    (line,) = re.findall(r"@(sed .+) > \$\(VENV\)/uv\.txt\n", SETUP)
    made = subprocess.run(
        ["bash", "-c", line.replace("$$", "$")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.fullmatch(
        r"uv==[\d.]+ \\\n(    --hash=sha256:[0-9a-f]{64} \\\n)+    --hash=sha256:[0-9a-f]{64}\n",
        made,
    )


def test_adversarial_l7_every_install_of_setup_wants_hashes() -> None:
    """Except that of this checkout's own command, which fetches nothing."""
    *installs, own = re.findall(r"@(.*pip install .*)", SETUP)
    assert len(installs) == 2
    assert all("--require-hashes" in install for install in installs)
    assert {"--offline", "--no-deps", "--no-build-isolation"} <= set(own.split())
    assert own.endswith(" -e cli")


def test_adversarial_l7_the_cdk_command_is_installed_by_hash(
    packages: dict[str, dict[str, Any]],
) -> None:
    assert "$(NPM) ci" in (ROOT / "Makefile").read_text()
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    installed = {name.rpartition("node_modules/")[2]: p["version"] for name, p in packages.items()}
    assert wanted.items() <= installed.items()
    assert all(re.match(r"sha512-[\w+/]{86}==$", p["integrity"]) for p in packages.values())


def test_no_lock_names_a_registry(packages: dict[str, dict[str, Any]]) -> None:
    """The installer chooses the source: a mirror, or the registry's own host."""
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text().split()
    for lock in ("package-lock.json", "requirements.txt", *LOCKS):
        assert "://" not in (ROOT / lock).read_text(), lock
