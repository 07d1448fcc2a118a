"""Synthesized stages as the tests inspect them."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.config import StageConfig

NO_BUNDLING: dict[str, Any] = {"aws:cdk:bundling-stacks": []}


@dataclass
class Template:
    """A synthesized template."""

    path: Path
    body: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.body = json.loads(self.path.read_text())

    @property
    def exports(self) -> dict[str, Any]:
        """The exports for other stacks, by name."""
        return {
            output["Export"]["Name"]: output["Value"]
            for output in self.body["Outputs"].values()
            if "Export" in output
        }

    def resources(self, type_: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical ids and resources of a type, for example `SQS::Queue`; all without one."""
        for id_, resource in self.body["Resources"].items():
            if not type_ or resource["Type"] == f"AWS::{type_}":
                yield id_, resource

    def properties(self, type_: str) -> dict[str, dict[str, Any]]:
        """Return copies of the properties of a type's resources, by logical id without CDK's
        hash."""
        return {bare(id_): deepcopy(r["Properties"]) for id_, r in self.resources(type_)}


@dataclass
class Synth:
    """The stacks of one stage. A successful synthesis means that cdk-nag found nothing."""

    outdir: Path
    config: StageConfig

    @cached_property
    def stateful(self) -> Template:
        return self._template("Stateful")

    @cached_property
    def cdn(self) -> Template:
        return self._template("Cdn")

    @cached_property
    def service(self) -> Template:
        return self._template("Service")

    @cached_property
    def observability(self) -> Template:
        return self._template("Observability")

    def _template(self, stack: str) -> Template:
        return Template(self.outdir / f"Darkroom-{self.config.name}-{stack}.template.json")

    def shown(self, value: Any) -> str:
        """Describe a reference: imports followed, logical ids without hash, ARNs as their owner."""
        match value:
            case str():
                return value
            case {"Fn::ImportValue": name}:
                return self.shown(self._exports[name])
            case {"Fn::GetAtt": [id_, "Arn" | "QueueName"]} | {"Ref": id_}:
                return bare(id_)
            case {"Fn::GetAtt": [id_, attribute]}:
                return f"{bare(id_)}.{attribute}"
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self.shown(part) for part in parts)
        raise ValueError(f"cannot show {value}")

    @cached_property
    def _exports(self) -> dict[str, Any]:
        cdn = self.cdn.exports if self.config.cdn else {}
        return self.stateful.exports | cdn | self.service.exports


def bare(logical_id: str) -> str:
    """Remove the eight hex digits of the construct's path that CDK appends to a logical id."""
    return re.sub(r"[0-9A-F]{8}$", "", logical_id)
