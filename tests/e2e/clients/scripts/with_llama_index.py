"""LlamaIndex's class for Replicate against Darkroom; one JSON line for each way to call it.

It uses Replicate's Python client 1.x, which takes Darkroom's address from the environment.
"""

from __future__ import annotations

import os
from typing import Any

from checks import SCHNELL, STREAMING, TOKEN, URL, raises, run, works

os.environ |= {"REPLICATE_API_TOKEN": TOKEN, "REPLICATE_BASE_URL": URL}

from llama_index.core.llms import ChatMessage
from llama_index.llms.replicate import Replicate

WORDS = {"max_tokens": 5}


def explain(error: Exception) -> Any:
    raise error


@works("Replicate.complete")
def _() -> None:
    assert "tides" in Replicate(model=STREAMING, additional_kwargs=WORDS).complete("tides").text


@works("Replicate.stream_complete")
def _() -> None:
    model = Replicate(model=STREAMING, additional_kwargs=WORDS)
    assert "tides" in "".join(part.delta or "" for part in model.stream_complete("tides"))


@works("Replicate.acomplete")
async def _() -> None:
    made = await Replicate(model=STREAMING, additional_kwargs=WORDS).acomplete("tides")
    assert "tides" in made.text


@works("Replicate.chat")
def _() -> None:
    model = Replicate(model=STREAMING, additional_kwargs={"max_tokens": 40})
    assert "tides" in str(model.chat([ChatMessage(role="user", content="tides")]))


@works("Replicate.complete (picture)")
def _() -> str:
    """It only supports streams, which models of pictures lack."""
    error = raises(lambda: Replicate(model=SCHNELL).complete("tides"), lambda error: error)
    assert "streaming" in str(error), repr(error)
    return "the client reads streams alone, and says that the model has none"


if __name__ == "__main__":
    run("llama-index", explain)
