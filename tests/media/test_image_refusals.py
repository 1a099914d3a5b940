"""Pictures that are none, are cut off or too large, and outputs that must not be: refused in words, nothing guessed."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from anonymizer.config import load_config
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, SourceError, TargetError
from anonymizer.media import images
from anonymizer.media.image_writing import check_written, target_format, write_image
from anonymizer.media.images import is_image, read_image
from tests.conftest import draw_picture
from tests.media.picture_files import RGB, RGBA, heic, saved, seal_all

BROKEN = [
    pytest.param("a.jpg", b"", "no bytes", id="empty"),
    pytest.param("a.jpg", b"this is text\n" * 9, "not a picture", id="text"),
    pytest.param("a.png", b"\x89PNG\r\n\x1a\n", "damaged", id="png-signature-alone"),
    pytest.param("a.jpg", b"\xff\xd8\xff\xe0", "damaged", id="jpeg-start-alone"),
    pytest.param("a.tif", b"II*\0\x08\0\0\0\xff\xff", "damaged", id="tiff-directory-cut"),
    pytest.param("a.gif", b"GIF89a", "damaged", id="gif-start-alone"),
    pytest.param("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "damaged", id="webp-start-alone"),
    pytest.param("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "damaged", id="heic-start-alone"),
    pytest.param("a.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "damaged", id="avif-start-alone"),
    pytest.param("a.bmp", b"BM" + bytes(12) + (40).to_bytes(4, "little") + bytes(40), "damaged", id="bmp-without-size"),
    pytest.param("a.dng", b"II*\0", "not a picture", id="camera-raw"),
]


@pytest.mark.parametrize(("name", "content", "words"), BROKEN)
def test_what_is_no_picture_is_refused_in_words(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_image(tmp_path / name)
    with pytest.raises(SourceError, match=words) as caught:
        read_image(tmp_path / name)
    assert caught.value.problem.startswith(name + ": ")
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".heic", ".avif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_picture_cut_off_is_refused(suffix: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # A host program's choice must not become ours.
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a{suffix}"
    heic(path, "RGB", noise) if suffix == ".heic" else saved(path, noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(SourceError, match=f"a{suffix}: "):
        read_image(path)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_missing_picture_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.png: cannot be read \(No such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(SourceError, match="cannot be read"):
        read_image(tmp_path)


def test_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (16, 16)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.png: 60000x60000 is more than 256 million pixels"):
        read_image(tmp_path / "a.png")


def test_pages_count_together_against_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [Image.fromarray(draw_picture(index * 4, (40, 30))) for index in range(3)]
    saved(tmp_path / "a.gif", pictures[0], save_all=True, append_images=pictures[1:])
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30 * 3 - 1)
    with pytest.raises(SourceError, match="40x30 in 3 pages or frames"):
        read_image(tmp_path / "a.gif")


@pytest.mark.parametrize("mode", ["F", "I"])
def test_float_and_32_bit_pixels_are_refused(mode: str, tmp_path: Path) -> None:
    saved(tmp_path / "a.tif", Image.fromarray(RGB[..., 0].astype(np.float32 if mode == "F" else np.int32) * 70000))
    with pytest.raises(SourceError, match=f"pixels of the kind {mode}"):
        read_image(tmp_path / "a.tif")


def test_picture_is_known_by_its_content(tmp_path: Path) -> None:
    saved(tmp_path / "a.jpg", RGB).rename(tmp_path / "picture.dat")
    (tmp_path / "movie.jpg").write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomavc1")
    (tmp_path / "clip.avi").write_bytes(b"RIFF\x10\0\0\0AVI LIST")
    saved(tmp_path / "b.jpg", RGB).rename(tmp_path / "stream.mjpeg")
    found = {name: is_image(tmp_path / name) for name in ("picture.dat", "movie.jpg", "clip.avi", "stream.mjpeg", "missing.png", "missing.mp4")}
    assert found == {"picture.dat": True, "movie.jpg": False, "clip.avi": False, "stream.mjpeg": False, "missing.png": True, "missing.mp4": False}


def test_only_sealed_frames_are_written(tmp_path: Path) -> None:
    still = read_image(saved(tmp_path / "a.png", RGB))
    for wrong in ([still.frame], [RGB]):
        with pytest.raises(TypeError):
            write_image(tmp_path / "out.png", wrong, still)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not those of the picture"):
        write_image(tmp_path / "out.png", [], still)
    assert not (tmp_path / "out.png").exists()


def test_target_suffix_chooses_the_format(tmp_path: Path) -> None:
    still = read_image(saved(tmp_path / "a.png", RGBA))
    assert [target_format(still, Path(name)) for name in ("b.png", "b.JPG", "b.tif")] == ["PNG", "JPEG", "TIFF"]
    with pytest.raises(ConfigError, match=r"b\.mp4: not the name of a picture"):
        target_format(still, Path("b.mp4"))
    notes = write_image(tmp_path / "b.jpg", seal_all(still), still, format="JPEG")
    assert notes == ("transparency was replaced by white: jpg has none",)
    check_written(tmp_path / "b.jpg", still)


def test_misnamed_picture_keeps_its_real_format(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", RGB).rename(tmp_path / "a.jpg")
    still = read_image(tmp_path / "a.jpg")
    assert target_format(still, tmp_path / "out.jpg") == "PNG"


def test_animation_does_not_fit_into_jpeg(tmp_path: Path) -> None:
    pictures = [Image.fromarray(draw_picture(index * 4, (40, 30))) for index in range(3)]
    still = read_image(saved(tmp_path / "a.gif", pictures[0], save_all=True, append_images=pictures[1:]))
    with pytest.raises(ConfigError, match="do not fit into jpeg"):
        write_image(tmp_path / "b.jpg", seal_all(still), still, format="JPEG")


def test_unwritable_target_is_said_in_words(tmp_path: Path) -> None:
    still = read_image(saved(tmp_path / "a.png", RGB))
    with pytest.raises(TargetError, match=r"a\.png: cannot be written as png \(No such file"):
        write_image(tmp_path / "missing" / "b.png", seal_all(still), still)


def test_check_refuses_a_written_picture_that_is_not_clean(tmp_path: Path) -> None:
    still = read_image(saved(tmp_path / "a.png", RGB))
    saved(tmp_path / "tagged.jpg", RGB, comment=b"me")
    with pytest.raises(TargetError, match="would hold comment"):
        check_written(tmp_path / "tagged.jpg", still)
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:-40])
    with pytest.raises(TargetError, match="cannot be read again"):
        check_written(tmp_path / "cut.png", still)
    saved(tmp_path / "small.png", RGB[:20])
    with pytest.raises(TargetError, match="pictures of"):
        check_written(tmp_path / "small.png", still)


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "endless-device"])
def test_what_is_no_file_is_refused_at_once(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"^a\.png: cannot be read \((is not a regular file|Is a directory)\)"):
        read_image(tmp_path / "a.png")
    with pytest.raises(SourceError, match=r"^a\.png: "):
        Equipment.of(load_config({"detect": "none", "zones": ["0,0,9,9"], "effect.kind": "image", "effect.image": str(tmp_path / "a.png")}).config)
    assert is_image(tmp_path / "a.png")  # By its name: nobody has waited for its content.
