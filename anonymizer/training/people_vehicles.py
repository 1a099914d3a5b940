"""A public network that finds people and vehicles, YOLOX-nano, as an ONNX of this program's layout, and its card.

`detection.heads` finds heads with it, and `detection.vehicles` what speaks for plates.

In: an export of Megvii's YOLOX [1,3,416,416], BGR 0..255, raw grid [1,3549,85]. Out: RGB 0..1, [1,6,3549], rows cx cy w h
in input pixels, and how sure the network is of a person and of a vehicle (car, motorcycle, bus or lorry).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from anonymizer.detection import Detector
from anonymizer.detection.heads import LABEL
from anonymizer.detection.loading import PEOPLE_VEHICLES, heads_and_vehicles_of
from anonymizer.detection.nms import middles_in
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.vehicles import own_plates, vehicle_trust
from anonymizer.evaluation import LabelledPicture, Naming, load_data, rgb_of, rising_shares
from anonymizer.evaluation.figures import Json
from anonymizer.evaluation.shifts import Rgb
from anonymizer.training.export import halved
from anonymizer.types import Detections

NORMAL_SCORE = 0.55  # chosen on panning clips: of what is less sure, most are parts of people who are seen whole
SIDE, STRIDES = 416, (8, 16, 32)
FIRST = 5  # the column of COCO's first class, after the box and the score that there is anything
PERSON, VEHICLES = 0, (2, 3, 5, 7)  # among COCO's classes: car, motorcycle, bus, lorry


def people_and_vehicles_of(yolox: bytes) -> bytes:
    """The network with decoded boxes of people and vehicles alone, weights stored as float16."""
    graph = onnx.load_model_from_string(yolox)
    body = graph.graph
    (given,), (raw,) = body.input, body.output
    constants = {
        "bgr": np.array([2, 1, 0], np.int64),
        "full": np.float32(255),
        "cells": np.concatenate([_cells(stride) for stride in STRIDES])[None],
        "strides": np.concatenate([np.full(((SIDE // stride) ** 2, 1), stride, np.float32) for stride in STRIDES])[None],
        "axis": np.array([2], np.int64),
    }
    classes = [FIRST + at for at in (PERSON, *VEHICLES)]
    constants |= {f"at_{at}": np.array([at], np.int64) for at in sorted({0, 2, 4, 5, *classes, *(at + 1 for at in classes)})}
    body.initializer.extend(numpy_helper.from_array(np.asarray(value), f"kept_{name}") for name, value in constants.items())
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"kept_{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def columns(first: int, last: int) -> str:
        return add("Slice", raw.name, f"kept_at_{first}", f"kept_at_{last}", "kept_axis")

    before = add("Mul", add("Gather", "images", "kept_bgr", axis=1), "kept_full")
    after = len(nodes)
    middle = add("Mul", add("Add", columns(0, 2), "kept_cells"), "kept_strides")
    size = add("Mul", add("Exp", columns(2, 4)), "kept_strides")
    person, *others = (columns(at, at + 1) for at in classes)
    score = add("Mul", columns(4, 5), add("Concat", person, add("Max", *others), axis=2))
    add("Transpose", add("Concat", middle, size, score, axis=2), perm=[0, 2, 1])
    nodes[-1].output[0] = "output0"
    for node in body.node:
        node.input[:] = [before if name == given.name else name for name in node.input]
    kept = list(body.node)
    del body.node[:], body.input[:], body.output[:]
    body.node.extend([*nodes[:after], *kept, *nodes[after:]])
    body.input.append(helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE]))
    body.output.append(helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, sum((SIDE // stride) ** 2 for stride in STRIDES)]))
    del graph.metadata_props[:]
    for key, text in {"names": "{0: 'person', 1: 'vehicle'}", "task": "detect", "architecture": "yolox-nano"}.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, text
    return halved(bytes(graph.SerializeToString()))


def _cells(stride: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """The corners of a stride's cells, in cells, row by row."""
    across, down = np.meshgrid(np.arange(SIDE // stride), np.arange(SIDE // stride))
    return np.stack([across.ravel(), down.ravel()], 1).astype(np.float32)


def measured(detector: Detector, pictures: Sequence[LabelledPicture]) -> Json:
    """How many marked faces lie in a head of the usual score, how many heads hold one by their score, and how many are in pictures without faces."""
    scores: list[float] = []
    right: list[float] = []
    faces = held = empty = empty_heads = 0
    for picture in pictures:
        rgb, marked = _marked(picture, "face")
        (seen,) = detector.detect([rgb])
        holds = middles_in(seen.xyxy, marked)
        sure = seen.score >= NORMAL_SCORE
        if len(marked) and not picture.misses_only:
            scores += seen.score.tolist()
            right += np.logical_or.reduce(holds, axis=1).astype(float).tolist()
        faces, held = faces + len(marked), held + int(np.logical_or.reduce(holds[sure], axis=0).sum())
        if not len(marked) and "face" in picture.labelled:
            empty, empty_heads = empty + 1, empty_heads + int(sure.sum())
    return {
        "faces": faces,
        "faces_in_a_head_percent": round(100 * held / max(faces, 1), 1),
        "heads_a_picture_without_faces": round(empty_heads / max(empty, 1), 2),
        "precision": rising_shares(np.array(scores), np.array(right)),
    }


def share_in_vehicles(detector: Detector, pictures: Sequence[LabelledPicture]) -> float:
    """The percentage of marked plates that lie in a vehicle of the usual score, where its plate may be."""
    plates = held = 0
    for picture in pictures:
        rgb, marked = _marked(picture, "plate")
        if len(marked):
            (seen,) = detector.detect([rgb])
            sure = seen.xyxy[seen.score >= vehicle_trust(0.5).vehicle_score]
            held += int(own_plates(sure, Detections.of(marked, [1.0] * len(marked), "plate")).any(axis=0).sum())
        plates += len(marked)
    return round(100 * held / max(plates, 1), 1)


def _marked(picture: LabelledPicture, label: str) -> tuple[Rgb, NDArray[np.float32]]:
    """A picture, and what is marked in it as that label [N, 4]."""
    rgb = rgb_of(picture.path)
    size_wh = (rgb.shape[1], rgb.shape[0])
    return rgb, np.array([box.xyxy for box in picture.boxes_in(size_wh, size_wh) if box.label == label], np.float32).reshape(-1, 4)


def card_of(model: bytes, figures: Json) -> Json:
    """The card. Of heads seen from behind nothing is marked anywhere, so that a head without a marked face counts as wrong."""
    return {
        "task": PEOPLE_VEHICLES,
        "labels": [LABEL],
        "architecture": "YOLOX-nano, decoded, people and vehicles alone, no NMS",
        "licence": "Apache-2.0",
        "sha256": hashlib.sha256(model).hexdigest(),
        "size_bytes": len(model),
        "input": {"colour": "RGB", "range": "0..1", "pad": 114, "batch": 1, "sides": SIDE},
        "data": ["COCO 2017 (Megvii's training): people, cars, motorcycles, buses, lorries", "source: github.com/Megvii-BaseDetection/YOLOX, yolox_nano.onnx"],
        "recipe": "python -m anonymizer.training.people_vehicles yolox_nano.onnx people_vehicles.onnx",
        "normal_score": {LABEL: NORMAL_SCORE},
        "score_to_precision": {LABEL: {str(SIDE): [[0.01, 0.0], *([point["score"], point["precision"]] for point in figures["precision"])]}},
        "figures": {name: value for name, value in figures.items() if name != "precision"},
        "more": {"measure": measured.__doc__, "weights_stored_as": "float16 initializers + Cast to float32; computes in float32"},
    }


def main() -> None:
    """Command line: the network and, beside it, its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("yolox", type=Path, help="yolox_nano.onnx as Megvii exports it")
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="pictures with marked faces and plates to measure on")
    args = parser.parse_args()
    model = people_and_vehicles_of(args.yolox.read_bytes())
    args.onnx.with_suffix(".json").unlink(missing_ok=True)
    args.onnx.write_bytes(model)
    network = OnnxNetwork(model, args.onnx.name)
    pictures = load_data(args.data, Naming(("face", "plate")), "yolo").pictures
    heads, vehicles = heads_and_vehicles_of(network)
    figures = measured(heads, pictures)
    figures["plates_in_a_vehicle_percent"] = share_in_vehicles(vehicles, pictures)
    args.onnx.with_suffix(".json").write_text(json.dumps(card_of(model, figures), indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
