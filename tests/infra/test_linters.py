"""cdk-nag and cfn-lint find nothing without a documented reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs

from app import build
from infra.config import StageConfig
from tests.infra.synthesis import NO_BUNDLING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.synthesis import Synth

ACCEPTED = {
    "ES1001": (
        r"(Intake|Dispatch|Persist|Deliver)Messages|DeliverTasks",
        "a queue as source has its own dead-letter queue; the stream has a failure destination",
    ),
    "ES1007": (
        r"EveryMinuteAllowEventRule\w+",
        "it has one, which the rule misses: test_the_sweep_is_not_repeated",
    ),
    "ES6000": (r"\w+Dlq|RelayFailures|SweepFailures", "these are the dead-letter queues"),
    "WS1000": (r"\w+Function", "tracing is a stage's choice, off by default"),
    "WS1004": (
        r"\w+Function",
        "it wants names, ours are found: test_every_log_group_belongs_to_something_and_ends",
    ),
    "ES4000": (r"EventsInUnmatched", "A line of a log is no work that could be lost"),
    "W3005": (r"\w+Function", "CDK states the dependency that the ARN implies already"),
}
"""Rule, the logical ids (without hash) that it may report, and the reason."""


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_cdk_nag_finds_nothing(stage: str, request: pytest.FixtureRequest) -> None:
    """A finding would have failed the synthesis. The counts prevent an empty app from passing."""
    synth: Synth = request.getfixturevalue(stage)
    report = json.loads((synth.outdir / "validation-report.json").read_text())
    assert [pack["violations"] for pack in report["pluginReports"] if pack["violations"]] == []
    assert len(list(synth.stateful.resources())) == 13
    assert len(list(synth.service.resources())) > 100
    assert len(list(synth.service.resources("Lambda::Function"))) > 9


def test_both_packs_are_on(tmp_path: Path) -> None:
    app = build(StageConfig.dev(), outdir=str(tmp_path), context=NO_BUNDLING)
    careless = cdk.Stack(app, "Careless")
    s3.Bucket(careless, "Bucket")
    sqs.Queue(careless, "Queue")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = json.loads((tmp_path / "validation-report.json").read_text())
    found = {
        (violation["ruleName"], where["constructPath"])
        for pack in report["pluginReports"]
        for violation in pack["violations"]
        for where in violation["violatingConstructs"]
    }
    assert ("AwsSolutions-S1", "Careless/Bucket/Resource") in found
    assert ("Serverless-SQSRedrivePolicy", "Careless/Queue/Resource") in found
    assert {path.split("/")[0] for _, path in found} == {"Careless"}


def test_cfn_lint_finds_only_what_is_accepted(dev: Synth, prod: Synth) -> None:
    templates = [
        str(template.path)
        for synth in (dev, prod)
        for template in (synth.stateful, synth.cdn, synth.service)
    ]
    templates.append(str(prod.observability.path))
    rules = ["--append-rules", "cfn_lint_serverless.rules"]
    cfn_lint = [sys.executable, "-c", "import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())"]
    command = [*cfn_lint, "--format", "json", *rules, "--", *templates]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    found = {
        (finding["Rule"]["Id"], finding["Location"]["Path"][1])
        for finding in json.loads(run.stdout)
    }
    surprises = {
        (rule, id_)
        for rule, id_ in found
        if rule not in ACCEPTED or not re.fullmatch(f"({ACCEPTED[rule][0]})[0-9A-F]{{8}}", id_)
    }
    assert surprises == set()
    assert {rule for rule, _ in found} == set(ACCEPTED), "an answer to nothing should go"
