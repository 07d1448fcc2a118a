"""CDK's feature flags. Darkroom's stacks set their own, independent of the app that contains
them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk

if TYPE_CHECKING:
    from constructs import Construct

_HERE = Path(__file__).resolve().parent
# In the wheel, or in the repository, where CDK's command line reads it as well.
_CDK_JSON = next(path for path in (_HERE / "cdk.json", _HERE.parent / "cdk.json") if path.is_file())


def flags() -> dict[str, Any]:
    """Return the flags that the templates are built and tested with."""
    found: dict[str, Any] = json.loads(_CDK_JSON.read_text())["context"]
    return found


class DarkroomStack(cdk.Stack):
    """A stack with Darkroom's feature flags. Its name is its id, inside a Stage too, because the
    operator's commands find it by that name.

    Without its own flags, an app with older flags would produce other templates and, after an
    upgrade of the app, possibly other resources.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        description: str,
        env: cdk.Environment | None = None,
        termination_protection: bool | None = None,
    ) -> None:
        super().__init__(
            scope,
            id_,
            stack_name=id_,
            env=env,
            description=description,
            termination_protection=termination_protection,
        )
        # Must precede the first resource.
        for name, value in flags().items():
            self.node.set_context(name, value)
