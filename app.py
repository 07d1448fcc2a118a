"""The CDK app. Builds the stacks of one stage; synth needs no account, network or Docker."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "functions"))

import infra  # noqa: E402, F401 - before aws_cdk: it names the Node that jsii starts

# isort: split
import aws_cdk as cdk  # noqa: E402

import local.stage  # noqa: E402
from infra.config import StageConfig, UnknownStageError  # noqa: E402
from infra.construct import Darkroom  # noqa: E402
from infra.flags import flags  # noqa: E402
from infra.nag import add_checks  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping


OWN_STAGES = ROOT / "stages.py"
"""The operator's own stages, see docs/settings.md."""
MODELS = ROOT / "models"
"""Optional catalogue entries of the operator: one folder for each stage without its own
`catalogue`."""


def stage(name: str, own: Path = OWN_STAGES, models: Path = MODELS) -> StageConfig:
    """Return the stage of this name; stages of `own` take precedence over the packaged ones.

    A stage without a `catalogue` gets the folder of its name below `models`, if there is one.
    Raises UnknownStageError.
    """
    if name == local.stage.NAME:
        return local.stage.local_stage()
    config, folder = _named(name, own), models / name
    if config.catalogue is None and folder.is_dir():
        return replace(config, catalogue=folder)
    return config


def _named(name: str, own: Path) -> StageConfig:
    given: dict[str, StageConfig] = runpy.run_path(str(own))["STAGES"] if own.exists() else {}
    if name not in given:
        try:
            return StageConfig.named(name)
        except UnknownStageError as error:
            raise UnknownStageError(", ".join([str(error), local.stage.NAME, *given])) from None
    if given[name].name != name:
        raise UnknownStageError(f"{own.name}: {name!r} has the name {given[name].name!r}")
    return given[name]


def build(
    config: StageConfig | None = None,
    *,
    outdir: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> cdk.App:
    """Build the app without synthesizing it. If `config` is None, the context value `stage` names
    the stage, and the context value `cors_origins` (separated by commas) lists the browser origins
    that may call it, unless the stage lists its own."""
    # Only the CDK command line reads cdk.json, so `python app.py` loads the same flags here.
    app = cdk.App(outdir=outdir, context={**flags(), **(context or {})})
    if config is None:
        config = stage(app.node.try_get_context("stage") or "dev")
        origins = str(app.node.try_get_context("cors_origins") or "").split(",")
        named = tuple(filter(None, origins))
        config = replace(config, cors_origins=config.cors_origins or named)
    add_checks(app)
    Darkroom(app, "Darkroom", config=config)
    return app


if __name__ == "__main__":
    try:
        build().synth()
    except UnknownStageError as error:
        sys.exit(str(error))
