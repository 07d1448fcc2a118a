"""Batches: each row becomes one prediction, whenever and however often a run is killed."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from darkroom_cli import journal, models, rows
from darkroom_cli.batch import Batch, Result, Stopped, price
from darkroom_cli.errors import RefusedError, UnreachableError, UsageError
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.fake import KEY_LIFE_S, NAME, URL, Deployment, problem

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000.0


class Killed(BaseException):
    """What SIGKILL does: nothing after it happens."""


def written(folder: Path, *prompts: str, **columns: str) -> Path:
    """A CSV file with a row for each prompt."""
    path = folder / "prompts.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["prompt", *columns])
        table.writerows([prompt, *columns.values()] for prompt in prompts)
    return path


def results_in(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(
    deployment: Deployment,
    path: Path,
    *,
    at_once: int = 1,
    clock: Callable[[], float] = lambda: NOW,
    sync: Callable[[int], None] = lambda _: None,
    **given: Any,
) -> list[Result]:
    """What the command does with a file, up to what it prints."""
    service = deployment.service(**given)
    found, problems = rows.read(path, lambda name: models.model(service, name), NAME)
    assert problems == []
    out = path.parent / "out"
    opened = journal.opened(journal.beside(out), url=URL, tenant="acme", clock=clock, sync=sync)
    told: list[Result] = []
    with opened:
        work = Batch(service, opened, found, out, clock)
        # The pause of a batch ends when it is stopped; nothing here waits by a clock.
        service.pause = lambda _: None
        results = work.run(at_once, told.append)
    assert sorted(told, key=lambda one: one.row.number) == results
    return results


def assert_whole(folder: Path, results: list[Result], deployment: Deployment) -> None:
    """Each row has its own prediction and all of its files, and nothing else is there."""
    assert [one.status for one in results] == ["succeeded"] * len(results)
    assert len({one.prediction for one in results}) == len(results)
    expected = {name for one in results for name in one.files}
    assert {path.name for path in (folder / "out").iterdir()} == {*expected, "results.csv"}
    for one in results:
        for number, name in enumerate(one.files):
            content = (folder / "out" / name).read_bytes()
            assert content.startswith(f"picture acme/{one.prediction}/{number}.png".encode())
    assert len(deployment.created) == len(results)


def test_each_row_becomes_a_prediction_and_its_files(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.pictures = 2
    results = run(deployment, written(tmp_path, "a fox", "a cat", "a fox"), at_once=3)
    assert_whole(tmp_path, results, deployment)
    assert results[0].files == (
        f"0001-{results[0].prediction[:8]}.png",
        f"0001-{results[0].prediction[:8]}-2.png",
    )
    table = results_in(tmp_path)
    assert [(row["row"], row["prompt"], row["status"]) for row in table] == [
        ("1", "a fox", "succeeded"),
        ("2", "a cat", "succeeded"),
        ("3", "a fox", "succeeded"),
    ]


def test_a_finished_batch_that_is_run_again_asks_for_nothing(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = written(tmp_path, "a fox", "a cat")
    first = run(deployment, path)
    before = len(deployment.requests)
    assert run(deployment, path) == first
    assert [request.url.path for request in deployment.requests[before:]] == [
        "/v1/models/acme/painter"
    ]


def test_rows_may_move_and_a_changed_row_is_a_new_one(
    deployment: Deployment, tmp_path: Path
) -> None:
    first = run(deployment, written(tmp_path, "a fox", "a cat"))
    again = run(deployment, written(tmp_path, "a dog", "a cat", "a fox"))
    assert again[1].prediction == first[1].prediction
    assert again[2].prediction == first[0].prediction
    assert [made["body"]["input"]["prompt"] for made in deployment.created] == [
        "a fox",
        "a cat",
        "a dog",
    ]


def test_new_and_missing_rows_are_counted_and_a_stop_ends_pauses(
    deployment: Deployment, tmp_path: Path
) -> None:
    run(deployment, written(tmp_path, "a fox", "a cat", "a cow"))
    service, path = deployment.service(), written(tmp_path, "a dog", "a cat")
    found, _ = rows.read(path, lambda name: models.model(service, name), NAME)
    kept = journal.beside(tmp_path / "out")
    with journal.opened(kept, url=URL, tenant="acme") as opened:
        work = Batch(service, opened, found, tmp_path / "out")
        assert (work.fresh(), work.left_out()) == (1, 2)
        work.stop.set()
        with pytest.raises(Stopped):
            service.pause(3600)


def test_a_lost_file_is_fetched_again(deployment: Deployment, tmp_path: Path) -> None:
    path = written(tmp_path, "a fox", "a cat")
    (first, second) = run(deployment, path)
    (tmp_path / "out" / first.files[0]).unlink()
    (tmp_path / "out" / second.files[0]).write_bytes(b"damaged")
    assert_whole(tmp_path, run(deployment, path), deployment)


@given(
    at=st.integers(0, 60),
    torn=st.integers(1, 200),
    prompts=st.lists(st.sampled_from(["a fox", "a cat", "a dog"]), min_size=1, max_size=3),
    attached=st.booleans(),
)
def test_killed_between_any_two_steps_it_goes_on(
    at: int, torn: int, prompts: list[str], attached: bool
) -> None:
    """Before and after each request, each answer and each line of the journal, whose last may be
    torn if it was not on the disk yet."""
    deployment, steps = Deployment(), iter(range(10**6))
    with tempfile.TemporaryDirectory() as folder:
        columns = {"image": f"@{folder}/photo.png"} if attached else {}
        (Path(folder) / "photo.png").write_bytes(b"photo")
        path = written(Path(folder), *prompts, **columns)
        in_journal = [False]

        def step(_name: str) -> None:
            if next(steps) == at:
                raise Killed

        def sync(_handle: int) -> None:
            in_journal[0] = True
            step("line")
            in_journal[0] = False
            step("line on the disk")

        deployment.step = step
        try:
            run(deployment, path, sync=sync)
        except Killed:
            kept = journal.beside(Path(folder) / "out")
            if in_journal[0]:
                content = kept.read_bytes()
                last = len(content) - content[:-1].rfind(b"\n") - 1
                kept.write_bytes(content[: len(content) - min(torn, last)])
        deployment.step = lambda _: None
        assert_whole(Path(folder), run(deployment, path), deployment)


@given(st.lists(st.sampled_from(["ok", "lost", "dropped", "429", "503"]), max_size=12))
def test_whatever_the_network_does_each_row_is_created_once(faults: list[str]) -> None:
    deployment, script = Deployment(), iter(faults)
    fault = [""]

    def step(name: str) -> None:
        if name == "POST /v1/predictions":
            fault[0] = next(script, "ok")
            if fault[0] == "lost":
                raise httpx.ConnectError("no route")
            if fault[0] in {"429", "503"}:
                deployment.answers.append(problem(int(fault[0]), "later", **{"retry-after": "2"}))
        if name == "POST /v1/predictions answered" and fault[0] == "dropped":
            raise httpx.ReadError("reset")

    deployment.step = step
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), "a fox", "a cat")
        for _ in range(2 + len(faults)):
            try:
                run(deployment, path, patience_s=1.0)
            except (RefusedError, UnreachableError):
                continue
        assert_whole(Path(folder), run(deployment, path), deployment)


def test_a_create_that_was_lost_before_a_refusal_keeps_its_body(
    deployment: Deployment, tmp_path: Path
) -> None:
    """The first try is accepted and its answer lost; the second is refused for the rate. If that
    were taken for `not created`, the next run would upload anew and send another body."""
    (tmp_path / "photo.png").write_bytes(b"photo")
    path = written(tmp_path, "a fox", image=f"@{tmp_path}/photo.png")
    tries = []

    def step(name: str) -> None:
        if name.startswith("POST /v1/predictions"):
            tries.append(name)
            if len(tries) == 2:
                raise httpx.ReadError("reset")
            if len(tries) == 3:
                deployment.answers.append(problem(429, "later"))

    deployment.step = step
    with pytest.raises(RefusedError):
        run(deployment, path, patience_s=0.5)
    assert_whole(tmp_path, run(deployment, path), deployment)


@pytest.mark.parametrize(
    ("later", "status", "made"),
    [
        (3600, "succeeded", 1),
        (KEY_LIFE_S - 3601, "succeeded", 1),
        (KEY_LIFE_S, "unanswered", 1),
        (-3600, "unanswered", 1),
    ],
)
def test_a_create_without_an_answer_is_repeated_only_while_its_key_is_known(
    deployment: Deployment, tmp_path: Path, later: float, status: str, made: int
) -> None:
    path, now = written(tmp_path, "a fox"), [NOW]
    deployment.clock = lambda: now[0]

    def step(name: str) -> None:
        if name == "POST /v1/predictions answered":
            raise httpx.ReadError("reset")

    deployment.step = step
    with pytest.raises(UnreachableError):
        run(deployment, path, clock=lambda: now[0], patience_s=1.0)
    deployment.step = lambda _: None
    now[0] += later
    (result,) = run(deployment, path, clock=lambda: now[0])
    assert result.status == status
    assert len(deployment.created) == made
    assert ("not answered" in result.error) == (status == "unanswered")


def test_a_refused_row_is_told_and_tried_again(deployment: Deployment, tmp_path: Path) -> None:
    path = written(tmp_path, "refuse me", "a fox", "fail")
    results = run(deployment, path)
    assert [one.status for one in results] == ["refused", "succeeded", "failed"]
    assert "422" in results[0].error
    assert results[2].error == "it broke"
    before = len(deployment.requests)
    assert [one.status for one in run(deployment, path)] == ["refused", "succeeded", "failed"]
    paths = [request.url.path for request in deployment.requests[before:]]
    assert paths == ["/v1/models/acme/painter", "/v1/predictions"]


def test_a_cap_ends_the_batch_and_loses_no_row(deployment: Deployment, tmp_path: Path) -> None:
    path = written(tmp_path, "a fox", "a cat", "a dog")
    creates = []

    def step(name: str) -> None:
        if name == "POST /v1/predictions":
            creates.append(name)
            if len(creates) == 2:
                deployment.answers.append(problem(402, "The cap is reached."))

    deployment.step = step
    with pytest.raises(RefusedError, match="The cap is reached"):
        run(deployment, path)
    table = results_in(tmp_path)
    assert [row["status"] for row in table] == ["succeeded", "open", "open"]
    assert_whole(tmp_path, run(deployment, path), deployment)


def test_files_are_known_by_their_content(deployment: Deployment, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"one")
    path = written(tmp_path, "a fox", image=f"@{photo}")
    (first,) = run(deployment, path)
    (again,) = run(deployment, path)
    assert again.prediction == first.prediction
    photo.write_bytes(b"two")
    (other,) = run(deployment, path)
    assert other.prediction != first.prediction


def test_two_runs_cannot_use_one_journal(deployment: Deployment, tmp_path: Path) -> None:
    path = written(tmp_path, "a fox")
    run(deployment, path)
    kept = journal.beside(tmp_path / "out")
    with (
        journal.opened(kept, url=URL, tenant="acme"),
        pytest.raises(UsageError, match="Another run"),
    ):
        run(deployment, path)


def test_a_folder_without_a_place_beside_it() -> None:
    with pytest.raises(UsageError, match="no place"):
        journal.beside(Path("/"))


def test_after_its_end_a_journal_takes_no_line(tmp_path: Path) -> None:
    kept = tmp_path / "out.journal.jsonl"
    with journal.opened(kept, url=URL, tenant="acme") as opened:
        pass
    before = kept.read_text()
    with pytest.raises(UsageError, match="cannot be written"):
        opened.write("key", "made", prediction="a" * 26)
    assert kept.read_text() == before


@pytest.mark.parametrize(("url", "tenant"), [("https://other.example.com", "acme"), (URL, "b")])
def test_a_journal_belongs_to_one_account(tmp_path: Path, url: str, tenant: str) -> None:
    kept = tmp_path / "out.journal.jsonl"
    journal.opened(kept, url=URL, tenant="acme").__exit__(None, None, None)
    with pytest.raises(UsageError, match="the journal of acme at"):
        journal.opened(kept, url=url, tenant=tenant)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"do": "made", "key": "k", "prediction": "../../etc"}',
        '{"do": "end", "key": "k", "status": "odd", "files": [], "cost": 0, "error": ""}',
        '{"do": "else", "key": "k"}',
        '{"do": "send"}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    kept = tmp_path / "out.journal.jsonl"
    header = json.dumps({"journal": 1, "id": "x", "url": URL, "tenant": "acme"})
    kept.write_text(f"{header}\n{line}\n")
    with pytest.raises(UsageError, match="line 2"):
        journal.opened(kept, url=URL, tenant="acme")


def test_a_journal_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "out.journal.jsonl"
    kept.write_text('{"journal": 2}\n')
    with pytest.raises(UsageError, match="line 1"):
        journal.opened(kept, url=URL, tenant="acme")
    with pytest.raises(UsageError, match="cannot be opened"):
        journal.opened(tmp_path, url=URL, tenant="acme")


def test_the_table_holds_no_formula(deployment: Deployment, tmp_path: Path) -> None:
    run(deployment, written(tmp_path, '=HYPERLINK("https://evil.example")'))
    (row,) = results_in(tmp_path)
    assert row["prompt"].startswith("'=HYPERLINK")


def test_a_price_is_asked_for_each_row_and_nothing_is_made(
    deployment: Deployment, tmp_path: Path
) -> None:
    (tmp_path / "photo.png").write_bytes(b"photo")
    path = written(tmp_path, "a fox", "refuse me", image=f"@{tmp_path}/photo.png")
    service = deployment.service()
    found, _ = rows.read(path, lambda name: models.model(service, name), NAME)
    told: list[int] = []
    quote = price(service, found, told.append)
    assert (quote.dollars, quote.unknown, told) == (0.04, 0, [1, 2])
    assert [problem.number for problem in quote.refused] == [2]
    assert deployment.created == []
    assert not [request for request in deployment.requests if request.url.path == "/v1/files"]


def test_a_damaged_download_leaves_no_file(deployment: Deployment, tmp_path: Path) -> None:
    path = written(tmp_path, "a fox", "a cat")
    names = []

    def step(name: str) -> None:
        if name.startswith("GET /acme/") and not name.endswith("answered"):
            names.append(name)
            if len(names) <= 4:
                deployment.answers.append(httpx.Response(200, content=b"other bytes"))

    deployment.step = step
    results = run(deployment, path)
    assert [one.status for one in results] == ["open", "succeeded"]
    assert "SHA-256" in results[0].error
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
    assert_whole(tmp_path, run(deployment, path), deployment)


def test_keys_are_of_the_journal_and_the_row(deployment: Deployment, tmp_path: Path) -> None:
    run(deployment, written(tmp_path, "a fox", "a fox"))
    kept = journal.beside(tmp_path / "out")
    id_ = json.loads(kept.read_text().splitlines()[0])["id"]
    digest = hashlib.sha256(f'["{NAME}", {{"prompt": "a fox"}}]'.encode()).hexdigest()
    texts = ("\n".join([id_, digest, number]) for number in "12")
    assert [made["key"] for made in deployment.created] == [
        f"darkroom-batch-{hashlib.sha256(text.encode()).hexdigest()}" for text in texts
    ]


def test_what_a_killed_download_left_is_removed(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".darkroom-0123").write_bytes(b"half")
    assert_whole(tmp_path, run(deployment, written(tmp_path, "a fox")), deployment)
