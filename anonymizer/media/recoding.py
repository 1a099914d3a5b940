"""A picture as it looks after H.264 had few bits for it: for measuring what detectors lose by that."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray


def recoded(rgb: NDArray[np.uint8], crf: int) -> NDArray[np.uint8]:
    """The picture RGB uint8 [H, W, 3] through libx264 at a constant rate factor and back; nothing is written."""
    rows, columns = rgb.shape[:2]
    # 4:2:0 wants even sides: the last column and row are repeated, and cut off again.
    even = np.pad(rgb, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = even.shape[1], even.shape[0], "yuv420p"
    encoder.framerate, encoder.options = Fraction(25), {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(format="yuv420p")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return np.ascontiguousarray(frames[0].to_ndarray(format="rgb24")[:rows, :columns])
