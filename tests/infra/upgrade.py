"""The effects of an upgrade on the parts that contain data, from the templates before and after.

`python -m tests.infra.upgrade cdk.out/Darkroom-prod-*.template.json` writes the baseline: run it on
the templates of a release, as `make synth STAGE=prod` makes them in its working tree. The baseline
is of 0ba142c.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BASELINE = Path(__file__).with_name("baseline") / "prod.json"
STATEFUL = {
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
    # They contain no data, but Replicate calls an API's address for hours, and foreign rules exist
    # on the bus.
    "AWS::ApiGatewayV2::Api",
    "AWS::Events::EventBus",
}
LOST_ON_CHANGE = {
    "AWS::SecretsManager::Secret": ("GenerateSecretString",),  # Makes a new value.
    "AWS::DynamoDB::Table": ("StreamSpecification",),  # another stream: the old one is not read
}
"""In addition to what CloudFormation replaces."""


def kept(templates: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of a stage's templates that an upgrade must not lose."""
    resources: dict[str, Any] = {}
    exports: set[str] = set()
    for template in templates:
        resources |= {
            id_: {key: value for key, value in resource.items() if key != "Metadata"}
            for id_, resource in template["Resources"].items()
            if resource["Type"] in STATEFUL
        }
        exports |= {
            output["Export"]["Name"]
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }
    return {"resources": resources, "exports": sorted(exports)}


def losses(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield everything that the upgrade would replace, remove or unprotect, or that would stop
    it."""
    for id_, old in before["resources"].items():
        new = after["resources"].get(id_)
        if new is None:
            yield f"{id_}: gone"
            continue
        if new["Type"] != old["Type"]:
            yield f"{id_}: another type"
            continue
        was, now = old.get("Properties", {}), new.get("Properties", {})
        for name in (*_create_only(old["Type"]), *LOST_ON_CHANGE.get(old["Type"], ())):
            if was.get(name) != now.get(name):
                yield f"{id_}: {name} changes"
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if old.get(policy) == "Retain" != new.get(policy):
                yield f"{id_}: {policy} no longer Retain"
        if was.get("DeletionProtectionEnabled") and not now.get("DeletionProtectionEnabled"):
            yield f"{id_}: no longer protected"
        if len(_indexes(was) ^ _indexes(now)) > 1:
            yield f"{id_}: DynamoDB adds or removes one index in an update"
    for name in before["exports"]:
        if name not in after["exports"]:
            yield f"{name}: an export goes that the deployed stacks still import"


def _create_only(type_: str) -> Iterator[str]:
    """Yield the properties whose change means replacement, according to the provider's own
    schema."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type_).schema
    for list_ in ("createOnlyProperties", "conditionalCreateOnlyProperties"):
        for pointer in schema.get(list_, []):
            yield pointer.split("/")[2]


def _indexes(properties: Mapping[str, Any]) -> set[str]:
    """Return each index with all its properties, because a changed index is a removed and an added
    one."""
    found = properties.get("GlobalSecondaryIndexes", [])
    return {json.dumps(index, sort_keys=True) for index in found}


if __name__ == "__main__":
    read = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    BASELINE.write_text(json.dumps(kept(read), indent=1, sort_keys=True) + "\n")
