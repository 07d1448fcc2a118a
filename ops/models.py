"""`ops models`: a stage's own catalogue entries, created from Replicate's descriptions.

The stage's folder is `catalogue` in its settings, or else `models/{stage}`. From the next
deployment on, its files take precedence over the packaged ones.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from darkroom.catalog import Catalogue
from darkroom.catalog.entry import check
from darkroom.domain import strict_json
from darkroom.domain.model import MODEL_NAME, VERSION

from ops import model_entry
from ops.deployment import Deployment, SetupError, find
from ops.model_entry import Described, EntryRefusedError, plain
from ops.replicate import Replicate, http

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

REPLICATE = "https://api.replicate.com"


# The command


def add_parsers(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the commands `models list|show|add|refresh|remove`."""
    models = commands.add_parser("models", help="the stage's models and their prices")
    actions = models.add_subparsers(dest="action", required=True)

    def action(name: str, run: Any, help_: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(name, parents=parents, help=help_)
        made.add_argument(
            "--folder", type=Path, help="of the stage's entries (default: as its settings say)"
        )
        made.set_defaults(run_offline=run)
        return made

    action("list", _list, "all models of the stage").add_argument("--json", action="store_true")
    show = action("show", _show, "one entry, and what its check passes over")
    show.add_argument("model", metavar="owner/name")
    show.add_argument("--json", action="store_true", help="the entry's file")
    add = action("add", _add, "write an entry from Replicate's description")
    add.add_argument("model", metavar="owner/name[:version]")
    add.add_argument(
        "--price",
        action="append",
        required=True,
        metavar="UNIT=USD|JSON",
        help="such as image=0.04, second=0.000225, or the JSON of docs/models.md; several add up",
    )
    add.add_argument("--seconds", type=float, metavar="S", help="what a run takes")
    add.add_argument("--task", action="append", help="what it is for (default: a guess)")
    add.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=JSON",
        help="another field of the entry, such as 'counts=\"max_images\"'",
    )
    add.add_argument("--replace", action="store_true", help="the stage's entry that is there")
    refresh = action("refresh", _refresh, "what changed on Replicate; exit 1 where anything has")
    refresh.add_argument("model", nargs="*", metavar="owner/name", help="by default all")
    refresh.add_argument("--write", action="store_true", help="write it into the stage's folder")
    refresh.set_defaults(could_not_run=2)
    remove = action("remove", _remove, "delete the stage's entry")
    remove.add_argument("model", metavar="owner/name")


def _list(given: argparse.Namespace) -> int:
    stage = Stage.of(given)
    rows = [_row(stage, name) for name in stage.catalogue.names()]
    if given.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        seconds = f"{row['typical_seconds']:g} s"
        told = f"{row['model']:42} {row['tasks'][0]:20} {seconds:>7}  {row['from']:10} "
        print(told + _price(row["price"]) + (", deprecated" if row["deprecated"] else ""))
    return 0


def _row(stage: Stage, name: str) -> dict[str, Any]:
    check(stage.catalogue, [name])
    model = stage.catalogue.model(name)
    return {
        "model": name,
        "tasks": list(model.tasks),
        "price": model.price,
        "typical_seconds": model.typical_seconds,
        "deprecated": bool(model.status),
        "from": "the stage" if stage.has(name) else "packaged",
    }


def _price(price: Any) -> str:
    """Format a price briefly: its parts without their tables."""
    parts = price if isinstance(price, list) else [price]
    amounts = ("by input" if isinstance(p["usd"], dict) else f"{p['usd']:g}" for p in parts)
    return " + ".join(f"{p['unit']} {amount}" for p, amount in zip(parts, amounts, strict=True))


def _show(given: argparse.Namespace) -> int:
    stage = Stage.of(given)
    entry = stage.entry(given.model)
    if given.json:
        print(json.dumps(entry, indent=2, ensure_ascii=False))
        return 0
    print(f"{entry['model']}: {entry.get('description', '')}")
    for name, said in entry.items():
        if name not in {"model", "description", "input_schema"} and said not in (None, [], {}):
            print(f"{name:18} {said if isinstance(said, str) else json.dumps(said)}")
    print(f"{'file':18} {stage.catalogue.file(given.model)}")
    required = entry["input_schema"].get("required", [])
    for name, declared in entry["input_schema"]["properties"].items():
        said = {k: v for k, v in declared.items() if k not in model_entry.OWN_WORDS}
        told = json.dumps(said, ensure_ascii=False)
        _say(f"  {name:24} {'required ' if name in required else ''}{told}")
    for remark in model_entry.remarks(entry):
        _say(f"note: {remark}")
    return 0


def _add(given: argparse.Namespace) -> int:
    name, colon, version = given.model.partition(":")
    if not MODEL_NAME.fullmatch(name) or (colon and not VERSION.fullmatch(version)):
        raise EntryRefusedError(
            f"{plain(given.model)!r} is neither owner/name nor owner/name:version, whose version "
            "has 64 hex digits."
        )
    fields = _fields(given)
    stage = Stage.of(given)
    if stage.has(name) and not given.replace:
        raise EntryRefusedError(
            f"{stage.path(name)} is there: --replace writes it anew, `models refresh` compares it."
        )
    with Upstream.of(given) as upstream:
        found = upstream.described(name, version or None)
        if found is None:
            raise EntryRefusedError(f"Replicate knows no {given.model}.")
        made = model_entry.entry(found, fields, upstream.source(name))
    stage.write(made)
    guessed = [
        *([] if given.task else [f"tasks {', '.join(made['tasks'])} (--task)"]),
        *([] if given.seconds else [f"{made['typical_seconds']:g} s a run (--seconds)"]),
    ]
    for remark in model_entry.remarks(made):
        _say(f"note: {remark}")
    if guessed:
        print(f"guessed: {'; '.join(guessed)}")
    print(f"wrote {stage.path(name)}, run by {'its name' if found.official else 'its version'}")
    print(f"in use from the next deployment on: {stage.deploy}")
    return 0


def _fields(given: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the entry that the command line sets."""
    fields: dict[str, Any] = {"price": model_entry.prices(given.price)}
    if given.seconds is not None:
        fields["typical_seconds"] = given.seconds
    if given.task:
        fields["tasks"] = given.task
    for text in given.set:
        name, equals, said = text.partition("=")
        if not equals or name in {"model", "input_schema", "price"}:
            raise EntryRefusedError("--set is FIELD=JSON, of a field that has no option itself.")
        fields[name] = model_entry.value(f"--set {plain(name)}", said)
    return fields


def _refresh(given: argparse.Namespace) -> int:
    stage = Stage.of(given)
    names = given.model or stage.catalogue.names()
    entries = [(name, stage.entry(name)) for name in names]
    with Upstream.of(given) as upstream:
        done = [_renew(stage, upstream, name, ours, write=given.write) for name, ours in entries]
    return 0 if all(done) else 1


def _renew(
    stage: Stage, upstream: Upstream, name: str, ours: dict[str, Any], *, write: bool
) -> bool:
    """Print what changed. Returns whether the stage's entry agrees with Replicate afterwards."""
    try:
        found = upstream.described(name, None)
        if found is None:
            _say(f"{name}: gone: Replicate knows it no more")
            return False
        told = model_entry.changes(ours, found)
        for line in told or ["as it was"]:
            _say(f"{name}: {line}")
        if told and write:
            stage.write(model_entry.renewed(ours, found, upstream.source(name)))
            print(f"{name}: wrote {stage.path(name)}")
    except EntryRefusedError as error:
        # Continue with the other models.
        _say(f"{name}: {error}")
        return False
    return write or not told


def _remove(given: argparse.Namespace) -> int:
    stage = Stage.of(given)
    stage.entry(given.model)
    if not stage.has(given.model):
        raise EntryRefusedError(f"{given.model} is packaged: the stage has no entry of its own.")
    stage.check_unnamed(given.model)
    stage.path(given.model).unlink()
    print(f"deleted {stage.path(given.model)}")
    print(f"out of use from the next deployment on: {stage.deploy}")
    return 0


def _say(line: str) -> None:
    """Print text that may contain Replicate's words."""
    print(plain(line))


# What is there


class Stage:
    """A stage's folder of entries, laid over the packaged ones."""

    def __init__(self, folder: Path, deploy: str) -> None:
        self.folder = folder
        self.deploy = deploy
        """The command that deploys a change."""
        self.catalogue = Catalogue.load(over=folder if folder.is_dir() else None)

    @classmethod
    def of(cls, given: argparse.Namespace) -> Stage:
        """Return the stage that the command line names. Raises SetupError."""
        deploy = "make run" if given.local else f"make deploy STAGE={given.stage}"
        if given.folder:
            return cls(given.folder, deploy)
        import app  # starts the CDK, which takes some seconds
        from infra.config import UnknownStageError

        try:
            folder = app.stage("local" if given.local else given.stage).catalogue
        except UnknownStageError as error:
            raise SetupError(f"{error}. For one of an app of yours, add --folder.") from None
        return cls(folder or app.MODELS / given.stage, deploy)

    def path(self, name: str) -> Path:
        """Return the path of the stage's own entry of a model, existing or not."""
        return self.folder / f"{name.replace('/', '--')}.json"

    def has(self, name: str) -> bool:
        """Whether the stage itself has an entry of the model."""
        return self.path(name).is_file()

    def entry(self, name: str) -> dict[str, Any]:
        """Return a file's content. Raises EntryRefusedError or InvalidModelError."""
        names = self.catalogue.names()
        if name not in names:
            close = get_close_matches(name, names, n=1)
            guess = f" Do you mean {close[0]}?" if close else ""
            raise EntryRefusedError(f"The stage has no model {plain(name)!r}.{guess}")
        check(self.catalogue, [name])
        found: dict[str, Any] = strict_json.loads(self.catalogue.file(name).read_bytes())
        return found

    def write(self, made: dict[str, Any]) -> None:
        """Write an entry into the stage's folder atomically."""
        path = self.path(made["model"])
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            text = json.dumps(made, indent=2, ensure_ascii=False)
            aside.write_text(f"{text}\n", encoding="utf-8")
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    def check_unnamed(self, name: str) -> None:
        """Raise EntryRefusedError if a removal would leave one of the stage's aliases without its
        model."""
        packaged = name in Catalogue.load().names()
        aliases = [] if packaged else self.catalogue.aliases_of(name)
        if aliases:
            raise EntryRefusedError(
                f"aliases.json means {name} by {aliases[0]}: take that out first."
            )


class Upstream:
    """Replicate or the emulator, with a token."""

    def __init__(self, replicate: Replicate, token: str) -> None:
        self._replicate = replicate
        self._token = token

    @classmethod
    @contextmanager
    def of(cls, given: argparse.Namespace) -> Iterator[Upstream]:
        """Connect with the shell's token, or else the stage's. Raises SetupError and
        NotFoundError."""
        token = None if given.local else os.environ.get("REPLICATE_API_TOKEN")
        if token:
            url = os.environ.get("REPLICATE_BASE_URL") or REPLICATE
            deployment = Deployment(boto3.Session(), None, {})
        else:
            deployment = find(local=given.local, port=given.local_port, stage=given.stage)
            token = deployment.secret(deployment.outputs["ReplicateTokenSecret"])
            url = deployment.environment("Submit")["REPLICATE_URL"]
        if not token:
            raise SetupError(
                "The stage has no token of Replicate's yet: `python -m ops setup`, or export "
                "REPLICATE_API_TOKEN."
            )
        with http(deployment) as client:
            yield cls(Replicate(client, url.rstrip("/")), token.strip())

    def described(self, name: str, version: str | None) -> Described | None:
        """Return a model's description; None if unknown. Raises SetupError and
        EntryRefusedError."""
        body = self._replicate.model(self._token, name)
        pinned = self._replicate.version(self._token, name, version) if version else None
        if body is None or (version and pinned is None):
            return None
        return model_entry.described(name, body, pinned)

    def source(self, name: str) -> str:
        """Return the request that read the schema."""
        return f"GET {self._replicate.url}/v1/models/{name}"
