"""The CDK app: a stage's name becomes its stacks. Needs no account, network or Docker to synth."""

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
"""A file of the operator's: docs/settings.md."""
MODELS = ROOT / "models"
"""The operator's too: in it a folder of catalogue entries for each stage that names none."""


def stage(name: str, own: Path = OWN_STAGES, models: Path = MODELS) -> StageConfig:
    """The stage of this name, of `own` first, with its folder of `models` where there is one.

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
    """The app, not yet synthesised. Without `config` the context value `stage` names the stage, and
    `cors_origins` (with commas) the origins whose browsers may call it, where it names none."""
    # Only the CDK command line reads cdk.json: here, `python app.py` gets the same flags.
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
