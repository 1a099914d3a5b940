"""The network that a training begins with answers as its file does, and what cannot be one is refused."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from anonymizer.detection.canary import canary, require_canary
from anonymizer.detection.model_store import WEIGHTS
from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.yolo import YoloDetector
from anonymizer.errors import ConfigError, ModelError
from tests.training.marked_sets import needs_extra

pytestmark = needs_extra

SHIPPED = WEIGHTS / "face_plate.onnx"


def picture_blob() -> np.ndarray:
    rgb, _ = canary()
    height, width = (side // 32 * 32 for side in rgb.shape[:2])
    return rgb[:height, :width].transpose(2, 0, 1)[None].astype(np.float32) / 255


def answers(model, blob: np.ndarray) -> np.ndarray:
    import torch

    with torch.no_grad():
        return np.asarray(model.eval()(torch.from_numpy(blob))[0])


def test_the_shipped_network_becomes_a_torch_model_that_finds_the_same() -> None:
    import torch

    from anonymizer.training.base import build, is_folded, read_base, settle

    base = read_base("face_plate", ("face", "plate"), {}, 1)
    model, blob = build(base, ("face", "plate")), picture_blob()
    expected = base.network.run(blob)
    before = answers(model, blob)
    assert is_folded(base)
    settle(model, [torch.from_numpy(blob), torch.from_numpy(blob[:, :, ::-1].copy())])
    for found in (before, answers(model, blob)):
        assert np.abs(found[:, 4:] - expected[:, 4:]).max() < 1e-4
        assert np.abs(found[:, :4] - expected[:, :4]).max() < 0.05  # px

    with torch.no_grad():  # With the statistics of the batch, as in training, it still sees what it saw.
        taught = model.train()(torch.from_numpy(np.concatenate([blob, blob[:, :, ::-1]])))["scores"].sigmoid()
    assert taught[0].max() > 0.5 * expected[0, 4:].max()


def test_export_gives_a_file_that_the_loader_takes_and_that_can_be_a_base_again(tmp_path: Path) -> None:
    from anonymizer.training.base import build, read_base
    from anonymizer.training.export import exported, halved, parameters_in

    base = read_base("face_plate", ("plate", "face"), {}, 1)
    full = exported(build(base, ("plate", "face")), ("plate", "face"), base.architecture)
    half = halved(full)
    assert len(half) < 0.52 * len(full)
    assert parameters_in(full) == pytest.approx(parameters_in(half), abs=64)
    for content in (full, half):
        network = OnnxNetwork(content, "model.onnx", threads=1)
        assert network.class_names == ("plate", "face")
        assert (network.fixed_batch, network.fixed_wh) == (None, None)
        require_canary(YoloDetector(network, {"plate": [0], "face": [1]}), 30.0)
    (tmp_path / "model.onnx").write_bytes(half)
    again = read_base(str(tmp_path / "model.onnx"), ("face",), {}, 1)
    assert again.classes == {"face": (1,)}
    blob = picture_blob()
    assert np.abs(answers(build(again, ("face",)), blob)[:, 4] - base.network.run(blob)[:, 4]).max() < 1e-4


def test_boxes_can_be_moved_back_to_their_objects() -> None:
    from anonymizer.training.export import moved

    before, blob = OnnxNetwork(SHIPPED.read_bytes(), "model.onnx", threads=1), picture_blob()
    after = OnnxNetwork(moved(SHIPPED.read_bytes(), (0.5, -0.25)), "moved.onnx", threads=1)
    assert after.metadata == before.metadata
    np.testing.assert_allclose((after.run(blob) - before.run(blob))[0].mean(axis=1), [0.5, -0.25, 0, 0, 0, 0], atol=1e-4)


def test_a_mixture_lies_between_two_networks_and_one_of_another_build_is_refused() -> None:
    import onnx

    from anonymizer.training.base import build, read_base
    from anonymizer.training.export import exported, mixed

    base = read_base("face_plate", ("face", "plate"), {}, 1)
    one, other = (exported(build(base, labels), ("face", "plate"), base.architecture) for labels in (("face", "plate"), ("plate", "face")))

    def weights(model: bytes) -> dict[str, np.ndarray]:
        return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(model).graph.initializer}

    first, between, last = weights(one), weights(mixed(one, other, 0.25)), weights(other)
    assert any((first[name] != last[name]).any() for name in first)
    for name in first:
        np.testing.assert_allclose(between[name], 0.75 * first[name] + 0.25 * last[name], atol=1e-6)
    with pytest.raises(ModelError, match="cannot be mixed"):
        mixed(one, exported(build(base, ("face",)), ("face",), base.architecture), 0.5)


def test_int8_still_sees(tmp_path: Path) -> None:
    from anonymizer.training.base import build, read_base
    from anonymizer.training.export import exported, quantized

    base, blob = read_base("face_plate", ("face", "plate"), {}, 1), picture_blob()
    full = exported(build(base, ("face", "plate")), ("face", "plate"), base.architecture)
    small = quantized(full, [blob, np.ascontiguousarray(blob[:, :, :, ::-1])])
    assert len(small) < 0.4 * len(full)
    network = OnnxNetwork(small, "small.onnx", threads=1)
    assert network.class_names == ("face", "plate")
    assert np.abs(network.run(blob)[:, 4:].max(axis=2) - base.network.run(blob)[:, 4:].max(axis=2)).max() < 0.25


def test_labels_that_the_base_knows_keep_their_outputs_and_others_begin_anew() -> None:
    from anonymizer.training.base import build, read_base

    base = read_base("face_plate", ("sign", "plate"), {}, 1)
    assert base.classes == {"plate": (1,)}
    blob = picture_blob()
    found = answers(build(base, ("sign", "plate")), blob)
    assert np.abs(found[:, 5] - base.network.run(blob)[:, 5]).max() < 1e-4
    assert found[:, 4].max() < 0.01, "a label that the base does not know begins at its prior"


def spoilt(tmp_path: Path, change) -> str:
    import onnx

    graph = onnx.load(SHIPPED)
    change(graph)
    path = tmp_path / "other.onnx"
    onnx.save(graph, path)
    return str(path)


def drop_a_weight(graph) -> None:
    graph.graph.initializer.append(graph.graph.initializer[5])
    tensor = next(one for one in graph.graph.initializer if one.name.endswith("model.1.conv.weight_f16"))
    for node in graph.graph.node:
        for at, name in enumerate(node.input):
            if name == tensor.name:
                node.input[at] = "other"
    tensor.name = "other"
    del graph.graph.initializer[-1]


def forget_names(graph) -> None:
    for at, tensor in enumerate(graph.graph.initializer):
        for node in graph.graph.node:
            node.input[:] = [f"onnx::Conv_{at}" if name == tensor.name else name for name in node.input]
        tensor.name = f"onnx::Conv_{at}"


def rename_classes(graph) -> None:
    next(entry for entry in graph.metadata_props if entry.key == "names").value = "{0: 'car', 1: 'truck'}"


def name_another_build(graph) -> None:
    entry = graph.metadata_props.add()
    entry.key, entry.value = "architecture", "../../evil.yaml"


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        pytest.param(drop_a_weight, ModelError, "do not fit yolov8n.yaml", id="weight-missing"),
        pytest.param(forget_names, ModelError, "have lost their names", id="names-lost"),
        pytest.param(rename_classes, ConfigError, "the base knows car, truck, and none of face, plate", id="other-classes"),
        pytest.param(name_another_build, ModelError, "a network of the build '../../evil.yaml' cannot be trained on", id="unknown-build"),
    ],
)
def test_a_base_that_cannot_be_one_is_refused(change, kind, words, tmp_path: Path) -> None:
    from anonymizer.training.base import build, read_base

    with pytest.raises(kind) as caught:
        build(read_base(spoilt(tmp_path, change), ("face", "plate"), {}, 1), ("face", "plate"))
    assert words in caught.value.problem
    assert caught.value.hint


def test_renamed_classes_of_the_base_are_taken_over(tmp_path: Path) -> None:
    from anonymizer.training.base import read_base

    base = read_base(spoilt(tmp_path, rename_classes), ("plate",), {"truck": "plate", "car": "none"}, 1)
    assert base.classes == {"plate": (1,)}


@pytest.mark.parametrize(("source", "kind"), [("nothing", ConfigError), ("gone.onnx", ModelError), ("gone.pt", ModelError)])
def test_a_base_that_is_not_there_is_said(source: str, kind: type[Exception]) -> None:
    from anonymizer.training.base import read_base

    with pytest.raises(kind, match=source):
        read_base(source, ("face",), {}, 1)


def test_a_cut_base_is_refused(tmp_path: Path) -> None:
    from anonymizer.training.base import read_base

    path = tmp_path / "cut.onnx"
    path.write_bytes(SHIPPED.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        read_base(str(path), ("face",), {}, 1)


def test_ultralytics_checkpoints_can_be_a_base(tmp_path: Path) -> None:
    """Written here as Ultralytics writes one; an architecture without batch normalization folded needs no settling."""
    import torch

    from anonymizer.training.base import build, is_folded, read_base

    tasks = importlib.import_module("ultralytics.nn.tasks")
    model = tasks.DetectionModel("yolov8n.yaml", nc=1, verbose=False)
    model.names, model.task = {0: "License_Plate"}, "detect"
    torch.save({"model": model.half(), "ema": None}, tmp_path / "plates.pt")
    base = read_base(str(tmp_path / "plates.pt"), ("face", "plate"), {"License_Plate": "plate"}, 1)
    assert (base.classes, is_folded(base)) == ({"plate": (0,)}, False)
    built = build(base, ("face", "plate")).state_dict()
    assert torch.equal(built["model.22.cv3.0.2.weight"][1], model.float().state_dict()["model.22.cv3.0.2.weight"][0])
