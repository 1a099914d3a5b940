"""Still pictures: every format, every orientation, every depth, read and written again."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anonymizer.media.image_profile import colors_of
from anonymizer.media.image_writing import check_written, write_image
from anonymizer.media.images import StillImage, read_image
from anonymizer.types import Region
from tests.conftest import draw_picture
from tests.media.picture_files import DEEP, DEEP_RGBA, RGB, RGBA, SRGB, deep, heic, round_trip, saved, seal_all

EXACT = [
    pytest.param("a.png", lambda p: saved(p, RGB), "rgb24", id="png"),
    pytest.param("a.png", lambda p: saved(p, RGBA), "rgba", id="png-alpha"),
    pytest.param("a.png", lambda p: saved(p, Image.fromarray(RGB).convert("L")), "gray", id="png-gray"),
    pytest.param("a.png", lambda p: saved(p, Image.fromarray(RGBA).convert("LA")), "rgba", id="png-gray-alpha"),
    pytest.param("a.png", lambda p: saved(p, Image.fromarray(RGB).convert("1")), "gray", id="png-one-bit"),
    pytest.param("a.png", lambda p: saved(p, Image.fromarray(RGB).quantize(16)), "rgb24", id="png-palette"),
    pytest.param("a.png", lambda p: saved(p, Image.fromarray(RGB).quantize(16), transparency=3), "rgba", id="png-palette-transparent"),
    pytest.param("a.png", lambda p: saved(p, RGB, transparency=(90, 90, 90)), "rgba", id="png-colour-key"),
    pytest.param("a.png", lambda p: deep(p, DEEP[..., 0]), "gray16le", id="png-gray-16-bit"),
    pytest.param("a.png", lambda p: deep(p, DEEP), "rgb48le", id="png-16-bit"),
    pytest.param("a.png", lambda p: deep(p, DEEP_RGBA), "rgba64le", id="png-16-bit-alpha"),
    pytest.param("a.webp", lambda p: saved(p, RGB, lossless=True), "rgb24", id="webp-lossless"),
    pytest.param("a.webp", lambda p: saved(p, RGBA, lossless=True, exact=True), "rgba", id="webp-lossless-alpha"),
    pytest.param("a.bmp", lambda p: saved(p, RGB), "rgb24", id="bmp"),
    pytest.param("a.bmp", lambda p: saved(p, Image.fromarray(RGB).convert("L")), "gray", id="bmp-gray"),
    pytest.param("a.gif", lambda p: saved(p, Image.fromarray(RGB).quantize(16)), "rgb24", id="gif"),
    pytest.param("a.tif", lambda p: saved(p, RGB), "rgb24", id="tiff-raw"),
    pytest.param("a.tif", lambda p: saved(p, RGB, compression="tiff_lzw"), "rgb24", id="tiff-lzw"),
    pytest.param("a.tif", lambda p: saved(p, RGB, big_tiff=True), "rgb24", id="tiff-big"),
    pytest.param("a.tif", lambda p: saved(p, Image.fromarray(RGB).convert("1"), compression="group4"), "gray", id="tiff-fax"),
    pytest.param("a.tiff", lambda p: deep(p, DEEP[..., 0]), "gray16le", id="tiff-gray-16-bit"),
    pytest.param("a.tiff", lambda p: deep(p, DEEP), "rgb48le", id="tiff-16-bit"),
    pytest.param("a.tiff", lambda p: deep(p, DEEP_RGBA), "rgba64le", id="tiff-16-bit-alpha"),
]


@pytest.mark.parametrize(("name", "make", "pixel_format"), EXACT)
def test_lossless_picture_keeps_every_pixel_and_its_depth(name: str, make: Callable[[Path], Path], pixel_format: str, tmp_path: Path) -> None:
    before, after = round_trip(make(tmp_path / name))
    assert (before.frame.pixel_format, after.format) == (pixel_format, before.format)
    assert np.array_equal(before.frame.planes[0], after.frame.planes[0])
    assert not before.frame.planes[0].flags.writeable


CLOSE = [
    pytest.param("a.jpg", lambda p: saved(p, RGB, quality=90, subsampling=2), "rgb24", id="jpeg-420"),
    pytest.param("a.jpg", lambda p: saved(p, RGB, quality=60, subsampling=1), "rgb24", id="jpeg-422"),
    pytest.param("a.jpeg", lambda p: saved(p, RGB, quality=90, subsampling=0, progressive=True), "rgb24", id="jpeg-444-progressive"),
    pytest.param("a.jpg", lambda p: saved(p, Image.fromarray(RGB).convert("L"), quality=80), "gray", id="jpeg-gray"),
    pytest.param("a.webp", lambda p: saved(p, RGB, quality=90), "rgb24", id="webp"),
    pytest.param("a.webp", lambda p: saved(p, RGBA, quality=90), "rgba", id="webp-alpha"),
    pytest.param("a.avif", lambda p: saved(p, RGB, quality=90, subsampling="4:4:4"), "rgb24", id="avif"),
    pytest.param("a.avif", lambda p: saved(p, RGBA, quality=90), "rgba", id="avif-alpha"),
    pytest.param("a.heic", lambda p: heic(p, "RGB", RGB, quality=90), "rgb24", id="heic"),
    pytest.param("a.heic", lambda p: heic(p, "RGBA", RGBA, quality=90), "rgba", id="heic-alpha"),
    pytest.param("a.heic", lambda p: heic(p, "L", RGB[..., 0].copy(), quality=90), "gray", id="heic-gray"),
    pytest.param("a.heic", lambda p: heic(p, "RGB;16", DEEP, quality=90), "rgb48le", id="heic-10-bit"),
]


@pytest.mark.parametrize(("name", "make", "pixel_format"), CLOSE)
def test_lossy_picture_stays_close_to_its_source(name: str, make: Callable[[Path], Path], pixel_format: str, tmp_path: Path) -> None:
    before, after = round_trip(make(tmp_path / name))
    assert (before.frame.pixel_format, after.frame.pixel_format, after.format) == (pixel_format, pixel_format, before.format)
    scale = 257 if before.frame.planes[0].dtype == np.uint16 else 1
    assert np.abs(before.frame.planes[0].astype(np.float64) - after.frame.planes[0]).mean() / scale < 2.5


def test_jpeg_keeps_its_tables_and_subsampling(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", RGB, quality=71, subsampling=1)
    round_trip(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "out.jpg") as after:
        assert before.quantization == after.quantization  # type: ignore[attr-defined]
        assert before.layer == after.layer  # type: ignore[attr-defined]


def test_jpeg_quality_can_be_asked_for(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", RGB, quality=95)
    round_trip(tmp_path / "a.jpg", jpeg_quality=30)
    assert (tmp_path / "out.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_orientation_is_applied_and_not_written(suffix: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    before, after = round_trip(saved(tmp_path / f"a{suffix}", RGB, exif=exif, **({"quality": 95} if suffix in (".jpg", ".webp", ".avif") else {})))
    assert before.size_wh == after.size_wh == ((40, 30) if orientation < 5 else (30, 40))
    with Image.open(tmp_path / f"out{suffix}") as written:
        assert written.getexif().get(0x0112, 1) == 1
    expected = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1), 6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(RGB),
    }[orientation]  # fmt: skip
    assert np.abs(after.frame.planes[0].astype(int) - expected).mean() < 4


def test_orientation_of_16_bit_tiff_is_applied_once(tmp_path: Path) -> None:
    source = deep(tmp_path / "plain.tiff", DEEP)
    still = read_image(source)
    with Image.open(source) as plain:  # The same strip under a directory that says "turn me".
        tags = dict(plain.tag_v2)  # type: ignore[attr-defined]
    data = bytearray(source.read_bytes())
    entry = data.find((339).to_bytes(2, "little") + (3).to_bytes(2, "little"))  # sample format, not needed here
    assert entry > 0
    assert 339 in tags
    data[entry : entry + 12] = (274).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little") + (6).to_bytes(4, "little")
    (tmp_path / "turned.tiff").write_bytes(data)
    turned = read_image(tmp_path / "turned.tiff")
    assert turned.frame.pixel_format == "rgb48le"
    assert np.array_equal(turned.frame.planes[0], np.rot90(still.frame.planes[0], -1))


def test_nonsense_orientation_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert read_image(saved(tmp_path / "a.jpg", RGB, exif=exif)).size_wh == (40, 30)


def test_cmyk_is_written_as_rgb_with_a_note(tmp_path: Path) -> None:
    before, after = round_trip(saved(tmp_path / "a.jpg", Image.fromarray(RGB).convert("CMYK"), quality=95))
    assert (before.frame.pixel_format, after.frame.pixel_format) == ("rgb24", "rgb24")
    assert any("CMYK" in note for note in before.notes)
    assert np.abs(after.frame.planes[0].astype(int) - RGB).mean() < 4


def test_icc_profile_and_resolution_stay(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif"):
        _, after = round_trip(saved(tmp_path / f"a{suffix}", RGB, icc_profile=SRGB, dpi=(300, 300)))
        assert after.icc_profile == colors_of(SRGB)
        assert after.dpi == pytest.approx((300, 300), abs=0.1)
    for name, make in (("a.webp", lambda p: saved(p, RGB, icc_profile=SRGB)), ("a.avif", lambda p: saved(p, RGB, icc_profile=SRGB))):
        assert round_trip(make(tmp_path / name))[1].icc_profile == colors_of(SRGB)
    deep_source = read_image(deep(tmp_path / "a.png", DEEP))
    for name in ("deep.png", "deep.tiff"):
        with_profile = StillImage(tmp_path / name, "PNG" if "png" in name else "TIFF", deep_source.frames, icc_profile=SRGB, dpi=(300, 300))
        write_image(tmp_path / name, seal_all(with_profile), with_profile)
        check_written(tmp_path / name, with_profile)
        assert (read_image(tmp_path / name).icc_profile, read_image(tmp_path / name).frame.pixel_format) == (colors_of(SRGB), "rgb48le")


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", SRGB[:100], SRGB[:16] + b"CMYK" + SRGB[20:], SRGB.replace(b"acsp", b"face")],
    ids=["text", "cut", "of another color space", "without its signature"],
)
def test_icc_profile_that_is_none_is_dropped(profile: bytes, tmp_path: Path) -> None:
    before, after = round_trip(saved(tmp_path / "a.png", RGB, icc_profile=profile))
    assert (before.icc_profile, after.icc_profile) == (None, None)
    assert any(carrier.fate == "dropped" and carrier.kind == "profile" for carrier in before.carriers)


def test_bytes_behind_an_icc_profile_are_cut_off(tmp_path: Path) -> None:
    assert round_trip(saved(tmp_path / "a.png", RGB, icc_profile=SRGB + b"home address"))[1].icc_profile == colors_of(SRGB)


def test_png_colour_chunks_stay(tmp_path: Path) -> None:
    info = PngInfo()
    info.add(b"gAMA", (100000).to_bytes(4, "big"))
    saved(tmp_path / "a.png", RGB, pnginfo=info)
    round_trip(tmp_path / "a.png")
    with Image.open(tmp_path / "out.png") as written:
        assert written.info["gamma"] == 1.0


ANIMATED = [
    pytest.param("a.gif", {"duration": [40, 80, 120], "loop": 0}, id="gif"),
    pytest.param("a.png", {"duration": [40, 80, 120], "loop": 3}, id="apng"),
    pytest.param("a.webp", {"duration": [40, 80, 120], "loop": 2, "lossless": True}, id="webp"),
    pytest.param("a.avif", {"duration": [40, 80, 120]}, id="avif"),
]


@pytest.mark.parametrize(("name", "options"), ANIMATED)
def test_every_frame_of_an_animation_is_read_and_covered(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    pictures = [Image.fromarray(draw_picture(index * 4, (40, 30))) for index in range(3)]
    saved(tmp_path / name, pictures[0], save_all=True, append_images=pictures[1:], **options)
    before, after = round_trip(tmp_path / name, Region("zone", "box", (0, 0, 16, 30)))
    assert before.animated
    assert [frame.duration for frame in before.frames] == [frame.duration for frame in after.frames] == [40, 80, 120]
    assert [frame.pts for frame in before.frames] == [0, 40, 120]
    assert after.saving["loop"] == before.saving["loop"]
    for frame, covered in zip(before.frames, after.frames, strict=True):
        one, other = frame.planes[0].astype(int), covered.planes[0].astype(int)
        assert np.abs(one - other)[:, :14, :3].mean() > 4
        assert np.abs(one - other)[:, 24:, :3].mean() < 9


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_what_is_transparent_in_an_animation_shows_nothing_of_the_frames_before(name: str, tmp_path: Path) -> None:
    pictures = [np.zeros((30, 40, 4), np.uint8) for _ in range(4)]
    for index, picture in enumerate(pictures):
        picture[8:16, 8 * index : 8 * index + 8] = (255, 40 * index, 0, 255)
        picture[11, 8 * index + 3] = 0
    options = {"lossless": True} if name == "a.webp" else {"disposal": 2} if name == "a.gif" else {"disposal": 1, "blend": 0}
    saved(tmp_path / name, pictures[0], save_all=True, append_images=[Image.fromarray(picture) for picture in pictures[1:]], duration=100, **options)
    before, after = round_trip(tmp_path / name)
    for one, other in zip(before.frames, after.frames, strict=True):
        assert np.array_equal(one.planes[0][..., 3], other.planes[0][..., 3])


def test_a_default_image_takes_no_time_from_the_animation(tmp_path: Path) -> None:
    pictures = [Image.fromarray(draw_picture(index * 4, (40, 30))) for index in range(4)]
    saved(tmp_path / "a.png", pictures[0], save_all=True, default_image=True, append_images=pictures[1:], duration=[100, 60, 80])
    before, after = round_trip(tmp_path / "a.png")
    assert [frame.duration for frame in before.frames] == [frame.duration for frame in after.frames] == [0, 100, 60, 80]


def test_moments_that_are_alike_are_joined_and_counted(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.gif"), "w") as container:  # Pillow joins them itself.
        stream = container.add_stream("gif", rate=10, width=40, height=30)
        stream.pix_fmt = "rgb8"
        for index in (0, 0, 0, 8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw_picture(index, (40, 30)), format="rgb24").reformat(format="rgb8")))
        container.mux(stream.encode(None))
    still = read_image(tmp_path / "a.gif")
    write_image(tmp_path / "out.gif", seal_all(still), still)
    assert check_written(tmp_path / "out.gif", still)[1] == ("2 of 4 frames look like the one before and were joined with it, which is shown for as long",)
    assert [frame.duration for frame in read_image(tmp_path / "out.gif").frames] == [300, 100]


def test_times_between_milliseconds_are_said_to_be_rounded(tmp_path: Path) -> None:
    pictures = [Image.fromarray(draw_picture(index * 4, (40, 30))) for index in range(2)]
    path = saved(tmp_path / "a.png", pictures[0], save_all=True, append_images=pictures[1:], duration=40)
    assert read_image(path).notes == ()
    data, frame_control = path.read_bytes(), b"fcTL"
    while frame_control in data:  # 1 of 30 seconds, as FFmpeg writes it; `seen` marks what has been changed.
        at = data.index(frame_control)
        chunk = b"seen" + data[at + 4 : at + 24] + (1).to_bytes(2, "big") + (30).to_bytes(2, "big") + data[at + 28 : at + 30]
        data = data[:at] + chunk + zlib.crc32(b"fcTL" + chunk[4:]).to_bytes(4, "big") + data[at + 34 :]
    path.write_bytes(data.replace(b"seen", frame_control))
    still = read_image(path)
    assert [frame.duration for frame in still.frames] == [33, 33]
    assert still.notes == ("frames are timed in whole milliseconds, which the source's are not",)


def test_a_negative_of_16_bits_is_written_as_what_it_shows(tmp_path: Path) -> None:
    gray = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40) * 50
    saved(tmp_path / "a.tif", gray, tiffinfo={262: 0})
    before, after = round_trip(tmp_path / "a.tif")
    assert np.array_equal(before.frame.planes[0], 65535 - gray)
    assert np.array_equal(after.frame.planes[0], 65535 - gray)


def test_bits_that_cannot_be_kept_are_said(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avif"), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=1, width=64, height=64, options={"preset": "12"})
        stream.pix_fmt = "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(draw_picture(0, (64, 64)), format="rgb24").reformat(format="yuv420p10le")
        container.mux(stream.encode(frame) + stream.encode(None))
    assert read_image(tmp_path / "a.avif").notes == ("written with 8 bits a sample: more of an AVIF cannot be read",)


def test_pages_of_a_tiff_are_all_read_and_written_in_their_sizes(tmp_path: Path) -> None:
    pages = [Image.fromarray(draw_picture(0, size_wh)) for size_wh in ((40, 30), (20, 50))]
    saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    before, after = round_trip(tmp_path / "a.tif")
    assert not before.animated
    assert [frame.size_wh for frame in after.frames] == [(40, 30), (20, 50)]


def test_second_picture_of_an_mpo_is_left_behind_and_listed(tmp_path: Path) -> None:
    with open(tmp_path / "a.jpg", "wb") as file:
        Image.fromarray(RGB).save(file, format="MPO", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    before, after = round_trip(tmp_path / "a.jpg")
    assert len(before.frames) == len(after.frames) == 1
    assert {carrier.kind for carrier in before.carriers} == {"picture"}
    assert after.carriers == ()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_covered_pixels_leave_no_trace_in_the_file(suffix: str, tmp_path: Path) -> None:
    """Pictures that differ only under the cover give the same bytes."""
    written = []
    for number, shade in enumerate((0, 255)):
        pixels = DEEP.copy()
        pixels[10:20, 10:20] = shade
        source = deep(tmp_path / f"{number}{suffix}", pixels)
        still = read_image(source)
        target = tmp_path / f"out{number}{suffix}"
        write_image(target, seal_all(still, Region("face", "box", (9, 9, 21, 21))), still)
        written.append(target.read_bytes())
    assert written[0] == written[1]


def test_alpha_is_opaque_where_covered_and_kept_elsewhere(tmp_path: Path) -> None:
    _, after = round_trip(saved(tmp_path / "a.png", RGBA), Region("face", "box", (0, 0, 10, 10)))
    alpha = after.frame.planes[0][..., 3]
    assert (alpha[:10, :10] == 255).all()
    assert np.array_equal(alpha[20:], RGBA[20:, :, 3])
