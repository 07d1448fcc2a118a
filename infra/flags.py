"""CDK's feature flags: Darkroom's stacks bring their own, whatever the app around them has set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_cdk import Stack

_HERE = Path(__file__).resolve().parent
# In the wheel, or in the repository, where CDK's command line reads it as well.
_CDK_JSON = next(path for path in (_HERE / "cdk.json", _HERE.parent / "cdk.json") if path.is_file())


def flags() -> dict[str, Any]:
    """The flags that the templates are made and tested with."""
    found: dict[str, Any] = json.loads(_CDK_JSON.read_text())["context"]
    return found


def set_flags(stack: Stack) -> None:
    """Must come before the stack's first resource. Without it an app with older flags would get
    other templates: after an upgrade of the app, perhaps other resources."""
    for name, value in flags().items():
        stack.node.set_context(name, value)
