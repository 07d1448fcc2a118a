"""Models of the catalogue with Replicate's published clients: all with one, a dozen with each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from darkroom.catalog import Catalogue

from local.demo import CHOSEN
from tests.e2e.clients.published import CLIENTS, run_models
from tests.support.least import least

if TYPE_CHECKING:
    from pathlib import Path

    from local.cloud import EmbeddedCloud
    from tests.e2e.clients.published import Client

CATALOGUE = Catalogue.load()
BEGINS = {b"RIFF".hex(), b"\x89PNG".hex(), b"\xff\xd8\xff\xe0".hex()}
"""First bytes of pictures: WebP, PNG, JPEG."""


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_entry_runs_by_its_defaults(
    secure_cloud: EmbeddedCloud, tmp_path: Path, client: Client
) -> None:
    names = CATALOGUE.names() if client is CLIENTS[0] else CHOSEN
    models = [CATALOGUE.model(name) for name in names]
    references = [f"{m.model}:{m.version}" if m.version else m.model for m in models]
    wanted = tmp_path / "models.json"
    wanted.write_text(
        json.dumps([[name, least(m)] for name, m in zip(references, models, strict=True)])
    )
    made = run_models(client, secure_cloud, wanted)
    assert [name for name, _ in made] == references
    assert {name: begins for name, begins in made if not begins or {*begins} - BEGINS} == {}
