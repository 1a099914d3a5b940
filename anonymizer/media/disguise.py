"""A voice made strange for good: what was said stays half understandable, who said it does not.

A noise vocoder (Shannon et al., Science 270, 1995): of every 16 ms only the loudness of twelve bands is kept, coarsely
rounded and moved upwards; new noise is shaped with it. Pitch, phase, fine structure and everything above 6 kHz are
never looked at after that, so nothing can bring them back, and the shift moves the vocal tract's own resonances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HOP_S = 0.016
_LOWEST_HZ, _HIGHEST_HZ = 120.0, 6000.0
_BANDS = 12  # Speech is understood from four; who speaks is recognized from about twenty upwards.
_SHIFT = 1.18  # Of the resonances: as far as between a man's voice and a woman's.
_STEP_DB = 3.0  # Loudness is rounded to this.
_SMOOTHING = 0.45  # Of a band's loudness per hop: blurs what is left of the rhythm of the vocal cords.
_SEED = 20  # The same sound gives the same file.

Samples = NDArray[np.float32]


class Disguise:
    """Disguises a stream of samples [channels, n]; sample k that comes out belongs to sample k that went in."""

    def __init__(self, rate: int, channels: int) -> None:
        self._hop = max(32, round(rate * _HOP_S))
        size = 2 * self._hop
        self._window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        edges = np.geomspace(_LOWEST_HZ, min(_HIGHEST_HZ, rate / 2.5), _BANDS + 1)
        self._heard = _membership(frequencies, edges)
        self._made = _membership(frequencies, edges * _SHIFT)
        self._noise = np.random.default_rng(_SEED)
        self._level = np.zeros((channels, _BANDS), np.float32)
        # Half a window of silence before the first sample, so that it is heard at full loudness.
        self._waiting: Samples = np.zeros((channels, self._hop), np.float32)
        self._tail: Samples = np.zeros((channels, self._hop), np.float32)
        self._skip = self._hop
        self._taken = self._given = 0

    def process(self, samples: Samples) -> Samples:
        """What can be said so far."""
        self._taken += samples.shape[1]
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        done = []
        while self._waiting.shape[1] >= 2 * self._hop:
            done.append(self._one(self._waiting[:, : 2 * self._hop]))
            self._waiting = self._waiting[:, self._hop :]
        out = np.concatenate(done, axis=1) if done else self._tail[:, :0]
        skipped = min(self._skip, out.shape[1])
        self._skip -= skipped
        self._given += out.shape[1] - skipped
        return out[:, skipped:]

    def flush(self) -> Samples:
        """The rest."""
        rest = self._taken - self._given
        out = self.process(np.zeros((len(self._level), 3 * self._hop), np.float32))
        return out[:, :rest]

    def _one(self, window: Samples) -> Samples:
        spectrum = np.fft.rfft(window * self._window, axis=1)
        energy = (spectrum.real**2 + spectrum.imag**2) @ self._heard.T
        self._level += _SMOOTHING * (np.sqrt(energy) - self._level)
        steps = np.round(20 / _STEP_DB * np.log10(np.maximum(self._level, 1e-6)))
        level = 10 ** (steps * _STEP_DB / 20)
        shape = (len(self._level), self._made.shape[1])
        noise = self._noise.standard_normal(shape) + 1j * self._noise.standard_normal(shape)
        width = np.maximum(self._made.sum(axis=1), 1)
        gain = (level / np.sqrt(2 * width)) @ self._made
        made = np.fft.irfft(noise * gain, axis=1).astype(np.float32) * self._window
        out = self._tail + made[:, : self._hop]
        self._tail = made[:, self._hop :]
        return np.clip(out, -1, 1)


def _membership(frequencies: NDArray[np.floating[Any]], edges: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Which of the bands each frequency belongs to: ones and zeros [bands, frequencies]."""
    return np.asarray((frequencies >= edges[:-1, None]) & (frequencies < edges[1:, None]), np.float32)
