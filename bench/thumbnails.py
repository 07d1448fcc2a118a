"""Time and memory of making a thumbnail, and the cost of a million looks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.handlers.thumbnail import FUNCTION
from PIL import Image

from bench.cost import ASSUMED_MS
from bench.report import Result

if TYPE_CHECKING:
    from collections.abc import Callable

PRICES: dict[str, Any] = json.loads((Path(__file__).parent / "prices.json").read_text())
WIDTH = 512
ROUNDS = 9
MODELS_SIZE, UPSCALED, LARGEST = (1344, 768), (2688, 1536), (8000, 5000)
PICTURES: dict[str, tuple[str, tuple[int, int]]] = {
    "png": ("PNG", MODELS_SIZE),
    "webp": ("WEBP", MODELS_SIZE),
    "jpeg": ("JPEG", MODELS_SIZE),
    "png_4mp": ("PNG", UPSCALED),
    "png_40mp": ("PNG", LARGEST),
    "jpeg_40mp": ("JPEG", LARGEST),
    "webp_40mp": ("WEBP", LARGEST),
}
GB = FUNCTION.memory_mb / 1024
SMALL_IS_MADE_OF = "png"
READ, HEAD, GET, PUT = "dynamodb GetItem", "s3 HeadObject", "s3 GetObject", "s3 PutObject"
METHOD = (
    f"{WIDTH} pixels wide, median processor time of {ROUNDS} in a process of its own on this "
    "machine, whole processor; the picture is a smooth one with noise, as models' are"
)
IN_A_PROCESS = """
import json, statistics, sys, time
from darkroom.pictures.thumbnails import PillowThumbnails
picture, make = sys.stdin.buffer.read(), PillowThumbnails().made
times = []
for _ in range({rounds}):
    began = time.process_time()
    made = make(picture, {width})
    times.append(time.process_time() - began)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([statistics.median(times), int(peak.split()[1]) / 1024, len(made)]))
"""


def run(progress: Callable[[str], None]) -> list[Result]:
    """Return `thumbnails.{picture}`, `.{picture}_memory`, and `.{look}` in dollars per million."""
    results, seconds = [], {}
    for name, (form, size) in PICTURES.items():
        data = _picture(form, size)
        seconds[name], most, made = _made(data, ROUNDS if size != LARGEST else 3)
        told = f"{form} of {size[0]} x {size[1]}, {len(data)} bytes, thumbnail {made}"
        progress(f"{told}: {1000 * seconds[name]:.0f} ms, {most:.0f} MB")
        method = f"{METHOD}: {told}."
        milliseconds = round(1000 * seconds[name], 1)
        results.append(Result(f"thumbnails.{name}", milliseconds, "ms", None, method))
        results.append(Result(f"thumbnails.{name}_memory", round(most), "MB", None, method))
    for name, usd in looks(seconds[SMALL_IS_MADE_OF]).items():
        results.append(Result(f"thumbnails.{name}", round(usd, 2), "$/million", None, LOOKS))
    return results


LOOKS = (
    "By bench/prices.json: requests, and the function's time at its memory, which is the measured "
    "one of a PNG and the waits that bench/cost.py assumes."
)


def looks(making_s: float) -> dict[str, float]:
    """Return dollars per million looks: the first one at a picture, and a later one, with a CDN
    and without."""
    price = PRICES["million"]
    get, put = price["s3_gets"], price["s3_puts"]

    def ran(seconds: float, *waits: str) -> float:
        spent = seconds + sum(ASSUMED_MS[wait] for wait in waits) / 1000
        return float(price["lambda_requests"]) + 1e6 * spent * GB * float(PRICES["gb_second_arm"])

    cdn, api = price["cloudfront_requests"], price["http_api_requests"]
    found = price["read_units"] + get  # the record, and HEAD
    return {
        "cdn_first": cdn + get + ran(making_s, GET, PUT) + get + put,
        "cdn_later": cdn,
        "api_first": api + found + ran(making_s, READ, HEAD, GET, PUT) + get + put + get,
        "api_later": api + found + ran(0.003, READ, HEAD) + get,
    }


def _picture(form: str, size: tuple[int, int]) -> bytes:
    noise = Image.effect_noise(size, 12).convert("RGB")
    smooth = Image.radial_gradient("L").resize(size).convert("RGB")
    written = io.BytesIO()
    Image.blend(smooth, noise, 0.2).save(written, form, quality=90, method=0)
    return written.getvalue()


def _made(picture: bytes, rounds: int) -> tuple[float, float, int]:
    code = IN_A_PROCESS.format(rounds=rounds, width=WIDTH)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=picture, capture_output=True, check=True)  # noqa: S603
    seconds, most, made = json.loads(done.stdout)
    return float(seconds), float(most), int(made)
