"""Each stage is synthesized once for the whole suite, because a synth is expensive."""

from __future__ import annotations

import fcntl
import hashlib
import os
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
    from pathlib import Path


@pytest.fixture(scope="session")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Callable[[StageConfig], Synth]:
    """Return a function that synthesizes each configuration once, whichever process asks for it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    done: dict[StageConfig, Synth] = {}

    def once(config: StageConfig) -> Synth:
        if config not in done:
            done[config] = Synth(_made(folder, config), config)
        return done[config]

    return once


def _made(folder: Path, config: StageConfig) -> Path:
    """The folder of a configuration's templates, made by whoever comes first."""
    name = f"synth-{hashlib.sha256(repr(config).encode()).hexdigest()[:16]}"
    ready = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            draft = folder / f"{name}.draft-{os.getpid()}"
            build(config, outdir=str(draft), context=NO_BUNDLING).synth()
            draft.rename(ready)
    return ready


@pytest.fixture(scope="session")
def local(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(local_stage())


@pytest.fixture(scope="session")
def dev(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(StageConfig.dev())


@pytest.fixture(scope="session")
def prod(synth: Callable[[StageConfig], Synth]) -> Synth:
    return synth(StageConfig.prod())
