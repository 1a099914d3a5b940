"""Small ONNX networks that answer what a test wants, in the forms that Ultralytics exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from anonymizer.detection.canary import canary

Shape = Sequence[int | str]
DYNAMIC: Shape = ("batch", 3, "height", "width")
# One box of the face class (centre 50, 40, size 20 x 10) and one of the plate class, in an anchors-last output with 7 anchors.
FACE_XYXY = (40.0, 35.0, 60.0, 45.0)
PLATE_XYXY = (10.0, 10.0, 30.0, 16.0)


def anchors_last(channels: int = 6, anchors: int = 7) -> np.ndarray[Any, Any]:
    """[1, channels, anchors]: a face of score 0.9 and a plate of score 0.8."""
    raw = np.zeros((1, channels, anchors), np.float32)
    raw[0, :4, 0], raw[0, 4, 0] = (50, 40, 20, 10), 0.9
    raw[0, :4, 1], raw[0, 5, 1] = (20, 13, 20, 6), 0.8
    return raw


def seeing(anchors: int = 7, **moved: Sequence[float]) -> np.ndarray[Any, Any]:
    """What `anchors_last` says, where the test picture has its face and plate; `moved` puts one elsewhere."""
    raw = anchors_last(anchors=anchors)
    for at, label in enumerate(("face", "plate")):
        left, top, right, bottom = moved.get(label, canary()[1][label])
        raw[0, :4, at] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return raw


def answering(
    answer: np.ndarray[Any, Any],
    *,
    names: str | None = "{0: 'face', 1: 'plate'}",
    task: str = "detect",
    head: str | None = None,
    input_shape: Shape = DYNAMIC,
    bright: str = "same",
) -> bytes:
    """A network that gives one answer to every picture.

    `bright` says what becomes of it where the picture holds white: "same", "nan" (a broken network need not be broken
    for every picture), or "hang".
    """
    nodes = [helper.make_node("Constant", [], ["answer"], value=numpy_helper.from_array(answer))]
    initializers = []
    if bright == "nan":
        initializers = [numpy_helper.from_array(np.float32(0.9), "limit")]
        nodes += [
            helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
            helper.make_node("Sub", ["limit", "brightest"], ["below"]),
            helper.make_node("Sqrt", ["below"], ["root"]),
            helper.make_node("Sub", ["root", "root"], ["nothing"]),
            helper.make_node("Add", ["answer", "nothing"], ["output0"]),
        ]
    elif bright == "hang":
        # Round and round: as many times as there are whole steps of 2^-40 in the brightest pixel above 0.9.
        step = helper.make_graph(
            [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Identity", ["carried"], ["again"])],
            "step",
            [
                helper.make_tensor_value_info("round", TensorProto.INT64, []),
                helper.make_tensor_value_info("going", TensorProto.BOOL, []),
                helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
            ],
            [helper.make_tensor_value_info("still", TensorProto.BOOL, []), helper.make_tensor_value_info("again", TensorProto.FLOAT, None)],
        )
        initializers = [
            numpy_helper.from_array(np.float32(0.9), "limit"),
            numpy_helper.from_array(np.float32(2**40), "many"),
            numpy_helper.from_array(np.array(True), "yes"),
        ]
        nodes += [
            helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
            helper.make_node("Sub", ["brightest", "limit"], ["above"]),
            helper.make_node("Relu", ["above"], ["positive"]),
            helper.make_node("Mul", ["positive", "many"], ["rounds_float"]),
            helper.make_node("Cast", ["rounds_float"], ["rounds"], to=TensorProto.INT64),
            helper.make_node("Loop", ["rounds", "yes", "answer"], ["output0"], body=step),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["answer"], ["output0"]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, list(input_shape))],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, None)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (("task", task), ("names", names), ("head", head)):
        if value is not None:
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
    return bytes(model.SerializeToString())
