"""Export a 1- or 2-class YOLOv8 checkpoint to ONNX with dynamic batch, height and width.

The graph ends at the decoded head (no NMS): input ``images`` [N,3,H,W] float32 RGB 0..1,
output ``output0`` [N,4+classes,anchors], rows cx cy w h in input pixels, then scores after sigmoid.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from anonymizer.detection.ultralytics_engine import ready_ultralytics

ready_ultralytics("training")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402


def load_model(checkpoint: Path, live: bool = False) -> nn.Module:
    """The averaged (or ``live``) model of our own checkpoint, or that of Ultralytics'; float32, eval mode."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    if "state" in saved:
        from ultralytics.nn.tasks import DetectionModel

        model: nn.Module = DetectionModel(saved["yaml"], nc=len(saved["names"]), verbose=False)
        model.load_state_dict(saved["live" if live else "state"])
    else:
        model = saved.get("ema") or saved["model"]
    return model.float().eval()


class _Decoded(nn.Module):  # type: ignore[misc,unused-ignore]
    """The model's first output only."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out = self.model(images)
        return out[0] if isinstance(out, (tuple, list)) else out


def export(model: nn.Module, path: Path, opset: int = 17) -> None:
    """Write ``model`` (fused, with the head in export mode) to ``path``."""
    model = model.fuse(verbose=False).eval()  # type: ignore[operator,unused-ignore]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    head = model.model[-1]  # type: ignore[index,unused-ignore]
    head.dynamic, head.export, head.format = True, True, "onnx"
    example = torch.zeros(1, 3, 640, 512)
    wrapped = _Decoded(model)
    wrapped(example)
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    torch.onnx.export(wrapped, (example,), str(path), opset_version=opset, dynamo=False, input_names=["images"], output_names=["output0"], dynamic_axes=axes)
    onnx.checker.check_model(onnx.load(path))


def halve(source: Path, target: Path, metadata: dict[str, str] | None = None) -> None:
    """Store float32 weights as float16 initializers, each followed by a Cast to float32."""
    model = onnx.load(source)
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or numpy_helper.to_array(tensor).size < 16:
            continue
        name, value = tensor.name, numpy_helper.to_array(tensor)
        if np.abs(value).max() > 60000:
            continue
        small = numpy_helper.from_array(value.astype(np.float16), name + "_f16")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(small)
        casts.append(helper.make_node("Cast", [name + "_f16"], [name], name=name + "_cast", to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    for key, text in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    onnx.checker.check_model(model)
    onnx.save(model, target)


def main() -> None:
    """Command line: checkpoint in, ONNX out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--half-weights", action="store_true", help="float16 initializers + Cast")
    parser.add_argument("--live", action="store_true", help="the last weights, not the averaged ones")
    args = parser.parse_args()
    if not args.half_weights:
        export(load_model(args.checkpoint, args.live), args.onnx, args.opset)
        return
    full = args.onnx.with_suffix(".f32.onnx")
    export(load_model(args.checkpoint, args.live), full, args.opset)
    halve(full, args.onnx, {"names": "{0: 'face', 1: 'plate'}", "stride": "32"})


if __name__ == "__main__":
    main()
