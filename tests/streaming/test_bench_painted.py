"""The bench's own promises: what is painted can be read back, and the scanner finds all of it and nothing else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from anonymizer.redaction import Effect, seal_frame
from anonymizer.types import Decision, Frame, Region
from tests.streaming.bench.coded import Codec, Coding, PaintedEncoder, write_painted
from tests.streaming.bench.painted import CANVAS_WH, COUNTER_BITS, Painter, counter_of, secret_boxes, secrets_at
from tests.streaming.bench.scan import READABLE_ROWS, Seen, luma_of, raw_rows, readable_secrets, scan_file, scan_folder, stale


def decoded(coding: Coding, counters: range) -> list[tuple[int, np.ndarray]]:
    """Painted, coded and decoded again: counter and luma."""
    encoder, decoder = PaintedEncoder(coding), av.CodecContext.create(coding.codec, "r")
    decoder.thread_count = 1
    found: list[tuple[int, np.ndarray]] = []
    for counter in counters:
        packet = av.Packet(b"".join(b"\0\0\0\1" + nal for nal in encoder.encode(counter).nals))
        packet.pts = counter
        found += [(frame.pts or 0, luma_of(frame)) for frame in decoder.decode(packet)]
    found += [(frame.pts or 0, luma_of(frame)) for frame in decoder.decode(None)]
    return found


@pytest.mark.parametrize("size_wh", [(640, 360), (320, 180), (480, 360)])
@pytest.mark.parametrize("crf", [30, 40])
def test_counter_survives_the_coder(size_wh: tuple[int, int], crf: int) -> None:
    frames = decoded(Coding(size_wh=size_wh, crf=crf), range(1000, 1040))
    assert len(frames) == 40
    assert all(counter_of(luma) == counter for counter, luma in frames)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_counter_survives_either_codec(codec: Codec) -> None:
    assert all(counter_of(luma) == counter for counter, luma in decoded(Coding(codec=codec, crf=30), range(60)))


@pytest.mark.parametrize("counter", [0, 1, 255, 65_537, (1 << COUNTER_BITS) - 1])
def test_counter_can_be_read_at_half_size(counter: int) -> None:
    luma = Painter().paint(counter)[: CANVAS_WH[1]]
    assert counter_of(np.asarray(cv2.resize(luma, (320, 180), interpolation=cv2.INTER_AREA), np.uint8)) == counter


def test_no_counter_is_read_where_there_is_none() -> None:
    dice = np.random.default_rng(5)
    grey = np.full((360, 640), 90, np.uint8)
    assert counter_of(grey) is None
    assert all(counter_of(dice.integers(0, 256, (360, 640), dtype=np.uint8)) is None for _ in range(50))
    torn = Painter().paint(7)[:360].copy()
    torn[:26, 65:78] = 128
    assert counter_of(torn) is None


def is_readable_part(box: tuple[float, float, float, float]) -> bool:
    """Whether at least four fifths of a disc are in the picture, so that its code is."""
    return (box[2] - box[0]) / (box[3] - box[1]) > 0.9 and (box[3] - box[1]) / (box[2] - box[0]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("crf", [23, 30])
def test_scanner_finds_every_bare_secret(crf: int) -> None:
    bare = 0
    for counter, luma in decoded(Coding(crf=crf), range(200)):
        expected = sum(is_readable_part(box) for box in secret_boxes(counter))
        in_place = [one for one in readable_secrets(luma, counter) if one.is_in_place]
        assert len(in_place) >= expected, f"frame {counter}"
        assert bool(readable_secrets(luma)) or not expected, f"frame {counter}, without its counter"
        bare += expected
    assert bare > 200


def test_scanner_is_still_where_there_is_no_secret() -> None:
    for counter, luma in decoded(Coding(secrets=False), range(0, 60)):
        assert not readable_secrets(luma, counter, halves=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["blur", "pixelate", "solid"])
def test_scanner_is_still_where_secrets_are_sealed(kind: str) -> None:
    painter, effect = Painter(), Effect(kind)
    for counter in range(0, 400, 2):
        planes = painter.paint(counter)
        parts = planes[:360], planes[360:450].reshape(180, 320), planes[450:].reshape(180, 320)
        for part in parts:
            part.flags.writeable = False
        regions = tuple(Region("face", "ellipse", secret.xyxy) for secret in secrets_at(counter))
        sealed = seal_frame(Frame(0, 0, Fraction(1, 25), "yuv420p", parts), Decision(0, regions), effect)
        luma = np.asarray(sealed.frame.planes[0])
        assert counter_of(luma) == counter
        assert not readable_secrets(luma, counter, halves=counter % 20 == 0), f"frame {counter}"


def test_scanner_sees_half_a_secret_elsewhere() -> None:
    bare, clean = Painter().paint(30)[:360], Painter(secrets=False).paint(30)[:360].copy()
    left, top, right, bottom = (int(edge) for edge in secret_boxes(30)[0])
    half = bare[top : (top + bottom) // 2, left:right]
    clean[250 : 250 + half.shape[0], 40 : 40 + half.shape[1]] = half
    assert readable_secrets(clean, halves=True)


def test_secrets_move_jump_and_come_over_the_edges() -> None:
    kinds = {tuple(secret.code_side for secret in secrets_at(counter)) for counter in range(2000)}
    assert () in kinds and any(len(kind) == 3 for kind in kinds)  # noqa: PT018  # two ends of one thing
    boxes = [box for counter in range(2000) for box in secret_boxes(counter)]
    assert all(0 <= left < right <= 640 and 26 < top < bottom <= 360 for left, top, right, bottom in boxes)
    assert any(right == 640 for _, _, right, _ in boxes)
    assert any(bottom == 360 for _, _, _, bottom in boxes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_file_of_any_container_is_scanned(suffix: str, tmp_path: Path) -> None:
    scan = scan_file(write_painted(tmp_path / f"bare{suffix}", 10))
    assert (scan.frames, scan.counters) == (10, list(range(10)))
    assert len(scan.leaks) == 10
    assert scan.is_leaking


def test_folder_is_scanned_with_all_that_lies_in_it(tmp_path: Path) -> None:
    known = write_painted(tmp_path / "in.mp4", 5)
    write_painted(tmp_path / "clean.mp4", 5, Coding(secrets=False))
    write_painted(tmp_path / ".hidden.part", 5, container="mp4")
    planes = Painter().paint(3)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/core.1").write_bytes(bytes(999) + planes.tobytes() + bytes(10))
    cv2.imwrite(str(tmp_path / "deep/shot.jpg"), planes[:360])
    with av.open(str(tmp_path / "live.m3u8"), "w", format="hls", options={"hls_segment_type": "fmp4", "hls_time": "1"}) as target:
        stream = target.add_stream("libx264", rate=25, options=Coding().options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for counter in range(30):
            frame = av.VideoFrame.from_ndarray(Painter().paint(counter), format="yuv420p")
            frame.pts, frame.time_base = counter, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    leaking = {path.name for path, scan in scan_folder(tmp_path, known=[known]).items() if scan.is_leaking}
    assert {".hidden.part", "core.1", "shot.jpg"} <= leaking
    assert {name for name in leaking if name.endswith(".m4s")} == {path.name for path in tmp_path.glob("*.m4s")} != set()
    assert "clean.mp4" not in leaking
    assert "in.mp4" not in leaking


def test_bytes_that_were_decoded_and_dumped_are_recognised() -> None:
    (_, luma), *_ = decoded(Coding(crf=28), range(3, 4))
    assert raw_rows(luma.tobytes()) >= READABLE_ROWS
    assert raw_rows(np.repeat(luma.ravel(), 3).tobytes()) >= READABLE_ROWS
    assert all(raw_rows(Painter(secrets=False).paint(counter).tobytes()) < READABLE_ROWS for counter in range(0, 3000, 100))
    assert raw_rows(np.random.default_rng(1).bytes(1 << 20)) == 0


def test_stale_frames_are_told_from_live_ones() -> None:
    def seen(arrival_s: float, counter: int | None) -> Seen:
        return Seen(arrival_s, None, counter, (), CANVAS_WH)

    def shown(monotonic_s: float) -> int:
        return int(monotonic_s * 25)

    live = [seen(10.0, 245), seen(10.04, 246), seen(10.08, None), seen(10.12, 250)]
    assert not stale(live, shown, 25)
    backward, old = seen(10.2, 249), seen(20.0, 400)
    assert stale([*live, backward, old], shown, 25) == [backward, old]
