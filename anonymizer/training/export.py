"""A trained network as ONNX with dynamic batch, height and width.

The graph ends at the decoded head (no NMS): input ``images`` [N,3,H,W] float32 RGB 0..1,
output ``output0`` [N,4+classes,anchors], rows cx cy w h in input pixels, then scores after sigmoid.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from anonymizer.detection.ultralytics_engine import load_checkpoint, ready_ultralytics
from anonymizer.errors import ModelError

ready_ultralytics("training", needs="training needs")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

OPSET = 17
_STRIDE = 32
_MOST_HALF = 60000  # float16 ends at 65504
_FEW_WEIGHTS = 16  # not worth a Cast


class _Decoded(nn.Module):  # type: ignore[misc,unused-ignore]
    """The model's first output only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = self.model(images)
        return out[0] if isinstance(out, (tuple, list)) else out


def exported(model: nn.Module, labels: Iterable[str], architecture: str) -> bytes:
    """The network, fused, in float32; what it finds and how it is built stand in the file's metadata."""
    model = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format).float().eval()
    model = model.fuse(verbose=False).eval()  # type: ignore[operator,unused-ignore]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    head = model.model[-1]  # type: ignore[index,unused-ignore]
    head.dynamic, head.export, head.format = True, True, "onnx"
    example, buffer = torch.zeros(1, 3, 640, 512), io.BytesIO()
    wrapped = _Decoded(model)
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    with _unadvised():
        wrapped(example)
        torch.onnx.export(wrapped, (example,), buffer, opset_version=OPSET, dynamo=False, input_names=["images"], output_names=["output0"], dynamic_axes=axes)
    graph = onnx.load_model_from_string(buffer.getvalue())
    metadata = {"names": str(dict(enumerate(labels))), "stride": str(_STRIDE), "task": "detect", "architecture": architecture}
    return _checked(_with_metadata(graph, metadata))


def halved(model: bytes) -> bytes:
    """The same with weights stored as float16, each followed by a Cast: half the size, and float32 when it computes."""
    graph = onnx.load_model_from_string(model)
    casts = []
    for tensor in list(graph.graph.initializer):
        name, value = tensor.name, numpy_helper.to_array(tensor)
        if tensor.data_type != onnx.TensorProto.FLOAT or value.size < _FEW_WEIGHTS or np.abs(value).max() > _MOST_HALF:
            continue
        graph.graph.initializer.remove(tensor)
        graph.graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), name + "_f16"))
        casts.append(helper.make_node("Cast", [name + "_f16"], [name], name=name + "_cast", to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.graph.node.insert(0, cast)
    return _checked(graph)


def moved(model: bytes, by_xy: tuple[float, float]) -> bytes:
    """The same with every box moved by so many pixels of the input: for a network that was taught beside its objects.

    ModelError for a file that does not say what it finds, as those of `exported` do.
    """
    graph = onnx.load_model_from_string(model)
    names = ast.literal_eval(next((entry.value for entry in graph.metadata_props if entry.key == "names"), "{}"))
    if not names:
        raise ModelError("its boxes cannot be moved: it does not say what it finds", hint="export it again")
    (output,) = graph.graph.output
    taken = {name for node in graph.graph.node for name in node.output}
    taught = f"{output.name}_taught"
    while taught in taken:  # it was moved before
        taught += "_again"
    for node in graph.graph.node:
        node.output[:] = [taught if name == output.name else name for name in node.output]
    offset = np.zeros((1, 4 + len(names), 1), np.float32)
    offset[0, :2, 0] = by_xy
    graph.graph.initializer.append(numpy_helper.from_array(offset, f"{taught}_offset"))
    graph.graph.node.append(helper.make_node("Add", [taught, f"{taught}_offset"], [output.name], name=f"{taught}_add"))
    return _checked(graph)


def mixed(model: bytes, other: bytes, share: float) -> bytes:
    """The first network with each weight moved by that share of the way to the other's.

    Between two trainings that began with the same weights a mixture often errs less than either (Wortsman et al., Model soups, 2022).
    ModelError if one is built otherwise.
    """
    graph, theirs = onnx.load_model_from_string(model), onnx.load_model_from_string(other)
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in theirs.graph.initializer}
    for tensor in graph.graph.initializer:
        mine = numpy_helper.to_array(tensor)
        given = found.get(tensor.name)
        if given is None or given.shape != mine.shape:
            raise ModelError(f"the networks cannot be mixed: {tensor.name} is not in both", hint="mix networks of one base, exported alike")
        if mine.dtype.kind == "f":
            between = (1 - share) * mine.astype(np.float32) + share * given.astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(between.astype(mine.dtype), tensor.name))
    return _checked(graph)


def quantized(model: bytes, blobs: Iterable[NDArray[np.float32]]) -> bytes:
    """The same with convolutions in int8, their ranges measured on pictures [N, 3, H, W]; the last of each branch stay in float32."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Blobs(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(blobs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            blob = next(self._left, None)
            return None if blob is None else {"images": blob}

    graph = onnx.load_model_from_string(model)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    kept = [node.name for node in graph.graph.node if (node.op_type == "Conv" and not node.name.endswith("/conv/Conv")) or "/dfl/" in node.name]
    # Weights alone go through this folder; the pictures stay in memory.
    with tempfile.TemporaryDirectory(prefix="anonymizer-") as folder, _unadvised():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        quantize_static(
            str(before),
            str(after),
            Blobs(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
        )
        return _checked(_with_metadata(onnx.load(str(after)), metadata))


def parameters_in(model: bytes) -> int:
    """How many numbers an ONNX file holds as weights."""
    return sum(int(np.prod(tensor.dims)) for tensor in onnx.load_model_from_string(model).graph.initializer)


@contextlib.contextmanager
def _unadvised() -> Iterator[None]:
    """Without the tracer's warnings of sizes that are dynamic by what `head.dynamic` does, and the quantizer's advice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _with_metadata(graph: Any, metadata: Mapping[str, str]) -> Any:
    del graph.metadata_props[:]
    for key, text in metadata.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, text
    return graph


def _checked(graph: Any) -> bytes:
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def main() -> None:
    """Command line, for teachers: an Ultralytics checkpoint in, or what was exported; ONNX out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help=".pt, or .onnx of this program")
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--half-weights", action="store_true", help="float16 initializers + Cast")
    parser.add_argument("--move", type=float, nargs=2, metavar=("X", "Y"), help="move every box by so many pixels of the input")
    parser.add_argument("--mix", nargs=2, metavar=("ONNX", "SHARE"), help="move the weights by a share of the way to another network's")
    args = parser.parse_args()
    if args.checkpoint.suffix == ".onnx":
        full = args.checkpoint.read_bytes()
    else:
        model = load_checkpoint(args.checkpoint)
        full = exported(model, [model.names[at] for at in range(len(model.names))], "")
    full = halved(full) if args.half_weights else full
    full = mixed(full, Path(args.mix[0]).read_bytes(), float(args.mix[1])) if args.mix else full
    args.onnx.write_bytes(moved(full, tuple(args.move)) if args.move else full)


if __name__ == "__main__":
    main()
