"""What the live filter leaks beside the file path, on the same clips: `python -m scoreboard.live_leaks CLIPS --bench leakbench.py`.

The clips are joined to one minute with a counter painted in a corner, played as a camera, recorded, and aligned by the counter; frames
whose counter a cover hides lie between those whose counter is read. What can still be read is judged by the black-box bench, whose file is named by --bench.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS, BLOCK = 12, 16
WARM_UP_S = 5.0
BELIEVED_NEAR, BELIEVED_BY = 60, 5  # A cover's edge can look like a counter; five of the hundred and twenty frames around it do not agree with it.
CURTAIN_SHARE = 0.6  # of a picture in one gray
Luma = NDArray[np.uint8]


def painted_counter(luma: Luma, count: int) -> None:
    """Write a count and its parity into the top left corner, as blocks of black and white."""
    bits = [count >> at & 1 for at in range(BITS)]
    for at, bit in enumerate((*bits, sum(bits) & 1, 1, 0)):
        luma[:BLOCK, at * BLOCK : (at + 1) * BLOCK] = 235 if bit else 16


def counter_of(luma: Luma) -> int | None:
    """The count in a picture; None where none can be read."""
    cells = [float(luma[3 : BLOCK - 3, at * BLOCK + 3 : (at + 1) * BLOCK - 3].mean()) for at in range(BITS + 3)]
    if any(70 < cell < 180 for cell in cells):
        return None
    *bits, parity, one, zero = (cell > 125 for cell in cells)
    return sum(bit << at for at, bit in enumerate(bits)) if (sum(bits) & 1, one, zero) == (parity, True, False) else None


def is_curtain(luma: Luma) -> bool:
    """Whether a picture is the curtain: most of it in one gray."""
    return int(np.bincount(luma.ravel(), minlength=256).max()) > CURTAIN_SHARE * luma.size


def aligned(counts: Sequence[int | None], length: int) -> list[int | None]:
    """Which frame of a clip of that `length`, played over and over, each recorded frame is, from the counters that can be read in them.

    A frame without one that can be believed is told by its neighbours, where those before and behind it tell the same;
    None where frames were dropped between them.
    """
    offsets = [None if count is None or count >= length else (count - at) % length for at, count in enumerate(counts)]
    believed = []
    for at, offset in enumerate(offsets):
        around = offsets[max(0, at - BELIEVED_NEAR) : at + BELIEVED_NEAR + 1]
        believed.append(offset if offset is not None and around.count(offset) > BELIEVED_BY else None)

    def carried(told: Iterable[int | None]) -> Iterator[int | None]:
        last: int | None = None
        for offset in told:
            last = last if offset is None else offset
            yield last

    before, behind = list(carried(believed)), list(carried(reversed(believed)))[::-1]
    return [(at + one) % length if one is not None and one == other else None for at, (one, other) in enumerate(zip(before, behind, strict=True))]


def camera_clip(clips: Path, target: Path, seconds: float) -> list[dict[str, Any]]:
    """Join clips to a minute of a camera; each frame's truth, whose objects under the counter are left out."""
    truth: list[dict[str, Any]] = []
    with av.open(str(target), "w") as writer:
        stream = None
        for json_path in sorted(clips.glob("*.json")):
            told = json.loads(json_path.read_text(encoding="utf-8"))
            with av.open(str(json_path.with_suffix(".mp4"))) as reader:
                for frame, boxes in zip(reader.decode(video=0), told["frames"], strict=False):
                    if stream is None:
                        stream = writer.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "17", "bf": "0", "g": "25"})
                        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                    picture = np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
                    painted_counter(picture, len(truth))
                    made = av.VideoFrame.from_ndarray(picture, format="yuv420p")
                    made.pts = len(truth)
                    writer.mux(stream.encode(made))
                    hidden = [{**box, "ignore": box["ignore"] or (box["xyxy"][1] < 2 * BLOCK and box["xyxy"][0] < BLOCK * (BITS + 4))} for box in boxes]
                    truth.append({"clip": json_path.stem, "label": told["label"], "boxes": hidden})
                    if len(truth) >= seconds * 25:
                        break
            if len(truth) >= seconds * 25:
                break
        assert stream is not None
        writer.mux(stream.encode(None))
    return truth


def lumas(path: Path) -> Iterator[Luma]:
    """The luma of every frame."""
    with av.open(str(path)) as reader:
        for frame in reader.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def scored(bench: ModuleType, source: list[Luma], outputs: list[Luma | None], truth: list[dict[str, Any]]) -> dict[str, Any]:
    """The bench's figures; an output of None was curtained, and hides everything."""
    tallies = {"face": bench.Tally(), "plate": bench.Tally()}
    runs: dict[Any, Any] = {}
    first = round(WARM_UP_S * 25)
    for at in range(first, len(source)):
        output = outputs[at]
        shown = np.full_like(source[at], 44) if output is None else output
        bench.score_picture(
            truth[at]["clip"], at, source[at].astype(np.float32), shown.astype(np.float32), truth[at]["boxes"], truth[at]["label"], tallies, runs
        )
    missing = sum(output is None for output in outputs[first:])
    return {"frames": len(source) - first, "not_shown_percent": round(100 * missing / (len(source) - first), 2), **{k: t.row() for k, t in tallies.items()}}


def recorded(camera: Path, folder: Path, seconds: float, options: list[str]) -> tuple[list[Luma], dict[str, Any]]:
    """Play the clip as a camera through the live filter; every recorded frame, and the state at the end."""
    command = [sys.executable, "-m", "anonymizer", "stream", str(camera), "--record", str(folder), "--page", "127.0.0.1:8099", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        # Start-up, then the whole clip once more after it began somewhere inside.
        time.sleep(12 + 2 * seconds)
        state = subprocess.run(["curl", "-s", "http://127.0.0.1:8099/status.json"], capture_output=True, check=False).stdout
        process.send_signal(signal.SIGTERM)
    frames = [luma for path in sorted(folder.glob("*.mp4")) for luma in lumas(path)]
    return frames, json.loads(state or b"{}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--options", default="", help="for both paths, as --preset=fast")
    wish = parser.parse_args()
    spec = importlib.util.spec_from_file_location("bench", wish.bench)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    options = wish.options.split()
    with tempfile.TemporaryDirectory() as scratch:
        camera, plain = Path(scratch, "camera.mp4"), Path(scratch, "plain.mp4")
        truth = camera_clip(wish.clips, camera, wish.seconds)
        source = list(lumas(camera))
        frames, state = recorded(camera, Path(scratch, "live"), len(source) / 25, options)
        live: list[Luma | None] = [None] * len(source)
        places = aligned([counter_of(luma) for luma in frames], len(source))
        for place, luma in zip(places, frames, strict=True):
            if place is not None:
                live[place] = None if is_curtain(luma) else luma
        print(json.dumps({"live": scored(bench, source, live, truth), "recorded": len(frames), "not_placed": places.count(None)}), flush=True)
        for name, told in state.get("cameras", {}).items():
            print(name, {key: told.get(key) for key in ("counts", "whys", "latency_ms", "looks_per_s", "fps", "lost", "late_looks")}, flush=True)
        command = [sys.executable, "-m", "anonymizer", "run", str(camera), "-o", str(plain), "--profile", "live", "-q", *options]
        subprocess.run(command, check=True)
        print(json.dumps({"file": scored(bench, source, list(lumas(plain)), truth)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
