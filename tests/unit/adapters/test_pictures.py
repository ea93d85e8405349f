"""What is kept of an uploaded picture is pixels drawn here; everything that only looks like one is refused."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from noout.adapters import pictures
from noout.adapters.pictures import SIDE_MAX, NotAPicture, Unfit, redrawn


def picture(kind: str = "JPEG", size: tuple[int, int] = (64, 48), **more: object) -> bytes:
    """Red on the left, blue on the right."""
    made = Image.new("RGB", size, (200, 20, 20))
    made.paste((20, 20, 200), (size[0] // 2, 0, size[0], size[1]))
    out = io.BytesIO()
    made.save(out, kind, **more)
    return out.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(jpeg))
    found.load()
    return found


def with_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "PhoneMaker"
    exif[0x8825] = {1: "N", 2: (52.0, 22.0, 12.0), 3: "E", 4: (4.0, 53.0, 42.0)}  # where it was taken
    return picture(exif=exif, comment=b"of ruben")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_comes_out_as_a_jpeg_of_the_same_sight(kind: str) -> None:
    found = opened(redrawn(picture(kind)))
    assert (found.format, found.size, found.mode) == ("JPEG", (64, 48), "RGB")
    red, blue = found.getpixel((8, 8)), found.getpixel((56, 8))
    assert isinstance(red, tuple) and red[0] > 150 > red[2]
    assert isinstance(blue, tuple) and blue[2] > 150 > blue[0]


def test_no_metadata_comes_along() -> None:
    given = with_exif()
    assert b"PhoneMaker" in given and b"of ruben" in given
    kept = redrawn(given)
    assert b"PhoneMaker" not in kept and b"ruben" not in kept and b"Exif" not in kept
    assert dict(opened(kept).getexif()) == {}
    assert set(opened(kept).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_picture_is_turned_as_it_was_taken() -> None:
    assert opened(redrawn(with_exif(orientation=6))).size == (48, 64)


def test_text_in_a_png_and_its_profile_do_not_come_along() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "<script>alert(1)</script>", zip=True)
    kept = redrawn(picture("PNG", pnginfo=text, icc_profile=b"profile" * 20))
    assert b"script" not in kept and b"profile" not in kept


def test_what_hangs_on_the_end_is_cut_off() -> None:
    """A polyglot: a picture to one reader, a page or an archive to another."""
    for tail in (b"<html><script>alert(1)</script></html>", b"PK\x03\x04evil.jar", b"%PDF-1.7 evil"):
        kept = redrawn(picture() + tail)
        assert tail[:8] not in kept
        inside = picture()[:2] + b"\xff\xfe" + struct.pack(">H", len(tail) + 2) + tail + picture()[2:]  # as a comment
        assert tail[:8] not in redrawn(inside)


def test_the_same_bytes_give_the_same_picture() -> None:
    given = with_exif()
    assert redrawn(given) == redrawn(given)


def test_a_large_picture_is_made_smaller() -> None:
    assert max(opened(redrawn(picture(size=(4000, 1000)))).size) == SIDE_MAX


def test_transparency_becomes_white() -> None:
    made = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    out = io.BytesIO()
    made.save(out, "PNG")
    assert opened(redrawn(out.getvalue())).getpixel((4, 4)) == (255, 255, 255)


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    "given",
    [
        b"", b"\xff\xd8\xff\xe0", SVG, b"<html><script>alert(1)</script>", b"GIF89a" + b"\0" * 40, b"%PDF-1.7\n",
        b"\0" * 999,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"PK\x03\x04" + b"\0" * 60,
    ],
    ids=["nothing", "a beginning", "svg", "html", "gif", "pdf", "zeros", "eps", "zip"],
)  # fmt: skip
def test_what_is_no_picture_of_ours_is_refused(given: bytes) -> None:
    with pytest.raises(NotAPicture):
        redrawn(given)


def test_other_formats_are_refused_though_they_could_be_read() -> None:
    for kind in ("GIF", "BMP", "TIFF", "PPM"):
        with pytest.raises(NotAPicture) as error:
            redrawn(picture(kind))
        assert error.value.why is Unfit.KIND


def test_a_picture_cut_short_is_refused() -> None:
    for kind in ("PNG", "JPEG"):
        whole = picture(kind, size=(400, 300))
        with pytest.raises(NotAPicture):
            redrawn(whole[: len(whole) // 2])


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000), (1_000_000, 51)])
def test_a_decompression_bomb_is_refused_by_what_its_head_says(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked(*_: object) -> None:
        raise AssertionError("pixels were unpacked")

    monkeypatch.setattr(pictures.ImageOps, "exif_transpose", unpacked)
    with pytest.raises(NotAPicture) as error:
        redrawn(bomb(*size))
    assert (error.value.why, error.value.limit) == (Unfit.PIXELS, 50)


def test_a_bomb_of_text_is_refused_or_comes_to_nothing() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 30_000_000, zip=True)
    given = picture("PNG", pnginfo=text)
    assert len(given) < 100_000
    try:
        assert len(redrawn(given)) < 100_000
    except NotAPicture as error:
        assert error.why is Unfit.UNREADABLE
