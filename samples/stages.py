"""What each step of a run costs, in processor milliseconds a frame, on one thread.

    python samples/stages.py samples/out/street.mp4 [fast|balanced|thorough] [FRAMES]

The steps are those of anonymizer/pipeline.py, run one after the other here so that each can be told from the rest;
decoding and encoding use threads of their own, which are counted.
"""

import itertools
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anonymizer.config import load_config
from anonymizer.detection import Turns
from anonymizer.equipment import Equipment
from anonymizer.media import VideoReader, VideoWriter, picture_of, plan_encoding, probe
from anonymizer.redaction import seal_frame
from anonymizer.tracking import glimpse_of
from anonymizer.types import Decision, Frame

spent_s: defaultdict[str, float] = defaultdict(float)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Count the processor's time, of all threads, for a step."""
    begin_s = time.process_time()
    yield
    spent_s[name] += time.process_time() - begin_s


def main(source: str, preset: str = "balanced", frames: str = "100") -> None:
    equipment = Equipment.of(load_config({"threads": 1, "preset": preset}).config)
    info, waiting, turns, count = probe(Path(source)), deque[Frame](), Turns(equipment.look), 0
    tracker, effect = equipment.tracker_for(info.geometry, info.frame_rate), equipment.effect_for(info.geometry)

    def publish(decisions: list[Decision], writer: VideoWriter) -> None:
        for decision in decisions:
            with step("seal"):
                sealed = seal_frame(waiting.popleft(), decision, effect)
            with step("write"):
                writer.write_frame(sealed)

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        encoding = plan_encoding(info, target, equipment.encoding_choice)
        with VideoReader(info, pixel_format=encoding.pixel_format) as reader, VideoWriter(target, info, encoding, carry=equipment.carry) as writer:
            decoded = itertools.islice(reader.frames(), int(frames))
            while True:
                with step("read"):
                    frame = next(decoded, None)
                if frame is None:
                    break
                count += 1
                waiting.append(frame)
                with step("shrink"):
                    picture = picture_of(frame, info.geometry, equipment.look.long_side)
                with step("detect"):
                    seen = equipment.observe(picture, None, turns.next(frame.time_s, info.geometry.displayed_wh))
                with step("track"):
                    decisions = tracker.push(seen, frame.time_s, glimpse_of(picture.rgb))
                publish(decisions, writer)
            publish(tracker.flush(), writer)
            with step("write"):
                writer.finish()
    for name, seconds in spent_s.items():
        print(f"{name:8} {1000 * seconds / count:7.2f} ms")
    print(f"together {1000 * sum(spent_s.values()) / count:7.2f} ms a frame, {count} frames of {info.geometry.coded_wh[0]} x {info.geometry.coded_wh[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
