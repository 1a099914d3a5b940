from __future__ import annotations

import numpy as np
import pytest

from anonymizer.detection.onnx_network import OnnxNetwork
from anonymizer.detection.yolo import GREY, Letterbox, YoloDetector
from anonymizer.errors import ModelError
from tests.detection.networks import DYNAMIC, FACE_XYXY, PLATE_XYXY, anchors_last, answering

WHITE = np.full((64, 96, 3), 255, np.uint8)
BLACK = np.zeros((64, 96, 3), np.uint8)
BOTH = {"face": [0], "plate": [1]}


def detector_of(model: bytes, classes=BOTH, timeout_s: float = 30.0) -> YoloDetector:
    return YoloDetector(OnnxNetwork(model, "my.onnx", threads=1, timeout_s=timeout_s), classes)


def objectness() -> np.ndarray:
    """[1, anchors, 5 + 2] as the YOLOv5 repository exports it, for a fixed input of 96 x 64: 3 * (96 + 24 + 6) anchors."""
    raw = np.zeros((1, 378, 7), np.float32)
    raw[0, 0] = (50, 40, 20, 10, 0.9, 1.0, 0.0)
    raw[0, 1] = (20, 13, 20, 6, 0.8, 0.0, 1.0)
    return raw


def end_to_end() -> np.ndarray:
    """[1, 300, 6]: corners, score, class; the unused rows are zeros."""
    raw = np.zeros((1, 300, 6), np.float32)
    raw[0, 0] = (*PLATE_XYXY, 0.8, 1)
    raw[0, 1] = (*FACE_XYXY, 0.9, 0)
    return raw


LAYOUTS = [
    pytest.param(anchors_last(), {}, id="v8-v11"),
    pytest.param(anchors_last(anchors=126), {"input_shape": (1, 3, 64, 96)}, id="v8-v11-fixed-input"),
    pytest.param(objectness(), {"input_shape": (1, 3, 64, 96)}, id="v5-repository"),
    pytest.param(end_to_end(), {}, id="v10-v26-end-to-end"),
    pytest.param(anchors_last(channels=4 + 2 + 15), {"task": "pose", "input_shape": (1, 3, 64, 96)}, id="pose"),
]


@pytest.mark.parametrize(("raw", "wishes"), LAYOUTS)
def test_every_layout_gives_the_same_boxes(raw, wishes):
    if wishes.get("task") == "pose":  # told by its number of anchors alone
        raw = np.concatenate([raw, np.zeros((1, raw.shape[1], 126 - raw.shape[2]), np.float32)], axis=2)
    found = detector_of(answering(raw, **wishes)).detect([BLACK])[0]
    assert found.label.tolist() == ["face", "plate"]
    assert found.xyxy == pytest.approx(np.array([FACE_XYXY, PLATE_XYXY]))
    assert found.score == pytest.approx(np.array([0.9, 0.8]))


def test_single_class_end_to_end_is_not_taken_for_a_single_class_v5():
    raw = np.zeros((1, 300, 6), np.float32)
    raw[0, 0] = (*FACE_XYXY, 0.9, 0)
    found = detector_of(answering(raw, names="{0: 'face'}"), {"face": [0]}).detect([BLACK])[0]
    assert found.xyxy == pytest.approx(np.array([FACE_XYXY]))


def test_network_without_names_counts_all_its_classes():
    found = detector_of(answering(anchors_last(anchors=126), names=None, input_shape=(1, 3, 64, 96)), {"face": None}).detect([BLACK])[0]
    assert found.label.tolist() == ["face", "face"]


def test_end_to_end_network_without_names_counts_all_its_classes():
    found = detector_of(answering(end_to_end(), names=None), {"face": None}).detect([BLACK])[0]
    assert sorted(found.score.tolist()) == pytest.approx([0.8, 0.9])


def test_pictures_of_different_sizes_keep_their_order():
    found = detector_of(answering(anchors_last())).detect([BLACK, BLACK[:40, :50], BLACK])
    assert [float(one.xyxy[:, 2].max()) for one in found] == [60, 50, 60]  # clipped to the smaller picture


NOT_DETECTORS = [
    pytest.param(b"", id="empty"),
    pytest.param(b"version https://git-lfs.github.com/spec/v1", id="text"),
    pytest.param(answering(anchors_last())[:300], id="cut"),
    pytest.param(answering(np.zeros((1, 1000), np.float32)), id="classifier-output"),
    pytest.param(answering(anchors_last(), task="classify"), id="classifier-by-its-word"),
    pytest.param(answering(anchors_last(), task="obb"), id="turned-boxes"),
    pytest.param(answering(end_to_end(), head="RTDETRDecoder"), id="rt-detr-by-its-word"),
    pytest.param(answering(anchors_last(channels=9, anchors=10)), id="more-classes-than-names"),
    pytest.param(answering(np.zeros((2, 6, 7), np.float32)), id="other-batch"),
    pytest.param(answering(anchors_last(), input_shape=("batch", 1, "height", "width")), id="gray-input"),
    pytest.param(answering(anchors_last(), input_shape=("batch", 3)), id="not-a-picture-input"),
    pytest.param(answering(anchors_last(), names="{0: "), id="names-unreadable"),
    pytest.param(answering(anchors_last(), names="__import__('os')"), id="names-are-code"),
]


@pytest.mark.parametrize("model", NOT_DETECTORS)
def test_what_is_no_detector_is_refused_when_loaded(model):
    with pytest.raises(ModelError, match=r"my\.onnx") as caught:
        detector_of(model)
    assert caught.value.hint


def with_value(position: tuple[int, ...], value: float) -> np.ndarray:
    raw = anchors_last()
    raw[position] = value
    return raw


BROKEN_ANSWERS = [
    pytest.param(answering(with_value((0, 4, 3), np.nan)), "NaN", id="nan-score"),
    pytest.param(answering(with_value((0, 0, 0), np.inf)), "NaN or infinity", id="infinite-box"),
    pytest.param(answering(with_value((0, 4, 3), -3.2)), "outside 0..1", id="scores-before-the-sigmoid"),
    pytest.param(answering(with_value((0, 5, 3), 80.0)), "outside 0..1", id="scores-in-percent"),
    pytest.param(answering(anchors_last(), bright="nan"), "NaN", id="nan-for-some-pictures"),
]


@pytest.mark.parametrize(("model", "problem"), BROKEN_ANSWERS)
def test_broken_answer_is_an_error_and_never_an_empty_picture(model, problem):
    with pytest.raises(ModelError, match=problem):
        detector_of(model).detect([WHITE])


def test_answer_with_an_unknown_class_is_an_error():
    raw = end_to_end()
    raw[0, 0, 5] = 7
    with pytest.raises(ModelError, match="no name"):
        detector_of(answering(raw)).detect([BLACK])


def test_rt_detr_with_two_classes_is_not_read_as_corners_score_and_class():
    """[1, 300, 4 + 2]: centre and size in 0..1, then two scores; as boxes of corners they would be a pixel large."""
    raw = np.full((1, 300, 6), 0.4, np.float32)
    with pytest.raises(ModelError, match="class numbers that are none"):
        detector_of(answering(raw)).detect([BLACK])


def test_network_that_hangs_is_ended_at_its_deadline():
    detector = detector_of(answering(anchors_last(), bright="hang"), timeout_s=0.3)
    assert len(detector.detect([BLACK])[0]) == 2
    with pytest.raises(ModelError, match=r"did not answer within 0\.3 s"):
        detector.detect([WHITE])


CROOKED = [
    pytest.param((50, 40, -20, 10), FACE_XYXY, id="crossed"),
    pytest.param((50, 40, 0, 0), (49.5, 39.5, 50.5, 40.5), id="flat"),
    pytest.param((95, 40, 20, 10), (85, 35, 96, 45), id="over-the-edge"),
]


@pytest.mark.parametrize(("cxcywh", "expected"), CROOKED)
def test_crooked_box_of_a_good_score_is_kept(cxcywh, expected):
    raw = anchors_last()
    raw[0, :4, 0] = cxcywh
    found = detector_of(answering(raw), {"face": [0]}).detect([BLACK])[0]
    assert found.xyxy == pytest.approx(np.array([expected]))


def test_box_beside_the_picture_is_dropped():
    raw = anchors_last()
    raw[0, :2, 0] = (300, 300)
    assert len(detector_of(answering(raw), {"face": [0]}).detect([BLACK])[0]) == 0


@pytest.mark.parametrize("size_wh", [(96, 64), (95, 63), (1, 1), (97, 33)])
def test_letterbox_pads_to_the_stride_with_grey_and_keeps_the_pixels(size_wh):
    picture = np.random.default_rng(1).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    letterbox = Letterbox.of(size_wh, None)
    blob = np.full((3, letterbox.input_wh[1], letterbox.input_wh[0]), np.nan, np.float32)
    letterbox.fill(blob, picture)
    assert letterbox.input_wh == tuple(-(-side // 32) * 32 for side in size_wh)
    assert np.array_equal(np.rint(blob[:, : size_wh[1], : size_wh[0]] * 255).astype(np.uint8).transpose(1, 2, 0), picture)
    assert (blob[:, size_wh[1] :] == np.float32(GREY / 255)).all()
    assert (blob[:, : size_wh[1], size_wh[0] :] == np.float32(GREY / 255)).all()


@pytest.mark.parametrize(("size_wh", "scale"), [((320, 320), 1.0), ((1280, 720), 0.25), ((100, 900), 320 / 900), ((40, 20), 1.0)])
def test_fixed_input_shrinks_and_never_enlarges(size_wh, scale):
    letterbox = Letterbox.of(size_wh, (320, 320))
    blob = np.full((3, 320, 320), np.nan, np.float32)
    letterbox.fill(blob, np.zeros((size_wh[1], size_wh[0], 3), np.uint8))
    assert letterbox.scale == pytest.approx(scale)
    assert np.isfinite(blob).all()
    assert letterbox.back(np.array([[32, 16, 64, 80]], np.float32)) == pytest.approx(np.array([[32, 16, 64, 80]]) / scale)


def test_fixed_batch_is_filled_up_and_its_surplus_forgotten():
    raw = np.concatenate([anchors_last(anchors=126)] * 2)
    raw[1, 4, 0] = 0.5
    detector = detector_of(answering(raw, input_shape=(2, 3, 64, 96)), {"face": [0]})
    assert [one.score[0] for one in detector.detect([BLACK, BLACK, BLACK])] == pytest.approx([0.9, 0.5, 0.9])


def test_dynamic_shape_is_the_default_form():
    assert OnnxNetwork(answering(anchors_last(), input_shape=DYNAMIC), "my.onnx").fixed_wh is None
