"""`anonymizer train` from end to end on drawn pictures: it learns, goes on after kill -9, measures, and writes what a run takes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from anonymizer.detection import label_thresholds, load_detectors, untested_labels
from anonymizer.errors import ConfigError, SourceError
from anonymizer.evaluation import Naming, load_data, rgb_of
from anonymizer.training import TrainingWishes, load_recipe, train
from tests.documents import HAS_THE_EXTRA
from tests.training.marked_sets import QUICK, draw_boards, needs_extra, run_training, start_training

BOARDS = ["boards", "--labels", "board", "--rename", "plate=board"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with boards, and a training of them in run/."""
    here = tmp_path_factory.mktemp("trained")
    draw_boards(here / "boards")
    said, code = run_training(here, *BOARDS, *QUICK, "-o", "run", "--data-licence", "drawn by the tests")
    assert code == 0, said
    assert "measured on 3 pictures of boards held out" in said
    return here


@pytest.mark.slow
@needs_extra
def test_steps_lower_the_loss(trained: Path) -> None:
    losses = [json.loads(line)["loss"] for line in (trained / "run/log.jsonl").read_text().splitlines()]
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@needs_extra
def test_the_result_is_what_a_run_takes(trained: Path) -> None:
    weights = {"board": str(trained / "run/model.onnx")}
    (detector,) = load_detectors(("board",), weights, threads=1)
    card = json.loads((trained / "run/model.json").read_text())
    assert card["data"] == ["boards: 12 pictures", "licence of the pictures: drawn by the tests"]
    assert label_thresholds(("board",), weights, 0.5)["board"].strong == pytest.approx(card["normal_score"]["board"], abs=0.02)
    assert untested_labels(("board",), weights) == ("board",)
    pictures = load_data(trained / "boards", Naming(("board",), {"plate": "board"})).pictures
    busy = next(picture for picture in pictures if picture.boxes)
    assert len(detector.detect([rgb_of(busy.path)])) == 1
    assert sorted(path.name for path in (trained / "run").iterdir()) == ["last.pt", "log.jsonl", "model.json", "model.onnx"]


@pytest.mark.slow
@needs_extra
def test_a_training_that_was_killed_goes_on_to_the_same_weights(trained: Path) -> None:
    with start_training(trained, *BOARDS, *QUICK, "-o", "killed") as process:
        log, deadline_s = trained / "killed/last.pt", time.monotonic() + 300
        while not log.exists() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (trained / "killed/model.onnx").exists()
    said, code = run_training(trained, *BOARDS, *QUICK, "-o", "killed")
    assert code == 0, said
    assert "going on at stage 1, step 20" in said
    one, other = (json.loads((trained / f"{name}/model.json").read_text()) for name in ("run", "killed"))
    assert one["sha256"] == other["sha256"]  # as if it had never been killed
    assert [path.name for path in (trained / "killed").iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@needs_extra
def test_ctrl_c_stops_it_without_a_model_and_without_a_traceback(trained: Path) -> None:
    with start_training(trained, *BOARDS, *QUICK, "-o", "stopped", alone=True) as process:
        while not (trained / "stopped/log.jsonl").exists() and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody gets it
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "anonymizer: error: interrupted" in said
    assert "Traceback" not in said
    assert not (trained / "stopped/model.onnx").exists()


@pytest.mark.slow
@needs_extra
def test_a_finished_training_only_measures_again(trained: Path) -> None:
    before = (trained / "run/log.jsonl").read_text()
    said, code = run_training(trained, *BOARDS, *QUICK, "-o", "run", "--int8", "--int8-tolerance", "0")
    assert code == 0, said
    assert "int8: " in said
    assert (trained / "run/log.jsonl").read_text() == before
    assert (trained / "run/model_int8.onnx").exists() == ("covers as much" in said)


@pytest.mark.slow
@needs_extra
@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(["--seed", "3"], "run: holds a training that was begun with another recipe", id="other-seed"),
        pytest.param(["--held-out", "0.4"], "run: holds a training that was begun with another data and measured_on", id="other-pictures"),
    ],
)
def test_another_training_does_not_go_on_there(trained: Path, change: list[str], words: str) -> None:
    said, code = run_training(trained, *BOARDS, *QUICK, "-o", "run", *change)
    assert (code, words in said) == (2, True), said
    assert "hint: " in said


@pytest.mark.slow
@needs_extra
def test_a_model_without_its_training_is_not_written_over(trained: Path) -> None:
    shutil.copytree(trained / "run", trained / "kept", ignore=shutil.ignore_patterns("last.pt"))
    said, code = run_training(trained, *BOARDS, *QUICK, "-o", "kept")
    assert (code, "kept: holds a model.onnx, and no training to go on with" in said) == (2, True), said


@pytest.mark.slow
@needs_extra
def test_two_trainings_do_not_meet_in_one_folder(trained: Path) -> None:
    with start_training(trained, *BOARDS, *QUICK, "-o", "both") as first:
        while not any(trained.glob("both/.running*")) and first.poll() is None:
            time.sleep(0.02)
        os.kill(first.pid, signal.SIGSTOP)
        said, code = run_training(trained, *BOARDS, *QUICK, "-o", "both")
        first.kill()
        first.communicate()
    assert (code, "another" in said) == (6, True), said


@pytest.mark.slow
@needs_extra
def test_weights_that_a_run_would_refuse_are_not_written(tmp_path: Path) -> None:
    """Faces that are blue boards: a rate that burns the network away leaves none that is found in the test picture."""
    draw_boards(tmp_path / "boards")
    said, code = run_training(tmp_path, "boards", "--labels", "face", "--rename", "plate=face", *QUICK, "--rate", "0.5", "-o", "run")
    assert code == 4, said
    assert not (tmp_path / "run/model.onnx").exists()


def wishes(labels: tuple[str, ...] = ("plate",), **others: object) -> TrainingWishes:
    return TrainingWishes(labels=labels, recipe=load_recipe("own_data").said(steps=1), **others)  # type: ignore[arg-type]


def trained_on(folder: Path, wanted: TrainingWishes, val: Path | None = None) -> None:
    naming = Naming(wanted.labels)
    train(load_data(folder, naming), folder.parent / "run", wanted, val=None if val is None else load_data(val, naming))


def test_labels_that_nobody_marked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="boards: no face is marked in it") as caught:
        trained_on(draw_boards(tmp_path / "boards"), wishes(("plate", "face")))
    assert caught.value.hint == "leave it out: --labels plate"
    assert not (tmp_path / "run").exists()


def test_pictures_held_out_have_to_show_something(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the pictures held out show no plate") as caught:
        trained_on(draw_boards(tmp_path / "boards"), wishes(held_out=0.01))
    assert "--val" in (caught.value.hint or "")
    with pytest.raises(SourceError, match="empty"):
        trained_on(draw_boards(tmp_path / "boards"), wishes(), val=_without_objects(tmp_path / "empty"))


def _without_objects(folder: Path) -> Path:
    draw_boards(folder, 1)
    return folder


@pytest.mark.parametrize("wrong", [{"held_out": 0.0}, {"held_out": np.nan}, {"labels": ()}, {"threads": 0}, {"int8_tolerance": -1.0}])
def test_wishes_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--"):
        wishes(**wrong)  # type: ignore[arg-type]


@needs_extra
@pytest.mark.parametrize("device", ["cuda:7", "gpu", "cuda:x"])
def test_a_gpu_that_is_not_there_is_said(device: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--device: ") as caught:
        trained_on(draw_boards(tmp_path / "boards"), wishes(device=device))
    assert "--device cpu" in (caught.value.hint or "")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(HAS_THE_EXTRA, reason="shows what happens without the ultralytics extra")
def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="training needs the ultralytics extra") as caught:
        trained_on(draw_boards(tmp_path / "boards"), wishes())
    assert caught.value.hint == 'pip install "video-anonymizer[ultralytics]"'
