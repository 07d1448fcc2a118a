"""OpenAI's Python client against Darkroom: one JSON line with what each call brought."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import openai
from openai import AsyncOpenAI, OpenAI

URL = f"{os.environ['DARKROOM_URL']}/openai/v1"
TOKEN = os.environ["DARKROOM_TOKEN"]
PICTURE, MASK = Path(os.environ["DARKROOM_PICTURE"]), Path(os.environ["DARKROOM_MASK"])
MODEL = "dall-e-2"
client = OpenAI(base_url=URL, api_key=TOKEN)
seen: dict[str, Any] = {}


def begins(picture: str) -> str:
    return base64.b64decode(picture)[:4].decode("latin1")


def refusal(call: Any) -> list[Any]:
    try:
        call()
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, bool(error.request_id)]
    raise AssertionError("it was answered")


made = client.images.generate(model=MODEL, prompt="a lighthouse", n=2, size="512x512")
pictures = made.data or []
darkroom = (made.model_extra or {})["darkroom"]
seen["generate"] = [begins(one.b64_json or "") for one in pictures]
seen["urls"] = [bool(one.url) for one in pictures]
seen["id"], seen["size"], seen["output_format"] = darkroom["id"], made.size, made.output_format

named = {"user": "a user", "style": "vivid", "extra_body": {"seed": 7}}
more: Any = client.images.generate(
    model="black-forest-labs/flux-schnell", prompt="a pier", response_format="url", **named
)
seen["by url"] = [more.data[0].b64_json, bool(more.data[0].url)]
seen["ignored"] = more.model_extra["darkroom"]["ignored"]

with PICTURE.open("rb") as picture, MASK.open("rb") as mask:
    edited = client.images.edit(model=MODEL, image=picture, mask=mask, prompt="a red field")
seen["edited"] = (edited.data or [])[0].b64_json
with PICTURE.open("rb") as picture:
    several: Any = [picture, ("b.png", io.BytesIO(base64.b64decode(seen["edited"])))]
    both = client.images.edit(model="gpt-image-1-mini", image=several, prompt="both")
seen["edit of two"] = begins((both.data or [])[0].b64_json or "")

stream = client.images.generate(model=MODEL, prompt="a wave", stream=True, partial_images=0)
seen["stream"] = [[event.type, begins(event.b64_json)] for event in stream]


async def twice() -> list[str]:
    async with AsyncOpenAI(base_url=URL, api_key=TOKEN) as twin:
        answers = await asyncio.gather(
            *(twin.images.generate(model=MODEL, prompt=f"number {n}") for n in range(2))
        )
    return [begins((answer.data or [])[0].b64_json or "") for answer in answers]


seen["async"] = asyncio.run(twice())
seen["models"] = [model.id for model in client.models.list()]

asked: Any = {"model": MODEL, "prompt": "x"}
seen["refused"] = [
    refusal(lambda: client.images.generate(model="gpt-9", prompt="x")),
    refusal(lambda: client.images.generate(**asked, size="huge")),
    refusal(lambda: client.images.generate(**asked, n=9)),
    refusal(lambda: OpenAI(base_url=URL, api_key="dk_no").images.generate(**asked)),
    refusal(lambda: client.chat.completions.create(model="gpt-9", messages=[])),
]
print(json.dumps(seen))
