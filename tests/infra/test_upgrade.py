"""An upgrade from the last released templates replaces nothing that contains data."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.upgrade import BASELINE, kept, losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.synthesis import Synth


@pytest.fixture
def released() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BASELINE.read_text())
    return found


def test_the_upgrade_loses_nothing(prod: Synth, released: dict[str, Any]) -> None:
    assert len(released["resources"]) == 12
    assert list(losses(released, _kept(prod))) == []


def test_a_step_back_loses_nothing(prod: Synth, released: dict[str, Any]) -> None:
    found = list(losses(_kept(prod), released))
    # Only the alarms import these: docs/deploy.md has their stack deleted first.
    assert len(found) == 2
    assert all("Service:ExportsOutputFnGetAttTasksTasks" in loss for loss in found), found


def _kept(prod: Synth) -> dict[str, Any]:
    templates = (prod.stateful, prod.cdn, prod.service, prod.observability)
    return kept(template.body for template in templates)


def _rename(found: dict[str, Any]) -> None:
    found["resources"]["Predictions0"] = found["resources"].pop("PredictionsD178A010")


def _rekey(found: dict[str, Any]) -> None:
    keys = found["resources"]["ControlsFF3AAC4A"]["Properties"]["KeySchema"]
    keys.append({"AttributeName": "sk", "KeyType": "RANGE"})


def _name_bucket(found: dict[str, Any]) -> None:
    found["resources"]["OutputsA3C868EE"]["Properties"]["BucketName"] = "outputs"


def _new_link_key(found: dict[str, Any]) -> None:
    secret = found["resources"]["LinkKey27470AF7"]["Properties"]
    secret["GenerateSecretString"]["PasswordLength"] = 32


def _drop_policy(found: dict[str, Any]) -> None:
    found["resources"]["Uploads4F6EB0FD"]["DeletionPolicy"] = "Delete"


def _unprotect(found: dict[str, Any]) -> None:
    found["resources"]["PredictionsD178A010"]["Properties"]["DeletionProtectionEnabled"] = False


def _change_an_index(found: dict[str, Any]) -> None:
    table = found["resources"]["PredictionsD178A010"]["Properties"]
    table["GlobalSecondaryIndexes"][0]["Projection"]["ProjectionType"] = "ALL"


def _drop_export(found: dict[str, Any]) -> None:
    found["exports"].pop()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_rename, "gone"),
        (_rekey, "KeySchema"),
        (_name_bucket, "BucketName"),
        (_new_link_key, "GenerateSecretString"),
        (_drop_policy, "DeletionPolicy"),
        (_unprotect, "protected"),
        (_change_an_index, "one index"),
        (_drop_export, "export"),
    ],
)
def test_a_loss_would_be_seen(
    released: dict[str, Any], change: Callable[[dict[str, Any]], None], said: str
) -> None:
    after = deepcopy(released)
    change(after)
    (loss,) = losses(released, after)
    assert said in loss
