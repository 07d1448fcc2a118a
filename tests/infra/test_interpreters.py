"""The tests also run on Lambda's version of Python, if the machine has it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from infra.bundling import PYTHON

ROOT = Path(__file__).resolve().parents[2]
FINDER = ROOT / ".ci" / "python"


def run(*command: str | Path, path: str = os.defpath, home: Path = ROOT) -> tuple[int, str, str]:
    """Run in a shell with the given environment only."""
    environment = {"PATH": path, "HOME": str(home)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def answering(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def planned(*arguments: str) -> list[str]:
    """Return the planned calls of pytest."""
    code, out, err = run("make", "--no-print-directory", "--dry-run", "test", *arguments)
    assert code == 0, err
    return re.findall(r"pytest (tests/\S+)", out)


def test_an_interpreter_is_found_on_path_and_in_pyenvs_and_uvs_folders(tmp_path: Path) -> None:
    for name in (
        "bin/python9.9",
        ".pyenv/versions/9.9.7/bin/python",
        ".local/share/uv/python/cpython-9.9.9-linux/bin/python",
    ):
        made = answering(tmp_path / name, 'echo "9.9 $0"')
        path = f"{tmp_path / 'bin'}:{os.defpath}"
        assert run(FINDER, "9.9", path=path, home=tmp_path) == (0, f"{made}\n", "")
        made.unlink()


def test_what_only_has_the_name_is_passed_by(tmp_path: Path) -> None:
    """A shim of pyenv fails if no such version is selected."""
    answering(tmp_path / "bin" / "python9.9", "echo 'command not found' >&2; exit 127")
    answering(tmp_path / ".pyenv/versions/9.9.1/bin/python", 'echo "9.8 $0"')
    path = f"{tmp_path / 'bin'}:{os.defpath}"
    code, out, err = run(FINDER, "9.9", path=path, home=tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith("No Python 9.9 here")


def test_make_says_that_a_python_is_missing() -> None:
    code, out, err = run("make", "--no-print-directory", "runtime", "RUNTIME=9.9")
    assert (code, out) == (0, "Nothing was tested on Python 9.9, which is what Lambda runs.\n")
    assert err.startswith("No Python 9.9 here")
    code, _, err = run("make", "unit", "PYTHON=9.9")
    assert code == 2
    assert "No Python 9.9 here" in err


def test_make_test_runs_a_slice_on_lambdas_python_and_with_it_all_but_e2e() -> None:
    assert f"\nRUNTIME := {PYTHON}\n" in (ROOT / "Makefile").read_text()
    everything = planned()
    assert {"tests/e2e", "tests/e2e/clients", "tests/browser", "tests/unit"} <= set(everything)
    on_it = planned(f"PYTHON={PYTHON}")
    assert on_it
    apart = ("tests/e2e", "tests/browser")
    assert set(on_it) == {path for path in everything if not path.startswith(apart)}
