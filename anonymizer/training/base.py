"""The network that a training begins with: a shipped or own ONNX file, or an Ultralytics checkpoint, as a torch model.

An exported network has its batch normalization folded into its convolutions. `settle` unfolds it: each normalization gets
the mean and variance that its convolution gives on pictures at hand, with scale and shift that undo them. So the network
answers exactly as before, and can be trained as it once was.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymizer.detection import Detector, shipped_models, verify
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.ultralytics_engine import TorchNetwork, load_checkpoint, ready_ultralytics
from anonymizer.detection.yolo import Network, YoloDetector
from anonymizer.errors import ConfigError, ModelError
from anonymizer.regular import read_regular

ready_ultralytics("training", needs="training needs")

import torch  # noqa: E402
from torch import nn  # noqa: E402

_MOST_BYTES = 1 << 31
_SHIPPED_ARCHITECTURE = "yolov8n.yaml"  # what an export does not tell; those of `export` do
# By name alone: Ultralytics evaluates what stands in the description of an architecture.
_ARCHITECTURES = re.compile(r"yolo(v8|11)[nsmlx](-p2|-p6)?\.yaml")
_WIDTHS = {0.25: "n", 0.5: "s", 0.75: "m", 1.0: "l", 1.25: "x"}  # of YOLOv8, in checkpoints of early 2023
_HALF = "_f16"  # what `export.halve` appends to the names of weights stored as float16
_ONNX_DTYPES = {1: torch.float32, 10: torch.float16}


@dataclass(frozen=True, slots=True)
class Base:
    """A network to begin with. `classes` says which of its classes are which of the labels wanted."""

    name: str
    sha256: str
    licence: str
    architecture: str
    class_names: tuple[str, ...]
    classes: Mapping[str, tuple[int, ...]]
    state: Mapping[str, Any]
    network: Network

    def detector(self) -> Detector:
        """The base as it finds those of the labels that it knows."""
        return YoloDetector(self.network, {label: list(indices) for label, indices in self.classes.items()})


def read_base(source: str, labels: Sequence[str], renamed: Mapping[str, str], threads: int | None) -> Base:
    """A shipped model by name, or a file; ModelError for what cannot be trained on, ConfigError for a file that knows none of the labels."""
    card = next((card for card in shipped_models() if card.name == source), None)
    path = Path(source).expanduser()
    if card is not None:
        content, licence, name = verify(card), card.licence, card.name
    elif path.suffix.lower() in (".onnx", ".pt"):
        content, licence, name = _bytes_of(path), "that of its maker", path.name
    else:
        known = ", ".join(card.name for card in shipped_models())
        raise ConfigError(f"--base: {source!r} is no shipped model and no .onnx or .pt file", hint=f"shipped are: {known}")
    own_pt = path.suffix.lower() == ".pt"
    if own_pt:
        model = load_checkpoint(path)
        architecture, state = _architecture_of(getattr(model, "yaml", {})), model.state_dict()
    else:
        onnx_network = OnnxNetwork(content, name, threads=threads)
        architecture, state = onnx_network.metadata.get("architecture", _SHIPPED_ARCHITECTURE), _weights_in(content, name)
    if not _ARCHITECTURES.fullmatch(architecture):
        raise ModelError(f"{name}: a network of the build '{architecture[:40]}' cannot be trained on", hint="YOLOv8 and YOLO11 detectors can")
    network: Network = TorchNetwork(path, threads=threads) if own_pt else onnx_network
    names = network.class_names
    classes = {label: found for label in labels if (found := tuple(at for at, given in enumerate(names) if _label_of(given, renamed) == label))}
    if not classes and card is None:
        knows = ", ".join(names[:12]) or "no class by name"
        raise ConfigError(
            f"{name}: the base knows {knows}, and none of {', '.join(labels)}", hint=f"say which it is: --rename CLASS={labels[0]}; or leave --base out"
        )
    return Base(name, hashlib.sha256(content).hexdigest(), licence, architecture, names, classes, state, network)


def build(base: Base, labels: Sequence[str]) -> nn.Module:
    """A network for the labels with the weights of the base: labels that it knows keep their outputs, others begin anew.

    ModelError if the weights do not fit the architecture. The batch normalization of an exported base is the identity yet. What `export.moved`
    added to its boxes is left behind: that mended a teaching beside the objects, and what is taught now lies on them.
    """
    model: nn.Module = importlib.import_module("ultralytics.nn.tasks").DetectionModel(base.architecture, nc=len(labels), verbose=False)
    model.names, model.args = dict(enumerate(labels)), importlib.import_module("ultralytics.cfg").get_cfg()
    ours, theirs = model.state_dict(), _unfolded(base.state)
    left_out = []
    for key, value in ours.items():
        given = theirs.get(key)
        if given is not None and given.shape == value.shape and not _is_class_output(key, model):
            value.copy_(given)
        elif given is not None and _is_class_output(key, model) and given.shape[1:] == value.shape[1:]:
            if key.endswith(".weight"):
                value.zero_()  # Random ones would answer loudly to the base's features; so a new label begins at its prior.
            for at, label in enumerate(labels):
                for index in base.classes.get(label, ())[:1]:
                    value[at] = given[index]
        elif not key.endswith(("num_batches_tracked", ".dfl.conv.weight")):
            left_out.append(key)
    if left_out:
        raise ModelError(
            f"{base.name}: its weights do not fit {base.architecture} ({len(left_out)} are missing, {left_out[0]} for one)",
            hint="begin with a shipped model, one that this command wrote, or the .pt that Ultralytics wrote",
        )
    model.load_state_dict(ours)
    return model


def is_folded(base: Base) -> bool:
    """Whether the base has no batch normalization of its own, so that the network built from it has to settle."""
    return not any(key.endswith(".bn.weight") for key in base.state)


def settle(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Unfold the batch normalization on pictures [N, 3, H, W] in 0..1; the network's answers stay the same."""
    blocks = [block for block in model.modules() if isinstance(getattr(block, "bn", None), nn.BatchNorm2d)]
    sums = {block: (torch.zeros(block.bn.num_features), torch.zeros(block.bn.num_features)) for block in blocks}
    count = dict.fromkeys(blocks, 0)

    def watch(block: nn.Module) -> Any:
        def see(_module: nn.Module, _given: Any, out: torch.Tensor) -> None:
            sums[block][0].add_(out.mean((0, 2, 3)))
            sums[block][1].add_(out.square().mean((0, 2, 3)))
            count[block] += 1

        return block.conv.register_forward_hook(see)

    was_training = model.training
    model.eval()
    hooks = [watch(block) for block in blocks]
    try:
        with torch.no_grad():
            for batch in batches:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    with torch.no_grad():
        for block in blocks:
            mean, square = (total / max(count[block], 1) for total in sums[block])
            scale = torch.sqrt((square - mean.square()).clamp_min(1e-6) + block.bn.eps)
            # Now it is gain * x + shift; and it stays that when the mean is taken off and put on again, and the spread likewise.
            gain = block.bn.weight / torch.sqrt(block.bn.running_var + block.bn.eps)
            shift = block.bn.bias - gain * block.bn.running_mean
            block.bn.running_mean.copy_(mean)
            block.bn.running_var.copy_(scale.square() - block.bn.eps)
            block.bn.weight.copy_(gain * scale)
            block.bn.bias.copy_(shift + gain * mean)
    model.train(was_training)


def _architecture_of(description: Mapping[str, Any]) -> str:
    """What Ultralytics calls the build of a checkpoint; whether the weights fit it is seen when it is built."""
    if "yaml_file" in description:
        return Path(str(description["yaml_file"])).name
    return f"yolov8{_WIDTHS.get(description.get('width_multiple', 0), '?')}.yaml"


def _weights_in(content: bytes, name: str) -> dict[str, torch.Tensor]:
    """The weights of an export by the names that they have in the model."""
    onnx = importlib.import_module("onnx")
    try:
        graph = onnx.load_model_from_string(content).graph
        found = {}
        for tensor in graph.initializer:
            if tensor.data_type in _ONNX_DTYPES:
                key = tensor.name.removesuffix(_HALF)
                key = key.removeprefix("model.") if key.startswith("model.model.") else key
                found[key] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).float()
    except Exception as error:  # protobuf's errors and numpy's
        raise ModelError(f"{name}: its weights cannot be read ({type(error).__name__})", hint="export it again, or name the .pt") from error
    if not any(key.endswith(".conv.weight") for key in found):
        raise ModelError(f"{name}: its weights have lost their names", hint="name the .pt that it was exported from")
    return found


def _unfolded(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A fused state with normalizations that only add the convolutions' biases."""
    found = dict(state)
    for key, bias in state.items():
        at = key.removesuffix(".conv.bias")
        if at != key and f"{at}.bn.weight" not in state:
            one = torch.ones_like(bias)
            found |= {f"{at}.bn.weight": one, f"{at}.bn.bias": bias, f"{at}.bn.running_mean": torch.zeros_like(bias), f"{at}.bn.running_var": one - 1e-3}
    return found


def _is_class_output(key: str, model: nn.Module) -> bool:
    """Whether a weight gives the scores of classes: the last layer of a branch `cv3` of the head."""
    found = re.fullmatch(rf"model\.{len(model.model) - 1}\.cv3\.(\d+)\.(\d+)\.(weight|bias)", key)
    return found is not None


def _label_of(given: str, renamed: Mapping[str, str]) -> str:
    return renamed.get(given, given.strip().lower())


def _bytes_of(path: Path) -> bytes:
    try:
        return read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise ModelError(f"{path.name}: the base cannot be read ({error.strerror})", hint="say --base FILE with an existing .onnx or .pt file") from error
