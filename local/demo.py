"""The demo: one prediction for each of a dozen models, or of all, observed, downloaded and checked,
and one through each door."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from darkroom.catalog import Catalogue
from PIL import Image

from local.cloud import EmbeddedCloud
from local.contact_sheet import Card, write_sheet
from local.doors import FAILURES, MODEL, PROMPT, opened, through_each
from local.examples import data_uri, example, passed_on, png
from local.processes import state_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from darkroom.domain.model import Model

LIMIT_S = 200.0
"""Time limit for a model to succeed."""
SLOWEST_S = 20.0
"""The emulator's time is scaled down for models that would take longer."""
CHOSEN = (
    "black-forest-labs/flux-1.1-pro",
    "black-forest-labs/flux-dev",
    "black-forest-labs/flux-fill-pro",
    "black-forest-labs/flux-kontext-pro",
    "black-forest-labs/flux-pro",
    "black-forest-labs/flux-schnell",
    "bria/expand-image",
    "bria/remove-background",
    "bytedance/seedream-4.5",
    "nightmareai/real-esrgan",
    "stability-ai/sdxl",
    "stability-ai/stable-diffusion-inpainting",
)
"""A dozen models of all kinds; `ALL=1` runs every entry of the catalogue."""
FIRST = "black-forest-labs/flux-schnell"
"""The model whose picture others enlarge."""

_FORMATS = {"WEBP": "webp", "JPEG": "jpg", "PNG": "png"}
_POLL_S = 0.2


class DemoError(Exception):
    """A model's result is not as expected."""


class Saved(NamedTuple):
    """A picture in the demo's folder."""

    path: Path
    size: tuple[int, int]
    sha256: str

    def __str__(self) -> str:
        width, height = self.size
        return f"  {os.path.relpath(self.path)}  {width}x{height}  sha256 {self.sha256}"


class Pictures:
    """The input pictures, in the three forms in which a client may pass one."""

    def __init__(self, api: httpx.Client, first: Shot | None) -> None:
        self._api = api
        self._first = first

    def as_data(self, picture: Image.Image) -> str:
        """As a data URI inside the request."""
        return data_uri(picture)

    def as_upload(self, picture: Image.Image) -> str:
        """As a file uploaded beforehand."""
        answer = self._api.post(
            "/v1/files", files={"content": ("picture.png", png(picture), "image/png")}
        )
        if answer.status_code != 201:
            raise DemoError(f"the upload was answered {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["urls"]["get"])

    def as_earlier_output(self) -> str:
        """As the URL of another model's output."""
        if self._first:
            self._first.ended.wait(LIMIT_S)
        if not (self._first and self._first.first_url):
            raise DemoError(f"{FIRST} made no picture to enlarge")
        return self._first.first_url


@dataclass
class Shot:
    """One model's part of the demo, and its progress."""

    model: Model
    state: str = "waiting"
    seconds: float = 0.0
    saved: list[Saved] = field(default_factory=list)
    ended_as: Mapping[str, Any] = field(default_factory=dict)
    """The prediction at its end."""
    problem: str | None = None
    first_url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The model without its owner; files are named after it."""
        return self.model.model.rpartition("/")[2]

    def input(self, pictures: Pictures) -> dict[str, Any]:
        """Return the input: pictures are uploaded, masks are data URIs, upscalers get an output."""

        def passing(name: str) -> Callable[[Image.Image], str]:
            if name == self.model.mask:
                return pictures.as_data
            if "upscaling" in self.model.tasks:
                return lambda _: pictures.as_earlier_output()
            return pictures.as_upload

        given = example(self.model)
        return {name: passed_on(value, passing(name)) for name, value in given.items()}

    def run(self, api: httpx.Client, pictures: Pictures, stopping: threading.Event) -> None:
        """Create, follow, fetch and check the prediction. Sets `problem` instead of raising."""
        try:
            given = self.input(pictures)
            started = time.monotonic()
            prediction = self._create(api, given)
            while True:
                self.state = prediction["darkroom"]["state"]
                self.seconds = time.monotonic() - started
                if prediction["status"] not in {"starting", "processing"}:
                    break
                if self.seconds > LIMIT_S:
                    raise DemoError(f"still {self.state} after {LIMIT_S:.0f} s")  # noqa: TRY301
                if stopping.wait(_POLL_S):
                    return
                prediction = _json(api.get(f"/v1/predictions/{prediction['id']}"), 200)
            if prediction["status"] != "succeeded":
                raise DemoError(f"{prediction['status']}: {prediction['error']}")  # noqa: TRY301
            self.ended_as = prediction
            self._fetch(prediction, given)
        except (DemoError, httpx.HTTPError, OSError, KeyError, ValueError) as error:
            self.state, self.problem = "failed", f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()

    def cards(self) -> list[Card]:
        """Return the cards of what was saved."""
        return [
            Card(
                file=saved.path.name,
                model=self.model.model,
                prompt=self.ended_as["input"].get("prompt"),
                size=saved.size,
                seed=self.ended_as["input"].get("seed"),
                seconds=self.seconds,
                cost=self.ended_as["darkroom"]["cost"],
                pictures=len(self.saved),
                sha256=saved.sha256,
            )
            for saved in self.saved
        ]

    def _create(self, api: httpx.Client, given: Mapping[str, Any]) -> Any:
        body = {"version": self.model.model, "input": given}
        return _json(api.post("/v1/predictions", json=body), 201)

    def _fetch(self, prediction: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        output, files = prediction["output"], prediction["darkroom"]["files"]
        urls = [output] if isinstance(output, str) else output
        if not urls or len(urls) != len(files):
            raise DemoError(f"{len(urls)} URLs for {len(files)} files")
        self.first_url = urls[0]
        for number, (url, file) in enumerate(zip(urls, files, strict=True), start=1):
            answer = httpx.get(url, trust_env=False, timeout=60)
            if answer.status_code != 200:
                raise DemoError(f"an output URL was answered {answer.status_code}")
            suffix = f"-{number}" if len(urls) > 1 else ""
            path = state_dir() / "demo" / f"{self.name}{suffix}"
            self.saved.append(_check(path, answer.content, file, self._expected(given)))

    def _expected(self, given: Mapping[str, Any]) -> tuple[str | None, tuple[int, int] | None]:
        """Return format and size of the pictures, as far as the input determines them."""
        declared = self.model.input_schema["properties"].get("output_format", {})
        extension = given.get("output_format", declared.get("default"))
        match given:
            case {"width": int(width), "height": int(height)}:
                return extension, (width, height)
            case _:
                return extension, None


def demo(*, everything: bool = False) -> int:
    """Run the chosen models, or all. Returns 0 if each gave the right pictures, else 1."""
    started = time.monotonic()
    catalogue = Catalogue.load()
    shots = [Shot(catalogue.model(name)) for name in (catalogue.names() if everything else CHOSEN)]
    folder = state_dir() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    slowest = max(shot.model.typical_seconds for shot in shots)
    with EmbeddedCloud(
        state_dir=state_dir() / "demo-cloud", say=_say, time_scale=min(1.0, SLOWEST_S / slowest)
    ) as cloud:
        _say(
            f"Ready after {time.monotonic() - started:.1f} s. "
            f"One prediction for each of {len(shots)} models:"
        )
        with httpx.Client(
            base_url=cloud.base_url,
            headers={"Authorization": f"Bearer {cloud.token}"},
            trust_env=False,
            timeout=60,
        ) as api:
            _run_all(api, shots)
            through, by_doors = _run_doors(api, cloud.outputs)
    cards = [card for shot in shots for card in shot.cards()] + by_doors
    for shot in shots:
        for saved in shot.saved:
            print(saved)
        if shot.problem:
            print(f"{shot.model.model}: {shot.problem}", file=sys.stderr)
    good = sum(shot.problem is None and bool(shot.saved) for shot in shots)
    _say(f"{good} of {len(shots)} models succeeded in {time.monotonic() - started:.0f} s.")
    if not everything:
        _say(f"ALL=1 runs all {len(catalogue.names())} models of the catalogue.")
    _say(f"All pictures, for your browser: {os.path.relpath(write_sheet(folder, cards))}")
    return 0 if good == len(shots) and through else 1


def _run_doors(api: httpx.Client, outputs: Mapping[str, str]) -> tuple[bool, list[Card]]:
    """Print the result of each door, and its commands; return True if all succeeded, and the
    cards of their pictures."""
    doors = opened(outputs)
    _say("One through each door, and how, with the $URL and $TOKEN that `make run` prints:")
    made, good = through_each(doors, api), True
    cards: list[Card] = []
    for door in doors:
        found = made[door.name]
        try:
            if isinstance(found, Exception):
                raise found
            saved = _saved(state_dir() / "demo" / f"door-{door.name}", found, *_opened(found))
        except FAILURES as error:
            line, good = f"  {door.name}: {type(error).__name__}: {error}", False
        else:
            line = str(saved)
            cards.append(
                Card(
                    file=saved.path.name,
                    model=MODEL,
                    prompt=PROMPT,
                    size=saved.size,
                    door=door.name,
                    sha256=saved.sha256,
                )
            )
        _say(f"{line}\n{textwrap.indent(door.how, '    ')}")
    return good, cards


def _run_all(api: httpx.Client, shots: Sequence[Shot]) -> None:
    stopping = threading.Event()
    first = next((shot for shot in shots if shot.model.model == FIRST), None)
    with ThreadPoolExecutor(len(shots)) as pool:
        try:
            pictures = Pictures(api, first)
            running = [pool.submit(shot.run, api, pictures, stopping) for shot in shots]
            with _progress(shots) as show:
                while not all(future.done() for future in running):
                    show()
                    time.sleep(0.1)
                show()
        finally:
            stopping.set()
            if first:
                first.ended.set()  # Releases those that wait for its picture.
        for future in running:
            future.result()


@contextlib.contextmanager
def _progress(shots: Sequence[Shot]) -> Iterator[Any]:
    """Yield a function that shows the progress of all shots: in place on a terminal, else as a
    log."""
    width = max(len(shot.model.model) for shot in shots)
    shown: dict[str, str] = {}

    def line(shot: Shot) -> str:
        return f"  {shot.model.model:<{width}}  {shot.state:<10}  {shot.seconds:5.1f} s"

    def in_place() -> None:
        if shown:
            sys.stdout.write(f"\x1b[{len(shots)}F")
        for shot in shots:
            shown[shot.name] = shot.state
            sys.stdout.write(f"\x1b[2K{line(shot)}\n")
        sys.stdout.flush()

    def as_log() -> None:
        for shot in shots:
            if shot.state not in {"waiting", shown.get(shot.name)}:
                shown[shot.name] = shot.state
                print(line(shot), flush=True)

    yield in_place if sys.stdout.isatty() else as_log


def _check(
    path: Path,
    content: bytes,
    file: Mapping[str, Any],
    expected: tuple[str | None, tuple[int, int] | None],
) -> Saved:
    """Save one output. Raises DemoError if it is not as requested."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != file["sha256"] or len(content) != file["bytes"]:
        raise DemoError(f"{path.name} differs from the record: {digest} and {file['sha256']}")
    extension, size = _opened(content)
    if expected[0] not in {None, extension, "jpeg" if extension == "jpg" else extension}:
        raise DemoError(f"{path.name} is {extension} and not {expected[0]}")
    if expected[1] not in {None, size}:
        raise DemoError(f"{path.name} has {size} pixels and not {expected[1]}")
    return _saved(path, content, extension, size)


def _opened(content: bytes) -> tuple[str, tuple[int, int]]:
    """A picture's extension and size."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return _FORMATS[str(picture.format)], picture.size


def _saved(path: Path, content: bytes, extension: str, size: tuple[int, int]) -> Saved:
    """Write the file."""
    path = path.with_name(f"{path.name}.{extension}")
    path.write_bytes(content)
    return Saved(path, size, hashlib.sha256(content).hexdigest())


def _json(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise DemoError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    return answer.json()


def _say(text: str) -> None:
    print(text, flush=True)
