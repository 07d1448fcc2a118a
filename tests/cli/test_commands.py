"""The command line: help that teaches, options on either side, completion, and a hostile
service."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import typer
from darkroom_cli import options
from darkroom_cli.app import app

from tests.cli.fake import TOKEN, URL, Deployment, problem
from tests.support.terminal import COMMAND, Terminal, run, shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP: Any = typer.main.get_command(app)
NAMES = sorted(GROUP.commands)
EVIL = "\x1b]8;;https://evil.example\x07\x1b[2J\u202e"


def examples(text: str | None) -> list[str]:
    """The command lines in a help text."""
    return re.findall(r"^ +(darkroom .+)$", text or "", re.MULTILINE)


@pytest.mark.parametrize("name", ["", *NAMES])
def test_every_help_has_examples_that_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = GROUP.commands[name] if name else GROUP
    found = examples(command.help)
    assert found, f"{name} teaches by no example"
    for one in GROUP.commands.values():
        monkeypatch.setattr(one, "callback", lambda **_: None)
    for line in found:
        words = shlex.split(line.partition(" < ")[0])[1:]
        assert not name or words[0] == name
        GROUP.main(words, prog_name="darkroom", standalone_mode=False)


def test_the_help_has_the_exit_codes(tmp_path: Path) -> None:
    done = run(shell(tmp_path), "--help", cwd=tmp_path)
    assert done.returncode == 0
    codes = re.findall(r"^ +(\d+)  +\w", done.stdout, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "130"]
    listed = re.findall(r"^  (\w+)  +[A-Z]", done.stdout, re.MULTILINE)
    assert sorted(listed) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_json_and_quiet(name: str) -> None:
    given = {text for one in GROUP.commands[name].params for text in one.opts}
    assert {"--json", "--quiet"} <= given


def test_no_command_takes_a_key_as_an_argument() -> None:
    given = {
        text for command in GROUP.commands.values() for one in command.params for text in one.opts
    }
    assert {text for text in given if re.search("key|token|secret", text)} == {"--key-stdin"}


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    def completed(*words: str) -> set[str]:
        done = subprocess.run(
            COMMAND,
            env={
                **shell(tmp_path),
                "_DARKROOM_COMPLETE": "complete_bash",
                "COMP_WORDS": " ".join(["darkroom", *words]),
                "COMP_CWORD": str(len(words)),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return set(done.stdout.split())

    assert completed("ge") == {"generate", "get"}
    assert "--at-once" in completed("batch", "--")


@pytest.mark.parametrize(
    "words", [["--json", "logout"], ["logout", "--json"], ["--json", "logout", "--json"]]
)
def test_an_option_stands_on_either_side(words: list[str], tmp_path: Path) -> None:
    done = run(shell(tmp_path), *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, '{"forgotten": false}\n')


def test_a_command_line_that_is_wrong_ends_with_2(tmp_path: Path) -> None:
    for words in (["nonsense"], ["list", "--limit", "0"], ["get"], ["batch", "x.csv"]):
        done = run(shell(tmp_path), *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), words


def test_nothing_heavy_is_loaded_for_a_help_text(tmp_path: Path) -> None:
    code = (
        "import sys; import darkroom_cli.app;"
        "print(*(name for name in ('httpx', 'rich.table', 'darkroom') if name in sys.modules))"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", code], env=shell(tmp_path), capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


class Served:
    """The deployment at a port of this machine."""

    def __init__(self, deployment: Deployment) -> None:
        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                length = int(self.headers.get("content-length", 0))
                request = httpx.Request(
                    self.command,
                    URL + self.path,
                    headers=dict(self.headers),
                    content=self.rfile.read(length),
                )
                answer = deployment.answer(request)
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in {"content-length", "transfer-encoding"}:
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def served(deployment: Deployment) -> Iterator[Served]:
    made = Served(deployment)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def environment(served: Served, tmp_path: Path) -> dict[str, str]:
    return shell(tmp_path, DARKROOM_URL=served.url, DARKROOM_TOKEN=TOKEN)


def evil(status: str = "failed") -> dict[str, Any]:
    return {
        "id": "e" * 26,
        "status": status,
        "model": EVIL,
        "created_at": EVIL,
        "error": EVIL,
        "input": {"prompt": EVIL},
        "darkroom": {"files": [], "cost": EVIL},
    }


@pytest.mark.parametrize(
    ("words", "answer", "code"),
    [
        (["get", "e" * 26], httpx.Response(200, json=evil()), 1),
        (["get", "e" * 26], problem(400, EVIL), 3),
        (["list"], httpx.Response(200, json={"results": [evil()], "next": EVIL}), 0),
        (["usage"], httpx.Response(200, json={"from": EVIL, "results": [{"model": EVIL}]}), 0),
        (
            ["models"],
            httpx.Response(
                200,
                json={
                    "results": [
                        {"owner": "a", "name": "b", "description": EVIL},
                        {"owner": "a", "name": "c", "darkroom": {"tasks": [EVIL], "price": EVIL}},
                        {"owner": EVIL, "name": "x"},
                    ]
                },
            ),
            0,
        ),
        (
            ["models", "a/b"],
            httpx.Response(
                200,
                json={
                    "description": EVIL,
                    "darkroom": {"status": {"successor": EVIL}, "expected_seconds": EVIL},
                    "latest_version": {
                        "openapi_schema": {
                            "components": {
                                "schemas": {
                                    "Input": {
                                        "properties": {EVIL: {"enum": [EVIL], "description": EVIL}}
                                    }
                                }
                            }
                        }
                    },
                },
            ),
            0,
        ),
        (["usage"], httpx.Response(302, headers={"location": "https://evil.example/"}), 4),
        (
            ["usage"],
            httpx.Response(200, content="<html>", headers={"content-type": "text/html"}),
            4,
        ),
    ],
)
def test_a_hostile_service_does_not_steer_the_terminal(
    deployment: Deployment,
    environment: dict[str, str],
    tmp_path: Path,
    words: list[str],
    answer: httpx.Response,
    code: int,
) -> None:
    deployment.answers += [answer]
    with Terminal(environment, *words, cwd=tmp_path) as terminal:
        ended = terminal.end()
    assert "Traceback" not in terminal.shown, terminal.shown
    assert ended == code, terminal.shown
    assert "\x1b]8" not in terminal.shown
    assert "\x1b[2J" not in terminal.shown
    assert "\u202e" not in terminal.shown


def test_json_is_one_object_and_nothing_else(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    deployment.polls_until_end = 3
    made = run(environment, "generate", "painter", "fail", "--watch", "--json", cwd=tmp_path)
    assert made.returncode == 1
    (line,) = made.stdout.splitlines()
    assert json.loads(line)["status"] == "failed"
    assert "it broke" in made.stderr


def test_the_key_is_in_no_output(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    deployment.answers += [problem(401, "no"), httpx.Response(200, content="x"), problem(500, "x")]
    for _ in range(2):
        done = run(environment, "usage", cwd=tmp_path)
        assert TOKEN not in done.stdout + done.stderr


def test_ctrl_c_in_a_wait_ends_at_once_and_says_what_goes_on(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    deployment.polls_until_end = 10**6
    with Terminal(environment, "generate", "painter", "a fox", "-w", cwd=tmp_path) as terminal:
        terminal.until("starting")
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
    assert "The prediction goes on; `darkroom get" in terminal.shown


def test_flags_are_those_of_the_root() -> None:
    given = {one.name.rstrip("_") for one in GROUP.params}
    assert set(options.Flags.__dataclass_fields__) <= given


def test_a_reader_that_has_enough_is_no_failure(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*COMMAND, "models"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


def test_a_download_that_fails_leaves_no_file_and_says_what_to_do(
    deployment: Deployment, environment: dict[str, str], tmp_path: Path
) -> None:
    """The fake deployment's files are at an https host that no process reaches: the command says
    so, and that the prediction can be fetched later."""
    done = run(
        {**environment, "HTTPS_PROXY": "http://127.0.0.1:9"},
        *("generate", "painter", "a fox", "--out", "out", "--json"),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "fetches its pictures" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
