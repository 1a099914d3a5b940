"""Build the demo clip: a drawn street in which two people walk and a car drives up to the camera, with sound and a GPS tag.

    python samples/build_sample.py [samples/out/street.mp4]

Everything is drawn but the heads: head.webp, cut out of a public-domain NASA portrait (samples/README.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np
from actors import Actor, car, face_xyxy, person, plate_xyxy
from backdrop import CENTER, MARGIN, SIZE_WH, Image, street

RATE, FRAMES, SOUND_RATE = 25, 150, 48_000
TAGS = {"title": "Demo street", "artist": "A. Camera Owner", "location": "+37.2350-115.8111/", "comment": "recorded on a phone"}
CLOTHES = (((66, 64, 122), (84, 68, 58)), ((104, 106, 84), (64, 66, 70)))


class Scene:
    """The street at any frame: `picture(i)` is what the camera sees, `truth(i)` where the faces and the plate are."""

    def __init__(self) -> None:
        head = cv2.imread(str(Path(__file__).parent / "head.webp"), cv2.IMREAD_UNCHANGED)
        assert head is not None, "samples/head.webp cannot be read"
        other = head.astype(np.float32)
        other[..., :3] = np.clip(other[..., :3] ** 1.35 * (0.106, 0.112, 0.12), 0, 255)
        self.heads = (head.astype(np.float32), other)
        self.car = car((128, 88, 58))

    @cached_property
    def background(self) -> Image:
        """The empty street."""
        return street()

    def actors(self, index: int) -> list[Actor]:
        """Everybody, the farthest first."""
        t = index / RATE
        paths = ((2.5 - 0.2 * t, 7.6 - 0.72 * t), (-3.75 + 0.1 * t, 9.6 - 0.55 * t))
        found = [Actor(self.car, -0.95 - 0.02 * t, 14.5 - 2.1 * t + 0.12 * t * t, "plate", plate_xyxy(self.car))]
        for number, (head, clothes, (x, z)) in enumerate(zip(self.heads, CLOTHES, paths, strict=True)):
            stride = float(np.sin(2 * np.pi * 0.95 * t + 2.1 * number))
            sprite = person(head, *clothes, stride)
            found.append(Actor(sprite, x + 0.02 * stride, z, "face", face_xyxy(sprite, head)))
        return sorted(found, key=lambda actor: -actor.z)

    def camera(self, index: int) -> Image:
        """Canvas pixels to picture pixels: a hand that is not quite still."""
        t = index / RATE
        dx = 7 * np.sin(1.9 * t) + 2.5 * np.sin(7.3 * t + 1) + 0.8 * np.sin(23 * t)
        dy = 5 * np.sin(1.4 * t + 2) + 2.0 * np.sin(8.9 * t) + 0.8 * np.sin(27 * t + 1)
        matrix = cv2.getRotationMatrix2D(CENTER, 0.35 * np.sin(1.1 * t) + 0.08 * np.sin(9 * t), 1.0)
        matrix[:, 2] += dx - MARGIN, dy - MARGIN
        return np.asarray(matrix)

    def picture(self, index: int) -> Image:
        """Frame `index`, BGR uint8 [H, W, 3], with the sensor's grain."""
        canvas = self.background.astype(np.float32)
        for actor in self.actors(index):
            actor.paint(canvas)
        seen = cv2.warpAffine(canvas, self.camera(index), SIZE_WH, flags=cv2.INTER_LINEAR)
        grain = 2.2 * np.random.default_rng(index).standard_normal((SIZE_WH[1], SIZE_WH[0], 1), np.float32)
        return (seen + grain).clip(0, 255).astype(np.uint8)

    def truth(self, index: int) -> list[tuple[str, tuple[float, ...]]]:
        """(label, xyxy) of each face and plate of frame `index`, the farthest first."""
        found = []
        for actor in self.actors(index):
            left, top, right, bottom = actor.secret_xyxy
            corners = np.array([(left, top, 1), (right, top, 1), (right, bottom, 1), (left, bottom, 1)])
            on_canvas = np.column_stack([corners @ actor.matrix().T, np.ones(4)])
            seen = on_canvas @ self.camera(index).T
            found.append((actor.label, (*seen.min(axis=0).tolist(), *seen.max(axis=0).tolist())))
        return found


def sound(first: int, count: int) -> Image:
    """Samples [2, count] from `first` on: a motor that comes nearer on the left, steps on the right, wind."""
    t = (first + np.arange(count)) / SOUND_RATE
    near = 0.03 + 0.14 * (t / (FRAMES / RATE)) ** 2
    motor = near * np.sum([np.sin(2 * np.pi * 41 * k * t * (1 + 0.01 * t)) / k for k in (1, 2, 3, 5)], axis=0)
    step = np.exp(-60 * ((t * 1.9) % 1)) * np.sin(2 * np.pi * 170 * t) * 0.25
    wind = np.random.default_rng(first).normal(0, 0.008, count)
    return np.stack([motor + 0.3 * step + wind, 0.45 * motor + step + wind]).astype(np.float32)


def write_sample(target: Path, frames: int = FRAMES) -> Path:
    """Write the clip, or its first frames: H.264 and AAC in MP4, with tags that say who filmed where."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".unfinished-{target.name}")  # An interrupted build must not look like the clip.
    with av.open(str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata.update(TAGS)
        video = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "19"})
        video.width, video.height, video.pix_fmt = *SIZE_WH, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for packets in _packets(video, audio, frames):
            container.mux(packets)
    unfinished.rename(target)
    return target


def _packets(video: av.VideoStream, audio: av.AudioStream, frames: int) -> Iterator[list[av.Packet[av.VideoStream]] | list[av.Packet[av.AudioStream]]]:
    scene = Scene()
    per_frame = SOUND_RATE // RATE
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(scene.picture(index), format="bgr24")
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        yield video.encode(frame)
        samples = av.AudioFrame.from_ndarray(sound(index * per_frame, per_frame), format="fltp", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = SOUND_RATE, index * per_frame, Fraction(1, SOUND_RATE)
        yield audio.encode(samples)
    yield video.encode(None)
    yield audio.encode(None)


if __name__ == "__main__":
    path = write_sample(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "out" / "street.mp4")
    print(f"built {path}: {FRAMES} frames of {SIZE_WH[0]}x{SIZE_WH[1]}, two faces, one plate, sound, a GPS tag")
