"""The construct library as others install it: a wheel, in an app without access to this folder."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jsonschema_rs
import pytest
import uv
from botocore.stub import Stubber

from infra.config import EventSource, StageConfig
from tests.infra.synthesis import Synth, Template

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
"""The only place of the version."""
EXAMPLE = ROOT / "examples" / "product_photos"
CONFIG = StageConfig(
    name="photos",
    cdn=False,
    event_sources=(EventSource(source="requests.product-photos", tenant="product-photos"),),
)
"""The example's configuration, with the additions of its grants."""

SYNTH = """
import sys

sys.path.insert(0, sys.argv[1])
from app import build
from darkroom_cdk.nag import add_checks

app = build(outdir=sys.argv[2], context={"aws:cdk:bundling-stacks": []})
add_checks(app)
try:
    app.synth()
except RuntimeError as error:
    if "ValidationFailed" not in str(error):
        raise
"""

ACCEPTED = {
    "AwsSolutions-S1": "an example's buckets",
    "AwsSolutions-IAM4": "CDK's own role for a function",
    "AwsSolutions-IAM5": "all objects of the example's own buckets",
    "AwsSolutions-L1": "the version that Darkroom runs on",
    "Serverless-LambdaLatestVersion": "the version that Darkroom runs on",
    "Serverless-LambdaTracing": "nothing to trace",
    "Serverless-SQSRedrivePolicy": "the queue of what failed",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--no-build-isolation", ROOT / "infra", "--out-dir", folder)
    (built,) = folder.glob("darkroom_cdk-*.whl")
    return built


@pytest.fixture(scope="session")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cloud assembly of the example, made in an empty folder with the wheel installed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    _uv("pip", "install", "--offline", "--no-deps", "--target", folder / "site", wheel)
    (folder / "empty").mkdir()
    subprocess.run(
        [sys.executable, "-c", SYNTH, str(EXAMPLE), str(folder / "out")],
        cwd=folder / "empty",
        env={**os.environ, "PYTHONPATH": str(folder / "site"), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
    )
    assert list((folder / "empty").iterdir()) == []
    return folder / "out"


@pytest.fixture(scope="session")
def photos(elsewhere: Path) -> Template:
    return Template(elsewhere / "ProductPhotos.template.json")


def _uv(*arguments: str | Path) -> None:
    command = [uv.find_uv_bin(), *map(str, arguments), "--python", sys.executable, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)


def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"darkroom", "darkroom_cdk", f"darkroom_cdk-{VERSION}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".toml"))]
    sources = {
        path.relative_to(ROOT / folder).as_posix()
        for folder in ("infra", "functions/darkroom")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name.partition("/")[2] for name in names if name.endswith(".py")} == sources


def test_what_the_library_imports_is_declared(wheel: Path) -> None:
    declared = tomllib.loads((ROOT / "infra" / "pyproject.toml").read_text())["project"]
    owners = metadata.packages_distributions()
    nodes = [
        *(n for p in (ROOT / "infra").rglob("*.py") for n in ast.walk(ast.parse(p.read_text()))),
        *(n for path in _loaded_by_synth() for n in ast.parse(path.read_text()).body),
    ]
    imported = {
        owners[name.partition(".")[0]][0].lower()
        for node in nodes
        for name in _imports(node)
        if name.partition(".")[0] not in sys.stdlib_module_names | {"darkroom"}
    }
    named = {re.split(r"[<>=]", requirement)[0] for requirement in declared["dependencies"]}
    assert {name.replace("_", "-") for name in imported} == named


def _loaded_by_synth() -> list[Path]:
    """Return the modules of the functions that synthesis loads, whose own imports must be included
    too."""
    code = (
        "import sys, infra; from darkroom.runtime.function import declared; declared();"
        "print(*(m.__file__ for name, m in sys.modules.items() if name.startswith('darkroom')))"
    )
    shell = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=shell, check=True, capture_output=True, text=True)
    return [Path(name) for name in ran.stdout.split()]


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def test_an_app_with_other_flags_gets_the_same_darkroom(
    elsewhere: Path, synth: Callable[[StageConfig], Synth]
) -> None:
    """The only asset included: same sources, same lock, same hash."""
    here = synth(CONFIG)
    for ours in (here.stateful, here.service):
        theirs = Template(elsewhere / ours.path.name)
        assert theirs.body["Resources"] == ours.body["Resources"]


def test_newcomer_friction_16_the_example_says_where_its_templates_are(
    elsewhere: Path, tmp_path: Path
) -> None:
    shell = {
        **os.environ,
        "PYTHONPATH": str(elsewhere.parent / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_CONTEXT_JSON": json.dumps({"aws:cdk:bundling-stacks": []}),
    }
    command = [sys.executable, str(EXAMPLE / "app.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=shell, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == f"The templates are in {tmp_path / 'out'}"
    assert (tmp_path / "out" / "ProductPhotos.template.json").exists()


def test_the_linters_find_nothing_of_darkrooms(elsewhere: Path) -> None:
    report = json.loads((elsewhere / "validation-report.json").read_text())
    found = {
        (violation["ruleName"].partition("[")[0], where["constructPath"].split("/")[0])
        for pack in report["pluginReports"]
        for violation in pack["violations"]
        for where in violation["violatingConstructs"]
    }
    assert {stack for _, stack in found} == {"ProductPhotos"}
    assert {rule for rule, _ in found} == set(ACCEPTED)


def statements(photos: Template, function: str) -> dict[str, dict[str, Any]]:
    policies = photos.properties("IAM::Policy")
    found = policies[f"{function}ServiceRoleDefaultPolicy"]["PolicyDocument"]["Statement"]
    return {statement["Action"]: statement for statement in found}


def test_who_submits_may_put_requests_of_its_own_tenant_alone(photos: Template) -> None:
    put = statements(photos, "Enlarge")["events:PutEvents"]
    assert "Events" in put["Resource"]["Fn::ImportValue"]
    assert put["Condition"] == {
        "ForAllValues:StringEquals": {"events:source": "requests.product-photos"},
        "Null": {"events:source": "false"},
        "StringEquals": {"events:detail-type": "Prediction Requested"},
    }
    variables = photos.properties("Lambda::Function")["Enlarge"]["Environment"]["Variables"]
    assert variables["DARKROOM_SOURCE"] == "requests.product-photos"
    assert "Events" in variables["DARKROOM_BUS"]["Fn::ImportValue"]


def test_who_reads_may_read_outputs_of_its_own_tenant_alone(photos: Template) -> None:
    read = statements(photos, "Publish")["s3:GetObject"]["Resource"]
    bucket, prefix = read["Fn::Join"][1]
    assert "Outputs" in bucket["Fn::ImportValue"]
    assert prefix == "/product-photos/*"
    variables = photos.properties("Lambda::Function")["Publish"]["Environment"]["Variables"]
    assert "Outputs" in variables["DARKROOM_OUTPUTS"]["Fn::ImportValue"]


def test_a_rule_stands_beside_its_target_with_a_place_for_failures(photos: Template) -> None:
    rules = photos.properties("Events::Rule")
    rule = rules["PublishDarkroomSucceeded"]
    assert rule["EventPattern"] == {
        "source": ["darkroom"],
        "detail-type": ["Prediction Succeeded"],
        "detail": {"tenant": ["product-photos"]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"]["Fn::GetAtt"][0].startswith("Publish")
    assert "Dlq" in target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
    ended = rules["LostDarkroomFailedCanceledRejected"]["EventPattern"]["detail-type"]
    assert ended == ["Prediction Failed", "Prediction Canceled", "Prediction Rejected"]


def function(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / "functions" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "DARKROOM_BUS": "bus",
        "DARKROOM_SOURCE": "requests.product-photos",
        "DARKROOM_OUTPUTS": "outputs",
        "PUBLISHED": "published",
    }.items():
        monkeypatch.setenv(name, value)


CREATED = {
    "detail": {"bucket": {"name": "originals"}, "object": {"key": "shoes/left 1.jpg", "etag": "a"}}
}


@pytest.mark.usefixtures("aws")
def test_an_upload_becomes_a_request_that_darkroom_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    enlarge = function("enlarge")
    sent: list[dict[str, Any]] = []

    class Bus:
        failing = 0

        def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            sent.extend(Entries)
            return {"FailedEntryCount": self.failing, "Entries": [{"ErrorCode": "Throttled"}]}

    bus = Bus()
    monkeypatch.setattr(enlarge, "bus", lambda: bus)
    enlarge.handler(CREATED, None)
    enlarge.handler(CREATED, None)
    first, second = (json.loads(entry["Detail"]) for entry in sent)
    assert first["id"] == second["id"]
    assert {entry["Source"] for entry in sent} == {"requests.product-photos"}
    assert {entry["EventBusName"] for entry in sent} == {"bus"}
    assert first["input"]["image"].startswith("https://originals.s3.")
    schema = json.loads((ROOT / "docs" / "events" / "prediction-requested.json").read_text())
    jsonschema_rs.validate(schema["properties"]["detail"], first)
    bus.failing = 1
    with pytest.raises(RuntimeError, match="Throttled"):
        enlarge.handler(CREATED, None)


@pytest.mark.usefixtures("aws")
def test_an_output_is_published_under_its_photos_name(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = function("publish")
    s3 = boto3.client("s3")
    monkeypatch.setattr(publish, "s3", lambda: s3)
    succeeded = {
        "detail": {
            "input": {"image": "https://originals.s3.amazonaws.com/shoes/left%201.jpg?X-Amz-A=b"},
            "darkroom": {"files": [{"key": "product-photos/2026/11/x/0.png"}]},
        }
    }
    with Stubber(s3) as stub:
        stub.add_response(
            "copy_object",
            {},
            {
                "CopySource": {"Bucket": "outputs", "Key": "product-photos/2026/11/x/0.png"},
                "Bucket": "published",
                "Key": "shoes/left 1.png",
            },
        )
        publish.handler(succeeded, None)
        stub.assert_no_pending_responses()
