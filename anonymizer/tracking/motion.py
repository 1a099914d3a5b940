"""Where a track will be: constant-velocity Kalman filters, all tracks at once, time in seconds.

The four axes (cx, cy, w, h) are filtered apart, so a covariance is three numbers. Velocities are what is left when
the camera's own motion is taken out. The filter serves association alone; covers are placed by lookahead.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# In sizes (square root of the box's area) of the object, measured on the labelled clips of docs/quality.md.
BOX_NOISE_SIZES, BOX_NOISE_PX = 0.05, 0.7  # standard deviation of a detector's box
SPEED_SIZES_PER_S = 5.0  # a walking person moves six face heights a second
SPEED_FRAMES_PER_S = 0.15  # and whatever its size an object may cross 15 % of the frame in a second
ACCELERATION_SIZES_PER_S2 = 12.0
SIZE_SPEED_LASTS_S = 0.5  # growth fades out: an object that is not seen does not grow for ever


def size_of(boxes: Floats) -> Floats:
    """Square root of the area of boxes cx, cy, w, h [N, 4]."""
    return np.asarray(np.sqrt(np.maximum(boxes[:, 2] * boxes[:, 3], 1e-6)))


class Motion:
    """One row a track: position and velocity [N, 4] with their variances and covariance."""

    def __init__(self, frame_wh: tuple[int, int]) -> None:
        self._frame_px = max(frame_wh)
        self.position: Floats = np.zeros((0, 4))
        self.velocity: Floats = np.zeros((0, 4))
        self.variance: Floats = np.zeros((0, 4))
        self._covariance: Floats = np.zeros((0, 4))
        self._speed_variance: Floats = np.zeros((0, 4))

    def __len__(self) -> int:
        return len(self.position)

    def add(self, boxes: Floats) -> None:
        """Start one filter a box [N, 4], at rest but open to any speed."""
        size = size_of(boxes)[:, None]
        speed = np.repeat(SPEED_SIZES_PER_S * size + SPEED_FRAMES_PER_S * self._frame_px, 4, axis=1)
        speed[:, 2:] = size
        self.position = np.concatenate([self.position, boxes])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(boxes)])
        self.variance = np.concatenate([self.variance, np.repeat(_noise(size) ** 2, 4, axis=1)])
        self._covariance = np.concatenate([self._covariance, np.zeros_like(boxes)])
        self._speed_variance = np.concatenate([self._speed_variance, speed**2])

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop the filters whose row is False."""
        self.position, self.velocity, self.variance = self.position[rows], self.velocity[rows], self.variance[rows]
        self._covariance, self._speed_variance = self._covariance[rows], self._speed_variance[rows]

    def follow_camera(self, rows: NDArray[np.bool_], scale: float, shift: Floats) -> None:
        """Carry some filters along with the camera's motion since the last frame."""
        self.position[rows] *= scale
        self.position[rows, :2] += shift
        self.velocity[rows] *= scale

    def predict(self, step_s: float) -> None:
        """Move every filter `step_s` seconds on."""
        jolt = (ACCELERATION_SIZES_PER_S2 * size_of(self.position))[:, None] ** 2
        self.position = self.position + step_s * self.velocity
        self.position[:, 2:] = np.maximum(self.position[:, 2:], 1.0)
        self.velocity[:, 2:] *= np.exp(-step_s / SIZE_SPEED_LASTS_S)
        self.variance = self.variance + step_s * (2 * self._covariance + step_s * self._speed_variance) + jolt * step_s**4 / 4
        self._covariance = self._covariance + step_s * self._speed_variance + jolt * step_s**3 / 2
        self._speed_variance = self._speed_variance + jolt * step_s**2

    def update(self, rows: NDArray[np.intp], boxes: Floats) -> None:
        """Correct the filters `rows` by the boxes [N, 4] seen for them."""
        noise = _noise(size_of(boxes)[:, None]) ** 2
        total = self.variance[rows] + noise
        gain, speed_gain = self.variance[rows] / total, self._covariance[rows] / total
        wrong = boxes - self.position[rows]
        self.position[rows] += gain * wrong
        self.velocity[rows] += speed_gain * wrong
        self._speed_variance[rows] -= speed_gain * self._covariance[rows]
        self._covariance[rows] *= 1 - gain
        self.variance[rows] *= 1 - gain


def _noise(size: Floats) -> Floats:
    return BOX_NOISE_SIZES * size + BOX_NOISE_PX
