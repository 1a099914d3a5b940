"""The library's door for arrays: frames in, sealed frames out, by the same steps as a file.

Arrays are BGR uint8 [H, W, 3] as OpenCV gives them, upright, with square pixels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonymizer import pipeline
from anonymizer.config import Config, load_config, replaced
from anonymizer.detection import Detector
from anonymizer.equipment import Equipment
from anonymizer.errors import ConfigError, SourceError
from anonymizer.geometry import Geometry
from anonymizer.media import picture_of
from anonymizer.pipeline import decided_frames, observed_frames, require_detections
from anonymizer.progress import OnProgress
from anonymizer.publishing import Report
from anonymizer.redaction import seal_frame
from anonymizer.types import Detections, Frame

Image = NDArray[np.uint8]


class Anonymizer:
    """Models loaded once, for any number of streams and pictures. A context manager, for symmetry with files.

    Raises ConfigError for a wrong configuration, ModelError for models that are missing, altered or blind.
    """

    def __init__(self, config: Config | None = None, *, detectors: Sequence[Detector] | None = None, **settings: Any) -> None:
        """`settings` are keys of the configuration: `Anonymizer(detect=["plate"], preset="fast")`.

        `detectors` take the place of the configured models: nothing else is looked for then.
        """
        self.config = config_with(config, settings)
        self._equipment = Equipment.of(self.config, detectors)

    def __enter__(self) -> Anonymizer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def process(self, frames: Iterable[Image], fps: float | Fraction = 25) -> Iterator[Image]:
        """Yield each frame sealed, in order, delayed by the look-ahead; the last ones come when `frames` ends.

        Input arrays may be reused by the caller as soon as the next one is asked for; outputs are fresh and writable.
        Raises SourceError for anything but BGR uint8 frames of one size, ConfigError for an impossible `fps`,
        ModelError when a detector fails: frames that were not decided until then are never given out.
        """
        yield from _sealed(frames, _rate_of(fps), self._equipment)

    def image(self, image: Image) -> Image:
        """One picture, sealed."""
        return next(_sealed([image], _rate_of(25), self._equipment.for_picture(_size_wh(image, 0))))

    def detect(self, image: Image) -> Detections:
        """What the detectors see in one picture, weak detections included, in its pixels."""
        geometry = Geometry(_size_wh(image, 0))
        equipment = self._equipment.for_picture(geometry.displayed_wh)
        picture = picture_of(_frame_of(image, 0, Fraction(25)), geometry, equipment.look.long_side)
        return require_detections(equipment.observe(picture))


def _sealed(frames: Iterable[Image], rate: Fraction, equipment: Equipment) -> Iterator[Image]:
    """Each frame sealed, in order, delayed by the look-ahead."""
    coming = iter(frames)
    try:
        first = next(coming)
    except StopIteration:
        return
    geometry = Geometry(_size_wh(first, 0))
    effect = equipment.effect_for(geometry)
    zones, tracker = equipment.zones_for(geometry, rate), equipment.tracker_for(geometry, rate)
    read = _frames_of(first, coming, rate, geometry.coded_wh)
    with closing(observed_frames(read, geometry, equipment, rate)) as looks, closing(decided_frames(looks, tracker)) as decided:
        for frame, decision in zones.over(decided):
            yield np.array(seal_frame(frame, decision, effect).frame.planes[0])


def anonymize_image(image: Image, config: Config | None = None, **settings: Any) -> Image:
    """One picture, BGR uint8 [H, W, 3], with every face and plate covered.

    Loads the models for this one call; `Anonymizer` keeps them for many.
    """
    return Anonymizer(config, **settings).image(image)


def anonymize_video(
    source: str | Path,
    target: str | Path,
    config: Config | None = None,
    *,
    plan: str | Path | None = None,
    overwrite: bool = False,
    progress: OnProgress | None = None,
    cancel: threading.Event | None = None,
    finish: threading.Event | None = None,
    **settings: Any,
) -> Report:
    """Write `target`: the video `source` with every face and plate covered, and nothing else changed.

    `settings` are keys of the configuration. `progress` is called about ten times a second; setting `cancel` stops
    the run with a CancelledError, setting `finish` ends the recording of a camera, which has no other end. Whatever is
    raised (errors.py lists it), no new `target` exists then.
    """
    equipment = Equipment.of(config_with(config, settings))
    return pipeline.anonymize_video(
        Path(source),
        Path(target),
        equipment,
        plan=None if plan is None else Path(plan),
        overwrite=overwrite,
        progress=progress,
        cancel=cancel,
        finish=finish,
    )


def config_with(config: Config | None, settings: Mapping[str, Any]) -> Config:
    """The configuration, or the default one, with single keys set otherwise."""
    return load_config(settings).config if config is None else replaced(config, settings)


def _rate_of(fps: float | Fraction) -> Fraction:
    try:
        rate = Fraction(fps).limit_denominator(1_000_000)
    except (ValueError, TypeError, ArithmeticError):  # "x", None, infinity
        rate = Fraction(0)
    if rate <= 0:
        raise ConfigError(f"a stream of {str(fps)[:40]} frames a second does not move", hint="give the frame rate as fps=25")
    return rate


def _frames_of(first: Image, others: Iterator[Image], rate: Fraction, size_wh: tuple[int, int]) -> Iterator[Frame]:
    yield _frame_of(first, 0, rate)
    for index, image in enumerate(others, start=1):
        if _size_wh(image, index) != size_wh:
            raise SourceError(f"frame {index}: {_size_wh(image, index)} pixels after frames of {size_wh}", hint="process each size as a stream of its own")
        yield _frame_of(image, index, rate)


def _frame_of(image: Image, index: int, rate: Fraction) -> Frame:
    plane = np.array(image, order="C")  # copied: callers read the next frame into the same array
    plane.flags.writeable = False
    return Frame(index, index, 1 / rate, "bgr24", (plane,))


def _size_wh(image: Image, index: int) -> tuple[int, int]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise SourceError(f"frame {index}: not a BGR uint8 array [H, W, 3] but {found}", hint="convert it first, for instance with cv2.cvtColor")
    return image.shape[1], image.shape[0]
