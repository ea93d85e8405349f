"""A photo from a stranger's phone, drawn anew: what is kept is pixels that this program wrote, and nothing else.

Only the formats named here are looked at, by what is in the file and not by what it calls itself. How large a picture
is stands in its head, and is judged before a single pixel is unpacked. One is worked on at a time, beside the event
loop: a burst of uploads costs no more memory than one.
"""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
from enum import StrEnum

from PIL import Image, ImageOps, UnidentifiedImageError

BYTES_MAX = 12 << 20
PIXELS_MAX = 50_000_000
SIDE_MAX = 1600  # pixels; a rating plate can be read on it
QUALITY = 80
FORMATS = ("JPEG", "PNG", "WEBP")

_ONE_AT_A_TIME = threading.Lock()


class Unfit(StrEnum):
    UNREADABLE = "unreadable"
    KIND = "kind"
    PIXELS = "pixels"


class NotAPicture(Exception):
    """``limit``: in millions of pixels, where there are too many."""

    def __init__(self, why: Unfit, limit: int = 0) -> None:
        super().__init__(why.value)
        self.why = why
        self.limit = limit


async def reencoded(data: bytes) -> bytes:
    """``redrawn`` in a thread of its own."""
    return await asyncio.to_thread(redrawn, data)


def redrawn(data: bytes) -> bytes:
    """The picture as a JPEG of at most SIDE_MAX pixels a side, turned as it was taken, without any metadata.

    The same bytes give the same answer. Raises NotAPicture for everything else, whatever it claims to be.
    """
    with _ONE_AT_A_TIME:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is lower, and holds
                return _redrawn(data)
        except UnidentifiedImageError:
            raise NotAPicture(Unfit.KIND) from None
        except Image.DecompressionBombError:
            raise NotAPicture(Unfit.PIXELS, PIXELS_MAX // 1_000_000) from None
        # The one door through which a broken file leaves: decoders raise these, each in its own way.
        except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, OverflowError,
                ZeroDivisionError, MemoryError, NotImplementedError, AttributeError) as error:  # fmt: skip
            raise NotAPicture(Unfit.UNREADABLE) from error


def _redrawn(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=FORMATS) as found:
        width, height = found.size
        if width * height > PIXELS_MAX:
            raise NotAPicture(Unfit.PIXELS, PIXELS_MAX // 1_000_000)
        found.draft("RGB", (SIDE_MAX, SIDE_MAX))  # a JPEG is unpacked no larger than needed
        turned = ImageOps.exif_transpose(found)
        turned.thumbnail((SIDE_MAX, SIDE_MAX))
        # Pixels only, onto a fresh sheet: no profile, comment, text or thumbnail can come along.
        sheet = Image.new("RGB", turned.size, "white")
        solid = turned.convert("RGBA") if "A" in turned.getbands() or "transparency" in turned.info else None
        sheet.paste(solid if solid is not None else turned.convert("RGB"), mask=solid)
    out = io.BytesIO()
    sheet.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
