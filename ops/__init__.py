"""The operator's commands: `python -m ops …`, on a deployment or on the embedded cloud."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

# The root of the Lambda asset, so that `python -m ops` needs no PYTHONPATH.
sys.path.append(str(Path(__file__).resolve().parents[1] / "functions"))

if find_spec("boto3") is None:
    sys.exit("The environment of the project is needed: .venv/bin/python -m ops … (`make setup`)")
