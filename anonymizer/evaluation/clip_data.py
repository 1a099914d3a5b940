"""Labelled clips: beside each video a JSON file of the same name that says what stands where in every frame.

    {"label": "face",                     what the clip is about; left out or null: every label
     "width": 1280, "height": 720,        of the video as displayed; may be left out
     "frames": [[{"id": 3, "label": "face", "xyxy": [12.0, 8.5, 40.0, 44.0], "ignore": false}, ...], ...]}

`id` is the same for one object in all frames; boxes are in pixels of the video as displayed. An ignored object is too
small or too far outside the picture to count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anonymizer.errors import SourceError
from anonymizer.evaluation.coco_data import read_json
from anonymizer.evaluation.truth import ClipBox, LabelledClip, Naming

_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")
_HINT = 'write {"frames": [[{"id": 1, "label": "face", "xyxy": [left, top, right, bottom]}], ...]}, a list for each frame'


def load_clips(root: Path, naming: Naming) -> tuple[LabelledClip, ...]:
    """Every clip in a folder (or one, by its JSON file); SourceError for what cannot be read or lacks its other half."""
    clips = []
    for path in truth_files(root):
        video = _video_of(path)
        if video is None:
            raise SourceError(f"{path.name}: there is no video of that name", hint=f"put {path.stem}.mp4 beside it, or remove it")
        clips.append(_clip_of(path, video, naming))
    return tuple(clips)


def truth_files(root: Path) -> list[Path]:
    """The JSON files that may be truths of clips."""
    return [root] if root.is_file() else sorted(root.glob("*.json"))


def looks_like_clips(root: Path) -> bool:
    """Whether some JSON file has a video of its name beside it."""
    return any(path.suffix == ".json" and _video_of(path) is not None for path in truth_files(root))


def _video_of(path: Path) -> Path | None:
    return next((video for suffix in _SUFFIXES if (video := path.with_suffix(suffix)).is_file()), None)


def _clip_of(path: Path, video: Path, naming: Naming) -> LabelledClip:
    read = read_json(path)
    try:
        frames = tuple(tuple(box for row in rows if (box := _box_of(row, path, naming)) is not None) for rows in read["frames"])
        about = read.get("label")
        labelled = naming.labels_of([str(about)], path.name) if about else frozenset(naming.labels)
        marked_wh = (int(read["width"]), int(read["height"])) if "width" in read and "height" in read else None
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path.name}: is not the truth of a clip ({type(error).__name__}: {error})", hint=_HINT) from error
    return LabelledClip(video, frames, labelled, marked_wh)


def _box_of(row: dict[str, Any], path: Path, naming: Naming) -> ClipBox | None:
    label = naming.label_of(str(row["label"]), path.name)
    left, top, right, bottom = (float(edge) for edge in row["xyxy"])
    if label is None or not (left < right and top < bottom):
        return None
    return ClipBox(str(row["id"]), label, (left, top, right, bottom), bool(row.get("ignore", False)))
