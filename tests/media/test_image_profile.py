"""Of an ICC profile its colours stay, to the last digit, and nothing that is written beside them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from anonymizer.media.image_profile import colors_of
from tests.media.picture_files import RGB, SRGB, inflated, round_trip, saved

SECRET = "Erika Mustermann, serial 4711-0815"
SPELLINGS = (SECRET.encode(), SECRET.encode("utf-16-be"))
PATCH = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8))
FLOAT = struct.Struct(">f")


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    places = [struct.unpack_from(">4sII", profile, 132 + 12 * number) for number in range(int.from_bytes(profile[128:132], "big"))]
    return {name: profile[at : at + size] for name, at, size in places}


def with_tags(tags: dict[bytes, bytes], base: bytes = SRGB, **header: bytes) -> bytes:
    """A profile with just these tags, each followed by what its writer has to hide, and all of the header filled."""
    table, body = b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4) + SPELLINGS[0] + bytes(-len(SECRET) % 4)
    head = bytearray(base[:128])
    head[4:8], head[24:36], head[48:56], head[80:84], head[84:128] = b"Erik", b"Erika Muster", b"Mustermn", b"Erik", SPELLINGS[0] + bytes(44 - len(SECRET))
    for place, content in {"kind": (12, 4), "space": (16, 4), "between": (20, 4), "version": (8, 4)}.items():
        if place in header:
            head[content[0] : sum(content)] = header[place]
    head[:4] = (132 + len(table) + len(body)).to_bytes(4, "big")
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def shown(profile: bytes, intent: int = 0, image: Image.Image = PATCH) -> np.ndarray:
    """The patch as a screen shows it, by LittleCMS."""
    of = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    seen = ImageCms.profileToProfile(image, of, ImageCms.createProfile("sRGB"), renderingIntent=ImageCms.Intent(intent), outputMode="RGB")
    return np.asarray(seen).astype(int)


def assert_only_colors_stay(profile: bytes, image: Image.Image = PATCH) -> bytes:
    kept = colors_of(profile)
    assert kept is not None
    for intent in range(4):
        assert np.abs(shown(profile, intent, image) - shown(kept, intent, image)).max() <= 1
    assert not any(spelling in kept for spelling in SPELLINGS)
    assert b"Erik" not in kept
    assert b"Muster" not in kept
    assert int.from_bytes(kept[:4], "big") == len(kept)
    assert colors_of(kept) == kept
    return kept


def multi(text: str) -> bytes:
    words = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"de", b"DE", len(words), 28) + words


PRIVATE = {
    b"desc": multi(SECRET),
    b"cprt": multi(SECRET),
    b"dmnd": multi(SECRET),
    b"dmdd": multi(SECRET),
    b"vued": multi(SECRET),
    b"targ": b"text\0\0\0\0" + SPELLINGS[0] + b"\0",
    b"mmod": b"mmod\0\0\0\0" + SPELLINGS[0],
    b"prVt": SPELLINGS[0],
}
FORMATS = [".jpg", ".png", ".tif", ".webp", ".avif", ".heic"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_serial_numbers_and_names_in_a_profile_do_not_leave(suffix: str, tmp_path: Path) -> None:
    profile = with_tags(tags_of(SRGB) | PRIVATE)
    source = tmp_path / f"a{suffix}"
    if suffix == ".heic":
        picture = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=RGB.tobytes())
        picture.info["icc_profile"], picture.info["icc_profile_type"] = profile, "prof"
        picture.save(source)
    else:
        saved(source, RGB, icc_profile=profile)
    assert SPELLINGS[0] in b"".join([source.read_bytes(), *inflated(source.read_bytes())])
    before, after = round_trip(source)
    written = (tmp_path / f"out{suffix}").read_bytes()
    assert not any(spelling in part for part in (written, *inflated(written)) for spelling in SPELLINGS)
    assert after.icc_profile is not None
    assert np.abs(shown(profile) - shown(after.icc_profile)).max() <= 1
    (told,) = (carrier for carrier in before.carriers if carrier.kind == "profile")
    assert (told.fate, told.detail) == ("copied", "its colours alone")


@pytest.mark.parametrize("version", [b"\x02\x40\0\0", b"\x04\x40\0\0"])
def test_matrix_profile_keeps_its_colours_alone(version: bytes) -> None:
    kept = assert_only_colors_stay(with_tags(tags_of(SRGB) | PRIVATE, version=version))
    assert set(tags_of(kept)) == {b"desc", b"cprt", b"wtpt", b"chad", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"chrm"}
    opened = ImageCms.ImageCmsProfile(io.BytesIO(kept)).profile
    assert (opened.profile_description, opened.copyright) == ("colours", "none")


def test_gray_profile_keeps_its_curve() -> None:
    gamma = b"curv\0\0\0\0" + struct.pack(">I", 1) + struct.pack(">H", 0x01C0) + SPELLINGS[0]
    kept = assert_only_colors_stay(with_tags({**PRIVATE, b"wtpt": tags_of(SRGB)[b"wtpt"], b"kTRC": gamma}, space=b"GRAY"), PATCH.convert("L"))
    assert tags_of(kept)[b"kTRC"] == gamma[:14]


def numbers(count: int, kind: str = "H", seed: int = 1) -> bytes:
    random = np.random.default_rng(seed)
    return bytes(random.integers(0, 256, count, np.uint8)) if kind == "B" else random.integers(0, 65536, count).astype(">u2").tobytes()


def ramp(count: int) -> bytes:
    return np.linspace(0, 65535, count).astype(">u2").tobytes()


def table_8() -> bytes:
    steps = bytes(range(256))
    return b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + steps * 3 + numbers(24, "B") + steps * 3


def table_16() -> bytes:
    head = b"mft2\0\0\0\0" + bytes([3, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536) + struct.pack(">HH", 4, 3)
    return head + ramp(4) * 3 + numbers(24) + ramp(3) * 3


def table_of_curves() -> bytes:
    """lutAToBType with all five parts, and a secret between every two of them."""
    gap = SPELLINGS[0] + bytes(-len(SECRET) % 4)
    para = b"para\0\0\0\0\0\0Er" + struct.pack(">i", 60000)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 3) + ramp(3) + b"Er"
    matrix = struct.pack(">12i", 60000, 1000, 0, 0, 60000, 0, 0, 500, 60000, 100, 200, 300)
    table = bytes([2, 2, 2]) + b"Erika Musterm" + b"\2Eri" + numbers(24)
    body, places = b"", []
    for part in (curve * 3, matrix, para * 3, table, curve * 3):
        body += gap
        places.append(32 + len(body))
        body += part
    return b"mAB Erik" + bytes([3, 3]) + b"Er" + struct.pack(">5I", *places) + body


def elements() -> bytes:
    """multiProcessElementsType: curves of two segments, a table, a matrix."""
    floats = [FLOAT.pack(value) for value in (1.0, 1.0, 0.0, 0.0)]
    low, samples = b"parf\0\0\0\0" + b"\0\0Er" + b"".join(floats), b"samf\0\0\0\0" + struct.pack(">I", 2) + FLOAT.pack(0.8) + FLOAT.pack(0.9)
    high = b"parf\0\0\0\0" + b"\0\0Er" + b"".join(FLOAT.pack(value) for value in (1.0, 0.0, 0.0, 0.9))
    curve = b"curfErik" + b"\0\3Er" + FLOAT.pack(0.5) + FLOAT.pack(1.0) + low + samples + high
    curve += bytes(-len(curve) % 4)
    gap = SPELLINGS[0] + bytes(-len(SECRET) % 4)
    first = 12 + 24 + len(gap)
    curves = b"cvstErik" + struct.pack(">HH", 3, 3) + b"".join(struct.pack(">II", first + n * len(curve), len(curve)) for n in range(3)) + gap + curve * 3
    values = np.random.default_rng(3).uniform(0, 0.9, 24).astype(">f4").tobytes()
    table = b"clutErik" + struct.pack(">HH", 3, 3) + bytes([2, 2, 2]) + b"Erika Musterm" + values
    matrix = b"matfErik" + struct.pack(">HH", 3, 3) + np.float32([0.9, 0.1, 0, 0, 0.9, 0.1, 0, 0, 0.9, 0.01, 0, 0.02]).astype(">f4").tobytes()
    body, places = b"", []
    for part in (curves, table, matrix):
        body += gap
        places += [16 + 24 + len(body), len(part)]
        body += part
    return b"mpetErik" + struct.pack(">HHI", 3, 3, 3) + struct.pack(">6I", *places) + body


TABLES = [
    pytest.param({b"A2B0": table_8() + SPELLINGS[0]}, b"Lab ", id="lut8"),
    pytest.param({b"A2B0": table_16() + SPELLINGS[0], b"A2B1": table_16()}, b"Lab ", id="lut16"),
    pytest.param({b"A2B0": table_of_curves()}, b"Lab ", id="lutAToB"),
    pytest.param({b"A2B0": table_16(), b"D2B0": elements()}, b"XYZ ", id="multi-process-elements"),
]


@pytest.mark.parametrize(("tables", "between"), TABLES)
def test_table_profile_keeps_its_colours_alone(tables: dict[bytes, bytes], between: bytes) -> None:
    profile = with_tags({**PRIVATE, b"wtpt": tags_of(SRGB)[b"wtpt"], **tables}, between=between)
    kept = assert_only_colors_stay(profile)
    assert set(tables) <= set(tags_of(kept))
    # Each of the tables counts: without it colours are others, so that it is not left out of the comparison.
    assert np.abs(shown(kept) - shown(SRGB)).max() > 20
    if b"D2B0" in tables:
        without = with_tags({name: content for name, content in tags_of(kept).items() if name != b"D2B0"}, kept)
        assert np.abs(shown(kept) - shown(without)).max() > 20


def test_to_device_tables_stay_too() -> None:
    backwards = b"mBA " + table_of_curves()[4:]
    kept = colors_of(with_tags({**tags_of(SRGB), b"B2A0": backwards, b"gamt": table_16()}))
    assert kept is not None
    assert {b"B2A0", b"gamt"} <= set(tags_of(kept))
    assert not any(spelling in kept for spelling in SPELLINGS)


def cut(name: bytes, size: int) -> Callable[[], bytes]:
    return lambda: with_tags(tags_of(SRGB) | {name: tags_of(SRGB)[name][:size]})


def without(name: bytes) -> Callable[[], bytes]:
    return lambda: with_tags({other: content for other, content in tags_of(SRGB).items() if other != name})


BROKEN = [
    pytest.param(lambda: SRGB[:200], id="cut-in-the-table"),
    pytest.param(lambda: SRGB[:-1], id="cut-at-the-end"),
    pytest.param(cut(b"rTRC", 11), id="a-curve-cut"),
    pytest.param(cut(b"rXYZ", 19), id="a-colour-cut"),
    pytest.param(without(b"gTRC"), id="a-curve-missing"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"rTRC": b"text\0\0\0\0" + SPELLINGS[0]}), id="words-for-a-curve"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"A2B0": b"mft2\0\0\0\0" + bytes([255, 255, 255, 0]) + bytes(60)}), id="a-table-larger-than-all"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"A2B0": b"mAB \0\0\0\0" + bytes([255, 255]) + b"\0\0" + b"\xff" * 20}), id="curves-out-of-sight"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"D2B0": b"mpet\0\0\0\0\0\3\0\3\xff\xff\xff\xff"}), id="elements-without-end"),
    pytest.param(lambda: with_tags(tags_of(SRGB), kind=b"link"), id="a-profile-between-profiles"),
    pytest.param(lambda: with_tags(tags_of(SRGB), version=b"\x05\0\0\0"), id="a-version-to-come"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"big%d" % number: bytes(600_000) for number in range(8)}), id="larger-than-any"),
    pytest.param(lambda: with_tags(tags_of(SRGB) | {b"%04d" % number: b"" for number in range(100)}), id="too-many-tags"),
]


@pytest.mark.parametrize("make", BROKEN)
def test_profile_that_cannot_be_read_is_dropped_and_the_report_says_so(make: Callable[[], bytes], tmp_path: Path) -> None:
    assert colors_of(make()) is None
    before, after = round_trip(saved(tmp_path / "a.tif", RGB, icc_profile=make()))
    assert (before.icc_profile, after.icc_profile) == (None, None)
    assert "ICC profile dropped: it cannot be read as one" in before.notes
    assert [carrier.fate for carrier in before.carriers if carrier.kind == "profile"] == ["dropped"]


@given(data=st.data())
def test_damaged_profiles_are_read_or_refused_and_never_more(data: st.DataObject) -> None:
    profile = bytearray(with_tags({**tags_of(SRGB), b"A2B0": table_of_curves(), b"A2B1": table_16(), b"D2B0": elements()}))
    for _ in range(data.draw(st.integers(1, 8))):
        profile[data.draw(st.integers(0, len(profile) - 1))] = data.draw(st.integers(0, 255))
    kept = colors_of(bytes(profile))
    assert kept is None or (len(kept) <= len(profile) + 200 and colors_of(kept) == kept)
