"""Time a clip against a plain transcode with the same encoder settings, and against any other program, in turn.

    python samples/bench.py samples/out/street.mp4
    python samples/bench.py street.mp4 --against 'deface {in} -o {out}' --rounds 5 --json times.json
    python samples/bench.py street.mp4 --options '--preset fast'

Every program runs as a whole process, start-up included, once a round. Printed are medians, and the medians of the
ratios within each round: a machine that slows down in between slows both. `--ffmpeg` names FFmpeg's own program for
the plain transcode; without it this script decodes and encodes with the FFmpeg inside the av wheel.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import ffmpeg
from av.video.frame import PictureType

COMMAND = Path(sys.executable).with_name("anonymizer")
ENCODER = {"preset": "veryfast", "crf": "18"}  # the anonymizer's own defaults


def transcode(source: str, target: str) -> None:
    """Decode and encode, no more."""
    with av.open(source) as reader, av.open(target, "w") as writer:
        stream = reader.streams.video[0]
        stream.thread_type = "AUTO"
        out = writer.add_stream("libx264", rate=stream.average_rate, options=ENCODER)
        out.width, out.height, out.pix_fmt = stream.width, stream.height, stream.pix_fmt or "yuv420p"
        for frame in reader.decode(stream):
            frame.pict_type = PictureType.NONE  # x264 would follow the source's; FFmpeg's program clears it, too
            writer.mux(out.encode(frame))
        writer.mux(out.encode(None))


def commands(args: argparse.Namespace, target: str) -> dict[str, list[str]]:
    """What runs in each round, by name."""
    plain = [sys.executable, __file__, str(args.source), "--transcode-to", target]
    if args.ffmpeg:
        plain = ffmpeg.input(str(args.source)).video.output(target, vcodec="libx264", loglevel="error", **ENCODER).overwrite_output().compile(args.ffmpeg)
    found = {"plain transcode": plain, "anonymizer": [str(COMMAND), "run", str(args.source), "-o", target, "-y", "--quiet", *shlex.split(args.options)]}
    for other in args.against:
        filled = [word.replace("{in}", str(args.source)).replace("{out}", target) for word in shlex.split(other)]
        found[Path(filled[0]).name] = filled
    return found


def measured(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak megabytes of one whole process."""
    begin_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - begin_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {shlex.join(command)}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--against", action="append", default=[], metavar="COMMAND", help="another program, with {in} and {out}; repeatable")
    parser.add_argument("--ffmpeg", metavar="PATH", help="FFmpeg's program, for the plain transcode")
    parser.add_argument("--options", default="", help="further options of `anonymizer run`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--transcode-to", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.transcode_to:
        transcode(str(args.source), args.transcode_to)
        return
    with tempfile.TemporaryDirectory() as folder:
        programs = commands(args, str(Path(folder) / "out.mp4"))
        rounds = [{name: measured(command) for name, command in programs.items()} for _ in range(args.rounds)]
    plain = next(iter(programs))
    figures = {}
    for name in programs:
        wall_s, cpu_s, peak_mb = (statistics.median(one[name][column] for one in rounds) for column in range(3))
        walls, cpus = (statistics.median(one[name][column] / one[plain][column] for one in rounds) for column in range(2))
        figures[name] = {"wall_s": wall_s, "cpu_s": cpu_s, "peak_mb": peak_mb, "wall_transcodes": walls, "cpu_transcodes": cpus}
        print(f"{name:16} {wall_s:7.2f} s, {cpu_s:7.2f} s of processor, {peak_mb:6.0f} MB: {walls:5.2f} transcodes by the clock, {cpus:5.2f} by processor")
    if args.json:
        args.json.write_text(json.dumps({"source": args.source.name, "rounds": args.rounds, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
