"""A clip that beeps in step with its painted frames, and what is heard in a file."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from anonymizer.media.live_sound import CodedSound, LiveSound
from anonymizer.types import SoundFormat
from tests.streaming.bench.coded import write_painted
from tests.streaming.bench.painted import counter_of
from tests.streaming.bench.scan import luma_of

RATE = 16_000


def beeps(seconds: int) -> NDArray[np.float32]:
    """A tone in the first tenth of every second, as the camera says it."""
    at = np.arange(seconds * RATE) / RATE
    return np.asarray(0.5 * np.sin(2 * np.pi * 1000 * at) * (at % 1 < 0.1), np.float32)


def beeping_clip(folder: Path, seconds: int) -> Path:
    """Painted frames, whose counter says the second, with a beep at the beginning of each."""
    painted, path = write_painted(folder / "painted.mp4", seconds * 25), folder / "clip.mp4"
    with av.open(str(painted)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("aac", rate=RATE, layout="mono")
        assert isinstance(audio, AudioStream)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        samples = beeps(seconds)
        for at in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            target.mux(audio.encode(frame))
        target.mux(audio.encode(None))
    return path


def loudness(path: Path, hundredths: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times of a file's pieces of so many hundredths of a second, and how loud 1 kHz is in each."""
    length = RATE * hundredths // 100
    heard = np.zeros(60 * RATE, np.float32)
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            # Each at its own time: between two of them there may be silence.
            assert frame.pts is not None
            assert frame.time_base is not None
            samples = np.concatenate([piece.to_ndarray()[0] for piece in av.AudioResampler(format="fltp", layout="mono", rate=RATE).resample(frame)])
            start = round(float(frame.pts * frame.time_base) * RATE)
            heard[start : start + len(samples)] = samples[: max(0, len(heard) - start)]
    tone = np.abs(heard.reshape(-1, length) @ np.exp(-2j * np.pi * 1000 * np.arange(length) / RATE)) * 2 / length
    return np.arange(len(tone)) * hundredths / 100, np.asarray(tone)


def beep_starts_s(path: Path) -> list[float]:
    times_s, tone = loudness(path)
    loud = tone > 0.2
    return [float(times_s[at]) for at in np.flatnonzero(loud[1:] & ~loud[:-1]) + 1]


def off_s(path: Path) -> list[float]:
    """By how much each beep comes after the picture that begins its second, as far as there are pictures beside it."""
    with av.open(str(path)) as file:
        seen = [(float(frame.time or 0), counter) for frame in file.decode(video=0) if (counter := counter_of(luma_of(frame))) is not None]
    found = []
    for start_s in beep_starts_s(path):
        shown_s, counter = min(seen, key=lambda one: abs(one[0] - start_s))
        if abs(shown_s - start_s) < 0.2:
            found.append(start_s - (shown_s - (counter % 25) / 25))
    return [(one + 0.5) % 1 - 0.5 for one in found]


def coded_sound(clip: Path, *, masked: bool, alter: Callable[[int, Packet[Any]], bool] = lambda index, packet: True) -> tuple[SoundFormat, list[CodedSound]]:
    """A clip's sound as live streams have it; `alter` may change packets, and says which are left out."""
    with av.open(str(clip)) as source:
        sound = LiveSound(source.streams.audio[0], masked=masked)
        packets = [packet for packet in source.demux(audio=0) if packet.size]
        return sound.format, [one for index, packet in enumerate(packets) if alter(index, packet) for one in sound.take(packet)]
