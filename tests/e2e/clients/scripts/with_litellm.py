"""litellm's provider `replicate` against Darkroom; one JSON line for each way to call it.

It makes its own HTTP calls: a create, then a GET of `urls.get` after one second, three more, five
more, and so on. It ignores `api_base`, so the address is set as in docs/compatibility.md.
"""

from __future__ import annotations

import os
from typing import Any

from checks import SCHNELL, TOKEN, URL, fetched, raises, run, works

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}

import litellm
from litellm.llms.replicate.chat import handler

MODEL = f"replicate/{SCHNELL}"
MESSAGES = [{"role": "user", "content": "a lighthouse"}]
DARKROOM = {"api_base": f"{URL}/v1", "api_key": TOKEN}


class AtDarkroom(litellm.ReplicateConfig):
    def get_complete_url(self, api_base: str, api_key: Any, model: str, *_: Any, **__: Any) -> str:
        return f"{api_base}/models/{model}/predictions"


handler.replicate_config = AtDarkroom()
# It prints a hint with each error, but the output here is parsed as JSON.
litellm.suppress_debug_info = True
# It would download a tokenizer from another host.
litellm.disable_hf_tokenizer_download = True


def explain(error: Exception) -> Any:
    raise error


def said(answer: Any) -> str:
    return str(answer.choices[0].message.content)


@works("completion")
def _() -> None:
    made = litellm.completion(MODEL, MESSAGES, megapixels="0.25", **DARKROOM)
    assert fetched(said(made))


@works("acompletion")
async def _() -> None:
    made = await litellm.acompletion(MODEL, MESSAGES, megapixels="0.25", **DARKROOM)
    assert fetched(said(made))


@works("acompletion (stream=True)")
async def _() -> None:
    stream = await litellm.acompletion(MODEL, MESSAGES, stream=True, **DARKROOM)
    parts = [part.choices[0].delta.content or "" async for part in stream]
    assert fetched("".join(parts))


@works("completion (failed prediction)")
def _() -> None:
    error = raises(
        lambda: litellm.completion(
            "replicate/stability-ai/sdxl", MESSAGES, image=f"{URL}/nothing.png", **DARKROOM
        ),
        lambda error: error,
    )
    assert getattr(error, "status_code", None) == 422, repr(error)
    assert "prediction not succeeded" in str(error)


@works("error 401")
def _() -> None:
    wrong = {**DARKROOM, "api_key": "dk_unknown"}
    error = raises(
        lambda: litellm.completion(MODEL, MESSAGES, num_retries=0, **wrong), lambda error: error
    )
    assert getattr(error, "status_code", None) == 401, repr(error)


if __name__ == "__main__":
    run("litellm", explain)
