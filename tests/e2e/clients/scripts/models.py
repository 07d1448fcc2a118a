"""Runs models with Replicate's Python client, of either version; prints one JSON line for each.

DARKROOM_MODELS is a file with a list of `[reference, input]`.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path

import replicate

url, token = os.environ["DARKROOM_URL"], os.environ["DARKROOM_TOKEN"]
if metadata.version("replicate").startswith("1."):
    client = replicate.Client(api_token=token, base_url=url)
else:
    client = replicate.Replicate(bearer_token=token, base_url=f"{url}/v1")
for reference, given in json.loads(Path(os.environ["DARKROOM_MODELS"]).read_text()):
    output = client.run(reference, input=given)
    files = output if isinstance(output, list) else [output]
    print(json.dumps([reference, [file.read()[:4].hex() for file in files]]), flush=True)
