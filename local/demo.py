"""The demo: one prediction for each model of the catalogue, watched, fetched and checked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from darkroom.catalog import Catalogue
from PIL import Image, ImageDraw

from local.cloud import EmbeddedCloud
from local.processes import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

LIMIT_S = 80.0
"""A model that has not succeeded by then has failed the demo."""

_FORMATS = {"webp": "WEBP", "jpg": "JPEG", "png": "PNG"}
_POLL_S = 0.2


class DemoError(Exception):
    """A model's result is not what it should be."""


class Pictures:
    """The input pictures, in the three ways in which a client may pass one."""

    def __init__(self, api: httpx.Client, schnell: Shot | None) -> None:
        self._api = api
        self._schnell = schnell

    def as_data(self, picture: Image.Image) -> str:
        """Inside the request itself."""
        return "data:image/png;base64," + base64.b64encode(_png(picture)).decode()

    def as_upload(self, picture: Image.Image) -> str:
        """Uploaded beforehand."""
        answer = self._api.post(
            "/v1/files", files={"content": ("picture.png", _png(picture), "image/png")}
        )
        if answer.status_code != 201:
            raise DemoError(f"the upload was answered {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["urls"]["get"])

    def as_earlier_output(self) -> str:
        """By URL: what flux-schnell has just made."""
        if self._schnell:
            self._schnell.ended.wait(LIMIT_S)
        if not (self._schnell and self._schnell.first_url):
            raise DemoError("flux-schnell made no picture to enlarge")
        return self._schnell.first_url


@dataclass
class Shot:
    """One model's part of the demo, and where it stands."""

    model: str
    format: str = "webp"
    size: tuple[int, int] | None = None
    """Expected pixels; None takes any."""
    state: str = "waiting"
    seconds: float = 0.0
    saved: list[str] = field(default_factory=list)
    problem: str | None = None
    first_url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The model without its owner: the files are named after it."""
        return self.model.rpartition("/")[2]

    def input(self, pictures: Pictures) -> dict[str, Any]:
        """What to ask for. Sets the format and size that the answer must have."""
        prompt = {"prompt": "A lighthouse above the sea at dawn", "seed": 42}
        match self.name:
            case "flux-schnell":
                self.format, self.size = "webp", (1344, 768)
                return {**prompt, "aspect_ratio": "16:9", "num_outputs": 2}
            case "flux-dev":  # image to image: the output follows the picture's shape
                self.format, self.size = "png", (1024, 1024)
                image = pictures.as_data(_landscape((768, 768)))
                return {**prompt, "image": image, "prompt_strength": 0.6, "output_format": "png"}
            case "flux-pro":
                self.format, self.size = "jpg", (1280, 960)
                shape = {"aspect_ratio": "custom", "width": 1280, "height": 960}
                return {**prompt, **shape, "output_format": "jpg"}
            case "flux-1.1-pro":
                self.format, self.size = "webp", (832, 1216)
                return {**prompt, "aspect_ratio": "2:3"}
            case "flux-fill-pro":
                self.format, self.size = "jpg", (960, 640)
                image = pictures.as_upload(_landscape(self.size))
                mask = pictures.as_data(_mask(self.size))
                return {**prompt, "image": image, "mask": mask, "output_format": "jpg"}
            case "stable-diffusion-inpainting":
                self.format, self.size = "png", (640, 512)
                image = pictures.as_upload(_landscape(self.size))
                mask = pictures.as_upload(_mask(self.size))
                return {**prompt, "image": image, "mask": mask, "width": 640, "height": 512}
            case "sdxl":
                self.format, self.size = "png", (1024, 768)
                return {**prompt, "width": 1024, "height": 768}
            case "real-esrgan":
                self.format, self.size = "png", (2688, 1536)
                return {"image": pictures.as_earlier_output(), "scale": 2}
            case _:
                return prompt

    def run(self, api: httpx.Client, pictures: Pictures, stopping: threading.Event) -> None:
        """Make it, follow it, fetch it, check it. Sets `problem` instead of raising."""
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
            self._fetch(prediction)
        except (DemoError, httpx.HTTPError, OSError, KeyError, ValueError) as error:
            self.state, self.problem = "failed", f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()

    def _create(self, api: httpx.Client, given: Mapping[str, Any]) -> Any:
        body = {"version": self.model, "input": given}
        return _json(api.post("/v1/predictions", json=body), 201)

    def _fetch(self, prediction: Mapping[str, Any]) -> None:
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
            path = state_dir() / "demo" / f"{self.name}{suffix}.{self.format}"
            self.saved.append(_check(path, answer.content, file, self.format, self.size))


def demo() -> int:
    """Run the whole demo. Returns 0 if every model gave the right pictures, else 1."""
    started = time.monotonic()
    shots = [Shot(model) for model in Catalogue.load().names()]
    folder = state_dir() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    with EmbeddedCloud(state_dir=state_dir() / "demo-cloud", say=_say) as cloud:
        _say(f"Ready after {time.monotonic() - started:.1f} s. One prediction for each model:")
        _run_all(cloud, shots)
    for shot in shots:
        for line in shot.saved:
            print(line)
        if shot.problem:
            print(f"{shot.model}: {shot.problem}", file=sys.stderr)
    good = sum(shot.problem is None and bool(shot.saved) for shot in shots)
    _say(f"{good} of {len(shots)} models succeeded in {time.monotonic() - started:.0f} s.")
    return 0 if good == len(shots) else 1


def _run_all(cloud: EmbeddedCloud, shots: Sequence[Shot]) -> None:
    stopping = threading.Event()
    api = httpx.Client(
        base_url=cloud.base_url,
        headers={"Authorization": f"Bearer {cloud.token}"},
        trust_env=False,
        timeout=60,
    )
    schnell = next((shot for shot in shots if shot.name == "flux-schnell"), None)
    with api, ThreadPoolExecutor(len(shots)) as pool:
        try:
            pictures = Pictures(api, schnell)
            running = [pool.submit(shot.run, api, pictures, stopping) for shot in shots]
            with _progress(shots) as show:
                while not all(future.done() for future in running):
                    show()
                    time.sleep(0.1)
                show()
        finally:
            stopping.set()
            if schnell:
                schnell.ended.set()  # whoever waits for its picture gives up
        for future in running:
            future.result()


@contextlib.contextmanager
def _progress(shots: Sequence[Shot]) -> Iterator[Any]:
    """A function that shows where all shots stand: in place on a terminal, else as a log."""
    width = max(len(shot.model) for shot in shots)
    shown: dict[str, str] = {}

    def line(shot: Shot) -> str:
        return f"  {shot.model:<{width}}  {shot.state:<10}  {shot.seconds:5.1f} s"

    def in_place() -> None:
        if shown:
            sys.stdout.write(f"\x1b[{len(shots)}F")
        for shot in shots:
            shown[shot.model] = shot.state
            sys.stdout.write(f"\x1b[2K{line(shot)}\n")
        sys.stdout.flush()

    def as_log() -> None:
        for shot in shots:
            if shot.state not in {"waiting", shown.get(shot.model)}:
                shown[shot.model] = shot.state
                print(line(shot), flush=True)

    yield in_place if sys.stdout.isatty() else as_log


def _check(
    path: Path,
    content: bytes,
    file: Mapping[str, Any],
    extension: str,
    size: tuple[int, int] | None,
) -> str:
    """Save one output and describe it. Raises DemoError where it is not what was asked for."""
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    if digest != file["sha256"] or len(content) != file["bytes"]:
        raise DemoError(f"{path.name} differs from the record: {digest} and {file['sha256']}")
    with Image.open(path) as picture:
        picture.load()
        if picture.format != _FORMATS[extension]:
            raise DemoError(f"{path.name} is {picture.format}")
        if size and picture.size != size:
            raise DemoError(f"{path.name} has {picture.size} pixels and not {size}")
        width, height = picture.size
    return f"  {os.path.relpath(path)}  {width}x{height}  sha256 {digest}"


def _json(answer: httpx.Response, status: int) -> Any:
    if answer.status_code != status:
        raise DemoError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text}")
    return answer.json()


def _landscape(size: tuple[int, int]) -> Image.Image:
    width, height = size
    sky = Image.linear_gradient("L").resize(size)
    picture = Image.merge("RGB", (sky.point(lambda v: 90 + v // 2), sky.point(lambda v: v), sky))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width * 0.6, height * 0.15, width * 0.75, height * 0.4), fill=(255, 214, 120))
    hills = [(0, height), (0, height * 0.7), (width * 0.3, height * 0.45), (width * 0.55, height)]
    draw.polygon(hills, fill=(38, 70, 83))
    draw.rectangle((0, height * 0.82, width, height), fill=(42, 157, 143))
    return picture


def _mask(size: tuple[int, int]) -> Image.Image:
    """White where the model shall paint anew."""
    mask = Image.new("L", size, 0)
    width, height = size
    ImageDraw.Draw(mask).ellipse(
        (width * 0.25, height * 0.25, width * 0.75, height * 0.75), fill=255
    )
    return mask


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _say(text: str) -> None:
    print(text, flush=True)
