"""Thumbnails made with Pillow. Every file is treated as hostile, whoever stored it."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps

from darkroom.domain import media
from darkroom.domain.errors import NoThumbnailError
from darkroom.domain.thumbnails import KINDS
from darkroom.domain.values import immutable

MOST_PIXELS = 40_000_000
MOST_SCANS = 100
"""Scans of a JPEG. Each one goes over all pixels, and a usual progressive file has about ten."""
TALLEST = 4
"""The most of a thumbnail's height, in multiples of its width's bound."""
FORMATS = tuple(kind.type.removeprefix("image/").upper() for kind in KINDS)
"""Pillow's names of them."""
QUALITY = 80
REDUCED_TO = 2.0
"""A large picture is first averaged down to this multiple of the wanted size, which is much faster
than filtering all of its pixels, and looks the same."""
_TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange width and height."""
_ORIENTATION = 0x0112
_SCAN = b"\xff\xda"


@immutable
class PillowThumbnails:
    """Thumbnails: the first frame, upright, as WebP.

    Metadata is dropped, since it may name people and places. So are color profiles: colors count as
    sRGB, which those of models are, and a hostile profile would be one more file to parse.
    """

    def made(self, picture: bytes, width: int) -> bytes:
        if media.sniff(picture[: media.START]) not in KINDS:
            raise NoThumbnailError("The file is no picture that is read here.")
        if picture.count(_SCAN) > MOST_SCANS and picture.startswith(b"\xff\xd8"):
            raise NoThumbnailError("The JPEG has too many scans.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _webp(_small(picture, width))
        except NoThumbnailError:
            raise
        except Exception as error:  # noqa: BLE001
            # Pillow raises a dozen types of errors for broken files, and new ones with each format.
            raise NoThumbnailError(f"The picture cannot be read: {type(error).__name__}.") from None


def _small(picture: bytes, width: int) -> Image.Image:
    _check(media.size(picture))
    with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
        _check(opened.size)
        orientation = opened.getexif().get(_ORIENTATION)
        size = _fitting(opened.size, width, turned=orientation in _TURNED)
        # A JPEG is decoded at an eighth, a quarter or half of its size where that is enough.
        opened.draft(None, (int(size[0] * REDUCED_TO), int(size[1] * REDUCED_TO)))
        small = _plain(opened).resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCED_TO)
    # The copy still has the original's metadata, by which it is turned.
    return ImageOps.exif_transpose(small)


def _check(size: tuple[int, int] | None) -> None:
    """Raise NoThumbnailError for too many pixels; called before anything is decoded."""
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise NoThumbnailError(f"The picture has more than {MOST_PIXELS // 1_000_000} megapixels.")


def _fitting(size: tuple[int, int], width: int, *, turned: bool) -> tuple[int, int]:
    """Return the size in the file's own orientation, with the same ratio and never larger."""
    box = (TALLEST * width, width) if turned else (width, TALLEST * width)
    scale = min(1.0, box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _plain(opened: Image.Image) -> Image.Image:
    """Decode to 8 bits of RGB, with transparency where the picture has it."""
    opened.load()
    if opened.mode.startswith("I"):
        # 16 bits of gray; Pillow's own conversion would make everything above 255 white.
        return opened.point(lambda value: value / 256).convert("L").convert("RGB")
    mode = "RGBA" if opened.has_transparency_data else "RGB"
    return opened if opened.mode == mode else opened.convert(mode)


def _webp(small: Image.Image) -> bytes:
    written = io.BytesIO()
    small.info = {}  # or the encoder would copy profile and metadata
    small.save(written, "WEBP", quality=QUALITY, method=4)
    return written.getvalue()
