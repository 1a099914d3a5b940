"""The nouns: frozen data that travels from one step to the next, and nothing that touches the world.

Boxes are `xyxy`: left, top, right, bottom in pixels of the coded frame, right and bottom excluded, unless a name
says otherwise. Times are integers (`pts`) in a `time_base` of seconds, or floats with the suffix `_s`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal, NoReturn, get_args

import numpy as np
from numpy.typing import NDArray

from anonymizer.geometry import Geometry

Plane = NDArray[Any]  # uint8 or uint16, [rows, columns] or [rows, columns, samples]
Shape = Literal["ellipse", "box", "frame"]
Origin = Literal["detected", "interpolated", "backfilled", "held", "zone", "whole_frame"]
Part = Literal["all", "coarse", "fine"]
How = Literal["full", "evidence", "same_picture"]
Fate = Literal["anonymized", "copied", "masked", "dropped", "converted"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """Something in a file that can carry a person's trace beside the picture, and what became of it."""

    kind: str  # "video", "audio", "subtitle", "data", "attachment", "tag", "chapter", "side_data", ...
    name: str  # stream index, tag key or side data name, as people know it
    detail: str = ""
    fate: Fate = "dropped"


@dataclass(frozen=True, slots=True)
class Color:
    """Colour tags as FFmpeg's numbers (ISO/IEC 23091-2); 2 is "unspecified" (range: 0)."""

    range: int = 0
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What probing knows before a frame is decoded, of the one video stream that will be anonymized."""

    path: Path
    container: str  # FFmpeg's demuxer name, "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str
    stream_index: int
    geometry: Geometry
    pixel_format: str
    frame_rate: Fraction | None  # average; None where the container cannot say
    time_base: Fraction
    duration_s: float | None
    frame_count: int | None  # as the container claims; never trusted
    color: Color = Color()
    interlaced: bool = False
    carriers: tuple[Carrier, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)  # media/'s own notes for its encoder

    @property
    def size_wh(self) -> tuple[int, int]:
        """Coded width and height."""
        return self.geometry.coded_wh

    @property
    def start_s(self) -> float:
        """When the file begins on the stream's own clock; zones are timed from there."""
        return float(self.extra.get("start_time_s") or 0.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame in a workable pixel format (pixels.py). Planes are shared with the decoder: never written to.

    `damaged` means the decoder guessed some of its pixels. `spread_px` is how far, in luma pixels, a conversion
    before this point may have carried a pixel's value sideways: a seal grows its masks by as much.
    """

    index: int
    pts: int
    time_base: Fraction
    pixel_format: str
    planes: tuple[Plane, ...]
    damaged: bool = False
    spread_px: int = 0
    color: Color = Color()
    interlaced: bool = False
    top_field_first: bool = False
    duration: int = 0  # in time_base; 0 is unknown

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in luma pixels."""
        return self.planes[0].shape[1], self.planes[0].shape[0]

    @property
    def time_s(self) -> float:
        """When the frame is shown, in seconds on the stream's own clock."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a detector sees of a frame: RGB uint8 [H, W, 3], upright, square pixels, usually smaller than the frame."""

    frame_index: int
    rgb: NDArray[np.uint8]
    geometry: Geometry

    def to_coded(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes [N, 4] in pixels of this picture as boxes of the coded frame."""
        return self.geometry.to_coded(xyxy, (self.rgb.shape[1], self.rgb.shape[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What was found in one frame: xyxy float32 [N, 4], score float32 [N] in 0..1, label str [N].

    Raises ValueError for wrong shapes, NaN or infinity, and boxes without area: a broken answer is no answer.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    label: NDArray[np.str_]

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        if self.xyxy.shape != (count, 4) or self.score.shape != (count,) or self.label.shape != (count,):
            raise ValueError(f"detections of shapes {self.xyxy.shape}, {self.score.shape}, {self.label.shape} do not fit together")
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.score).all()):
            raise ValueError("detections hold NaN or infinity")
        if (self.xyxy[:, 2:] <= self.xyxy[:, :2]).any():
            raise ValueError("detections hold a box without area")

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def of(cls, xyxy: Any, score: Any, label: Any) -> Detections:
        """Detections from anything numpy can read; `label` may be one name for all.

        >>> len(Detections.of([[0, 0, 9, 9]], [0.8], "face"))
        1
        """
        boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
        names = np.full(len(boxes), label) if isinstance(label, str) else np.asarray(label, np.str_).reshape(-1)
        return cls(boxes, np.asarray(score, np.float32).reshape(-1), names)

    @classmethod
    def none(cls) -> Detections:
        """A detector looked and found nothing."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.str_))

    @classmethod
    def joined(cls, parts: Iterable[Detections]) -> Detections:
        """All of several detections, in order."""
        several = [part for part in parts if len(part)]
        if not several:
            return cls.none()
        return cls(
            np.concatenate([part.xyxy for part in several]),
            np.concatenate([part.score for part in several]),
            np.concatenate([part.label for part in several]),
        )

    def where(self, keep: NDArray[Any]) -> Detections:
        """Those selected by a boolean mask or an index array."""
        return Detections(self.xyxy[keep], self.score[keep], self.label[keep])


@dataclass(frozen=True, slots=True)
class Observation:
    """That a frame was looked at, how, and what was found; or why it was not.

    `detections` is None exactly when `failure` says what went wrong: "found nothing" is an empty Detections.
    `part` says which sizes of it were looked at: what one shows another cannot.
    `ignored` counts what was found and dropped because it lies in an ignore zone, for the report.
    """

    frame_index: int
    detections: Detections | None
    how: How = "full"
    failure: str | None = None
    ignored: int = 0
    part: Part = "all"

    def __post_init__(self) -> None:
        if (self.detections is None) != (self.failure is not None):
            raise ValueError("an observation holds detections or a failure, never both and never neither")


@dataclass(frozen=True, slots=True)
class Region:
    """One covered area: `xyxy` is the bounding box of the cover itself, all margins included.

    A "box" covers all of it, an "ellipse" the ellipse inscribed in it, a "frame" the whole frame whatever the box.
    """

    label: str
    shape: Shape
    xyxy: tuple[float, float, float, float]
    track_id: int | None = None
    origin: Origin = "detected"
    score: float | None = None

    def __post_init__(self) -> None:
        left, top, right, bottom = self.xyxy
        if not (left < right and top < bottom and all(np.isfinite(self.xyxy))):
            raise ValueError(f"a region needs an area, not {self.xyxy}")
        if self.shape not in get_args(Shape) or self.origin not in get_args(Origin):
            raise ValueError(f"a region has no shape {self.shape!r} or origin {self.origin!r}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What is covered in one frame. Made once, never changed; an empty one says that a look found nothing."""

    frame_index: int
    regions: tuple[Region, ...] = ()


_SEAL = object()  # Whoever holds this can make a SealedFrame: redaction/seal.py alone, which a test proves.


class SealedFrame:
    """A frame whose decided regions are erased and decorated: the only thing an encoder accepts."""

    __slots__ = ("_decision", "_frame")
    _decision: Decision
    _frame: Frame

    def __init__(self, frame: Frame, decision: Decision, *, token: object) -> None:
        if token is not _SEAL:
            raise TypeError("only redaction.seal.seal_frame makes a SealedFrame")
        if frame.index != decision.frame_index:
            raise ValueError(f"the decision for frame {decision.frame_index} cannot seal frame {frame.index}")
        for plane in frame.planes:
            if plane.flags.writeable:
                raise ValueError("a sealed frame's planes must be read-only")
        object.__setattr__(self, "_frame", frame)
        object.__setattr__(self, "_decision", decision)

    def __init_subclass__(cls) -> None:
        raise TypeError("a SealedFrame has no subclasses")

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("a SealedFrame never changes")

    def __delattr__(self, name: str) -> None:
        raise TypeError("a SealedFrame never changes")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # copy, deepcopy and pickle rebuild an object without asking __init__ for the token.
        raise TypeError("a SealedFrame cannot be copied or pickled: seal the frame again")

    @property
    def frame(self) -> Frame:
        return self._frame

    @property
    def decision(self) -> Decision:
        return self._decision


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """How the sound beside a live stream is coded: AAC-LC, frames of 1024 samples without ADTS headers."""

    rate: int  # samples a second
    channels: int
    config: bytes  # AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """One coded frame of sound, kept or disguised as was asked for. Without a packet there is silence."""

    is_key: ClassVar[bool] = False  # Nothing begins with sound.
    pts: int  # in LIVE_TIME_BASE, on the clock of the pictures' packets; always rises
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """How the packets that follow are coded: what whoever receives a live stream needs to begin.

    Packets are Annex B with parameter sets before every key frame; `parameter_sets` are the same ones, for containers that
    want them once.
    """

    codec: str  # "h264" or "hevc"
    size_wh: tuple[int, int]
    frame_rate: float  # nominal: the times of the packets are what counts
    parameter_sets: bytes
    sound: SoundFormat | None = None  # of the packets of sound between them, if there may be any


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One coded frame of a live stream; made of a sealed frame alone. Without B-frames, so that dts equals pts."""

    pts: int  # in LIVE_TIME_BASE, of the machine's monotonic clock; always rises
    is_key: bool
    data: bytes


LIVE_TIME_BASE = Fraction(1, 90_000)  # RTP's clock for video (RFC 6184, section 8.2.1)


@dataclass(slots=True)
class Tally:
    """Frames counted at four places that do not know of each other; equal, or nothing is published."""

    read: int = 0
    decided: int = 0
    sealed: int = 0
    written: int = 0
