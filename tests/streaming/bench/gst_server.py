"""GStreamer's RTSP server, somebody else's word on our streams. Runs under the system's Python, which alone has gi and no numpy:

    /usr/bin/python3 gst_server.py PORT pull H264_FIFO_OR_FILE RATE     serves what is written there, as a live camera, at /camera
    /usr/bin/python3 gst_server.py PORT record FILE                     takes what is pushed to /push, and writes it as MPEG-TS

Prints "ready" once it listens. `camera_server.py` starts it.
"""

from __future__ import annotations

import sys

import gi  # type: ignore[import-not-found,unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found,unused-ignore]  # noqa: E402


def main(port: str, what: str, path: str, rate: str = "25") -> None:
    """Serve until the process is ended."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    mounts = server.get_mount_points()
    if what == "pull":
        # The frames come in real time; their times are those of their coming.
        source = f"filesrc location={path} do-timestamp=true ! video/x-h264,stream-format=byte-stream,framerate={rate}/1 ! h264parse config-interval=-1"
        factory.set_launch(f"( {source} ! rtph264pay name=pay0 pt=96 config-interval=-1 )")
        mounts.add_factory("/camera", factory)
    else:
        sink = f"h264parse ! mpegtsmux ! filesink location={path} sync=false async=false"
        factory.set_launch(f"( rtph264depay name=depay0 ! {sink} )")
        factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        factory.set_latency(200)
        mounts.add_factory("/push", factory)
    server.attach(None)
    print("ready", flush=True)
    loop = GLib.MainLoop()
    # Whoever started us holds our stdin open: with its end we end too.
    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
