"""Looks for the secret in whatever left the filter: pictures, files of any kind, folders with all that lies in them, live streams."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from tests.streaming.bench.painted import CANVAS_WH, CODE, CODE_SIDES, Box, Luma, code_picture, counter_of, secrets_at

# Measured at three sizes and CRF 18 to 40: a bare secret correlates with 0.84 and more, half of one with its half with 0.84 and more. A street
# without secrets, or with all of them sealed, reaches 0.43 anywhere, 0.25 in a place that is known, 0.65 for halves.
READABLE_ANYWHERE, READABLE_IN_PLACE, READABLE_HALF = 0.55, 0.4, 0.78
READABLE_ROWS = 3
_LEAST_CONTRAST = 4.0  # grey levels of standard deviation: what is fainter is the coder's noise
_HALVED_FROM_WIDTH = 480
_LEAST_VISIBLE = 0.5  # of each side: of less, no code can be told
_DRIFT_PX = 4


@dataclass(frozen=True, slots=True)
class Sighting:
    """A secret that can be read, and how well (0..1)."""

    xyxy: Box
    correlation: float
    is_in_place: bool  # where the counter says that it is


def readable_secrets(luma: NDArray[np.uint8], counter: int | None = None, *, halves: bool = False) -> list[Sighting]:
    """Every secret that can be read in a picture, wherever it is; a known counter makes the eye keener where it should be.

    `halves` looks for half a pattern as well, as damage may smear it over a picture: five times slower.
    """
    luma = np.ascontiguousarray(luma)
    found = [] if counter is None else [one for one in (_in_place(luma, secret) for secret in _places(luma, counter)) if one is not None]
    size_wh = luma.shape[1], luma.shape[0]
    scale = 2 if luma.shape[1] >= _HALVED_FROM_WIDTH else 1
    small = luma if scale == 1 else np.asarray(cv2.resize(luma, (size_wh[0] // 2, size_wh[1] // 2), interpolation=cv2.INTER_AREA), np.uint8)
    for code, least in _codes(size_wh, scale, halves):
        correlation, (x, y), wh = _best(small, code)
        if correlation >= least:
            box = float(x * scale), float(y * scale), float((x + wh[0]) * scale), float((y + wh[1]) * scale)
            found.append(Sighting(box, correlation, False))
    return found


def _places(luma: Luma, counter: int) -> Iterator[tuple[int, Box]]:
    """The codes' sides, and their boxes in this picture."""
    across, down = luma.shape[1] / CANVAS_WH[0], luma.shape[0] / CANVAS_WH[1]
    for secret in secrets_at(counter):
        (x, y), half = secret.middle_xy, secret.code_side / 2
        yield secret.code_side, ((x - half) * across, (y - half) * down, (x + half) * across, (y + half) * down)


def _in_place(luma: Luma, place: tuple[int, Box]) -> Sighting | None:
    """The part of a secret that is within the picture, looked for around its place."""
    side, (left, top, right, bottom) = place
    height, width = luma.shape
    code = code_picture(side, (width, height))
    x0, y0 = round(left), round(top)
    cut = slice(max(0, -y0), min(code.shape[0], height - y0)), slice(max(0, -x0), min(code.shape[1], width - x0))
    visible = code[cut]
    if visible.shape[0] < code.shape[0] * _LEAST_VISIBLE or visible.shape[1] < code.shape[1] * _LEAST_VISIBLE:
        return None
    x0, y0 = max(0, x0), max(0, y0)
    drift = max(1, round(_DRIFT_PX * width / CANVAS_WH[0]))
    around = luma[max(0, y0 - drift) : y0 + visible.shape[0] + drift, max(0, x0 - drift) : x0 + visible.shape[1] + drift]
    correlation, _, _ = _best(around, visible)
    return Sighting((left, top, right, bottom), correlation, True) if correlation >= READABLE_IN_PLACE else None


@cache
def _codes(size_wh: tuple[int, int], scale: int, halves: bool) -> list[tuple[Luma, float]]:
    """What is looked for in a picture of that size, made smaller by `scale`, and from which correlation on it counts."""
    found = []
    for code in (code_picture(side, size_wh) for side in CODE_SIDES):
        whole = np.asarray(cv2.resize(code, (code.shape[1] // scale, code.shape[0] // scale), interpolation=cv2.INTER_AREA), np.uint8)
        rows, columns = whole.shape[0] // 2, whole.shape[1] // 2
        found.append((whole, READABLE_ANYWHERE))
        if halves:
            found += [(np.ascontiguousarray(half), READABLE_HALF) for half in (whole[:rows], whole[rows:], whole[:, :columns], whole[:, columns:])]
    return found


def _best(luma: Luma, code: Luma) -> tuple[float, tuple[int, int], tuple[int, int]]:
    """How well a code can be read at its best place, that place, and the code's width and height. An inverted secret is a secret."""
    wh = code.shape[1], code.shape[0]
    if luma.shape[0] < code.shape[0] or luma.shape[1] < code.shape[1] or float(code.std()) == 0:
        return 0.0, (0, 0), wh
    found = np.abs(np.nan_to_num(cv2.matchTemplate(np.ascontiguousarray(luma), np.ascontiguousarray(code), cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0))
    # In a flat picture the division by next to nothing gives anything, above 1 as well.
    while True:
        _, best, _, (x, y) = cv2.minMaxLoc(found)
        if best < READABLE_IN_PLACE:
            return 0.0, (0, 0), wh
        if float(luma[y : y + wh[1], x : x + wh[0]].std()) * min(best, 1.0) >= _LEAST_CONTRAST:
            return min(float(best), 1.0), (int(x), int(y)), wh
        found[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5] = 0


# --- files


@dataclass(slots=True)
class FileScan:
    """What a file shows: how many pictures, their counters, and in which of them the secret can be read."""

    frames: int = 0
    counters: list[int | None] = field(default_factory=list)
    leaks: dict[int, list[Sighting]] = field(default_factory=dict)
    raw_rows: int = 0  # of the pattern's six rows, those that lie in the file's bytes as they are

    @property
    def is_leaking(self) -> bool:
        return bool(self.leaks) or self.raw_rows >= READABLE_ROWS


def scan_file(path: Path, *, halves: bool = True) -> FileScan:
    """Decode whatever can be decoded, and search the bytes as well. A fragment is read behind the init segment beside it."""
    scan = FileScan()
    data = path.read_bytes()
    for source in _readings(path, data):
        if _decode_into(scan, source, halves):
            break
    scan.raw_rows = raw_rows(data)
    return scan


def scan_folder(folder: Path, *, known: Iterable[Path] = (), halves: bool = True) -> dict[Path, FileScan]:
    """Every file below a folder, hidden and half-written ones too, but for the inputs that are known."""
    ours = {path.resolve() for path in known}
    return {path: scan_file(path, halves=halves) for path in sorted(folder.rglob("*")) if path.is_file() and path.resolve() not in ours}


def _readings(path: Path, data: bytes) -> Iterator[IO[bytes]]:
    if path.suffix in (".m4s", ".mp4", ".part", ".tmp", ""):
        for init in sorted(path.parent.rglob("*init*")):
            if init.is_file() and init != path:
                yield io.BytesIO(init.read_bytes() + data)
    yield io.BytesIO(data)


def _decode_into(scan: FileScan, source: IO[bytes], halves: bool) -> bool:
    """Every frame of every video stream; whether there was any."""
    before = scan.frames
    try:
        with av.open(source, "r") as container:
            for stream in container.streams.video:
                stream.codec_context.thread_count = 1
            for packet in container.demux(list(container.streams.video)):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    continue
                for frame in frames:
                    _look(scan, frame, halves)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        pass
    return scan.frames > before


def _look(scan: FileScan, frame: Any, halves: bool) -> None:
    luma = luma_of(frame)
    counter = counter_of(luma)
    if secrets := readable_secrets(luma, counter, halves=halves):
        scan.leaks[scan.frames] = secrets
    scan.counters.append(counter)
    scan.frames += 1


def luma_of(frame: av.VideoFrame) -> Luma:
    """The brightness of a decoded frame, uint8."""
    if frame.format.name in ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12"):
        plane = frame.planes[0]
        return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width].copy()
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def raw_rows(data: bytes) -> int:
    """How many of the pattern's six rows lie in these bytes as bright and dark samples, as grey planes or three samples a pixel."""
    samples = np.frombuffer(data, np.uint8)
    # What is neither bright nor dark is no part of the pattern: chroma and walls waver around the middle.
    levels = np.where(samples > 145, 1, np.where(samples < 110, 0, 2)).astype(np.uint8).tobytes()
    return max(sum(row in levels for row in rows) for rows in _row_patterns())


@cache
def _row_patterns() -> tuple[tuple[bytes, ...], ...]:
    """The rows for each size and layout, of frames as large as the canvas."""
    widths = [side // CODE.shape[1] * samples for side in CODE_SIDES for samples in (1, 3)]
    return tuple(tuple(np.repeat(row.astype(bool), width).tobytes() for row in CODE) for width in widths)


# --- live streams


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame as a viewer got it."""

    arrival_s: float  # of the monotonic clock
    pts_s: float | None
    counter: int | None  # None: a curtain, or no picture of the camera
    secrets: tuple[Sighting, ...]
    size_wh: tuple[int, int]


def scan_url(
    url: str,
    seconds: float,
    *,
    options: dict[str, str] | None = None,
    on_seen: Callable[[Seen], None] | None = None,
    came_s: Callable[[int | None], float | None] = lambda pts: None,
) -> list[Seen]:
    """Watch a stream for so long, and say of every frame when it came and what it showed. Raises what opening it raises.

    `came_s` knows better than the decoder when a frame came, by its presentation time in ticks.
    """
    queue: SimpleQueue[tuple[float, float | None, Luma] | BaseException | None] = SimpleQueue()
    # Looking takes time; a thread of its own reads on, so that a frame is as old as it was when it came.
    reader = threading.Thread(target=_read_into, args=(queue, url, seconds, options or {}, came_s), name="bench-viewer", daemon=True)
    reader.start()
    seen: list[Seen] = []
    while (item := queue.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        arrival_s, pts_s, luma = item
        counter = counter_of(luma)
        seen.append(Seen(arrival_s, pts_s, counter, tuple(readable_secrets(luma, counter)), (luma.shape[1], luma.shape[0])))
        if on_seen is not None:
            on_seen(seen[-1])
    reader.join()
    return seen


def _read_into(queue: SimpleQueue[Any], url: str, seconds: float, options: dict[str, str], came_s: Callable[[int | None], float | None]) -> None:
    opened = False
    end_s = time.monotonic() + seconds
    try:
        wishes = {"rtsp_transport": "tcp", "fflags": "nobuffer"} if url.startswith("rtsp") else {}
        with av.open(url, options={**wishes, **options}, timeout=(10.0, max(5.0, seconds))) as container:
            opened = True
            container.streams.video[0].codec_context.thread_count = 1
            for packet in container.demux(video=0):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    frames = []
                for frame in frames:
                    queue.put((came_s(frame.pts) or time.monotonic(), frame.time, luma_of(frame)))
                if time.monotonic() >= end_s:
                    break
    except (av.FFmpegError, OSError) as error:
        if not opened:
            queue.put(error)
    finally:
        queue.put(None)


def leaks(seen: Sequence[Seen]) -> list[Seen]:
    """Frames in which the secret can be read."""
    return [one for one in seen if one.secrets]


def stale(
    seen: Sequence[Seen], counter_at: Callable[[float], int], rate: float, *, most_age_s: float = 2.0, lookahead_s: float = 0.4, slack_s: float = 0.3
) -> list[Seen]:
    """Frames that are no longer live: older than they may be when they came, or from before a frame that was already shown."""
    found, newest = [], -1
    for one in seen:
        if one.counter is None:
            continue
        age_s = (counter_at(one.arrival_s) - one.counter) / rate
        if one.counter < newest or age_s > most_age_s + lookahead_s + slack_s:
            found.append(one)
        newest = max(newest, one.counter)
    return found
