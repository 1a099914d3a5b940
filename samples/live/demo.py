"""A test camera, the live filter and its page together, until Ctrl-C: `python samples/live/demo.py CLIP`.

The camera is the clip, played for ever over RTSP at rtsp://127.0.0.1:8555/street; the filter reads it as it would read any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av

from anonymizer.cameras.listening import why_not_free
from anonymizer.cameras.settings import Server
from anonymizer.ipc.packets import PacketReceiver, PacketSender, packet_sockets
from anonymizer.media.annexb import parameter_sets_of
from anonymizer.rtsp.server import RtspServer
from anonymizer.types import EncodedPacket, StreamFormat

PORT, NAME = 8555, "street"


def coded(clip: Path) -> tuple[StreamFormat, list[EncodedPacket]]:
    """The clip as cameras code: without B-frames, a key frame a second, parameter sets before each."""
    packets = []
    with av.open(str(clip)) as source, av.open(io.BytesIO(), "w", format="h264") as target:
        video = source.streams.video[0]
        rate = video.average_rate or 25
        stream = target.add_stream("libx264", rate=rate, options={"preset": "veryfast", "tune": "zerolatency", "bf": "0", "g": str(round(rate))})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        for index, frame in enumerate(source.decode(video)):
            frame.pts = None
            frame.pict_type = 0
            packets += [EncodedPacket(round(index * 90_000 / rate), packet.is_keyframe, bytes(packet)) for packet in stream.encode(frame)]
    size_wh = video.width, video.height
    return StreamFormat("h264", size_wh, float(rate), parameter_sets_of(packets[0].data, "h264")), packets


def play(sender: PacketSender, stream: StreamFormat, packets: list[EncodedPacket], over: threading.Event) -> None:
    """Send the packets in their own time, again and again."""
    sender.offer(stream)
    lasts = packets[-1].pts + round(90_000 / stream.frame_rate)
    begun = round(time.monotonic() * 90_000)
    while not over.is_set():
        for packet in packets:
            over.wait(max(0.0, (begun + packet.pts) / 90_000 - time.monotonic()))
            sender.offer(EncodedPacket(begun + packet.pts, packet.is_key, packet.data))
        begun += lasts


async def serve(receiver: PacketReceiver, over: threading.Event) -> None:
    """Be an RTSP camera."""
    server = RtspServer(Server(port=PORT))
    await server.listen()
    server.add_camera(NAME, "Street", receiver)
    while not over.is_set():
        server.tick()
        await asyncio.sleep(0.1)
    await server.close()


@contextlib.contextmanager
def camera(clip: Path) -> Iterator[str]:
    """The test camera's address, while it plays."""
    stream, packets = coded(clip)
    ours, theirs = packet_sockets()
    over = threading.Event()
    threads = [
        threading.Thread(target=play, args=(PacketSender(ours), stream, packets, over)),
        threading.Thread(target=lambda: asyncio.run(serve(PacketReceiver(theirs), over))),
    ]
    for thread in threads:
        thread.start()
    try:
        yield f"rtsp://127.0.0.1:{PORT}/{NAME}"
    finally:
        over.set()
        for thread in threads:
            thread.join()
        ours.close()
        theirs.close()


def main() -> int:
    if (why := why_not_free(Server(port=PORT))) is not None:
        print(f"the test camera cannot start at {why}: another `make live` runs, or some other program", file=sys.stderr)
        return 2
    print("coding the clip as a camera would ...", flush=True)
    with camera(Path(sys.argv[1])) as address:
        print(f"  camera  {address}", flush=True)
        with subprocess.Popen([sys.executable, "-m", "anonymizer", "stream", address, "--name", NAME]) as process:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: process.terminate())
            # Ctrl-C reaches both: the filter ends by itself, and then the camera.
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
            return process.wait()


if __name__ == "__main__":
    sys.exit(main())
