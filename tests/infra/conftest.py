"""Each stage is synthesized once for the whole suite, because jsii's start is expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import infra  # noqa: F401 - before aws_cdk: it names the Node that jsii starts

# isort: split
from app import build
from infra.config import StageConfig
from local.stage import local_stage
from tests.infra.synthesis import NO_BUNDLING, Synth

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Callable[[StageConfig], Synth]:
    """Return a function that synthesizes each configuration once."""
    done: dict[StageConfig, Synth] = {}

    def once(config: StageConfig) -> Synth:
        if config not in done:
            outdir = tmp_path_factory.mktemp(config.name)
            build(config, outdir=str(outdir), context=NO_BUNDLING).synth()
            done[config] = Synth(outdir, config)
        return done[config]

    return once


@pytest.fixture(scope="session")
def local(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(local_stage())


@pytest.fixture(scope="session")
def dev(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(StageConfig.dev())


@pytest.fixture(scope="session")
def prod(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(StageConfig.prod())
