"""What covers a face holds no trace of it, and nothing but seal_frame can say that a frame is sealed."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anonymizer
from anonymizer.redaction import EFFECTS, Effect, seal, seal_frame
from anonymizer.redaction.effects import Painting
from anonymizer.redaction.fill import Surroundings
from anonymizer.types import Decision, Frame, Region, SealedFrame
from tests.redaction.frames import EFFECT_NAMES, FORMATS, core_of, effect_named, make_frame, scenes, scrambled, touched_by

PACKAGE = Path(anonymizer.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Wherever regions may lie; each is sealed in every layout. Boxes are of a frame of 33 x 27.
PLACES = [
    pytest.param(Decision(0, (Region("face", "ellipse", (5.3, 6.2, 20.9, 22.4)),)), id="an-ellipse"),
    pytest.param(Decision(0, (Region("plate", "box", (3.5, 4.5, 24.25, 9.75)),)), id="a-box"),
    pytest.param(Decision(0, (Region("face", "ellipse", (2, 2, 18, 20)), Region("face", "ellipse", (12, 6, 30, 25)))), id="two-overlap"),
    pytest.param(Decision(0, (Region("face", "box", (4, 4, 12, 12)), Region("face", "box", (12, 4, 20, 12)))), id="two-touch"),
    pytest.param(Decision(0, (Region("face", "box", (2, 2, 28, 24)), Region("face", "ellipse", (8, 8, 14, 14)))), id="one-inside-another"),
    pytest.param(Decision(0, (Region("face", "ellipse", (-6.5, -5, 7, 9)), Region("plate", "box", (27, 20, 40, 31)))), id="cut-by-the-edges"),
    pytest.param(Decision(0, (Region("face", "box", (32, 0, 33, 27)), Region("face", "box", (0, 26, 33, 27)))), id="last-column-and-row"),
    pytest.param(Decision(0, (Region("face", "ellipse", (10.1, 10.1, 13.1, 13.1)),)), id="three-pixels"),
    pytest.param(Decision(0, (Region("face", "ellipse", (15.4, 15.4, 15.6, 15.6)),)), id="a-fraction-of-a-pixel"),
    pytest.param(Decision(0, (Region("zone", "box", (0, 10, 33, 16)),)), id="from-edge-to-edge"),
    pytest.param(Decision(0, (Region("zone", "box", (-5, -5, 50, 50)),)), id="a-box-over-everything"),
    pytest.param(Decision(0, (Region("damaged", "frame", (0, 0, 1, 1)),)), id="the-whole-frame"),
]


def same(one: SealedFrame, other: SealedFrame) -> bool:
    return all(np.array_equal(mine, yours) for mine, yours in zip(one.frame.planes, other.frame.planes, strict=True))


@pytest.mark.parametrize("decision", PLACES)
@pytest.mark.parametrize("kind", EFFECT_NAMES)
def test_frames_that_differ_only_under_the_cover_are_sealed_alike(kind: str, decision: Decision) -> None:
    effect = effect_named(kind)
    for name in FORMATS:
        for interlaced in (False, True):
            frame = make_frame(name, (33, 27), interlaced=interlaced)
            masks = core_of(frame, decision, effect)
            if decision.regions[0].shape == "frame":
                masks = [np.ones_like(mask) for mask in masks]
            other = scrambled(frame, masks, seed=1)
            assert any(not np.array_equal(mine, yours) for mine, yours in zip(frame.planes, other.planes, strict=True))
            assert same(seal_frame(frame, decision, effect), seal_frame(other, decision, effect)), (name, interlaced)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data(), kind=st.sampled_from(EFFECT_NAMES), feather=st.sampled_from([0.0, 0.12, 1.0]))
def test_no_scene_tells_what_its_cover_hides(name: str, data: st.DataObject, kind: str, feather: float) -> None:
    frame, decision = data.draw(scenes(name))
    effect = effect_named(kind, feather)
    other = scrambled(frame, core_of(frame, decision, effect), seed=1000)
    assert same(seal_frame(frame, decision, effect), seal_frame(other, decision, effect))


@pytest.mark.parametrize("kind", EFFECT_NAMES)
@given(data=st.data())
def test_what_a_region_touches_never_shows(kind: str, data: st.DataObject) -> None:
    """The same law with masks found in another way: luma that any part of a region touches, grown by the frame's spread."""
    frame, decision = data.draw(scenes("yuv444p"))
    reach = 2 * frame.spread_px + 1
    touched = np.zeros(frame.planes[0].shape, np.uint8)
    for region in decision.regions:
        margin = frame.spread_px
        left, top, right, bottom = region.xyxy
        moved = dataclasses.replace(region, xyxy=(left + margin, top + margin, right + margin, bottom + margin))
        wide = touched_by(moved, (frame.size_wh[0] + 2 * margin, frame.size_wh[1] + 2 * margin)).astype(np.uint8)
        grown = cv2.dilate(wide, np.ones((reach, reach), np.uint8))
        touched |= grown[margin : margin + touched.shape[0], margin : margin + touched.shape[1]]
    other = scrambled(frame, [touched.astype(bool)] * 3, seed=1000)
    assert same(seal_frame(frame, decision, effect_named(kind)), seal_frame(other, decision, effect_named(kind)))


def _mean_of_all_it_is_given(around: Surroundings, effect: Effect) -> Painting:
    return Painting(around.nodes[..., :-1].mean(axis=(0, 1), keepdims=True), around.origin_xy, around.node_wh)


def test_erasing_is_what_keeps_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """An effect that averages all it is given cannot leak; without the erasing it does, and the law above would see it."""
    monkeypatch.setitem(EFFECTS, "average", _mean_of_all_it_is_given)
    decision, effect = Decision(0, (Region("face", "ellipse", (5, 6, 20, 22)),)), Effect("average")
    frame = make_frame("yuv420p", (33, 27))
    other = scrambled(frame, core_of(frame, decision, effect), seed=1)
    assert same(seal_frame(frame, decision, effect), seal_frame(other, decision, effect))
    monkeypatch.setattr(seal, "_erase", lambda planes, sheets, cover: None)
    assert not same(seal_frame(frame, decision, effect), seal_frame(other, decision, effect))


@settings(max_examples=60)
@given(data=st.data())
def test_an_effect_is_handed_nothing_of_the_cover(data: st.DataObject) -> None:
    frame, decision = data.draw(scenes(data.draw(st.sampled_from(FORMATS))))
    seen: list[Surroundings] = []

    def watch(around: Surroundings, effect: Effect) -> Painting:
        seen.append(around)
        return _mean_of_all_it_is_given(around, effect)

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(EFFECTS, "watch", watch)
        seal_frame(frame, decision, Effect("watch"))
    for around in seen:
        hidden = around.nodes[..., -1] == 0
        assert not around.nodes[hidden].any()


def test_only_the_seal_holds_the_token() -> None:
    holders = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if "_SEAL" in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "value", None))
        or (isinstance(node, ast.alias) and (node.name == "_SEAL" or node.name == "*"))
    }
    assert holders == {"types.py", "redaction/seal.py"}


def test_only_the_seal_makes_a_sealed_frame() -> None:
    makers = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            if called == "SealedFrame" or (called in {"__new__", "__setattr__", "partial", "cast"} and "SealedFrame" in named):
                makers.add(path.relative_to(PACKAGE).as_posix())
    assert makers == {"redaction/seal.py"}


def test_a_sealed_frame_cannot_be_forged() -> None:
    clear = Frame(0, 0, Fraction(1, 25), "gray", (np.zeros((4, 4), np.uint8),))
    sealed = seal_frame(clear, Decision(0), Effect())
    with pytest.raises(TypeError, match="copied or pickled"):
        copy.copy(sealed)
    with pytest.raises(TypeError, match="copied or pickled"):
        copy.deepcopy(sealed)
    with pytest.raises(TypeError, match="copied or pickled"):
        pickle.dumps(sealed)
    with pytest.raises(TypeError, match="dataclass"):
        dataclasses.replace(sealed, frame=clear)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="never changes"):
        sealed._frame = clear
    with pytest.raises(TypeError, match="never changes"):
        del sealed._frame
    with pytest.raises(TypeError, match="never changes"):
        sealed.frame = clear  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"only redaction\.seal"):
        SealedFrame(clear, Decision(0), token=None)
    with pytest.raises(TypeError, match="no subclasses"):
        type("Forged", (SealedFrame,), {})
    empty = object.__new__(SealedFrame)
    with pytest.raises(AttributeError):
        _ = empty.frame


@pytest.mark.parametrize("regions", [(), (Region("face", "box", (1, 1, 3, 3)),), (Region("face", "frame", (0, 0, 1, 1)),)])
def test_sealed_planes_cannot_be_written(regions: tuple[Region, ...]) -> None:
    sealed = seal_frame(make_frame("yuv420p"), Decision(0, regions), Effect())
    for plane in sealed.frame.planes:
        with pytest.raises(ValueError, match="read-only"):
            plane[0, 0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            plane.flags.writeable = True
        assert plane.base is not None
        assert not plane.base.flags.writeable


def test_planes_somebody_may_still_write_to_are_copied() -> None:
    mine = np.zeros((4, 4), np.uint8)
    sealed = seal_frame(Frame(0, 0, Fraction(1, 25), "gray", (mine,)), Decision(0), Effect())
    mine[:] = 9
    assert not sealed.frame.planes[0].any()


ALLOWED_IMPORTS = {"__future__", "collections", "dataclasses", "math", "typing", "cv2", "numpy", "anonymizer"}
WORLDLY_NAMES = {"open", "eval", "exec", "__import__", "imread", "imwrite", "VideoCapture", "VideoWriter", "theRNG", "randu", "randn", "getTickCount"}
WORLDLY_NAMES |= {"random", "load", "save", "fromfile", "tofile", "memmap", "loadtxt", "savetxt", "setNumThreads"}


def test_redaction_is_arithmetic() -> None:
    """No clock, file, random source or model can make two seals of one frame differ."""
    paths = sorted((PACKAGE / "redaction").glob("*.py"))
    assert len(paths) >= 6
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= ALLOWED_IMPORTS, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] in ALLOWED_IMPORTS, path
                if (node.module or "").startswith("anonymizer"):
                    assert (node.module or "").split(".")[1] in {"geometry", "pixels", "redaction", "types"}, path
            assert getattr(node, "id", None) not in WORLDLY_NAMES, path
            assert getattr(node, "attr", None) not in WORLDLY_NAMES, path
