"""Time a clip against a plain transcode with the same encoder settings, in turn, and print the ratio.

python samples/bench.py samples/out/street.mp4
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av

ROUNDS = 3
COMMAND = Path(sys.executable).with_name("anonymizer")


def transcode(source: Path, target: Path) -> None:
    """Decode and encode, no more: x264 with the anonymizer's own defaults."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = reader.streams.video[0]
        stream.thread_type = "AUTO"
        out = writer.add_stream("libx264", rate=stream.average_rate, options={"preset": "veryfast", "crf": "18"})
        out.width, out.height, out.pix_fmt = stream.width, stream.height, stream.pix_fmt or "yuv420p"
        for frame in reader.decode(stream):
            writer.mux(out.encode(frame))
        writer.mux(out.encode(None))


def anonymize(source: Path, target: Path) -> None:
    """The command as a user types it, start-up included."""
    subprocess.run([COMMAND, "run", source, "-o", target, "-y", "--quiet"], check=True)


def seconds(work: Callable[[Path, Path], None], source: Path, target: Path) -> float:
    begin_s = time.perf_counter()
    work(source, target)
    return time.perf_counter() - begin_s


def main(source: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rounds = [tuple(seconds(work, source, Path(folder) / "out.mp4") for work in (transcode, anonymize)) for _ in range(ROUNDS)]
    plain_s, ours_s = (min(times) for times in zip(*rounds, strict=True))
    print(f"transcode {plain_s:.1f} s, anonymizer {ours_s:.1f} s: {ours_s / plain_s:.1f} transcodes (best of {ROUNDS} rounds in turn)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
