"""LangChain's class for Replicate against Darkroom; one JSON line for each way to call it.

It uses Replicate's Python client 1.x, which takes Darkroom's address from the environment.
"""

from __future__ import annotations

import os
from typing import Any

from checks import (
    INPUT,
    SCHNELL,
    SDXL,
    SDXL_INPUT,
    SDXL_VERSION,
    STREAMING,
    TOKEN,
    URL,
    fetched,
    raises,
    run,
    works,
)

os.environ |= {"REPLICATE_API_TOKEN": TOKEN, "REPLICATE_BASE_URL": URL}

from langchain_community.llms import Replicate
from langchain_core.prompts import PromptTemplate

PROMPT = "a lighthouse"
SMALL = {name: value for name, value in INPUT.items() if name != "prompt"}
SMALL_SDXL = {name: value for name, value in SDXL_INPUT.items() if name != "prompt"}
SDXL_PINNED = f"{SDXL}:{SDXL_VERSION}"
WORDS = {"max_tokens": 5}


def explain(error: Exception) -> Any:
    raise error


@works("Replicate.invoke (picture)")
def _() -> None:
    assert fetched(Replicate(model=SCHNELL, model_kwargs=SMALL).invoke(PROMPT))


@works("Replicate.invoke (owner/name:version)")
def _() -> None:
    model = Replicate(model=SDXL_PINNED, prompt_key="prompt", model_kwargs=SMALL_SDXL)
    assert fetched(model.invoke(PROMPT))


@works("Replicate.invoke (text)")
def _() -> None:
    assert "tides" in Replicate(model=STREAMING, model_kwargs=WORDS).invoke("tides")


@works("Replicate.stream")
def _() -> None:
    model = Replicate(model=STREAMING, model_kwargs=WORDS, streaming=True)
    assert "tides" in "".join(model.stream("tides"))


@works("Replicate.ainvoke")
async def _() -> None:
    assert fetched(await Replicate(model=SCHNELL, model_kwargs=SMALL).ainvoke(PROMPT))


@works("Replicate.batch")
def _() -> None:
    made = Replicate(model=SCHNELL, model_kwargs=SMALL).batch([PROMPT, "a corgi"])
    assert [fetched(url) for url in made] == [True, True]


@works("Replicate in a chain")
def _() -> None:
    chain = PromptTemplate.from_template("a {what} at dawn") | Replicate(
        model=SCHNELL, model_kwargs=SMALL
    )
    assert fetched(chain.invoke({"what": "lighthouse"}))


@works("Replicate.invoke (failed prediction)")
def _() -> None:
    wrong = {**SMALL_SDXL, "image": f"{URL}/nothing.png"}
    model = Replicate(model=SDXL_PINNED, prompt_key="prompt", model_kwargs=wrong)
    error = raises(lambda: model.invoke(PROMPT), lambda error: error)
    assert isinstance(error, RuntimeError)
    assert str(error)


if __name__ == "__main__":
    run("langchain", explain)
